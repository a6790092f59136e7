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
//! # Memory orderings
//! * `notify` releases what the waker wrote to `consume`/`resumed` (Acquire).
//! * `commit` releases the saved context to the `notify` that sees PARKED (its Acquire half).

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = 2;

pub(crate) struct ParkState(AtomicU32);

impl ParkState {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            ParkState(AtomicU32::new(EMPTY))
        }
    }

    /// Parker: takes a token that is there already.
    pub(crate) fn consume(&self) -> bool {
        // ORDERING: pairs with the swap in notify
        let r = self.0.compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed);
        r.is_ok()
    }

    /// The new side of the switch: publishes the goroutine as parked; false if the token came
    /// meanwhile and the goroutine has to run again.
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
    pub(crate) fn resumed(&self) {
        // ORDERING: pairs with the swap in notify
        self.0.swap(EMPTY, Ordering::Acquire);
    }

    /// Waker: leaves the token; true if the goroutine is parked and this caller must ready it.
    pub(crate) fn notify(&self) -> bool {
        // ORDERING: pairs with consume, resumed and commit
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }
}
