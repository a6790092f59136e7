//! Signals: masks, handlers, signal stacks.
//!
//! Go: signal_unix.go `sigsave`, `initsig`, `minitSignals`; proc.go `mstartm0`; os_linux.go `minit`,
//! `mpreinit`. Only what the runtime handles itself gets a handler: SIGSEGV and SIGBUS, to name an
//! overflow (overflow.rs). What the program does with other signals is not ours.

#![allow(unsafe_code, reason = "sigaction, sigaltstack and signal masks through libc")]

use crate::atomic::Ordering;
use crate::m::M;
use core::mem::MaybeUninit;

/// Go: gsignal's 32 KiB.
const GSIGNAL_BYTES: usize = 32 << 10;

/// Notes the mask that goroutines are to run with: the boot thread's. Go: sigsave.
pub(crate) fn sigsave(mp: &'static M) {
    mp.sigmask.set(current_mask());
}

fn to_word(set: &libc::sigset_t) -> u64 {
    // SAFETY: the kernel's 64 signals are the first word of glibc's larger set.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read() }
}

fn current_mask() -> u64 {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: with a null new mask the call only writes the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: zeroed and then written.
    to_word(unsafe { set.assume_init_ref() })
}

/// Blocks every signal and returns what was blocked. Go: sigblock.
pub(crate) fn block_all() -> u64 {
    let old = current_mask();
    set_mask(u64::MAX);
    old
}

/// Sets this thread's mask. Go: msigrestore.
pub(crate) fn set_mask(mask: u64) {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: zeroed memory is a valid set; its first word holds the kernel's signals.
    unsafe { set.as_mut_ptr().cast::<u64>().write(mask) };
    // SAFETY: a valid set; glibc keeps its own two signals unblocked.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), core::ptr::null_mut()) };
}

/// Signal stack, then mask, then thread id. Go: minit.
pub(crate) fn minit(mp: &'static M) {
    mpreinit(mp);
    let ss = libc::stack_t {
        ss_sp: mp.gsignal_lo.load(Ordering::Relaxed) as *mut _, // ORDERING: set by mpreinit
        ss_flags: 0,
        ss_size: GSIGNAL_BYTES,
    };
    // SAFETY: memory of the runtime's that is never freed, for this thread only.
    if unsafe { libc::sigaltstack(&ss, core::ptr::null_mut()) } != 0 {
        crate::throw::throw("minit: sigaltstack failed");
    }
    if mp.procid.get() == 0 {
        let fs = crate::arch::fsgs::fs_base();
        mp.thread_fs.set(fs as u64);
        // ORDERING: owner-only
        mp.g0_fs.store(fs, Ordering::Relaxed);
        mp.fs_now.store(fs, Ordering::Relaxed); // ORDERING: owner-only
        crate::arch::fsgs::set_m(Some(mp));
        crate::tls::set_own_m(Some(mp));
        mp.procid.set(crate::sys::gettid() as u64);
        set_mask(crate::m::m0().sigmask.get());
    }
}

/// Gives the M its signal stack. Go: mpreinit.
fn mpreinit(mp: &'static M) {
    let lo = crate::malloc::persistentalloc(GSIGNAL_BYTES);
    mp.gsignal_lo.store(lo, Ordering::Relaxed); // ORDERING: constant once the thread runs
    mp.gsignal_hi.store(lo + GSIGNAL_BYTES, Ordering::Relaxed); // ORDERING: as above
}

/// On M 0 only: the process's handlers. Go: mstartm0.
pub(crate) fn mstartm0(_mp: &'static M) {
    initsig();
}

/// Go: initsig.
fn initsig() {
    for sig in [libc::SIGSEGV, libc::SIGBUS] {
        super::overflow::install(sig);
    }
}
