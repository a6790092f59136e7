//! The one idle M that waits for the next timer.
//!
//! Go: netpoll.go, proc.go `wakeNetPoller`, `netpollBreak`, fields `lastpoll` and `pollUntil`. There
//! is nothing to poll besides timers yet: the wait is a futex with a deadline in ns, and "break" wakes
//! it early.
//!
//! # Invariants
//! * `NP1`: between `begin` (true) and `end` one M is the poller.
//! * `NP2`: who makes a timer earlier than `POLL_UNTIL` breaks the poller; who makes one while nobody
//!   polls wakes an M (wakep), which will look at all timers before it becomes the poller.
//!
//! # Memory orderings
//! `POLLING` and the timer's `when` form a store-load pair: the poller sets POLLING, fence, reads all
//! `when`s; the adder stores `when`, fence, reads POLLING. One of them sees the other.

use crate::atomic::{AtomicI64, AtomicU32, Ordering, fence};
use crate::m::M;
use crate::sys::{futex, nanotime};

static POLLING: AtomicU32 = AtomicU32::new(0);
static POLL_UNTIL: AtomicI64 = AtomicI64::new(0);
static BREAK: AtomicU32 = AtomicU32::new(0);

/// This M becomes the poller, unless another one is. NP1.
pub(crate) fn begin() -> bool {
    // ORDERING: see the head of this file
    let won = POLLING.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_ok();
    if won {
        BREAK.store(0, Ordering::Relaxed); // ORDERING: NP1, before the fence
        POLL_UNTIL.store(0, Ordering::Relaxed); // ORDERING: as above
        fence(Ordering::SeqCst);
    }
    won
}

/// NP1: the M is no longer the poller.
pub(crate) fn end() {
    // ORDERING: the caller looks at all timers again, or sleeps with none of its own
    POLLING.store(0, Ordering::SeqCst);
}

/// Waits until `when`, a break, or the M has to return.
pub(crate) fn block_until(when: i64, mp: &'static M) {
    POLL_UNTIL.store(when, Ordering::SeqCst); // ORDERING: before the look at BREAK
    while !mp.is_returning() {
        // ORDERING: pairs with break_poller
        if BREAK.swap(0, Ordering::SeqCst) != 0 {
            return;
        }
        let left = when - nanotime();
        if left <= 0 {
            return;
        }
        futex::wait(&BREAK, 0, Some(left));
    }
}

/// Wakes the poller, if there is one. Go: netpollBreak.
pub(crate) fn break_poller() {
    // ORDERING: pairs with block_until
    if BREAK.swap(1, Ordering::SeqCst) == 0 {
        futex::wake(&BREAK, 1);
    }
}

/// Wakes the poller if it would sleep beyond `when`.
pub(crate) fn break_if_later(when: i64) {
    // ORDERING: pairs with block_until
    let until = POLL_UNTIL.load(Ordering::SeqCst);
    if until == 0 || until > when {
        break_poller();
    }
}

/// A timer for `when` was added. Go: wakeNetPoller. NP2.
pub(crate) fn wake_net_poller(when: i64) {
    // ORDERING: see the head of this file
    fence(Ordering::SeqCst);
    if POLLING.load(Ordering::SeqCst) != 0 {
        break_if_later(when);
    } else {
        crate::sched::wake::wakep();
    }
}
