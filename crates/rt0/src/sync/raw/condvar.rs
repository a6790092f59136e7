//! A condition variable: a queue, and a word that says whether anybody is in it.
//!
//! Go: sema.go `notifyList`. There a notification is a number, and waiters with lower ones are
//! awake. Here the waiter queues before it gives its mutex up, so whoever changes the condition
//! under that mutex finds it.
//!
//! # Invariants
//! * `CV1`: `waiters` counts those queued; it changes with the bucket locked. It may be read
//!   without: a notifier that has to see a waiter has had the mutex after it.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sema::lot::{Env, Outcome, Request, park_after, unpark};
use crate::sema::queue::Place;

pub(crate) struct CondWord(AtomicU32); // CV1

impl CondWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            CondWord(AtomicU32::new(0))
        }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// Waits for a notification; `unlock` gives the mutex up, which the caller holds. False when
    /// the deadline came first.
    pub(crate) fn wait<E: Env>(
        &self,
        env: &E,
        why: E::Why,
        deadline_ns: Option<i64>,
        unlock: impl FnOnce(),
    ) -> bool {
        let (key, place) = (self.key(), Place::Back);
        let request = Request { key, data: 0, place, since_ns: 0, why, deadline_ns };
        let count = || {
            self.0.fetch_add(1, Ordering::Relaxed); // ORDERING: CV1
            true
        };
        let uncount = |_| {
            self.0.fetch_sub(1, Ordering::Relaxed); // ORDERING: CV1
        };
        if mutated("condvar.early") {
            unlock();
            return park_after(env, request, count, || (), uncount) != Outcome::GaveUp;
        }
        park_after(env, request, count, unlock, uncount) != Outcome::GaveUp
    }

    /// Wakes at most `most` of those who wait, the longest first.
    pub(crate) fn notify<E: Env>(&self, env: &E, most: usize) {
        // ORDERING: CV1
        if self.0.load(Ordering::Relaxed) == 0 {
            return;
        }
        unpark(env, self.key(), |waiters| {
            let mut taken = 0;
            while taken < most && waiters.take(0).is_some() {
                taken += 1;
            }
            // Those that gave up and were passed over are counted too.
            if waiters.is_empty() {
                self.0.store(0, Ordering::Relaxed); // ORDERING: CV1
            } else {
                self.0.fetch_sub(taken as u32, Ordering::Relaxed); // ORDERING: CV1
            }
        });
    }
}
