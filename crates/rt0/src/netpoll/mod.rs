//! The one idle M that waits for the next timer.
//!
//! Go: netpoll.go, proc.go `wakeNetPoller`, `netpollBreak`, fields `lastpoll` and `pollUntil`.
//! There is nothing to poll besides timers yet: the wait is a futex with a deadline in ns, and
//! "break" wakes it early. poller.rs has the protocol.
//!
//! # Invariants
//! * `NP1`: one M at a time is the poller.
//! * `NP2`: who makes a timer earlier than the poller's deadline breaks the poller; who makes one
//!   while nobody polls wakes an M (wakep), which will look at all timers before it becomes the
//!   poller.

pub(crate) mod poller;

use crate::atomic::{AtomicI64, Ordering};
use crate::m::M;
use crate::sys::nanotime;
use poller::Poller;

static POLLER: Poller = Poller::new();

/// An M without a P waits for the next timer of all, whose deadline `first` tells (0: none). True:
/// it waited, or is owed a look for a timer: the caller looks for work again, if it gets a P.
pub(crate) fn wait(mp: &'static M, first: fn() -> i64) -> bool {
    let earliest = LAST_WAKE.load(Ordering::Relaxed) + SPACING_NS; // ORDERING: a heuristic
    let spaced = || match first() {
        0 => 0,
        when => when.max(earliest),
    };
    let waited = POLLER.wait(spaced, || mp.is_special_on_g0(), nanotime);
    LAST_WAKE.store(nanotime(), Ordering::Relaxed); // ORDERING: a heuristic
    waited
}

/// The poller does not wake twice within this time for timers: where there are many, those of one
/// such interval are run together. Waking a thread costs some 10 µs of CPU; without this a thousand
/// goroutines that sleep for 10 ms each would spend more on it than on anything else. A timer is
/// late by this at most, and only if another was due that shortly before it.
const SPACING_NS: i64 = 100_000;

/// When the poller last woke.
static LAST_WAKE: AtomicI64 = AtomicI64::new(0);

/// Wakes the poller, if there is one. Go: netpollBreak.
pub(crate) fn break_poller() {
    POLLER.break_poller();
}

/// A timer for `when` was added. Go: wakeNetPoller. NP2.
pub(crate) fn wake_net_poller(when: i64) {
    if !POLLER.wakes_for(when) {
        crate::sched::wake::wakep();
    }
}
