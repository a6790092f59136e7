//! From signal handlers to the goroutine that delivers signals.
//!
//! Go: sigqueue.go. A handler may have interrupted anything: it leaves the signal in a word
//! (sigqueue/pending.rs) and makes an eventfd readable, which that goroutine waits for as for any
//! other descriptor. In a child of fork nobody delivers.

pub(crate) mod pending;

use crate::atomic::{AtomicRef, AtomicU32, AtomicUsize, Ordering};
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::sys::eventfd::EventFd;
use crate::tls::pin::pin;
use pending::Pending;
use rustix::fd::BorrowedFd;

pub(crate) static PENDING: Pending = Pending::new();
static EVENT: EventFd = EventFd::new();
/// 0 in a child of fork.
static OWN: AtomicRef<AtomicU32> = AtomicRef::none();
/// Signals that a handler of the runtime's stays installed for and does nothing about.
static IGNORED: AtomicUsize = AtomicUsize::new(0);

/// The set that has `sig` alone.
pub(crate) const fn bit(sig: i32) -> usize {
    1 << (sig - 1)
}

/// A handler of ours has caught `sig`: true if that was all. Async-signal-safe, without errno and
/// TLS. Go: sigsend.
pub(crate) fn send(sig: i32) -> bool {
    if IGNORED.load(Ordering::Relaxed) & bit(sig) != 0 {
        return true; // ORDERING: a setting
    }
    // The word is the parent's, copied: what it wanted nobody here delivers.
    if PENDING.wanted() & bit(sig) == 0 || in_child() || !PENDING.put(bit(sig)) {
        return false;
    }
    EVENT.wake();
    true
}

/// Whether this is the child of a fork of a process that handled signals.
pub(crate) fn in_child() -> bool {
    // ORDERING: a word of this process, written before a handler was installed
    OWN.get().is_some_and(|own| own.load(Ordering::Relaxed) == 0)
}

/// Before the first handler is installed.
pub(crate) fn note_process() {
    if OWN.get().is_none() {
        // ORDERING: before the handler is
        OWN.store(crate::sys::mem::own_of_process(), Ordering::Release);
    }
}

/// What becomes readable when there is something to take.
pub(crate) fn event() -> rustix::io::Result<BorrowedFd<'static>> {
    static OPENING: RtMutex<()> = RtMutex::new(Rank::Misc, ());
    let _pin = pin();
    let _one = OPENING.lock();
    note_process();
    EVENT.make()
}

/// Wakes the goroutine that delivers.
pub(crate) fn wake() {
    EVENT.wake();
}

/// For signals whose handler stays.
pub(crate) fn set_ignored(sig: i32, ignored: bool) {
    if ignored {
        IGNORED.fetch_or(bit(sig), Ordering::Relaxed); // ORDERING: a setting
    } else {
        IGNORED.fetch_and(!bit(sig), Ordering::Relaxed); // ORDERING: a setting
    }
}

pub(crate) fn is_ignored(sig: i32) -> bool {
    IGNORED.load(Ordering::Relaxed) & bit(sig) != 0 // ORDERING: a setting
}
