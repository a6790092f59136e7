//! The word of a reader-writer lock: a mutex for the writers, and a count of readers above it.
//!
//! Go: sync/rwmutex.go. As there, a writer that waits keeps new readers out, and those readers all
//! get in when it is done, before the next writer: neither side waits for ever.
//!
//! ```text
//!   bits 0-3        the writers' mutex (mutex.rs). LOCKED: a writer has it, or waits for readers
//!   bit 4  RPARKED  readers may be queued
//!   bits 5 and up   how many readers have it
//! ```
//! A writer takes the mutex, then waits until the readers are out. One exchange does both when the
//! word is 0.
//!
//! Three addresses to wait at: the word's own (writers, by the mutex), one more (readers), and two
//! more (the writer that has the mutex, for the last reader).
//!
//! # Invariants
//! * `RW1`: readers come in only while LOCKED is clear, or are let in by the writer that has it.
//! * `RW2`: RPARKED is set by a reader that saw LOCKED, in one exchange, and cleared by the writer
//!   with the readers' bucket locked, before LOCKED is cleared. A reader looks for both again with
//!   the bucket locked.
//!
//! # Memory orderings
//! * A reader that leaves releases to the writer's load that sees no reader (the count is changed
//!   by exchanges only, so it sees all who left); a writer releases as mutex.rs says.

use super::mutex::{LOCKED, MutexWord, PARKED, STARVING, WOKEN};
use crate::atomic::{Ordering, const_unless_loom, mutated};
use crate::sema::lot::{Env, Outcome, Request, park, park_after, unpark};
use crate::sema::queue::Place;

const RPARKED: u32 = 16;
const READER: u32 = 32;
/// As many readers as are let in; those who come in at once beside them find room above.
const MOST: u32 = (u32::MAX / READER) / 2;

/// Where the word lies in a lock, for those who know the lock's address only: behind the words of
/// its owner and of the writer that drains it.
pub(crate) const WORD_AT: usize = 24;
/// Mark of a reader's record (sync/readers.rs): it is not known yet whether it came in.
pub(crate) const COMES: usize = 1;

pub(crate) struct RwWord(MutexWord);

impl RwWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            RwWord(MutexWord::new())
        }
    }

    /// What it is recorded by.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// How many readers a lock's word says there are.
    pub(crate) fn readers(word: u32) -> usize {
        (word / READER) as usize
    }

    fn key(&self, which: usize) -> usize {
        self.address() + which
    }

    fn load(&self) -> u32 {
        self.0.0.load(Ordering::Relaxed) // ORDERING: an exchange decides
    }

    fn exchange(&self, old: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: pairs with whoever left
        self.0.0.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed)
    }

    /// Comes in as a reader if no writer is there.
    #[inline(always)]
    pub(crate) fn try_read(&self) -> bool {
        let mut s = self.load();
        while s & LOCKED == 0 && s / READER < MOST {
            match self.exchange(s, s + READER) {
                Ok(_) => return true,
                Err(now) => s = now,
            }
        }
        false
    }

    /// Whether there are so many readers that no more are let in.
    pub(crate) fn is_full(&self) -> bool {
        self.load() / READER >= MOST
    }

    /// Waits until no writer is there; false when the deadline came first, or the lock is full.
    #[cold]
    pub(crate) fn read_slow<E: Env>(&self, env: &E, why: E::Why, until: Option<i64>) -> bool {
        let mut round = 0;
        loop {
            if self.try_read() {
                return true;
            }
            if self.is_full() {
                return false;
            }
            if env.can_spin(round) {
                env.spin();
                round += 1;
                continue;
            }
            let s = self.load();
            if s & LOCKED == 0 || s & RPARKED == 0 && self.exchange(s, s | RPARKED).is_err() {
                continue;
            }
            let request = self.request(1, why, until);
            let both = |s: u32| s & (LOCKED | RPARKED) == LOCKED | RPARKED;
            match park(env, request, || mutated("rwlock.recheck") || both(self.load())) {
                Outcome::Woken(_) => return true,
                Outcome::GaveUp => return false,
                Outcome::Refused => {}
            }
        }
    }

    fn request<Y>(&self, which: usize, why: Y, deadline_ns: Option<i64>) -> Request<Y> {
        let (key, place) = (self.key(which), Place::Back);
        Request { key, data: 0, place, since_ns: 0, why, deadline_ns }
    }

    /// A reader leaves.
    #[inline(always)]
    pub(crate) fn unlock_read<E: Env>(&self, env: &E) {
        let order = if mutated("rwlock.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with the writer
        let old = self.0.0.fetch_sub(READER, order);
        if old & LOCKED != 0 && old / READER == 1 {
            self.last_reader_left(env);
        }
    }

    #[cold]
    fn last_reader_left<E: Env>(&self, env: &E) {
        unpark(env, self.key(2), |writer| writer.take(0).is_some());
    }

    /// Comes in as a writer if nobody is there, neither before nor in the queue.
    #[inline(always)]
    pub(crate) fn try_write_fast(&self) -> bool {
        self.0.try_fast()
    }

    /// The same, also before writers that wait for the mutex.
    pub(crate) fn try_write(&self) -> bool {
        let mut s = self.load();
        while s & (LOCKED | STARVING) == 0 && s < READER {
            match self.exchange(s, s | LOCKED) {
                Ok(_) => return true,
                Err(now) => s = now,
            }
        }
        false
    }

    /// Waits until nobody is there; false when the deadline came first. `drains` is told when the
    /// readers alone are to be waited for, and when that is over.
    #[cold]
    pub(crate) fn write_slow<E: Env>(
        &self,
        env: &E,
        why: E::Why,
        until: Option<i64>,
        drains: impl Fn(bool),
    ) -> bool {
        if !self.0.lock_slow(env, why, until) {
            return false;
        }
        drains(true);
        let drained = self.drain(env, why, until);
        drains(false);
        if !drained {
            self.unlock_write(env);
        }
        drained
    }

    fn drain<E: Env>(&self, env: &E, why: E::Why, until: Option<i64>) -> bool {
        let mut round = 0;
        // ORDERING: pairs with unlock_read
        while self.0.0.load(Ordering::Acquire) >= READER {
            if env.can_spin(round) {
                env.spin();
                round += 1;
                continue;
            }
            let inside = || mutated("rwlock.drain") || self.load() >= READER;
            let (request, nothing) = (self.request(2, why, until), |_| ());
            if park_after(env, request, inside, || (), nothing) == Outcome::GaveUp {
                return false;
            }
        }
        true
    }

    /// The writer leaves: first lets those readers in that have waited.
    #[inline(always)]
    pub(crate) fn unlock_write<E: Env>(&self, env: &E) {
        let mut s = self.load();
        while s & (RPARKED | STARVING) == 0 {
            // ORDERING: pairs with whoever comes in next
            let r = self.0.0.compare_exchange(s, s - LOCKED, Ordering::Release, Ordering::Relaxed);
            match r {
                Ok(_) if s & (PARKED | WOKEN) == PARKED => {
                    return self.0.wake_one(env, s - LOCKED);
                }
                Ok(_) => return,
                Err(now) => s = now,
            }
        }
        self.unlock_write_slow(env, s);
    }

    #[cold]
    fn unlock_write_slow<E: Env>(&self, env: &E, s: u32) {
        if s & RPARKED != 0 {
            unpark(env, self.key(1), |readers| {
                let mut n = 0;
                while readers.take(0).is_some() {
                    n += 1;
                }
                // ORDERING: RW2: by the bucket's lock; the wake-ups publish
                self.0.0.fetch_add((n * READER).wrapping_sub(RPARKED), Ordering::Relaxed);
            });
        }
        // RW2: LOCKED is cleared by unlock_write's exchange only, which sees a reader that came.
        if s & STARVING == 0 || !self.0.hand_over(env) {
            self.unlock_write(env);
        }
    }

    /// The writer becomes a reader; those that wait come in with it.
    pub(crate) fn downgrade<E: Env>(&self, env: &E) {
        self.0.0.fetch_add(READER, Ordering::Relaxed); // ORDERING: the writer's own
        self.unlock_write(env);
    }
}
