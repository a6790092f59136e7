//! glibc's signal for `setuid` and its kin, on the right block.
//!
//! `setuid` in a process with threads makes every thread change its ids: glibc sends each one
//! SIGSETXID (33) and its handler acknowledges through the thread's own control block. On an M that
//! runs a goroutine the FS base is the goroutine's, so the handler would acknowledge in a block
//! that nobody waits on, and `setuid` would hang. The wrapper installed here runs glibc's handler
//! on the block that glibc knows the kernel thread by.
//!
//! # Safety
//! * `SX1`: the kernel's sigaction for signal 33 is glibc's, installed at the first pthread_create.

#![allow(unsafe_code, reason = "SX1: wraps a signal handler of libc's")]

use crate::arch::fsgs::{self, fs_base};
use crate::atomic::{AtomicUsize, Ordering};
use core::ffi::c_void;

const SIGSETXID: usize = 33;
const SIGSET_BYTES: usize = 8;

/// The kernel's struct sigaction.
#[repr(C)]
#[derive(Default)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

static GLIBC_HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Puts the wrapper in. glibc refuses to touch the signal, so the system call is made directly.
pub(crate) fn wrap() {
    let mut act = KernelAction::default();
    let get = [SIGSETXID, 0, (&raw mut act) as usize, SIGSET_BYTES, 0, 0];
    // SAFETY: RS1: the kernel writes one struct sigaction.
    let r = unsafe { crate::sys::raw::syscall(libc::SYS_rt_sigaction, get) };
    if r != 0 || act.handler <= 1 || act.handler == on_setxid as *const () as usize {
        return;
    }
    // ORDERING: read by the handler, installed after this
    GLIBC_HANDLER.store(act.handler, Ordering::Release);
    act.handler = on_setxid as *const () as usize;
    let set = [SIGSETXID, (&raw const act) as usize, 0, SIGSET_BYTES, 0, 0];
    // SAFETY: RS1: as before; flags and restorer are glibc's own.
    unsafe { crate::sys::raw::syscall(libc::SYS_rt_sigaction, set) };
}

extern "C" fn on_setxid(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    // ORDERING: pairs with wrap
    let h = GLIBC_HANDLER.load(Ordering::Acquire);
    // SAFETY: SX1.
    let h = unsafe { core::mem::transmute::<usize, Handler>(h) };
    let Some(mp) = m_of_this_thread() else { return h(sig, info, ctx) };
    let (now, how) = (fs_base(), super::access());
    let own = mp.thread_fs.get() as usize;
    // SAFETY: FG2: the block glibc made for this kernel thread.
    unsafe { fsgs::set_fs_base(own, how) };
    h(sig, info, ctx);
    // SAFETY: FG2: what the interrupted code ran on.
    unsafe { fsgs::set_fs_base(now, how) };
}

/// In a handler neither the FS base nor the stack tells; the kernel thread id does.
fn m_of_this_thread() -> Option<&'static crate::m::M> {
    crate::m::find_by_tid(crate::sys::gettid())
}
