//! That something held at one moment, found without stopping anybody.
//!
//! All threads are looked at, one after the other; then what there is to know is asked; then all
//! threads are looked at again. If both looks found the same threads asleep, and none was on a CPU
//! in between, then all of them slept at the moment between the looks, and from the first look on:
//! so nobody has changed what was asked, and nobody can ever change it, for nobody runs.
//!
//! A thread that wakes another one and falls asleep can be found asleep, and the other one too, if
//! that was looked at before it was woken. So one look proves nothing. That of the second look
//! counts a thread's time off the CPU, or ends with a thread that runs.

use crate::atomic::mutated;

/// What must be the same in both looks. Nothing here comes back to a value it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    /// Which threads sleep, mixed into one word; who starts or ends a thread runs meanwhile.
    pub(crate) threads: u64,
    /// How often all of them were taken off a CPU.
    pub(crate) switches: u64,
    /// Goroutines started on all Ps.
    pub(crate) ticks: u64,
}

/// Whether `ask` answered `yes` while all threads slept. `look` is `None` if a thread was found
/// that does not sleep; then, and if one has run meanwhile, the answer is `unknown`.
pub(crate) fn held_at_one_moment<V: PartialEq>(
    mut look: impl FnMut() -> Option<Look>,
    ask: impl FnOnce() -> V,
    yes: V,
    unknown: V,
) -> V {
    let Some(first) = look() else { return unknown };
    let answer = ask();
    if answer != yes || mutated("deadlock.once") {
        return answer;
    }
    match look() {
        Some(second) if second == first || mutated("deadlock.compare") => yes,
        _ => unknown,
    }
}
