//! Which of two owners lets go last.
//!
//! # Memory orderings
//! * The first to leave releases what it did to the shared value to the one that frees it.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

/// 0 while both are there, then 1. An `Arc`'s count for two, one of which is enough to know.
pub(crate) struct Gone(AtomicU32);

impl Gone {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Gone(AtomicU32::new(0))
        }
    }

    /// An owner: whether the other has left; what it did is seen then.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        let order = if mutated("gone.acquire") { Ordering::Relaxed } else { Ordering::Acquire };
        // ORDERING: pairs with the swap in leave
        self.0.load(order) != 0
    }

    /// Each owner, once, as its last touch: true if the value is the caller's to free.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        if self.is_alone() {
            return true;
        }
        if mutated("gone.swap") {
            self.0.store(1, Ordering::Release);
            return false;
        }
        let order = if mutated("gone.release") { Ordering::Acquire } else { Ordering::AcqRel };
        // ORDERING: pairs with itself and with is_alone
        self.0.swap(1, order) != 0
    }
}
