//! A value that is made when it is first used. std: `sync::LazyLock`.
//!
//! # Invariants
//! * `LL1`: `data` is written by the closure that `once` runs, and by `&mut LazyLock`; it is read
//!   when `once` is complete, and is `Done` then.
//!
//! # Safety
//! As once_lock.rs, by LL1. The closure may run on another thread than the one that made it.

#![allow(unsafe_code, reason = "LL1: the cell behind a Once")]

use super::Once;
use super::raw::once::Poison;
use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

enum Data<T, F> {
    Init(F),
    /// The closure runs, or has panicked.
    Taken,
    Done(T),
}

/// A value that is made by a closure when it is first used.
///
/// std: [`std::sync::LazyLock`].
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    data: UnsafeCell<Data<T, F>>, // LL1
}

// SAFETY: LL1: shared references read; whoever is first runs the closure, on any thread.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// One whose value `f` will make.
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock { once: Once::new(), data: UnsafeCell::new(Data::Init(f)) }
    }

    /// The value; makes it if need be, or waits if somebody else does.
    ///
    /// # Panics
    /// If the closure panics or has panicked.
    #[inline]
    #[track_caller]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        match LazyLock::get(this) {
            Some(value) => value,
            None => this.force_slow(),
        }
    }

    #[cold]
    #[track_caller]
    fn force_slow(&self) -> &T {
        self.once.call("LazyLock", Poison::Minds, |_| {
            // SAFETY: LL1: this is the closure that `once` runs.
            let init = unsafe { std::mem::replace(&mut *self.data.get(), Data::Taken) };
            if let Data::Init(f) = init {
                let value = f();
                // SAFETY: LL1: this is the closure that `once` runs.
                unsafe { *self.data.get() = Data::Done(value) };
            }
        });
        match LazyLock::get(self) {
            Some(value) => value,
            None => crate::throw::throw("LazyLock: complete without a value"),
        }
    }

    /// The same for the only user.
    ///
    /// # Panics
    /// If the closure panics or has panicked.
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        if this.once.is_poisoned() {
            panic!("LazyLock instance has previously been poisoned");
        }
        LazyLock::force(this);
        match LazyLock::get_mut(this) {
            Some(value) => value,
            None => crate::throw::throw("LazyLock: complete without a value"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made. Never blocks.
    #[inline]
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        if !this.once.is_completed() {
            return None;
        }
        // SAFETY: LL1: complete.
        match unsafe { &*this.data.get() } {
            Data::Done(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it has been made.
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        match this.data.get_mut() {
            Data::Done(value) => Some(value),
            _ => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;
    #[inline]
    #[track_caller] // dumps say who has been making the value since where
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_tuple("LazyLock");
        match LazyLock::get(self) {
            Some(v) => d.field(v),
            None => d.field(&format_args!("<uninit>")),
        };
        d.finish()
    }
}
