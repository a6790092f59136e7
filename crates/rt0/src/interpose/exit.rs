//! The ends that libc has for threads, and goroutines have not.
//!
//! `pthread_exit` and `pthread_cancel` unwind a thread to the frame of libc's that called its
//! function. A goroutine has no such frame: libc would jump to one of a thread that is long gone.
//! And C code that ends its thread means this thread alone, which is not the goroutine's to end. So
//! both are fatal errors there. On threads that are no goroutines they are libc's.
//!
//! Rejected: to end the goroutine as `goexit` does. That is a panic, and C frames between the two
//! are not made to be unwound, nor would their cleanup handlers run.

#![allow(unsafe_code, reason = "defines C symbols and calls the ones they stand in front of")]

#[cfg(not(target_feature = "crt-static"))]
use super::real;
#[cfg(not(target_feature = "crt-static"))]
use super::table::Id;
use super::table::weak;
use crate::atomic::Ordering;
use crate::g::Status;
use crate::stack::names::{StackShape, stack_of};
use crate::throw::fatal_with;
use core::ffi::{c_int, c_void};

weak!(pthread_exit);
weak!(pthread_cancel);

/// libc unwinds through these frames, which have nothing to clean up.
type Exit = unsafe extern "C-unwind" fn(*mut c_void) -> !;
type Cancel = unsafe extern "C-unwind" fn(libc::pthread_t) -> c_int;

/// # Safety
/// As libc's: no frame of this thread is left that may not be.
unsafe extern "C-unwind" fn pthread_exit(value: *mut c_void) -> ! {
    if crate::tls::getg().is_some() {
        let why = "it ends a thread; a goroutine ends by its function's return, or by rt0::goexit";
        fatal_with(format_args!("pthread_exit: {why}"), "pthread_exit called on a goroutine");
    }
    match real_exit() {
        // SAFETY: the caller's argument, passed on.
        Some(f) => unsafe { f(value) },
        None => crate::throw::throw("pthread_exit: not in libc"),
    }
}

/// # Safety
/// As libc's: `thread` has not been joined.
unsafe extern "C-unwind" fn pthread_cancel(thread: libc::pthread_t) -> c_int {
    if is_goroutine(thread as usize) {
        let why = "it ends a thread; tell a goroutine to end by a context or a channel";
        fatal_with(format_args!("pthread_cancel: {why}"), "pthread_cancel of a goroutine");
    }
    match real_cancel() {
        // SAFETY: the caller's argument, passed on.
        Some(f) => unsafe { f(thread) },
        None => libc::ENOSYS,
    }
}

/// Whether a goroutine's `pthread_self` is this: a block of its own, or that of its thread.
fn is_goroutine(thread: usize) -> bool {
    let has = |gp: &&crate::g::G| {
        // ORDERING: constant while the goroutine lives
        gp.fs.load(Ordering::Relaxed) == thread && gp.status() != Status::Dead as u32
    };
    matches!(stack_of(thread), Some(StackShape::Block(_))) || crate::g::allgs().any(|gp| has(&gp))
}

#[cfg(not(target_feature = "crt-static"))]
fn real_exit() -> Option<Exit> {
    let p = real::find(Id::pthread_exit);
    // SAFETY: RL1: libc's function of that name, or null.
    unsafe { core::mem::transmute::<usize, Option<Exit>>(p) }
}

#[cfg(not(target_feature = "crt-static"))]
fn real_cancel() -> Option<Cancel> {
    let p = real::find(Id::pthread_cancel);
    // SAFETY: RL1: libc's function of that name, or null.
    unsafe { core::mem::transmute::<usize, Option<Cancel>>(p) }
}

// In libc.a the public names are weak aliases of these.
#[cfg(target_feature = "crt-static")]
unsafe extern "C-unwind" {
    fn __pthread_exit(value: *mut c_void) -> !;
    fn __pthread_cancel(thread: libc::pthread_t) -> c_int;
}

#[cfg(target_feature = "crt-static")]
fn real_exit() -> Option<Exit> {
    Some(__pthread_exit)
}

#[cfg(target_feature = "crt-static")]
fn real_cancel() -> Option<Cancel> {
    Some(__pthread_cancel)
}
