//! A growing array of plain values in the runtime's own memory.
//!
//! # Safety
//! * `RV1`: `ptr` is a mapping of `cap` slots made by `sys::mem::reserve`, or dangling with cap 0;
//!   the first `len` hold values.

#![allow(unsafe_code, reason = "RV1: an array over a mapping")]

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

const MIN_BYTES: usize = 4096;

pub(crate) struct RtVec<T: Copy> {
    ptr: usize, // RV1
    cap: usize,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Copy> RtVec<T> {
    pub(crate) const fn new() -> Self {
        RtVec { ptr: align_of::<T>(), cap: 0, len: 0, of: PhantomData }
    }

    pub(crate) fn push(&mut self, v: T) {
        if self.len == self.cap {
            self.resize((self.cap * 2).max(MIN_BYTES / size_of::<T>()));
        }
        // SAFETY: RV1: len < cap.
        let slot = unsafe { (self.ptr as *mut T).add(self.len) };
        // SAFETY: RV1.
        unsafe { slot.write(v) };
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let v = *self.last()?;
        self.len -= 1;
        // A burst's memory goes back; half empty stays, so that growing and shrinking cannot
        // thrash.
        if self.len < self.cap / 8 && self.cap * size_of::<T>() > 16 * MIN_BYTES {
            self.resize(self.cap / 4);
        }
        Some(v)
    }

    /// Grows to `n` values, the new ones being `v`.
    pub(crate) fn fill_to(&mut self, n: usize, v: T) {
        if n > self.cap {
            self.resize(n);
        }
        while self.len < n {
            self.push(v);
        }
    }

    fn resize(&mut self, cap: usize) {
        let bytes = (cap * size_of::<T>()).next_multiple_of(MIN_BYTES);
        let new = match crate::sys::mem::reserve(bytes) {
            Ok(p) => p,
            Err(e) => crate::throw::fatal_with(
                format_args!("cannot allocate {bytes} bytes (errno={})", e.raw_os_error()),
                "out of memory",
            ),
        };
        // SAFETY: RV1: both hold `len` slots; a new mapping overlaps nothing.
        unsafe { (new as *mut T).copy_from_nonoverlapping(self.ptr as *const T, self.len) };
        self.release();
        self.ptr = new;
        self.cap = cap;
    }
}

impl<T: Copy> RtVec<T> {
    /// Gives the mapping back; what follows sets a new one or drops the array.
    fn release(&mut self) {
        if self.cap != 0 {
            let old = (self.cap * size_of::<T>()).next_multiple_of(MIN_BYTES);
            // SAFETY: MM1, RV1: the values are plain, and were moved out or are not wanted any
            // more.
            unsafe { crate::sys::mem::release(self.ptr, old) };
        }
    }
}

impl<T: Copy> Drop for RtVec<T> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<T: Copy> Deref for RtVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: RV1.
        unsafe { core::slice::from_raw_parts(self.ptr as *const T, self.len) }
    }
}

impl<T: Copy> DerefMut for RtVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: RV1.
        unsafe { core::slice::from_raw_parts_mut(self.ptr as *mut T, self.len) }
    }
}
