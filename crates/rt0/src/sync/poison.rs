//! Poisoning: a lock whose holder panicked says so to those who come after.
//!
//! std: `sync::poison`, whose error types these are.

use crate::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError};
use std::thread::panicking;

pub(crate) struct Flag(AtomicBool);

/// Whether the holder was unwinding already when it took the lock: then its panic is none of the
/// lock's business.
#[derive(Clone, Copy)]
pub(crate) struct Since(bool);

impl Flag {
    pub(crate) const fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    /// The holder, when it takes the lock.
    #[inline(always)]
    pub(crate) fn since(&self) -> Since {
        Since(panicking())
    }

    /// The holder, before it gives the lock up.
    #[inline(always)]
    pub(crate) fn done(&self, since: Since) {
        if !since.0 && panicking() {
            self.0.store(true, Ordering::Relaxed); // ORDERING: the lock's release follows
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed) // ORDERING: the lock's acquire precedes, or it is a hint
    }

    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed); // ORDERING: as in std, a hint for others
    }

    /// `value`, as an error if the lock is poisoned.
    #[inline(always)]
    pub(crate) fn wrap<T>(&self, value: T) -> LockResult<T> {
        if self.get() { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}
