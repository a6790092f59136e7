//! The monotonic clock, without a system call where the kernel offers that.
//!
//! Go: time_linux_amd64.s `nanotime1`. boot/vdso.rs finds the function.
//!
//! # Safety
//! * `CK1`: `CLOCK_GETTIME` is 0 or the address of the vDSO's `__vdso_clock_gettime`.

#![allow(unsafe_code, reason = "CK1: calls into the vDSO")]

use crate::atomic::{AtomicUsize, Ordering};

/// Set at boot, and never changed.
pub(crate) static CLOCK_GETTIME: AtomicUsize = AtomicUsize::new(0);

type ClockGettime = unsafe extern "C" fn(i32, *mut [i64; 2]) -> i32;

/// Monotonic time in ns. Go: nanotime1.
#[inline]
pub(crate) fn nanotime() -> i64 {
    let mut t = [0i64; 2];
    // ORDERING: written at boot
    let sym = CLOCK_GETTIME.load(Ordering::Relaxed);
    if sym != 0 {
        // SAFETY: CK1.
        let f = unsafe { core::mem::transmute::<usize, ClockGettime>(sym) };
        // SAFETY: CK1: it writes one timespec.
        unsafe { f(libc::CLOCK_MONOTONIC, &mut t) };
        t[0] * 1_000_000_000 + t[1]
    } else {
        nanotime_of_kernel()
    }
}

/// The same by the system call. At boot that takes a tenth of the page fault which is the price of
/// the vDSO's first answer, and a short program does not ask again.
#[cold]
pub(crate) fn nanotime_of_kernel() -> i64 {
    let mut t = [0i64; 2];
    let a = [libc::CLOCK_MONOTONIC as usize, (&raw mut t) as usize, 0, 0, 0, 0];
    // SAFETY: RS1: the kernel writes one timespec.
    unsafe { super::raw::syscall(libc::SYS_clock_gettime, a) };
    t[0] * 1_000_000_000 + t[1]
}

/// Whether the clock is read without a system call, for dumps.
pub(crate) fn in_vdso() -> bool {
    CLOCK_GETTIME.load(Ordering::Relaxed) != 0 // ORDERING: written at boot
}
