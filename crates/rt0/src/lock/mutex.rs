//! A futex lock for the runtime's own data.
//!
//! Go: lock_futex.go `lock2`, `unlock2`: three states, a short spin, then sleep.
//!
//! It is held for a few dozen instructions, never over a switch, an allocation or a call into user
//! code. A goroutine holds an M pinned (`m.locks > 0`) while it holds one.
//!
//! # Invariants
//! * `LK1`: `word` is held from `lock` to the drop of the guard (mutex/word.rs has its states).
//! * `LK2`: the data is touched only through a [`Guard`].
//!
//! # Safety
//! LK2 makes the `&mut` in `Guard` exclusive.

#![allow(unsafe_code, reason = "LK2: the guard hands out what the lock protects")]

mod word;

use super::rank::Rank;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use word::Word;

pub(crate) struct RtMutex<T> {
    word: Word, // LK1
    /// Left out where nobody asks: with a rank that is not 0, large tables which are all zeros
    /// otherwise would lie in the program's file.
    #[cfg(debug_assertions)]
    rank: Rank,
    data: UnsafeCell<T>, // LK2
}

// SAFETY: LK2: one thread at a time reaches the data, so `T: Send` is enough.
unsafe impl<T: Send> Sync for RtMutex<T> {}

impl<T> RtMutex<T> {
    pub(crate) const fn new(rank: Rank, data: T) -> Self {
        let _ = rank;
        RtMutex {
            word: Word::new(),
            #[cfg(debug_assertions)]
            rank,
            data: UnsafeCell::new(data),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.word.lock();
        #[cfg(debug_assertions)]
        crate::tls::ranks::rank_acquire(self.rank);
        Guard { lock: self }
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
        #[cfg(debug_assertions)]
        crate::tls::ranks::rank_release(self.lock.rank);
        self.lock.word.unlock();
    }
}
