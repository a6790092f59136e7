//! Signals that a goroutine sends to itself, and the mask of the thread it is on.

#![allow(unsafe_code, reason = "signal handlers and masks are C interfaces")]

use super::harness::{goroutines, hop};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// `raise` finds the thread that the goroutine is on, and the handler has run when it returns.
pub(crate) fn raise() {
    const EACH: usize = 5;
    HANDLED.store(0, SeqCst);
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(libc::SIGUSR1, count as *const () as libc::sighandler_t) };
    goroutines(20, |_| {
        for _ in 0..EACH {
            let before = HANDLED.load(SeqCst);
            // SAFETY: the signal has a handler.
            let status = unsafe { libc::raise(libc::SIGUSR1) };
            assert_eq!(status, 0);
            assert!(HANDLED.load(SeqCst) > before);
            hop();
        }
    });
    assert_eq!(HANDLED.load(SeqCst), 20 * EACH);
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_DFL) };
}

static MOVED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn compute(signal: c_int) {
    let thread = rustix::thread::gettid();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(25) {}
    MOVED.fetch_add(usize::from(rustix::thread::gettid() != thread), SeqCst);
    count(signal);
}

/// While a handler runs its signal is blocked on the thread: a goroutine that was preempted in it
/// would leave that to the next one, and take the mask that it returns to elsewhere.
pub(crate) fn handler_computes() {
    HANDLED.store(0, SeqCst);
    // SAFETY: the handler reads the clock and adds to atomics, which may be done at any time.
    unsafe { libc::signal(libc::SIGUSR1, compute as *const () as libc::sighandler_t) };
    goroutines(6, |_| {
        for _ in 0..3 {
            let before = HANDLED.load(SeqCst);
            // SAFETY: the signal has a handler.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            assert!(HANDLED.load(SeqCst) > before, "it is blocked here");
            hop();
        }
    });
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_DFL) };
    assert_eq!(MOVED.load(SeqCst), 0, "a handler went on on another thread");
}

/// A mask belongs to the kernel's thread. A goroutine that stays on its thread finds it as it left
/// it, and when it cleans up leaves nothing behind for others.
pub(crate) fn sigmask() {
    goroutines(50, |_| {
        for _ in 0..5 {
            rt0::blocking(|| {
                assert!(!change_mask(libc::SIG_BLOCK), "blocked by another goroutine");
                assert!(change_mask(libc::SIG_BLOCK));
                assert!(change_mask(libc::SIG_UNBLOCK));
            });
            hop();
        }
    });
}

/// Blocks or unblocks SIGUSR2; true if it was blocked.
fn change_mask(how: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the call initialises the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised above.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR2) };
    let mut old = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: an initialised set, and a place for the old one.
    let status = unsafe { libc::pthread_sigmask(how, set.as_ptr(), old.as_mut_ptr()) };
    assert_eq!(status, 0);
    // SAFETY: written by the call.
    unsafe { libc::sigismember(old.as_ptr(), libc::SIGUSR2) == 1 }
}
