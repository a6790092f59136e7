//! Signal masks.
//!
//! Go: signal_unix.go `sigblock`, `msigrestore`.

#![allow(unsafe_code, reason = "signal masks through libc")]

use core::mem::MaybeUninit;

fn to_word(set: &libc::sigset_t) -> u64 {
    // SAFETY: the kernel's 64 signals are the first word of glibc's larger set.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read() }
}

/// What this thread blocks.
pub(crate) fn current_mask() -> u64 {
    change_mask(libc::SIG_BLOCK, 0)
}

/// glibc's own signals, 32 and 33, which it keeps out of masks.
#[cfg(feature = "interpose")]
const OF_GLIBC: u64 = 3 << 31;

/// Whether this thread blocks what `mask` says.
#[cfg(feature = "interpose")]
pub(crate) fn is_mask(mask: u64) -> bool {
    (current_mask() ^ mask) & !OF_GLIBC == 0
}

/// Sends `sig` to a thread of this process. False: it is gone.
pub(crate) fn tgkill(tid: i32, sig: i32) -> bool {
    let pid = rustix::process::getpid().as_raw_nonzero().get() as usize;
    let a = [pid, tid as usize, sig as usize, 0, 0, 0];
    // SAFETY: RS1: numbers.
    unsafe { super::raw::syscall(libc::SYS_tgkill, a) == 0 }
}

/// Sends `sig` to this process.
pub(crate) fn kill_self(sig: i32) {
    let pid = rustix::process::getpid().as_raw_nonzero().get() as usize;
    // SAFETY: RS1: numbers.
    unsafe { super::raw::syscall(libc::SYS_kill, [pid, sig as usize, 0, 0, 0, 0]) };
}

/// Ends the process by a signal whose default is to end it, with a core dump where it has one.
pub(crate) fn die_by(sig: i32) -> ! {
    // SAFETY: sets the default action.
    unsafe { libc::signal(sig, libc::SIG_DFL) };
    set_mask(current_mask() & !(1 << (sig - 1)));
    tgkill(super::gettid(), sig);
    super::exit_group(128 + sig) // process 1, whom its own signals do not kill
}

/// Blocks every signal and returns what was blocked. Go: sigblock.
pub(crate) fn block_all() -> u64 {
    change_mask(libc::SIG_SETMASK, u64::MAX)
}

/// The same for every signal but `sig`.
pub(crate) fn block_all_but(sig: i32) -> u64 {
    change_mask(libc::SIG_SETMASK, !(1 << (sig - 1)))
}

/// Sets this thread's mask. Go: msigrestore.
pub(crate) fn set_mask(mask: u64) {
    change_mask(libc::SIG_SETMASK, mask);
}

/// Changes this thread's mask and returns what it was.
fn change_mask(how: i32, mask: u64) -> u64 {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut old = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: zeroed memory is a valid set; its first word holds the kernel's signals.
    unsafe { set.as_mut_ptr().cast::<u64>().write(mask) };
    // SAFETY: a valid set, and room for one; glibc keeps its own two signals unblocked.
    unsafe { libc::pthread_sigmask(how, set.as_ptr(), old.as_mut_ptr()) };
    // SAFETY: zeroed and then written.
    to_word(unsafe { old.assume_init_ref() })
}

/// Signals whose handlers are the runtime's or std's, that the kernel sends for faults of the
/// running code, or that cannot be handled.
const NOT_FROM_OUTSIDE: [i32; 11] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGKILL,
    libc::SIGSEGV,
    libc::SIGSTOP,
    libc::SIGSYS,
    libc::SIGURG,
    libc::SIGQUIT,
];

/// Whether the program handles a signal that may come from outside, other than by our handler
/// `own`. No errno.
pub(crate) fn program_handles_any(own: usize) -> bool {
    /// The kernel's `sigaction`: handler, flags, restorer, mask.
    const WORDS: usize = 4;
    (1..=64).filter(|sig| !NOT_FROM_OUTSIDE.contains(sig) && !matches!(sig, 32 | 33)).any(|sig| {
        let mut action = [0_usize; WORDS];
        let a = [sig as usize, 0, action.as_mut_ptr() as usize, 8, 0, 0];
        // SAFETY: RS1: the kernel writes a `sigaction` of its own, which is four words.
        let r = unsafe { super::raw::syscall(libc::SYS_rt_sigaction, a) };
        r != 0 || action[0] > libc::SIG_IGN && action[0] != own
    })
}
