//! Wait and wake on a word: the kernel's futex, or a model of it under loom.
//!
//! Go: os_linux.go `futexsleep`, `futexwakeup`. No errno, no allocation: usable on g0.

use crate::atomic::AtomicU32;

/// Sleeps while `*key == val`, at most `timeout_ns`. May return early; callers loop.
#[cfg(not(loom))]
pub(crate) fn wait(key: &AtomicU32, val: u32, timeout_ns: Option<i64>) {
    use rustix::thread::futex;
    let timeout = timeout_ns.map(|ns| futex::Timespec {
        tv_sec: ns.max(0) / 1_000_000_000,
        tv_nsec: ns.max(0) % 1_000_000_000,
    });
    // Every error means "look again": EAGAIN, EINTR and ETIMEDOUT.
    let _ = futex::wait(key, futex::Flags::PRIVATE, val, timeout.as_ref());
}

/// A timeout for [`wait`] that ends on time. The kernel lets a timer expire anywhere within the
/// thread's timer slack after the time asked for, to save interrupts, and mostly at its end. Who
/// asks for that much less is woken on time, or early, and asks again.
#[cfg(not(loom))]
pub(crate) fn less_slack(ns: i64) -> i64 {
    let slack = slack();
    if ns > slack { ns - slack } else { ns }
}

/// The timer slack of threads, ns; 0 where the kernel has none, in the real-time classes.
#[cfg(not(loom))]
fn slack() -> i64 {
    use crate::atomic::{AtomicI64, Ordering};
    static SLACK: AtomicI64 = AtomicI64::new(-1);
    let slack = SLACK.load(Ordering::Relaxed); // ORDERING: idempotent
    if slack >= 0 {
        return slack;
    }
    let slack = rustix::thread::current_timer_slack().map_or(0, |ns| ns as i64);
    SLACK.store(slack, Ordering::Relaxed); // ORDERING: idempotent
    slack
}

/// Calls `wait` with such a timeout. Less than the slack, as what is left after an early wake-up,
/// would end late by all of it: so the thread has none for so long.
#[cfg(not(loom))]
pub(crate) fn on_time<R>(ns: i64, wait: impl FnOnce(i64) -> R) -> R {
    use core::num::NonZeroU64;
    use rustix::thread::{current_timer_slack, set_current_timer_slack};
    if ns > slack() {
        return wait(less_slack(ns));
    }
    // Where the kernel refuses, it is late.
    let own = current_timer_slack().ok().and_then(NonZeroU64::new);
    let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
    let r = wait(ns);
    let _ = set_current_timer_slack(own);
    r
}

#[cfg(loom)]
pub(crate) fn less_slack(ns: i64) -> i64 {
    ns
}

#[cfg(loom)]
pub(crate) fn on_time<R>(ns: i64, wait: impl FnOnce(i64) -> R) -> R {
    wait(ns)
}

/// Wakes up to `n` sleepers.
#[cfg(not(loom))]
pub(crate) fn wake(key: &AtomicU32, n: u32) {
    // It fails only for a bad address, and `key` is a reference.
    let _ = rustix::thread::futex::wake(key, rustix::thread::futex::Flags::PRIVATE, n);
}

/// The same for one sleeper on a word that may be gone: its address alone is used. Waking an
/// address that nobody sleeps on is harmless.
#[cfg(not(loom))]
#[allow(unsafe_code, reason = "passes an address to the kernel; it is not read here")]
pub(crate) fn wake_address(key: *const AtomicU32) {
    const FUTEX_WAKE_PRIVATE: usize = 1 | 128;
    let a = [key as usize, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0];
    // SAFETY: RS1: FUTEX_WAKE uses the address as a key and does not write to it.
    unsafe { crate::sys::raw::syscall(libc::SYS_futex, a) };
}

#[cfg(loom)]
loom::lazy_static! {
    static ref KERNEL: (loom::sync::Mutex<()>, loom::sync::Condvar) =
        (loom::sync::Mutex::new(()), loom::sync::Condvar::new());
}

/// The kernel's contract: the comparison and the going to sleep are one step.
#[cfg(loom)]
pub(crate) fn wait(key: &AtomicU32, val: u32, _timeout_ns: Option<i64>) {
    let guard = KERNEL.0.lock().expect("no model panics while it holds this");
    // ORDERING: SeqCst: the kernel compares under its bucket lock
    if key.load(crate::atomic::Ordering::SeqCst) == val {
        drop(KERNEL.1.wait(guard));
    }
}

#[cfg(loom)]
pub(crate) fn wake_address(_key: *const AtomicU32) {
    let _guard = KERNEL.0.lock().expect("no model panics while it holds this");
    KERNEL.1.notify_all();
}

#[cfg(loom)]
pub(crate) fn wake(_key: &AtomicU32, _n: u32) {
    let _guard = KERNEL.0.lock().expect("no model panics while it holds this");
    KERNEL.1.notify_all();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use rustix::thread::current_timer_slack;

    #[test]
    fn less_than_the_slack_is_waited_for_without() {
        let own = current_timer_slack().expect("Linux has it");
        assert_eq!(own, 50_000, "the kernel's default, which nobody has set another for");
        let seen = |ns| on_time(ns, |ns| (ns, current_timer_slack().expect("Linux has it")));
        assert_eq!(seen(50_001), (1, own));
        assert_eq!(seen(49_000), (49_000, 1));
        assert_eq!(seen(1), (1, 1));
        assert_eq!(current_timer_slack(), Ok(own), "it is the thread's own again");
    }
}
