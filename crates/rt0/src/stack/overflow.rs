//! Stack overflow, named.
//!
//! Go: stack.go `newstack`'s overflow report; signal_unix.go's chaining.
//!
//! A fault in a goroutine's guard is reported in Go's words, with the goroutine, and ends the
//! process with status 2. Every other fault goes to the handler that was there before: std's, which
//! knows the guards of real threads, or the default.
//!
//! # Safety
//! * `OV1`: the handler runs on the M's signal stack, reads the runtime's tables without locks, and
//!   does not return after a report.

#![allow(unsafe_code, reason = "OV1: a signal handler")]

use crate::g::G;
use crate::stack::names::{StackShape, stack_of};
use crate::sys::stderr::rtprint;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;

/// The actions that were there before, for SIGSEGV and SIGBUS.
struct Previous(UnsafeCell<[MaybeUninit<libc::sigaction>; 2]>);

// SAFETY: written at boot before the handler is installed, read by the handler.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new([const { MaybeUninit::zeroed() }; 2]));

fn slot(sig: i32) -> *mut libc::sigaction {
    let i = usize::from(sig == libc::SIGBUS);
    let base = PREVIOUS.0.get().cast::<libc::sigaction>();
    // SAFETY: two slots.
    unsafe { base.add(i) }
}

/// Go: initsig.
pub(crate) fn initsig() {
    for sig in [libc::SIGSEGV, libc::SIGBUS] {
        install(sig);
    }
}

/// Puts the handler in front of whatever handles `sig` now.
fn install(sig: i32) {
    let mut act = MaybeUninit::<libc::sigaction>::zeroed();
    let a = act.as_mut_ptr();
    // SAFETY: zeroed memory is a valid sigaction to fill in.
    let a = unsafe { &mut *a };
    a.sa_sigaction = on_fault as *const () as usize;
    a.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a valid action; the old one goes to its slot, which the handler reads later.
    unsafe { libc::sigaction(sig, a, slot(sig)) };
}

extern "C" fn on_fault(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    // SAFETY: the kernel passes a valid record to an SA_SIGINFO handler.
    let info_ref = unsafe { &*info };
    // SAFETY: SIGSEGV and SIGBUS records have an address.
    let addr = unsafe { info_ref.si_addr() } as usize;
    if let Some(StackShape::Guard(gp)) = stack_of(addr) {
        overflow(gp, stack_pointer(ctx));
    }
    chain(sig, info, ctx);
}

fn stack_pointer(ctx: *mut c_void) -> usize {
    let ctx = ctx.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context.
    unsafe { (*ctx).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

/// Go's three lines, then the goroutine. Does not return.
fn overflow(gp: &'static G, sp: usize) -> ! {
    use crate::atomic::Ordering;
    // ORDERING: constant
    let lo = gp.stack_lo.load(Ordering::Relaxed);
    let hi = gp.stack_hi.load(Ordering::Relaxed); // ORDERING: constant
    rtprint!(
        "runtime: goroutine stack exceeds {}-byte limit\n\
         runtime: sp={sp:#x} stack=[{lo:#x}, {hi:#x}]\n\
         fatal error: stack overflow\n\n",
        crate::stack::limit_bytes(gp),
    );
    crate::debug::dump::goroutine(gp, "running");
    crate::sys::exit_group(2);
}

/// Passes the signal on to the handler that was there before.
fn chain(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    // SAFETY: written by install before this handler could run.
    let prev = unsafe { slot(sig).read() };
    match prev.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // The default: the fault repeats and the kernel ends the process by the signal.
            // SAFETY: restores an action that sigaction returned.
            unsafe { libc::sigaction(sig, slot(sig), core::ptr::null_mut()) };
        }
        h if prev.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: SA_SIGINFO handlers have this type.
            let f = unsafe { core::mem::transmute::<usize, Handler>(h) };
            f(sig, info, ctx);
        }
        h => {
            // SAFETY: handlers without SA_SIGINFO have this type.
            let f = unsafe { core::mem::transmute::<usize, extern "C" fn(i32)>(h) };
            f(sig);
        }
    }
}
