//! How many goroutines of a scope still run, and the wait until none does.
//!
//! # Memory orderings
//! * `end` releases what the goroutine did to the Acquire load in `wait_for_none` that sees 0: the
//!   decrements form one release sequence, so the load is ordered after every goroutine, not only
//!   after the last.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

pub(crate) struct Running(AtomicUsize);

impl Running {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Running(AtomicUsize::new(0))
        }
    }

    /// Before the goroutine is started, by code that the scope waits for.
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed); // ORDERING: starting the goroutine publishes it
    }

    /// A goroutine that was counted could not be started; whoever counted it goes on.
    pub(crate) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed); // ORDERING: nothing ran
    }

    /// A goroutine's end. True: it was the last, and the caller wakes the scope.
    pub(crate) fn end(&self) -> bool {
        let order = if mutated("scope.release") { Ordering::Relaxed } else { Ordering::AcqRel };
        // ORDERING: pairs with the load in wait_for_none
        let was = self.0.fetch_sub(1, order);
        was == if mutated("scope.last") { 2 } else { 1 }
    }

    /// Calls `wait`, which returns after a wake-up, until nobody runs. A wake-up may be an old one:
    /// the count falls to 0 whenever all goroutines started so far have ended.
    pub(crate) fn wait_for_none(&self, mut wait: impl FnMut()) {
        // ORDERING: pairs with end
        while self.0.load(Ordering::Acquire) != 0 {
            wait();
            if mutated("scope.once") {
                return;
            }
        }
    }

    /// For reports.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed) // ORDERING: a report
    }
}
