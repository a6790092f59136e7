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

    /// Not by copying: what is long is moved page by page in the page tables.
    fn resize(&mut self, cap: usize) {
        let bytes = Self::bytes(cap);
        let new = match self.cap {
            0 => crate::sys::mem::reserve(bytes),
            // SAFETY: RV1: the mapping of `cap` slots; whoever borrows them borrows the array.
            old => unsafe { crate::sys::mem::resize(self.ptr, Self::bytes(old), bytes) },
        };
        match new {
            Ok(ptr) => (self.ptr, self.cap) = (ptr, cap),
            Err(e) => crate::throw::fatal_with(
                format_args!("cannot allocate {bytes} bytes (errno={})", e.raw_os_error()),
                "out of memory",
            ),
        }
    }

    /// How long the mapping of so many slots is.
    fn bytes(cap: usize) -> usize {
        (cap * size_of::<T>()).next_multiple_of(MIN_BYTES)
    }
}

impl<T: Copy> Drop for RtVec<T> {
    fn drop(&mut self) {
        if self.cap != 0 {
            // SAFETY: MM1, RV1: the values are plain, and nobody borrows them any more.
            unsafe { crate::sys::mem::release(self.ptr, Self::bytes(self.cap)) };
        }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_stays_where_it_grows_and_shrinks() {
        const MANY: u64 = 100_000;
        let mut v = RtVec::new();
        (0..MANY).for_each(|i| v.push(i));
        assert!((0..MANY).eq(v.iter().copied()));
        for i in (10..MANY).rev() {
            assert_eq!(v.pop(), Some(i));
        }
        assert!(v.cap < MANY as usize / 8, "a burst's memory goes back");
        assert!((0..10).eq(v.iter().copied()));
        (10..MANY).for_each(|i| v.push(i));
        assert!((0..MANY).eq(v.iter().copied()));
    }
}
