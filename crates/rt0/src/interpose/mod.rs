//! C functions that must know of goroutines.
//!
//! An executable's own definition of a C symbol takes precedence over libc's for every caller in
//! the process, std and C libraries included. Only what would give a wrong answer on a goroutine is
//! defined here; everything else is passed on to libc.
//!
//! In a static program only what libc also has under another name can be passed on.

#![cfg(feature = "interpose")]
#![allow(unsafe_code, reason = "defines C symbols and calls the ones they stand in front of")]

#[cfg(not(target_feature = "crt-static"))]
use crate::atomic::{AtomicUsize, Ordering};
use crate::stack::names::{StackShape, stack_of};
use crate::stack::{GUARD_BYTES, bounds};

type GetAttr = unsafe extern "C" fn(libc::pthread_t, *mut libc::pthread_attr_t) -> i32;

/// The bounds of a thread's stack, for collectors, interpreters and whoever else scans or limits
/// it.
///
/// libc asks the kernel for the thread's CPU affinity by its thread id; a goroutine's is not the
/// kernel's, so libc's own would return ESRCH. For a goroutine the stack and guard are filled in
/// here.
///
/// # Safety
/// As libc's: `thread` is a live thread (or goroutine), `attr` points to writable storage.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pthread_getattr_np(
    thread: libc::pthread_t,
    attr: *mut libc::pthread_attr_t,
) -> i32 {
    let Some(StackShape::Block(gp)) = stack_of(thread as usize) else {
        return match real() {
            // SAFETY: the caller's arguments, passed on.
            Some(f) => unsafe { f(thread, attr) },
            None => libc::ENOSYS,
        };
    };
    let (lo, hi) = bounds(gp);
    // SAFETY: the caller's storage.
    let r = unsafe { libc::pthread_attr_init(attr) };
    if r != 0 {
        return r;
    }
    // SAFETY: initialised on the line above.
    let r = unsafe { libc::pthread_attr_setstack(attr, lo as *mut _, hi - lo) };
    if r != 0 {
        return r;
    }
    // SAFETY: initialised on the line above.
    unsafe { libc::pthread_attr_setguardsize(attr, GUARD_BYTES) }
}

/// libc's definition: in libc.a the public name is a weak alias of this one.
#[cfg(target_feature = "crt-static")]
fn real() -> Option<GetAttr> {
    unsafe extern "C" {
        fn __pthread_getattr_np(thread: libc::pthread_t, attr: *mut libc::pthread_attr_t) -> i32;
    }
    Some(__pthread_getattr_np)
}

/// libc's definition.
#[cfg(not(target_feature = "crt-static"))]
fn real() -> Option<GetAttr> {
    static REAL: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: idempotent
    let mut p = REAL.load(Ordering::Relaxed);
    if p == 0 {
        // SAFETY: a C string; RTLD_NEXT looks behind this image.
        p = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_getattr_np".as_ptr()) } as usize;
        REAL.store(p, Ordering::Relaxed); // ORDERING: idempotent
    }
    if p == 0 {
        return None;
    }
    // SAFETY: libc's function of that name.
    Some(unsafe { core::mem::transmute::<usize, GetAttr>(p) })
}
