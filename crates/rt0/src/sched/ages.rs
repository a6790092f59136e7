//! Since when goroutines wait, for the headers of dumps: "chan receive, 5 minutes".
//!
//! Go: `g.waitsince`, which the collector sets when it first finds a goroutine waiting. Here sysmon
//! walks over all goroutines three times a minute, some at a time, and leaves its time in those
//! that wait. So the wait itself costs nothing, and what is shown is up to a third of a minute less
//! than it was, never more.
//!
//! A stamp says of which wait it is: of the context with this number (`G::contexts`), and whether
//! it is a call. A context ends when its goroutine is continued, and has one wait, after one call
//! at most: a call that ends without the scheduler goes on in the same.
//!
//! Where nothing has run since all were found waiting, there is nothing to find, and sysmon may
//! sleep for as long as it likes. Without sysmon, in a process that has no goroutine but main,
//! there are no stamps.
//!
//! Rejected: a coarse clock that is read when a wait begins. Who has slept leaves it standing: the
//! first waits after that would seem to be as old as the sleep.
//!
//! # Invariants
//! * `AG1`: `g.waits_since` is `contexts << 32 | call << 31 | time`, written by sysmon only; 0:
//!   never. The time counts 64ths of a minute and wraps.

use crate::debug::vars;
use crate::g::{G, Status};

/// Goroutines that one round of sysmon's looks at: some 100 µs if nothing is in a cache.
const AT_ONCE: usize = 1024;
/// Of AG1: parts of a minute.
const PARTS: i64 = 64;
const CALL: u64 = 1 << 31;
const TIME: u64 = CALL - 1;

/// GODEBUG=waitminute=MS, for tests.
fn minute_ns() -> i64 {
    vars::get().waitminute.get().clamp(1, 1 << 20) * 1_000_000
}

fn time(now: i64) -> u64 {
    (now / (minute_ns() / PARTS)) as u64 & TIME
}

fn is_call(status: u32) -> u64 {
    if status == Status::Syscall as u32 { CALL } else { 0 }
}

/// For how many minutes the goroutine has been waiting, or in a call, in the state in which it was
/// just seen; `None`: it has not been found there yet.
pub(crate) fn minutes(gp: &'static G, status: u32, now: i64) -> Option<u64> {
    if status != Status::Waiting as u32 && status != Status::Syscall as u32 {
        return None;
    }
    let stamp = gp.waits_since.get();
    let contexts = gp.contexts.load(crate::atomic::Ordering::Relaxed); // ORDERING: TK1
    let is_its = stamp & !TIME == u64::from(contexts) << 32 | is_call(status);
    (stamp != 0 && is_its).then(|| (time(now).wrapping_sub(stamp) & TIME) / PARTS as u64)
}

/// sysmon's.
pub(super) struct Watch {
    /// The number of the next goroutine to look at; `None`: between two walks.
    at: Option<usize>,
    /// When the next walk begins, ns.
    next: i64,
    /// How many goroutines had been continued when the last walk began.
    ticks: u64,
    /// All that the last walk found were parked.
    all_wait: bool,
}

impl Watch {
    pub(super) const fn new() -> Watch {
        Watch { at: None, next: 0, ticks: 0, all_wait: false }
    }

    /// Looks at some if it is time to. Returns until when sysmon may sleep while nothing runs.
    pub(super) fn look(&mut self, now: i64) -> i64 {
        let Some(at) = self.at else { return self.begin(now) };
        for i in at..at + AT_ONCE {
            let Some(gp) = crate::g::numbered(i) else {
                self.at = None;
                self.next = now + minute_ns() / 3;
                return self.next;
            };
            self.all_wait &= stamp(gp, now);
        }
        self.at = Some(at + AT_ONCE);
        now
    }

    fn begin(&mut self, now: i64) -> i64 {
        let ticks = super::deadlock::ticks();
        if self.all_wait && ticks == self.ticks {
            return i64::MAX;
        }
        if now < self.next {
            return self.next;
        }
        *self = Watch { at: Some(0), next: 0, ticks, all_wait: true };
        now
    }
}

/// True if it will not wait elsewhere before something is continued.
fn stamp(gp: &'static G, now: i64) -> bool {
    use crate::atomic::{Ordering, fence};
    let contexts = gp.contexts.load(Ordering::Relaxed); // ORDERING: the fences here
    fence(Ordering::Acquire); // ORDERING: pairs with next_context
    let status = gp.status();
    if status != Status::Waiting as u32 && status != Status::Syscall as u32 {
        return status == Status::Dead as u32 || status == Status::Idle as u32;
    }
    fence(Ordering::Acquire); // ORDERING: the status before the second look
    // ORDERING: the fences here
    if gp.contexts.load(Ordering::Relaxed) != contexts {
        return false;
    }
    let of = u64::from(contexts) << 32 | is_call(status);
    if gp.waits_since.get() & !TIME != of {
        gp.waits_since.set(of | time(now));
    }
    status == Status::Waiting as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn parked() -> &'static G {
        let gp: &'static G = Box::leak(Box::new(G::new()));
        gp.atomicstatus.store(Status::Waiting as u32, crate::atomic::Ordering::Relaxed);
        gp.next_context();
        gp
    }

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn a_wait_is_as_old_as_its_first_stamp() {
        let (gp, waiting) = (parked(), Status::Waiting as u32);
        let minutes_at = |now| minutes(gp, waiting, now);
        assert_eq!(minutes_at(MINUTE), None);
        assert!(stamp(gp, 7 * MINUTE));
        assert!(stamp(gp, 9 * MINUTE));
        assert_eq!(minutes_at(7 * MINUTE), Some(0));
        assert_eq!(minutes_at(8 * MINUTE - MINUTE / 30), Some(0));
        assert_eq!(minutes_at(12 * MINUTE), Some(5));
        assert_eq!(minutes(gp, Status::Runnable as u32, 12 * MINUTE), None);
    }

    #[test]
    fn another_wait_is_another_age() {
        let (gp, waiting) = (parked(), Status::Waiting as u32);
        assert!(stamp(gp, MINUTE));
        gp.next_context();
        assert_eq!(minutes(gp, waiting, 5 * MINUTE), None);
        assert!(stamp(gp, 5 * MINUTE));
        assert_eq!(minutes(gp, waiting, 8 * MINUTE), Some(3));
    }

    /// A call that ends without the scheduler leaves the context as it was.
    #[test]
    fn a_wait_is_not_as_old_as_the_call_before_it() {
        let gp = parked();
        gp.atomicstatus.store(Status::Syscall as u32, crate::atomic::Ordering::Relaxed);
        assert!(!stamp(gp, MINUTE), "it may wait next without a trace");
        assert_eq!(minutes(gp, Status::Syscall as u32, 3 * MINUTE), Some(2));
        gp.atomicstatus.store(Status::Waiting as u32, crate::atomic::Ordering::Relaxed);
        assert_eq!(minutes(gp, Status::Waiting as u32, 3 * MINUTE), None);
        assert!(stamp(gp, 3 * MINUTE));
        assert_eq!(minutes(gp, Status::Waiting as u32, 4 * MINUTE), Some(1));
    }
}
