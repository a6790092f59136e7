//! libc's own definitions, behind ours.
//!
//! # Safety
//! * `RL1`: what [`find`] returns for a function is null or the next definition of that name behind
//!   this image: libc's, or a preloaded library's with the same type.

#![allow(unsafe_code, reason = "RL1: dlsym")]

use super::table::{Id, NAMES};
use crate::atomic::{AtomicUsize, Ordering};

static FOUND: [AtomicUsize; NAMES.len()] = [const { AtomicUsize::new(0) }; NAMES.len()];

/// The address of libc's definition; 0 if it has none.
#[cfg(not(target_feature = "crt-static"))]
#[inline(always)]
pub(super) fn find(id: Id) -> usize {
    // ORDERING: idempotent
    match FOUND[id as usize].load(Ordering::Relaxed) {
        0 => look_up(id as usize),
        p => p,
    }
}

/// The same for a function that a system call can stand in for: 0 also where a lookup could
/// deadlock. On an M's g0 only a signal handler gets here.
#[inline(always)]
pub(super) fn find_or_none(id: Id) -> usize {
    // ORDERING: idempotent
    match FOUND[id as usize].load(Ordering::Relaxed) {
        0 if crate::tls::this_m().is_some_and(|m| m.is_scheduling()) => 0,
        0 => look_up(id as usize),
        p => p,
    }
}

/// Finds what signal handlers call soonest, before there is one of ours: a lookup takes the
/// loader's lock, and more stack than std gives to the handlers of its threads. And `fcntl`, which
/// std calls where a descriptor is closed in a build with debug assertions: who holds all other
/// threads closes some, and one of those threads may be in the loader.
pub(super) fn find_for_handlers() {
    if !cfg!(target_feature = "crt-static") {
        look_up(Id::write as usize);
        look_up(Id::fcntl as usize);
    }
}

/// Finds all of them.
pub(super) fn find_all() {
    if !cfg!(target_feature = "crt-static") {
        (1..NAMES.len()).for_each(|i| {
            look_up(i);
        });
    }
}

#[cold]
fn look_up(i: usize) -> usize {
    if cfg!(target_feature = "crt-static") {
        return 0;
    }
    let name = NAMES[i].as_ptr();
    // glibc has a condition variable of before 2003 under the same names; dlsym chose it in some
    // versions.
    let mut p = core::ptr::null_mut();
    if NAMES[i].to_bytes().starts_with(b"pthread_cond_") {
        // SAFETY: C strings; RTLD_NEXT looks behind this image.
        p = unsafe { libc::dlvsym(libc::RTLD_NEXT, name, c"GLIBC_2.3.2".as_ptr()) };
    }
    if p.is_null() {
        // SAFETY: a C string; RTLD_NEXT looks behind this image.
        p = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
    }
    FOUND[i].store(p as usize, Ordering::Relaxed); // ORDERING: idempotent
    p as usize
}
