//! Keeping a goroutine on its M outside the scheduler.

use crate::m::M;

/// Keeps the goroutine on its M, with or without a P, while the value lives: for code that takes
/// runtime locks outside an [`enter`] section. Nothing on threads that are no goroutines.
pub(crate) struct Pin(Option<&'static M>);

/// See [`Pin`].
#[allow(unsafe_code, reason = "TL4: a goroutine's block is in use on an M only")]
pub(crate) fn pin() -> Pin {
    if super::getg().is_none() {
        return Pin(None);
    }
    // SAFETY: FG1: this is a goroutine, so the thread is an M.
    Pin(Some(unsafe { crate::arch::fsgs::acquirem() }))
}

impl Pin {
    /// The M, on a goroutine.
    pub(crate) fn m(&self) -> Option<&'static M> {
        self.0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(mp) = self.0 {
            mp.lower_locks();
        }
    }
}
