//! The kernel: system calls that neither allocate, nor touch errno, nor TLS.
//!
//! Go: sys_linux_amd64.s, os_linux.go. What rustix has is taken from it (its linux_raw backend
//! makes the call itself and returns the error); the few calls it does not expose go through
//! [`raw::syscall`].

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod futex;
pub(crate) mod hash;
pub(crate) mod mem;
pub(crate) mod proc;
pub(crate) mod rand;
pub(crate) mod raw;
pub(crate) mod signal;
pub(crate) mod stderr;
pub(crate) mod threads;

use crate::atomic::{AtomicUsize, Ordering};
pub(crate) use proc::{exit_group, gettid};

static NCPU: AtomicUsize = AtomicUsize::new(0);

/// CPUs this process could run on when it booted; 0 before that. Go: ncpu, NumCPU.
pub(crate) fn ncpu() -> usize {
    NCPU.load(Ordering::Relaxed) // ORDERING: written at boot
}

/// Boot: osinit has counted them.
pub(crate) fn set_ncpu(n: usize) {
    NCPU.store(n, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Monotonic time in ns. Go: `nanotime`.
pub(crate) fn nanotime() -> i64 {
    clock::nanotime()
}

/// Asks for the cache line at `p`. Never faults, whatever `p` is.
#[allow(unsafe_code, reason = "an intrinsic without a safe form")]
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch has no effect but on the cache.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
}

/// The tick counter of the CPU. Go: `cputicks`.
#[allow(unsafe_code, reason = "an intrinsic without a safe form")]
pub(crate) fn cputicks() -> u64 {
    // SAFETY: rdtsc exists on every x86-64 CPU and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}
