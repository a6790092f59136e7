//! The bounds of a goroutine's stack, by libc's function for threads.

#![allow(unsafe_code, reason = "defines a C symbol and calls the one it stands in front of")]

#[cfg(not(target_feature = "crt-static"))]
use super::real;
#[cfg(not(target_feature = "crt-static"))]
use super::table::Id;
use super::table::weak;
use crate::stack::names::{StackShape, stack_of};
use crate::stack::{GUARD_BYTES, bounds};

weak!(pthread_getattr_np);

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
unsafe extern "C" fn pthread_getattr_np(
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

/// libc's definition.
#[cfg(not(target_feature = "crt-static"))]
fn real() -> Option<GetAttr> {
    let p = real::find(Id::pthread_getattr_np);
    // SAFETY: RL1: libc's function of that name, or null.
    unsafe { core::mem::transmute::<usize, Option<GetAttr>>(p) }
}

/// libc's definition: in libc.a the public name is a weak alias of this one.
#[cfg(target_feature = "crt-static")]
fn real() -> Option<GetAttr> {
    unsafe extern "C" {
        fn __pthread_getattr_np(thread: libc::pthread_t, attr: *mut libc::pthread_attr_t) -> i32;
    }
    Some(__pthread_getattr_np)
}
