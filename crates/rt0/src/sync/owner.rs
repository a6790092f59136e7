//! Who holds a lock, for reports.
//!
//! The holder leaves its number when it has got the lock; nothing is written when it gives it up,
//! so the number means something while the lock is held.

use crate::atomic::Word;

/// A plain thread: goroutines have numbers from 1.
const THREAD: u64 = u64::MAX;

pub(crate) struct Owner(Word);

impl Owner {
    pub(crate) const fn new() -> Owner {
        Owner(Word::new(0))
    }

    /// The caller has got the lock.
    #[inline(always)]
    pub(crate) fn set(&self) {
        self.0.set(match crate::tls::getg() {
            Some(gp) => gp.goid.get(),
            None => THREAD,
        });
    }
}
