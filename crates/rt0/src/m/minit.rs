//! What an M's thread sets up for itself before it runs goroutines.
//!
//! Go: os_linux.go `minit`, `mpreinit`; signal_unix.go `minitSignals`.

#![allow(unsafe_code, reason = "sigaltstack through libc")]

use super::M;
use crate::atomic::Ordering;
use crate::sys::signal::set_mask;

/// Go: gsignal's 32 KiB.
const GSIGNAL_BYTES: usize = 32 << 10;

/// Signal stack, then mask, then thread id. Go: minit.
pub(crate) fn minit(mp: &'static M) {
    if mp.gsignal_lo.load(Ordering::Relaxed) == 0 {
        mpreinit(mp); // ORDERING: owner-only
    }
    set_signal_stack(mp);
    if mp.procid.get() == 0 {
        let fs = crate::arch::fsgs::fs_base();
        mp.thread_fs.set(fs as u64);
        // ORDERING: owner-only
        mp.g0_fs.store(fs, Ordering::Relaxed);
        mp.fs_now.store(fs, Ordering::Relaxed); // ORDERING: owner-only
        crate::arch::fsgs::set_m(Some(mp));
        crate::tls::set_own_m(Some(mp));
        mp.preempt.forget();
        mp.procid.set(crate::sys::gettid() as u64);
        crate::sys::proc::name_thread(format_args!("rt0-m{}", mp.id.get()));
        set_mask(super::m0().sigmask.get());
    }
    mp.g0.baton.tid.set(mp.procid.get());
}

fn set_signal_stack(mp: &'static M) {
    let ss = libc::stack_t {
        ss_sp: mp.gsignal_lo.load(Ordering::Relaxed) as *mut _, // ORDERING: set by mpreinit
        ss_flags: 0,
        ss_size: GSIGNAL_BYTES,
    };
    // SAFETY: memory of the runtime's that is never freed, for this thread only.
    if unsafe { libc::sigaltstack(&ss, core::ptr::null_mut()) } != 0 {
        crate::throw::throw("minit: sigaltstack failed");
    }
}

/// The thread is about to end: it lets go of what belongs to the M and is a plain thread again. Go:
/// unminit.
pub(crate) fn unminit(_mp: &'static M) {
    no_signal_stack();
    plain_thread();
}

/// The signal stack is the M's, and the thread no longer is.
pub(crate) fn no_signal_stack() {
    let ss = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: turns this thread's signal stack off; it runs on another.
    if unsafe { libc::sigaltstack(&ss, core::ptr::null_mut()) } != 0 {
        crate::throw::throw("unminit: sigaltstack failed");
    }
}

/// The thread has nothing to do with an M any more.
pub(crate) fn plain_thread() {
    crate::tls::set_own_m(None);
    crate::arch::fsgs::set_m(None);
}

/// This thread, whose id is `tid`, goes on as `mp`, which another one has let go
/// (sched/one_to_one.rs). Signals are blocked.
pub(crate) fn take_over(mp: &'static M, tid: u64) {
    set_signal_stack(mp);
    crate::arch::fsgs::set_m(Some(mp));
    mp.procid.set(tid);
    // A dump that wants to hold the M may have signalled the thread before this one.
    if mp.halt.is_asked() {
        crate::sys::signal::tgkill(tid as i32, libc::SIGURG);
    }
}

/// Gives the M its signal stack. Go: mpreinit.
fn mpreinit(mp: &'static M) {
    let lo = crate::malloc::persistentalloc(GSIGNAL_BYTES);
    mp.gsignal_lo.store(lo, Ordering::Relaxed); // ORDERING: constant once the thread runs
    // ORDERING: constant once the thread runs
    mp.gsignal_hi.store(lo + GSIGNAL_BYTES, Ordering::Relaxed);
}
