//! A value that is written once. std: `sync::OnceLock`.
//!
//! # Invariants
//! * `OL1`: `value` is written by the closure that `once` runs, and by `&mut OnceLock`; it is read
//!   when `once` is complete.
//!
//! # Safety
//! OL1: complete means that nobody writes while there are shared references. The value may come
//! from one thread and be dropped by another, so sharing needs `T: Send` too.

#![allow(unsafe_code, reason = "OL1: the cell behind a Once")]

use super::Once;
use super::raw::once::Poison;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A value that is written once and read from then on.
///
/// std: [`std::sync::OnceLock`].
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<Option<T>>, // OL1
}

// SAFETY: OL1: shared references read; whoever is first writes, from any thread.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// One without a value.
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// The value, if it is there. Never blocks.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: OL1: complete.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// The value, if it is there.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until the value is there.
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.expect()
    }

    fn expect(&self) -> &T {
        match self.get() {
            Some(value) => value,
            None => crate::throw::throw("OnceLock: complete without a value"),
        }
    }

    /// Writes the value; waits if somebody else is about to.
    ///
    /// # Errors
    /// If there is one; the new one is in the error.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.fill(|| value.take());
        value.map_or(Ok(()), Err)
    }

    /// The value; that of `f`, if there is none yet. Waits if somebody else is about to write it.
    /// If `f` panics there still is none.
    #[inline]
    #[track_caller]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        self.fill(|| Some(f()));
        self.expect()
    }

    #[cold]
    #[track_caller]
    fn fill(&self, f: impl FnOnce() -> Option<T>) {
        self.once.call("OnceLock", Poison::Ignores, |_| {
            let value = f();
            // SAFETY: OL1: this is the closure that `once` runs.
            unsafe { *self.value.get() = value };
        });
    }

    /// The value, if it is there.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out; it can be written again.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_tuple("OnceLock");
        match self.get() {
            Some(v) => d.field(v),
            None => d.field(&format_args!("<uninit>")),
        };
        d.finish()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> OnceLock<T> {
        self.get().map_or_else(OnceLock::new, |value| OnceLock::from(value.clone()))
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        OnceLock { once: Once::completed(), value: UnsafeCell::new(Some(value)) }
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}
