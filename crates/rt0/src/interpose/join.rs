//! `pthread_join`, by which std waits for the end of a thread.
//!
//! A goroutine that is alone waits in pieces, to see between them whether the thread can ever end:
//! while there is no other goroutine nobody else looks (sched/deadlock.rs).

#![allow(unsafe_code, reason = "defines a C symbol and calls the one it stands in front of")]

use super::enter::{From, begin};
#[cfg(not(target_feature = "crt-static"))]
use super::real;
use super::table::{Id, weak};
use crate::arch::here::here;
use crate::sched::deadlock;
use crate::sched::syscall::Expect;
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;

weak!(pthread_join);

/// libc unwinds through these frames, if the thread is cancelled.
type Join = unsafe extern "C-unwind" fn(libc::pthread_t, *mut *mut c_void) -> c_int;

/// # Safety
/// As libc's: `thread` has not been joined, `value` is null or writable.
unsafe extern "C-unwind" fn pthread_join(
    thread: libc::pthread_t,
    value: *mut *mut c_void,
) -> c_int {
    let place = here();
    let (From::Goroutine(section) | From::Libc(section)) =
        begin(Id::pthread_join as u32, Expect::Short, &place);
    let r = if section.is_marked() && !deadlock::is_looked_for() {
        watching(thread, value)
    } else {
        match real_join() {
            // SAFETY: the caller's arguments, passed on.
            Some(f) => unsafe { f(thread, value) },
            None => libc::ENOSYS,
        }
    };
    section.end();
    r
}

#[cold]
fn watching(thread: libc::pthread_t, value: *mut *mut c_void) -> c_int {
    let joined = Cell::new(None);
    let wait = |ns: i64| {
        let until = after(ns);
        // SAFETY: the caller's arguments.
        let r = unsafe { libc::pthread_timedjoin_np(thread, value, &until) };
        (r != libc::ETIMEDOUT).then_some(r)
    };
    let lasts = || {
        // SAFETY: the caller's arguments; joined once, for its end is noted.
        let r = unsafe { libc::pthread_tryjoin_np(thread, value) };
        joined.set((r != libc::EBUSY).then_some(r));
        r == libc::EBUSY
    };
    deadlock::wait_watching(|ns| joined.take().or_else(|| wait(ns)), lasts)
}

/// By the clock that `pthread_timedjoin_np` goes by. If that is set anew, a piece is longer or
/// shorter.
fn after(ns: i64) -> libc::timespec {
    const SECOND: i64 = 1_000_000_000;
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the kernel writes a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, now.as_mut_ptr()) };
    // SAFETY: zeroed, then written.
    let mut at = unsafe { now.assume_init() };
    let ns = at.tv_nsec + ns.max(0);
    at.tv_sec += ns / SECOND;
    at.tv_nsec = ns % SECOND;
    at
}

#[cfg(not(target_feature = "crt-static"))]
fn real_join() -> Option<Join> {
    let p = real::find(Id::pthread_join);
    // SAFETY: RL1: libc's function of that name, or null.
    unsafe { core::mem::transmute::<usize, Option<Join>>(p) }
}

/// In libc.a the public name is a weak alias of this one.
#[cfg(target_feature = "crt-static")]
fn real_join() -> Option<Join> {
    unsafe extern "C-unwind" {
        fn __pthread_join(thread: libc::pthread_t, value: *mut *mut c_void) -> c_int;
    }
    Some(__pthread_join)
}
