//! The token between a goroutine that parks and those that wake it.
//!
//! ```text
//!            notify                      notify: the caller must ready the goroutine
//!   EMPTY ----------> NOTIFIED <--------------------------------+
//!     |  ^               |                                      |
//!     |  +---------------+ consume / resumed                    |
//!     |                                                         |
//!     +--------------------> PARKED ----------------------------+
//!          commit, by the side that runs after the goroutine is off its stack
//! ```
//! `commit` runs when the goroutine's registers are saved (finish_switch), so a waker that sees
//! PARKED may run it on another thread at once. A notify before the commit makes the commit fail,
//! and the goroutine is queued again instead: no wake-up is lost, none is doubled.
//!
//! A park that ends at a deadline waits with a ticket (ticket.rs), which the timer may claim. It is
//! TIMED instead of PARKED, with the ticket beside it, before it waits; who notifies it claims the
//! ticket to wake it. If the timer was faster, the token is taken by the end of the park all the
//! same, as by any other park that ends.
//!
//! # Memory orderings
//! * `notify` releases what the waker wrote to `consume`/`resumed` (Acquire).
//! * `commit` releases the saved context to the `notify` that sees PARKED (its Acquire half).

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

const EMPTY: usize = 0;
const NOTIFIED: usize = 1;
const PARKED: usize = 2;
/// With the ticket above it.
const TIMED: usize = 3;
const TAG_BITS: u32 = 2;

pub(crate) struct ParkState(AtomicUsize);

/// What a notification met.
pub(crate) enum Notified {
    /// Nobody: the token is there for the next park.
    Nobody,
    /// A parked goroutine, which the notifier must ready.
    Parked,
    /// One that waits with this ticket.
    Timed(usize),
}

impl ParkState {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            ParkState(AtomicUsize::new(EMPTY))
        }
    }

    /// Parker: takes a token that is there already.
    #[inline]
    pub(crate) fn consume(&self) -> bool {
        // ORDERING: a look; the exchange decides
        if self.0.load(Ordering::Relaxed) != NOTIFIED {
            return false;
        }
        // ORDERING: pairs with the swap in notify
        let r = self.0.compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed);
        r.is_ok()
    }

    /// The same for a parker that has one waker at most, before and after it was parked: nobody
    /// else writes the word meanwhile.
    #[inline]
    pub(crate) fn consume_only(&self) -> bool {
        // ORDERING: pairs with the swap in notify
        let there = self.0.load(Ordering::Acquire) == NOTIFIED;
        if there {
            self.0.store(EMPTY, Ordering::Relaxed); // ORDERING: owner-only until the next wait
        }
        there
    }

    /// The new side of the switch: publishes the goroutine as parked; false if the token came
    /// meanwhile and the goroutine has to run again.
    #[inline]
    pub(crate) fn commit(&self) -> bool {
        if mutated("park.commit") {
            self.0.store(PARKED, Ordering::Release);
            return true;
        }
        let order = if mutated("park.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with the swap in notify
        self.0.compare_exchange(EMPTY, PARKED, order, Ordering::Relaxed).is_ok()
    }

    /// Parker, running again: the token is used up.
    #[inline]
    pub(crate) fn resumed(&self) {
        // ORDERING: pairs with the swap in notify
        self.0.swap(EMPTY, Ordering::Acquire);
    }

    /// Of a goroutine that nobody knows yet: no token. Who notifies the one that had the word
    /// before may leave one all the same, which any park puts up with.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reset(&self) {
        self.0.store(EMPTY, Ordering::Relaxed); // ORDERING: published with the goroutine
    }

    /// Waker: leaves the token; true if the goroutine is parked and this caller must ready it.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        // ORDERING: pairs with consume, resumed and commit
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Parker, before it waits with `ticket`; false if the token is there already.
    pub(crate) fn begin_timed(&self, ticket: usize) -> bool {
        let timed = ticket << TAG_BITS | TIMED;
        if mutated("park.timed") {
            self.0.store(timed, Ordering::Release);
            return true;
        }
        // ORDERING: publishes the ticket to notify_any
        self.0.compare_exchange(EMPTY, timed, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Waker of a goroutine that may wait with a deadline: leaves the token.
    pub(crate) fn notify_any(&self) -> Notified {
        // ORDERING: as notify
        match self.0.swap(NOTIFIED, Ordering::AcqRel) {
            PARKED => Notified::Parked,
            was if was & TIMED == TIMED => Notified::Timed(was >> TAG_BITS),
            _ => Notified::Nobody,
        }
    }
}
