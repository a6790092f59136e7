//! Who reads an `RwLock`: for the graph of who waits for whom.
//!
//! The lock has the number of its readers, no names: a list of them would cost every reader an
//! exchange more. But a read guard is dropped by the goroutine that took it, so each goroutine
//! keeps a list of what it reads, in words of its own: two locks at once, which few exceed. Who
//! looks (debug/graph.rs) adds up what it finds on goroutines that wait; if that is the lock's
//! number of readers, it has found them all.
//!
//! # Invariants
//! * `RR1`: a word of `G::reads` is 0, or the lock that the goroutine reads, or that and [`COMES`]
//!   while it tries to come in. It is written by the goroutine itself, and the mark comes before
//!   the lock's count of readers and goes after.
//! * `RR2`: a lock on which `strangers` is clear has no reader without such a word: plain threads,
//!   and goroutines that have none free, set it before they come in, for good.
//!
//! A guard that is forgotten leaves its word until the goroutine ends; so may an unsound one that
//! another thread drops. By RR2 the sum is still right or too small, wherever a lock comes to lie
//! at the same address later.

pub(super) use super::raw::rwlock::COMES;
use crate::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::tls::getg;

/// Where a reader will be recorded.
pub(super) struct Comes(Option<&'static AtomicUsize>);

/// Before the caller tries to read the lock at `lock`.
#[inline(always)]
pub(super) fn come(lock: usize, strangers: &AtomicBool) -> Comes {
    if let Some(gp) = getg() {
        for word in gp.reads() {
            // ORDERING: RR1: its own
            if word.load(Ordering::Relaxed) == 0 {
                word.store(lock | COMES, Ordering::Relaxed); // ORDERING: before the lock's exchange
                return Comes(Some(word));
            }
        }
    }
    unrecorded(strangers);
    Comes(None)
}

#[cold]
fn unrecorded(strangers: &AtomicBool) {
    // ORDERING: before the lock's exchange; looked at first, for many come and the line is shared
    if !strangers.load(Ordering::Relaxed) {
        strangers.store(true, Ordering::Relaxed); // ORDERING: before the lock's exchange
    }
}

impl Comes {
    /// Whether it came in.
    #[inline(always)]
    pub(super) fn done(self, lock: usize, got: bool) {
        if let Some(word) = self.0 {
            // ORDERING: RR1: its own, after the lock's exchange
            word.store(if got { lock } else { 0 }, Ordering::Relaxed);
        }
    }
}

/// The writer of the lock at `lock` becomes a reader, with `downgrade`.
pub(super) fn downgraded(lock: usize, strangers: &AtomicBool, downgrade: impl FnOnce()) {
    let comes = come(lock, strangers);
    downgrade();
    comes.done(lock, true);
}

/// The reader is about to leave.
#[inline(always)]
pub(super) fn leave(lock: usize) {
    let Some(gp) = getg() else { return };
    for word in gp.reads() {
        // ORDERING: RR1: its own
        if word.load(Ordering::Relaxed) == lock {
            return word.store(0, Ordering::Relaxed); // ORDERING: before the lock's exchange
        }
    }
}
