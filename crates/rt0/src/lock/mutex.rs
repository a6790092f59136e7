//! A futex lock for the runtime's own data.
//!
//! Go: lock_futex.go `lock2`, `unlock2`: three states, a short spin, then sleep.
//!
//! It is held for a few dozen instructions, never over a switch, an allocation or a call into user
//! code. A goroutine holds an M pinned (`m.locks > 0`) while it holds one.
//!
//! # Invariants
//! * `LK1`: `word` is 0 (free), 1 (held) or 2 (held, somebody may sleep).
//! * `LK2`: the data is touched only through a [`Guard`].
//!
//! # Safety
//! LK2 makes the `&mut` in `Guard` exclusive.

#![allow(unsafe_code, reason = "LK2: the guard hands out what the lock protects")]

use super::rank::Rank;
use crate::atomic::{AtomicU32, Ordering};
use crate::sys::futex;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

const FREE: u32 = 0;
const HELD: u32 = 1;
const SLEEPING: u32 = 2;
/// Spins of 30 pauses each before sleeping: Go's active_spin.
const SPINS: u32 = 4;

pub(crate) struct RtMutex<T> {
    word: AtomicU32, // LK1
    rank: Rank,
    data: UnsafeCell<T>, // LK2
}

// SAFETY: LK2: one thread at a time reaches the data, so `T: Send` is enough.
unsafe impl<T: Send> Sync for RtMutex<T> {}

impl<T> RtMutex<T> {
    pub(crate) const fn new(rank: Rank, data: T) -> Self {
        RtMutex { word: AtomicU32::new(FREE), rank, data: UnsafeCell::new(data) }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // ORDERING: pairs with the swap in Guard::drop
        let quick = self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if quick.is_err() {
            self.lock_slow();
        }
        if cfg!(debug_assertions) {
            crate::m::rank_acquire(self.rank);
        }
        Guard { lock: self }
    }

    #[cold]
    fn lock_slow(&self) {
        for _ in 0..SPINS {
            for _ in 0..30 {
                core::hint::spin_loop();
            }
            // ORDERING: pairs with the swap in Guard::drop
            let r = self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
            if r.is_ok() {
                return;
            }
        }
        // ORDERING: pairs with the swap in Guard::drop
        while self.word.swap(SLEEPING, Ordering::Acquire) != FREE {
            futex::wait(&self.word, SLEEPING, None);
        }
    }
}

pub(crate) struct Guard<'a, T> {
    lock: &'a RtMutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: LK2: this guard is the only one.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: LK2: this guard is the only one.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            crate::m::rank_release(self.lock.rank);
        }
        // ORDERING: pairs with lock
        if self.lock.word.swap(FREE, Ordering::Release) == SLEEPING {
            futex::wake(&self.lock.word, 1);
        }
    }
}
