//! Signals that end the process, and what it says then.
//!
//! Go: signal_unix.go `initsig`, `sighandler`, `sigpanic`; defs_linux sigtable.
//!
//! * A fault of a goroutine's (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP): an overflow if it lies in
//!   a guard, else Go's words for it, the registers and the goroutines; exit status 2. Go turns
//!   some of these into panics, which a compiler must have reckoned with.
//! * SIGQUIT: the same of the whole process, wherever it arrives.
//! * SIGABRT of a goroutine: the same, and then the process ends by the signal, for who calls
//!   `abort` wants that to be seen.
//!
//! Threads that are no goroutines keep what they had: std's report of an overflow, or the default.
//! So do signals that the program handles: a handler that is there already for a fault goes first,
//! and only if it gave up (std's puts the default back) is it our turn. A handler that the program
//! installs later replaces ours.
//!
//! # Safety
//! * `SG1`: the handler runs on the M's signal stack, reads the runtime's tables without locks, and
//!   does not return after a report.

#![allow(unsafe_code, reason = "SG1: signal handlers")]

use super::fatal::{self, At, Blame};
use super::halted::registers;
use crate::stack::names::{StackShape, stack_of};
use crate::sys::stderr::{Stderr, rtprint};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt::Write;
use core::mem::MaybeUninit;

/// A signal that has a handler of ours, in Go's words.
struct Known {
    number: i32,
    text: &'static str,
    /// What it means that a goroutine caused it.
    error: &'static str,
}

const fn known(number: i32, text: &'static str, error: &'static str) -> Known {
    Known { number, text, error }
}

/// Go: sigtable.
static KNOWN: [Known; 7] = [
    known(libc::SIGSEGV, "SIGSEGV: segmentation violation", "fault"),
    known(libc::SIGBUS, "SIGBUS: bus error", "fault"),
    known(libc::SIGFPE, "SIGFPE: floating-point exception", "integer divide by zero"),
    known(libc::SIGILL, "SIGILL: illegal instruction", ""),
    known(libc::SIGTRAP, "SIGTRAP: trace trap", ""),
    known(libc::SIGABRT, "SIGABRT: abort", ""),
    known(libc::SIGQUIT, "SIGQUIT: quit", ""),
];

/// The actions that were there before.
struct Previous(UnsafeCell<[MaybeUninit<libc::sigaction>; KNOWN.len()]>);

// SAFETY: written at boot before the handlers are installed, read by them.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous =
    Previous(UnsafeCell::new([const { MaybeUninit::zeroed() }; KNOWN.len()]));

fn slot(i: usize) -> *mut libc::sigaction {
    PREVIOUS.0.get().cast::<libc::sigaction>().wrapping_add(i)
}

/// Which signals are handled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// The program's main function is ours.
    Program,
    /// The process is somebody else's, who may have plans for SIGQUIT.
    Library,
}

/// Go: initsig.
pub(crate) fn initsig(host: Host) {
    for (i, k) in KNOWN.iter().enumerate() {
        let is_fault = matches!(k.number, libc::SIGSEGV | libc::SIGBUS);
        if k.number == libc::SIGQUIT && host == Host::Library {
            continue;
        }
        // SAFETY: reads the action into its slot.
        unsafe { libc::sigaction(k.number, core::ptr::null(), slot(i)) };
        // SAFETY: just written.
        let handler = unsafe { slot(i).read() }.sa_sigaction;
        if is_fault || handler == libc::SIG_DFL {
            install(k.number);
        }
    }
    if host == Host::Program {
        crate::sched::signal_unix::init_process_1();
    }
}

/// From now on SIGQUIT (Ctrl-\\) shows all goroutines and ends the process with status 2.
///
/// In a program with `#[rt0::main]` it does so from the start, unless it was ignored or handled
/// already; this is for programs that start the runtime by `rt0::run`. Replaces the handler that is
/// there.
pub fn quit_on_sigquit() {
    install(libc::SIGQUIT);
}

/// The handler's address.
pub(crate) fn handler() -> usize {
    sighandler as *const () as usize
}

/// Handles one of `KNOWN` from now on.
pub(crate) fn install(sig: i32) {
    let mut act = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed memory is a valid sigaction to fill in.
    let a = unsafe { act.assume_init_mut() };
    a.sa_sigaction = sighandler as *const () as usize;
    a.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a valid action.
    unsafe { libc::sigaction(sig, a, core::ptr::null_mut()) };
}

/// Go: sighandler.
extern "C" fn sighandler(sig: i32, info: *mut libc::siginfo_t, ctx: *mut c_void) {
    let Some(i) = KNOWN.iter().position(|k| k.number == sig) else { return };
    // SAFETY: the kernel passes a valid record to an SA_SIGINFO handler.
    let record = unsafe { &*info };
    let code = record.si_code;
    // SAFETY: the record of a fault has an address; of another signal it is not used.
    let address = unsafe { record.si_addr() } as usize;
    let sent = code <= 0; // by kill, raise and the like
    if (sent || sig == libc::SIGQUIT) && crate::sched::sigqueue::send(sig) {
        return;
    }
    if sig == libc::SIGQUIT {
        report(i, code, address, ctx);
    }
    if matches!(sig, libc::SIGSEGV | libc::SIGBUS)
        && !sent
        && let Some(StackShape::Guard(gp)) = stack_of(address)
    {
        crate::stack::overflow::overflow(gp, registers(ctx));
    }
    let mp = crate::m::find_by_tid(crate::sys::gettid());
    let is_ours = mp.is_some_and(|mp| mp.is_scheduling());
    let gave_up = if is_ours { chain(i, info, ctx) } else { without_abort(|| chain(i, info, ctx)) };
    if !gave_up {
        return;
    }
    if is_ours {
        report(i, code, address, ctx);
    }
    by_default(sig, sent);
}

/// std's handler of an overflow ends in abort, on a signal stack that has no room for another frame
/// of the kernel's.
fn without_abort(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: sets the default action, and below what was there.
    let was = unsafe { libc::signal(libc::SIGABRT, libc::SIG_DFL) };
    let result = f();
    if was == sighandler as *const () as usize {
        install(libc::SIGABRT);
    } else if was != libc::SIG_ERR {
        // SAFETY: what `signal` returned.
        unsafe { libc::signal(libc::SIGABRT, was) };
    }
    result
}

/// Passes it to the handler that was there before. True if that has given up, or there was none.
fn chain(i: usize, info: *mut libc::siginfo_t, ctx: *mut c_void) -> bool {
    let sig = KNOWN[i].number;
    // SAFETY: written by initsig before this handler could run.
    let prev = unsafe { slot(i).read() };
    match prev.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => return true,
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
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads the action that is there now.
    unsafe { libc::sigaction(sig, core::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: zeroed, then written.
    unsafe { now.assume_init() }.sa_sigaction == libc::SIG_DFL
}

/// A fault repeats when the handler returns; what was sent is sent again.
fn by_default(sig: i32, sent: bool) {
    // SAFETY: sets the default action.
    unsafe { libc::signal(sig, libc::SIG_DFL) };
    if sent {
        crate::sys::signal::tgkill(crate::sys::gettid(), sig);
    }
}

/// The last report.
fn report(i: usize, code: i32, address: usize, ctx: *mut c_void) -> ! {
    let (k, at) = (&KNOWN[i], registers(ctx));
    crate::throw::startpanic();
    // The kernel's codes for faults are positive; 0x80 if it tells no address, as of an address
    // that no address can be.
    let is_fault = code > 0 && !k.error.is_empty();
    if is_fault {
        if k.error == "fault" {
            rtprint!("unexpected fault address {address:#x}\n");
        }
        rtprint!(
            "fatal error: {}\n[signal {} code={code:#x} addr={address:#x} pc={:#x}]\n",
            k.error,
            k.text,
            at.pc
        );
    } else {
        let mp = crate::m::find_by_tid(crate::sys::gettid());
        let mut out = Stderr::new();
        let _ = write!(out, "{}\nPC={:#x} m=", k.text, at.pc);
        let _ = match mp {
            Some(mp) => write!(out, "{}", mp.id.get()),
            None => write!(out, "nil"),
        };
        let _ = writeln!(out, " sigcode={code}");
    }
    fatal::goroutines_then(At::Signal(at), Blame::Program, &|| dump_registers(ctx));
    if k.number == libc::SIGABRT {
        crate::sys::signal::die_by(k.number);
    }
    fatal::end()
}

/// Go: dumpregs.
fn dump_registers(ctx: *mut c_void) {
    use libc::{
        REG_CSGSFS, REG_EFL, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
        REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    const NAMES: [(&str, i32); 18] = [
        ("rax", REG_RAX),
        ("rbx", REG_RBX),
        ("rcx", REG_RCX),
        ("rdx", REG_RDX),
        ("rdi", REG_RDI),
        ("rsi", REG_RSI),
        ("rbp", REG_RBP),
        ("rsp", REG_RSP),
        ("r8", REG_R8),
        ("r9", REG_R9),
        ("r10", REG_R10),
        ("r11", REG_R11),
        ("r12", REG_R12),
        ("r13", REG_R13),
        ("r14", REG_R14),
        ("r15", REG_R15),
        ("rip", REG_RIP),
        ("rflags", REG_EFL),
    ];
    let ctx = ctx.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context.
    let values = unsafe { &(*ctx).uc_mcontext.gregs };
    let mut out = Stderr::new();
    let _ = out.write_str("\n");
    for (name, i) in NAMES {
        let _ = writeln!(out, "{name:<6} {:#x}", values[i as usize]);
    }
    let segments = values[REG_CSGSFS as usize] as u64;
    for (name, shift) in [("cs", 0), ("gs", 16), ("fs", 32)] {
        let _ = writeln!(out, "{name:<6} {:#x}", segments >> shift & 0xffff);
    }
}
