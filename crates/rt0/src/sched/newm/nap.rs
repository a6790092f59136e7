//! The template thread's sleep between requests.
//!
//! The requests are a list under a lock. Two steps on each side:
//!
//! 1. requester: add to the list under the lock; then take `asleep` from 1 to 0, and wake if it was
//!    1.
//! 2. sleeper: set `asleep` to 1; then look at the list under the lock; sleep if it is empty.
//!
//! If the look comes before the addition, in the lock's order, the requester finds 1; else the look
//! finds the request. Whoever turns 1 into 0 owns the wake-up: a sleeper that found a request but
//! not its 1 waits for the wake-up that is under way, lest it comes into a later sleep.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::lock::note::Note;

pub(crate) struct Nap {
    note: Note,
    asleep: AtomicU32,
}

impl Nap {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Nap { note: Note::new(), asleep: AtomicU32::new(0) }
        }
    }

    /// A request was added, and the lock is free again.
    pub(crate) fn requested(&self) {
        // ORDERING: the lock orders it after the first swap in sleep_if
        if self.asleep.swap(0, Ordering::AcqRel) == 1 {
            self.note.wakeup();
        }
    }

    /// Sleeps until a request comes, unless there is one: `empty` looks under the lock.
    pub(crate) fn sleep_if(&self, empty: impl FnOnce() -> bool) {
        self.note.clear();
        let is_empty = if mutated("nap.look_first") {
            let is_empty = empty();
            self.asleep.swap(1, Ordering::Release);
            is_empty
        } else {
            // ORDERING: publishes the cleared note. A swap: loom does not order a plain store
            // against the other side's
            self.asleep.swap(1, Ordering::Release);
            empty()
        };
        if !is_empty && mutated("nap.keep") {
            return;
        }
        // ORDERING: whoever turns 1 into 0 owns the wake-up
        if is_empty || self.asleep.swap(0, Ordering::AcqRel) == 0 {
            self.note.sleep();
        }
    }
}
