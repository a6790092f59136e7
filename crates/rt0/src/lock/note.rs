//! One-shot sleep and wake between two threads.
//!
//! Go: lock_futex.go `noteclear`, `notewakeup`, `notesleep`, `notetsleep`.
//!
//! # Invariants
//! * `NT1`: one sleeper at a time; it clears the note before the waker can know of it: before it
//!   first says that it will sleep, or right after a sleep.
//! * `NT2`: between two clears at most one wake-up (a second is a bug of the runtime and throws).
//!
//! # Memory orderings
//! * `key`: the waker's Release swap pairs with the sleeper's Acquire load, so what the waker wrote
//!   before (an M's `nextp`) is visible to the sleeper.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sys::futex;

pub(crate) struct Note {
    key: AtomicU32, // 0: cleared, 1: signalled
}

impl Note {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Note { key: AtomicU32::new(0) }
        }
    }

    /// Makes the note ready for the next sleep.
    pub(crate) fn clear(&self) {
        // ORDERING: NT1: published to the waker by whatever tells it of the sleeper
        self.key.store(0, Ordering::Relaxed);
    }

    /// Wakes the sleeper, or lets its next `sleep` return at once.
    pub(crate) fn wakeup(&self) {
        let order = if mutated("note.release") { Ordering::Relaxed } else { Ordering::AcqRel };
        // ORDERING: pairs with the load in sleep
        let old = self.key.swap(1, order);
        if old != 0 {
            crate::throw::throw("notewakeup - double wakeup");
        }
        if !mutated("note.wake") {
            futex::wake(&self.key, 1);
        }
    }

    /// The same for `ns` at most; whether the wake-up came. Go: notetsleep.
    #[cfg(not(loom))]
    pub(crate) fn sleep_for(&self, ns: i64) -> bool {
        let until = crate::sys::nanotime().saturating_add(ns);
        // ORDERING: pairs with the swap in wakeup
        while self.key.load(Ordering::Acquire) == 0 {
            let left = until - crate::sys::nanotime();
            if left <= 0 {
                return false;
            }
            futex::wait(&self.key, 0, Some(left));
        }
        true
    }

    /// Sleeps until the wake-up, and makes the note ready for the next. For a sleeper that can be
    /// woken before it says that it will sleep: a clear before the sleep would lose that.
    pub(crate) fn sleep_and_clear(&self) {
        if mutated("note.clear_first") {
            self.clear();
        }
        self.sleep();
        self.clear();
    }

    /// Sleeps until the wake-up; returns at once if it came already.
    pub(crate) fn sleep(&self) {
        // ORDERING: pairs with the swap in wakeup
        while self.key.load(Ordering::Acquire) == 0 {
            futex::wait(&self.key, 0, None);
        }
    }
}
