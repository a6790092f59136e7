//! Many readers, or one writer.
//!
//! std: `sync::RwLock`; Go: `sync.RWMutex`. raw/rwlock.rs has the protocol.
//!
//! # Invariants
//! * `RL1`: the data is reached through one write guard, or any number of read guards, or by
//!   `&mut RwLock`.
//! * `RL2`: while `drains` is a writer's name, that one has the writers' mutex and waits for the
//!   readers to leave; it alone can let in whoever else waits.
//!
//! For reports: debug/waits.rs reads the first four words (OW2, RL2, readers.rs).
//!
//! # Safety
//! RL1 makes the write guard's `&mut` exclusive. Readers share the data, so sharing the lock needs
//! `T: Sync`; a writer may take it to another thread, so it needs `T: Send` too.

#![allow(unsafe_code, reason = "RL1: the guards hand out what the lock protects")]

use super::owner::Owner;
use super::poison::{Flag, Since};
use super::raw::rwlock::RwWord;
use super::readers;
use crate::atomic::{AtomicBool, Word};
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use crate::sema::Sema;
use crate::sema::lot::Env;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

/// Protects data that many may read at once, or one may write.
///
/// std: [`std::sync::RwLock`], with its poisoning; Go: `sync.RWMutex`. A writer that waits keeps
/// new readers out, and those all come in before the next writer, so neither waits for ever. Hence
/// a goroutine that reads must not ask to read again: with a writer in between it waits for itself.
#[repr(C)]
pub struct RwLock<T: ?Sized> {
    /// The writer. OW2
    owner: Owner,
    drains: Word, // RL2
    word: RwWord,
    poison: Flag,
    /// Somebody has read it who is not recorded (readers.rs RR2).
    strangers: AtomicBool,
    data: UnsafeCell<T>, // RL1
}

/// Where debug/waits.rs looks for them.
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(RwLock<()>, drains) == 16);
    assert!(offset_of!(RwLock<()>, word) == super::raw::rwlock::WORD_AT);
    assert!(offset_of!(RwLock<()>, strangers) == super::raw::rwlock::WORD_AT + 5);
};

// SAFETY: RL1: the data moves with the lock.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: RL1: readers share the data, a writer has it for itself.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// A lock that nobody has.
    pub const fn new(t: T) -> RwLock<T> {
        RwLock {
            owner: Owner::new(),
            drains: Word::new(0),
            word: RwWord::new(),
            poison: Flag::new(),
            strangers: AtomicBool::new(false),
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

impl<T: ?Sized> RwLock<T> {
    /// Waits until no writer has the lock or waits for it.
    ///
    /// # Errors
    /// If a writer panicked; the guard is in the error.
    ///
    /// # Panics
    /// If there are 67,108,863 readers.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.come_in(|| self.word.try_read() || self.read_slow(None));
        self.read_guard()
    }

    /// Reads by `get`, and records it if that says so.
    #[inline(always)]
    fn come_in(&self, get: impl FnOnce() -> bool) -> bool {
        let comes = readers::come(self.word.address(), &self.strangers);
        let got = get();
        comes.done(self.word.address(), got);
        got
    }

    #[cold]
    fn read_slow(&self, until: Option<i64>) -> bool {
        self.read_slow_under(&Sema, until)
    }

    fn read_slow_under<E: Env<Why = Why>>(&self, env: &E, until: Option<i64>) -> bool {
        let got = self.word.read_slow(env, self.why(WaitReason::RwLockRead), until);
        if !got && self.word.is_full() {
            self.too_many();
        }
        got
    }

    fn too_many(&self) -> ! {
        readers::leave(self.word.address() | readers::COMES);
        panic!("too many active read locks on RwLock");
    }

    /// Waits to read in another way; `None`: it was given up.
    pub(crate) fn read_under<E: Env<Why = Why>>(
        &self,
        env: &E,
    ) -> Option<LockResult<RwLockReadGuard<'_, T>>> {
        let got = self.come_in(|| self.word.try_read() || self.read_slow_under(env, None));
        got.then(|| self.read_guard())
    }

    /// Waits to write in another way; `None`: it was given up.
    pub(crate) fn write_under<E: Env<Why = Why>>(
        &self,
        env: &E,
    ) -> Option<LockResult<RwLockWriteGuard<'_, T>>> {
        let got = self.word.try_write_fast() || self.write_slow_under(env, None);
        got.then(|| self.write_guard())
    }

    fn why(&self, reason: WaitReason) -> Why {
        Why { reason, on: core::ptr::from_ref(&self.owner) as usize }
    }

    /// Reads if no writer has the lock or waits for it. Never blocks.
    ///
    /// # Errors
    /// `WouldBlock` if one does, `Poisoned` if a writer panicked.
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if !self.come_in(|| self.word.try_read()) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.read_guard()?)
    }

    /// Waits to read for `timeout` at most; zero is [`try_read`](RwLock::try_read).
    ///
    /// # Errors
    /// `WouldBlock` if the time is over, `Poisoned` if a writer panicked.
    ///
    /// # Panics
    /// As [`read`](RwLock::read).
    pub fn try_read_for(&self, timeout: Duration) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let slow = || !timeout.is_zero() && self.read_slow(wait::after(timeout));
        if !self.come_in(|| self.word.try_read() || slow()) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.read_guard()?)
    }

    #[inline(always)]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.wrap(RwLockReadGuard::new(self))
    }

    /// Waits until nobody has the lock.
    ///
    /// # Errors
    /// If a writer panicked; the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        if !self.word.try_write_fast() {
            self.write_slow(None);
        }
        self.write_guard()
    }

    #[cold]
    fn write_slow(&self, until: Option<i64>) -> bool {
        self.write_slow_under(&Sema, until)
    }

    fn write_slow_under<E: Env<Why = Why>>(&self, env: &E, until: Option<i64>) -> bool {
        let drains = |yes: bool| self.drains.set(if yes { super::owner::me() } else { 0 });
        self.word.write_slow(env, self.why(WaitReason::RwLockWrite), until, drains)
    }

    /// Writes if nobody has the lock. Never blocks.
    ///
    /// # Errors
    /// `WouldBlock` if somebody does, `Poisoned` if a writer panicked.
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if !self.word.try_write() {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.write_guard()?)
    }

    /// Waits to write for `timeout` at most; zero is [`try_write`](RwLock::try_write).
    ///
    /// # Errors
    /// `WouldBlock` if the time is over, `Poisoned` if a writer panicked.
    #[track_caller]
    pub fn try_write_for(&self, timeout: Duration) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if !self.word.try_write() && (timeout.is_zero() || !self.write_slow(wait::after(timeout))) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.write_guard()?)
    }

    /// RL1: the caller is the writer.
    #[inline(always)]
    #[track_caller]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.owner.set(Location::caller());
        let since = self.poison.since();
        self.poison.wrap(RwLockWriteGuard { lock: self, since, not_send: PhantomData })
    }

    /// Whether a writer panicked: a hint unless the lock is held.
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that a writer panicked.
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

impl<T> From<T> for RwLock<T> {
    fn from(t: T) -> Self {
        RwLock::new(t)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => d.field("data", &&*guard),
            Err(TryLockError::Poisoned(e)) => d.field("data", &&**e.get_ref()),
            Err(TryLockError::WouldBlock) => d.field("data", &format_args!("<locked>")),
        };
        d.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The right to read the data of a [`RwLock`], until it is dropped.
///
/// std: [`std::sync::RwLockReadGuard`].
#[must_use = "the lock is given up at once if the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    // Not the lock: a guard is covariant in T, as std's is, for it only reads. Also not Send.
    data: NonNull<T>,
    word: &'a RwWord,
}

impl<T: ?Sized> UnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// RL1: the caller is a reader.
    #[inline(always)]
    fn new(lock: &'a RwLock<T>) -> Self {
        // SAFETY: it points into the lock.
        let data = unsafe { NonNull::new_unchecked(lock.data.get()) };
        RwLockReadGuard { data, word: &lock.word }
    }
}

// SAFETY: RL1: it gives `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: RL1: no writer while there is a read guard, which borrows the lock.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        readers::leave(self.word.address());
        self.word.unlock_read(&Sema);
    }
}

/// The right to write the data of a [`RwLock`], until it is dropped.
///
/// std: [`std::sync::RwLockWriteGuard`].
#[must_use = "the lock is given up at once if the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    since: Since,
    not_send: PhantomData<*const ()>,
}

// SAFETY: RL1: a shared guard gives `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Becomes a reader, with no other writer in between; readers that wait come in too.
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let s = ManuallyDrop::new(s);
        s.lock.poison.done(s.since);
        s.lock.owner.clear();
        let word = &s.lock.word;
        readers::downgraded(word.address(), &s.lock.strangers, || word.downgrade(&Sema));
        RwLockReadGuard::new(s.lock)
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: RL1: this is the only guard.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: RL1: this is the only guard.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.since);
        self.lock.owner.clear();
        self.lock.word.unlock_write(&Sema);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
