//! The `syscall` instruction, for calls that rustix does not expose.
//!
//! # Safety
//! `RS1`: the kernel sees exactly the six words given; a caller passes a number and arguments that
//! are valid for that call, pointers included. Every wrapper below names its own.
//!
//! Safe wrappers here take Rust references or numbers only.

#![allow(unsafe_code, reason = "RS1: the system call instruction")]

use core::arch::asm;

/// `syscall(2)` without errno: a negative result is `-errno`.
///
/// # Safety
/// RS1.
#[inline]
pub(crate) unsafe fn syscall(n: i64, a: [usize; 6]) -> isize {
    let r: isize;
    // SAFETY: RS1, passed on to the caller; rcx and r11 are what the instruction clobbers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") n as isize => r,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    r
}

/// `sched_getaffinity(tid)` into `mask`: bytes written, or `-errno`. 0: the calling thread.
pub(crate) fn sched_getaffinity(tid: i32, mask: &mut [u64]) -> isize {
    let p = mask.as_mut_ptr() as usize;
    // SAFETY: RS1: the kernel writes at most the slice's length at its address.
    unsafe { syscall(libc::SYS_sched_getaffinity, [tid as usize, size_of_val(mask), p, 0, 0, 0]) }
}

/// Nanoseconds of CPU that a thread of this process has used (0: the calling one); `None` if it is
/// not there.
pub(crate) fn thread_cpu_ns(tid: i32) -> Option<u64> {
    const PER_THREAD_SCHED: i32 = 4 | 2;
    let clock = !tid << 3 | PER_THREAD_SCHED; // as pthread_getcpuclockid makes it
    let mut ts = [0_i64; 2];
    let p = ts.as_mut_ptr() as usize;
    // SAFETY: RS1: the kernel writes a timespec, two words.
    let r = unsafe { syscall(libc::SYS_clock_gettime, [clock as usize, p, 0, 0, 0, 0]) };
    (r == 0).then(|| (ts[0] * 1_000_000_000 + ts[1]).cast_unsigned())
}

const ARCH_SET_GS: usize = 0x1001;
const ARCH_SET_FS: usize = 0x1002;

/// `arch_prctl(ARCH_SET_GS)`: GS is free under glibc on x86-64, so any value is harmless to it.
pub(crate) fn set_gs(base: usize) -> isize {
    // SAFETY: RS1: a register is set; no memory is touched.
    unsafe { syscall(libc::SYS_arch_prctl, [ARCH_SET_GS, base, 0, 0, 0, 0]) }
}

/// `arch_prctl(ARCH_SET_FS)`.
///
/// # Safety
/// `base` is a thread control block that this thread may use from the next instruction on.
#[inline]
pub(crate) unsafe fn set_fs(base: usize) -> isize {
    // SAFETY: RS1, and the caller's promise about the block.
    unsafe { syscall(libc::SYS_arch_prctl, [ARCH_SET_FS, base, 0, 0, 0, 0]) }
}

/// Reads words at any address of this process; `None` if they cannot be read. The kernel does it:
/// the address need not be anything's, and what is written there meanwhile is no data race.
pub(crate) fn peek<const N: usize>(address: usize) -> Option<[usize; N]> {
    let mut words = [0_usize; N];
    let bytes = size_of_val(&words);
    let [here, there] = [[words.as_mut_ptr() as usize, bytes], [address, bytes]];
    let pid = rustix::process::getpid().as_raw_nonzero().get() as usize;
    let a = [pid, here.as_ptr() as usize, 1, there.as_ptr() as usize, 1, 0];
    // SAFETY: RS1: the kernel writes to `words`, whose address and size `here` has.
    let n = unsafe { syscall(libc::SYS_process_vm_readv, a) };
    (n == bytes as isize).then_some(words)
}

const MEMBARRIER_PRIVATE_EXPEDITED: usize = 1 << 3;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED: usize = 1 << 4;

/// Announces that this process will use [`membarrier`]. False where the kernel has none.
pub(crate) fn membarrier_register() -> bool {
    let a = [MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0];
    // SAFETY: RS1: no memory is touched.
    unsafe { syscall(libc::SYS_membarrier, a) == 0 }
}

/// A full barrier on every running thread of the process. False if it was refused.
pub(crate) fn membarrier() -> bool {
    let a = [MEMBARRIER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0];
    // SAFETY: RS1: no memory is touched.
    unsafe { syscall(libc::SYS_membarrier, a) == 0 }
}
