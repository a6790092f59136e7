//! The FS and GS bases.
//!
//! FS base is the running goroutine's thread control block (or the M's own, on g0); GS base is the
//! M, whose first word is its own address. Go: `settls`, `get_tls`.
//!
//! With FSGSBASE (AT_HWCAP2 bit 1: the kernel lets user code use the instructions) a base is
//! written in about 10 ns; without, by `arch_prctl` in about 200.
//!
//! # Safety
//! * `FG1`: on a thread that is an M, GS base is the address of that `M` (never freed). On other
//!   threads it means nothing: a thread inherits it from the one that made it. So it is read only
//!   where TLS says that this is a goroutine or an M (tls/mod.rs `getg`, `this_m`), or on g0.
//! * `FG2`: FS base always is a block of which this thread is the only user.

#![allow(unsafe_code, reason = "FG1, FG2: segment bases")]

use crate::atomic::{AtomicU32, Ordering};
use crate::m::M;
use core::arch::asm;
use core::mem::offset_of;

/// How bases are written on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// By `wrfsbase`, `wrgsbase`.
    Instructions,
    /// By the `arch_prctl` system call.
    ArchPrctl,
}

static HAVE_INSTRUCTIONS: AtomicU32 = AtomicU32::new(0);

/// Boot: whether the kernel lets user code execute wrfsbase.
pub(crate) fn set_available(yes: bool) {
    HAVE_INSTRUCTIONS.store(u32::from(yes), Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Whether the kernel lets user code execute wrfsbase.
pub(crate) fn available() -> bool {
    HAVE_INSTRUCTIONS.load(Ordering::Relaxed) != 0 // ORDERING: written at boot
}

/// This thread's FS base: glibc keeps it in the block's first word.
#[inline(always)]
pub(crate) fn fs_base() -> usize {
    let x: usize;
    // SAFETY: FG2: the first word of every x86-64 TCB is its own address.
    unsafe { asm!("mov {}, fs:[0]", out(reg) x, options(nostack, preserves_flags, readonly)) };
    x
}

/// Moves this thread to another thread control block.
///
/// # Safety
/// FG2 for `base`. No compiler-held TLS address may live across the call.
pub(crate) unsafe fn set_fs_base(base: usize, how: Access) {
    match how {
        // SAFETY: the caller's promise; FSGSBASE is there, or `how` would say otherwise.
        Access::Instructions => unsafe {
            asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags));
        },
        Access::ArchPrctl => {
            // SAFETY: the caller's promise.
            let r = unsafe { crate::sys::raw::set_fs(base) };
            if r != 0 {
                crate::throw::throw("arch_prctl(ARCH_SET_FS) failed");
            }
        }
    }
}

/// Ties this thread to its M. Once a thread: a system call is cheap enough.
pub(crate) fn set_m(mp: Option<&'static M>) {
    let base = mp.map_or(0, |m| core::ptr::from_ref(m) as usize);
    if crate::sys::raw::set_gs(base) != 0 {
        crate::throw::throw("arch_prctl(ARCH_SET_GS) failed");
    }
}

/// The M of this thread.
///
/// # Safety
/// The thread is an M (its GS base was set by [`set_m`]).
#[inline(always)]
pub(crate) unsafe fn getm() -> &'static M {
    let m: *const M;
    // Not `pure`: after a switch the same goroutine may be on another M.
    // SAFETY: FG1 and the caller's promise: gs:[0] is the M's own address.
    unsafe {
        asm!("mov {}, gs:[{o}]", out(reg) m, o = const offset_of!(M, me),
             options(nostack, preserves_flags));
    }
    // SAFETY: FG1.
    unsafe { &*m }
}

/// Raises `m.locks` of whatever M this thread is, in one instruction, then reads the M.
///
/// One instruction, because between reading the M and raising its count the goroutine could be
/// preempted and moved.
///
/// # Safety
/// As for [`getm`].
#[inline(always)]
pub(crate) unsafe fn acquirem() -> &'static M {
    // SAFETY: FG1 and the caller's promise.
    unsafe {
        asm!("inc dword ptr gs:[{o}]", o = const offset_of!(M, locks), options(nostack));
    }
    // SAFETY: FG1 and the caller's promise.
    unsafe { getm() }
}
