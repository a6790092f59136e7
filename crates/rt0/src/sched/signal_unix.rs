//! What the kernel does with each signal, as the program wants it.
//!
//! Go: signal_unix.go `sigenable`, `sigdisable`, `sigignore`, `dieFromSignal`. Go installs a
//! handler for every signal at boot. Here the kernel's action stays until the program asks for
//! another, so that an unhandled TERM is nobody's business but the kernel's.
//!
//! What is replaced is noted when it is first replaced, and put back when the program no longer
//! asks: so a signal that was ignored when the process started is ignored again. A handler that the
//! program installs by other means after that stays.
//!
//! As process 1 of a container nobody is killed by TERM, INT or HUP who has no handler for them.
//! There, programs with `#[rt0::main]` have one that ends the process.
//!
//! # Safety
//! * `SU1`: handlers touch no TLS, no errno, no lock, and allocate nothing. They run on the signal
//!   stack of an M, or on the stack of a thread that has none.
//! * `SU2`: `BEFORE` is written by one caller at a time, while no handler of ours is installed for
//!   the signal. It is read by who puts it back, and by handlers in children of fork.

#![allow(unsafe_code, reason = "SU1, SU2: actions and handlers of signals")]

use super::sigqueue::{self, PENDING, bit};
use crate::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::signal::tgkill;
use core::ffi::c_void;
use core::mem::MaybeUninit;

/// Handler, flags, and the signals blocked meanwhile, of each signal.
type Words = [AtomicUsize; 3];

static BEFORE: [Words; 65] = [const { [const { AtomicUsize::new(0) }; 3] }; 65]; // SU2
/// Whose action is ours, and `BEFORE` noted.
static CHANGED: AtomicUsize = AtomicUsize::new(0);
/// Process 1, with handlers.
static INIT: AtomicBool = AtomicBool::new(false);

/// Signals that end process 1.
const END_INIT: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

/// The action that is there. No errno: `sig` is a valid signal.
fn action(sig: i32) -> libc::sigaction {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads the action that is there.
    unsafe { libc::sigaction(sig, core::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: zeroed, then written by sigaction.
    unsafe { now.assume_init() }
}

/// What handles `sig`, or SIG_DFL or SIG_IGN.
pub(crate) fn handler(sig: i32) -> usize {
    action(sig).sa_sigaction
}

fn set(sig: i32, [handler, flags, mask]: [usize; 3]) {
    let mut new = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed memory is a valid sigaction to fill in.
    let a = unsafe { new.assume_init_mut() };
    a.sa_sigaction = handler;
    a.sa_flags = flags as i32;
    // SAFETY: the kernel's 64 signals are the first word of glibc's larger set.
    unsafe { (&raw mut a.sa_mask).cast::<usize>().write(mask) };
    // SAFETY: SU1: a handler of ours, or what was there before.
    unsafe { libc::sigaction(sig, a, core::ptr::null_mut()) };
}

const FLAGS: usize = (libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART) as usize;

/// The handler's address.
pub(super) fn own_handler() -> usize {
    on_signal as *const () as usize
}

/// Whether a handler of the runtime's is installed that passes the signal to
/// [`sigqueue::send`].
fn is_passed_on(sig: i32) -> bool {
    let handler = handler(sig);
    handler == own_handler()
        || handler == crate::debug::signals::handler()
        || handler == super::preempt::handler()
}

fn is_changed(sig: i32) -> bool {
    CHANGED.load(Ordering::Relaxed) & bit(sig) != 0 // ORDERING: under the registry's lock
}

/// SU2.
fn note_before(sig: i32) {
    if is_changed(sig) {
        return;
    }
    let now = action(sig);
    // SAFETY: the kernel's 64 signals are the first word of glibc's larger set.
    let mask = unsafe { (&raw const now.sa_mask).cast::<usize>().read() };
    for (word, value) in
        BEFORE[sig as usize].iter().zip([now.sa_sigaction, now.sa_flags as usize, mask])
    {
        word.store(value, Ordering::Relaxed); // ORDERING: SU2
    }
    CHANGED.fetch_or(bit(sig), Ordering::Release); // ORDERING: after the words
}

fn put_back(sig: i32) {
    // ORDERING: SU2
    set(sig, [0, 1, 2].map(|i| BEFORE[sig as usize][i].load(Ordering::Relaxed)));
}

/// Faults and aborts, for which the runtime keeps its handler.
fn is_fault(sig: i32) -> bool {
    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    matches!(sig, SIGABRT | SIGBUS | SIGFPE | SIGILL | SIGSEGV | SIGTRAP)
}

/// From now on `sig` comes to [`sigqueue::send`], which somebody takes it from. One caller at a
/// time, for all of these. Go: sigenable.
pub(crate) fn catch(sig: i32) {
    sigqueue::set_ignored(sig, false);
    PENDING.want(bit(sig));
    install(sig);
}

fn install(sig: i32) {
    if is_passed_on(sig) {
        return;
    }
    note_before(sig);
    if is_fault(sig) {
        crate::debug::signals::install(sig);
    } else {
        set(sig, [own_handler(), FLAGS, 0]);
    }
}

/// The kernel drops `sig` from now on, and its handler whatever had come before. Go: sigignore.
pub(crate) fn ignore(sig: i32) {
    if is_fault(sig) || sig == libc::SIGURG && is_passed_on(sig) {
        sigqueue::set_ignored(sig, true);
        install(sig);
    } else {
        note_before(sig);
        set(sig, [libc::SIG_IGN, 0, 0]);
    }
}

/// The action that was there before the program asked for another. Go: sigdisable.
pub(crate) fn release(sig: i32) {
    sigqueue::set_ignored(sig, false);
    if is_changed(sig) {
        if is_passed_on(sig) || handler(sig) == libc::SIG_IGN {
            put_back(sig);
        }
        CHANGED.fetch_and(!bit(sig), Ordering::Relaxed); // ORDERING: SU2
    }
}

/// Whether `sig` is ignored. std ignores SIGPIPE in every program, which does not count.
pub(crate) fn is_ignored(sig: i32) -> bool {
    sigqueue::is_ignored(sig)
        || handler(sig) == libc::SIG_IGN && (sig != libc::SIGPIPE || is_changed(sig))
}

/// A standard stream has nobody to read it any more: the end, unless the program has said what it
/// wants with SIGPIPE. Go: os `sigpipe`.
pub(crate) fn broken_stdout() {
    let asked = PENDING.wanted() & bit(libc::SIGPIPE) != 0 || is_ignored(libc::SIGPIPE);
    let now = handler(libc::SIGPIPE);
    if !asked && matches!(now, libc::SIG_DFL | libc::SIG_IGN) {
        crate::sys::signal::die_by(libc::SIGPIPE);
    }
}

/// Boot of a program, not of a library: the process's first thread is M 0.
pub(crate) fn init_process_1() {
    if crate::m::m0().procid.get() != 1 {
        return;
    }
    sigqueue::note_process();
    INIT.store(true, Ordering::Relaxed); // ORDERING: before the handlers
    for sig in END_INIT {
        if handler(sig) == libc::SIG_DFL {
            set(sig, [own_handler(), FLAGS, 0]);
        }
    }
}

/// SU1. The handler of what a program has asked for.
extern "C" fn on_signal(sig: i32, _info: *mut libc::siginfo_t, _ctx: *mut c_void) {
    if sigqueue::send(sig) {
        return;
    }
    raise_again(sig);
}

/// Nobody wants it any more, or this is a child of fork: it meets the action that is there by now.
fn raise_again(sig: i32) {
    if sigqueue::in_child() {
        put_back(sig); // nobody else will
    } else if handler(sig) == own_handler() && PENDING.wanted() & bit(sig) == 0 {
        if INIT.load(Ordering::Relaxed) && END_INIT.contains(&sig) {
            crate::sys::exit_group(128 + sig); // ORDERING: set before the handler was
        }
        put_back(sig); // somebody has installed our handler, other than by us
    }
    tgkill(crate::sys::gettid(), sig); // comes when the handler returns
}
