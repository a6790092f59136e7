//! A wrapper for the global allocator that proves the rule "no allocation on g0".
//!
//! Scheduler code may not allocate: the goroutine that holds the allocator's lock may be waiting to
//! be scheduled. A program that wants the rule checked, as rt0's own tests do, writes
//!
//! ```
//! #[global_allocator]
//! static A: rt0::debug::NoAllocOnG0<std::alloc::System> =
//!     rt0::debug::NoAllocOnG0(std::alloc::System);
//! # fn main() { assert_eq!(*Box::new(7), 7); }
//! ```
//! An allocation on g0, or inside the runtime with its locks counted, then throws.

#![allow(unsafe_code, reason = "implements GlobalAlloc by passing calls on")]

use crate::atomic::Ordering;
use std::alloc::{GlobalAlloc, Layout};

/// See the module: passes every call on to `A` after checking where it comes from.
#[derive(Debug, Default)]
pub struct NoAllocOnG0<A>(
    /// The allocator that does the work.
    pub A,
);

fn check() {
    // Pinned, or the goroutine could be moved between finding the M and looking at it.
    let pin = crate::tls::pin::pin();
    let Some(mp) = pin.m().or_else(crate::tls::this_m) else { return };
    let own = u32::from(pin.m().is_some());
    let in_runtime = mp.curg.get().is_none() || {
        // ORDERING: this thread's own count
        mp.locks.load(Ordering::Relaxed) != own
    };
    // While M 0 boots or leaves it is a plain thread that happens to be an M already.
    let scheduling = crate::sched::SCHED.main_started.load(Ordering::Relaxed); // ORDERING: a hint
    if in_runtime && scheduling && mp.is_scheduling() {
        crate::throw::throw("malloc on g0 or inside the runtime");
    }
}

// SAFETY: every method passes its arguments on to an allocator that keeps the contract.
unsafe impl<A: GlobalAlloc> GlobalAlloc for NoAllocOnG0<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(ptr, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        check();
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
