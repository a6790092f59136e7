//! Mutual exclusion.
//!
//! std: `sync::Mutex`; Go: `sync.Mutex`. raw/mutex.rs has the protocol.
//!
//! # Invariants
//! * `MU1`: the data is reached through a guard, of which there is one while LOCKED is set, or by
//!   `&mut Mutex`.
//!
//! # Safety
//! MU1 makes the guard's `&mut` exclusive. So the mutex may be shared if the data may be sent, and
//! a shared guard gives `&T` only. A guard is not `Send`, as std's: that it could be is no reason
//! to let programs depend on it.

#![allow(unsafe_code, reason = "MU1: the guard hands out what the mutex protects")]

use super::owner::Owner;
use super::poison::{Flag, Since};
use super::raw::mutex::MutexWord;
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use crate::sema::Sema;
use crate::sema::lot::Env;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

/// Protects data: one goroutine or thread at a time reaches it.
///
/// std: [`std::sync::Mutex`], with its poisoning; Go: `sync.Mutex`. A goroutine that waits lets
/// others run. Waiters are served in the order in which they came, after those who happen to run
/// when the lock is freed; but once one has waited for a millisecond, the lock is handed to it, so
/// nobody waits for ever. Locking it twice from one goroutine waits for ever, and is reported as a
/// deadlock if nothing else can run.
#[repr(C)]
pub struct Mutex<T: ?Sized> {
    owner: Owner, // OW2
    word: MutexWord,
    poison: Flag,
    data: UnsafeCell<T>, // MU1
}

// SAFETY: MU1: the data moves with the mutex.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: MU1: one at a time reaches the data, so `T: Send` is enough.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// A mutex that is not locked.
    pub const fn new(t: T) -> Mutex<T> {
        Mutex {
            owner: Owner::new(),
            word: MutexWord::new(),
            poison: Flag::new(),
            data: UnsafeCell::new(t),
        }
    }

    /// The data; nobody can hold the lock.
    ///
    /// # Errors
    /// If it is poisoned; the data is in the error.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.poison.get();
        let data = self.data.into_inner();
        if poisoned { Err(PoisonError::new(data)) } else { Ok(data) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock. It is given up when the guard is dropped.
    ///
    /// # Errors
    /// If a holder panicked; the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if !self.word.try_fast() {
            self.lock_slow(None);
        }
        self.guard()
    }

    #[cold]
    fn lock_slow(&self, until: Option<i64>) -> bool {
        self.word.lock_slow(&Sema, self.why(), until)
    }

    fn why(&self) -> Why {
        Why { reason: WaitReason::MutexLock, on: core::ptr::from_ref(&self.owner) as usize } // OW2
    }

    /// Waits for the lock in another way; `None`: it was given up.
    pub(crate) fn lock_under<E: Env<Why = Why>>(
        &self,
        env: &E,
    ) -> Option<LockResult<MutexGuard<'_, T>>> {
        let got = self.word.try_fast() || self.word.lock_slow(env, self.why(), None);
        got.then(|| self.guard())
    }

    /// Takes the lock if it is free. Never blocks.
    ///
    /// # Errors
    /// `WouldBlock` if it is not free, `Poisoned` if a holder panicked.
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if !self.word.try_lock() {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.guard()?)
    }

    /// Waits for the lock for `timeout` at most; zero is [`try_lock`](Mutex::try_lock).
    ///
    /// # Errors
    /// `WouldBlock` if the time is over, `Poisoned` if a holder panicked.
    #[track_caller]
    pub fn try_lock_for(&self, timeout: Duration) -> TryLockResult<MutexGuard<'_, T>> {
        if !self.word.try_lock() && (timeout.is_zero() || !self.lock_slow(wait::after(timeout))) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.guard()?)
    }

    /// MU1: the caller has just got the lock.
    #[inline(always)]
    #[track_caller]
    fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        self.owner.set(Location::caller());
        let since = self.poison.since();
        self.poison.wrap(MutexGuard { lock: self, since, not_send: PhantomData })
    }

    /// Whether a holder panicked: a hint unless the lock is held.
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that a holder panicked.
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The data; nobody can hold the lock.
    ///
    /// # Errors
    /// If it is poisoned; the reference is in the error.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.poison.get();
        let data = self.data.get_mut();
        if poisoned { Err(PoisonError::new(data)) } else { Ok(data) }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(t: T) -> Self {
        Mutex::new(t)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => d.field("data", &&*guard),
            Err(TryLockError::Poisoned(e)) => d.field("data", &&**e.get_ref()),
            Err(TryLockError::WouldBlock) => d.field("data", &"<locked>"),
        };
        d.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The right to the data of a [`Mutex`]; dropping it gives the lock up.
///
/// std: [`std::sync::MutexGuard`].
#[must_use = "the lock is given up at once if the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    lock: &'a Mutex<T>,
    since: Since,
    not_send: PhantomData<*const ()>,
}

// SAFETY: MU1: a shared guard gives `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The mutex, and what to give it up with: for the condition variable.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.lock
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: MU1: this is the only guard.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: MU1: this is the only guard.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.since);
        self.lock.owner.clear();
        self.lock.word.unlock(&Sema);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
