//! Who holds a lock and where it was taken: for reports, and for the graph of who waits for whom.
//!
//! The holder leaves its name when it has got the lock and takes it away before it gives the lock
//! up: plain stores to a line that the lock has just made its own.
//!
//! # Invariants
//! * `OW1`: while `who` is somebody's name, that one holds the lock: it is written after the lock
//!   was got and cleared before the lock can be another's.
//! * `OW2`: it lies at the lock's address, `who` first. Who waits for the lock records that
//!   address, and debug/waits.rs reads the two words there.

use crate::atomic::{AtomicUsize, Ordering, Word};
use core::panic::Location;

#[repr(C)]
pub(crate) struct Owner {
    /// OW1: by [`me`]; 0: nobody's.
    who: Word,
    /// A `&'static Location`, or 0 before the first holder.
    at: AtomicUsize,
}

/// The name of who runs this: the number of a goroutine, or `thread_parker::me` of a plain thread.
#[inline(always)]
pub(super) fn me() -> u64 {
    match crate::tls::getg() {
        Some(gp) => gp.goid.get(),
        None => crate::sched::thread_parker::me(),
    }
}

impl Owner {
    pub(crate) const fn new() -> Owner {
        Owner { who: Word::new(0), at: AtomicUsize::new(0) }
    }

    /// OW1: the caller has got the lock.
    #[inline(always)]
    pub(crate) fn set(&self, at: &'static Location<'static>) {
        // ORDERING: a report
        self.at.store(core::ptr::from_ref(at) as usize, Ordering::Relaxed);
        self.who.set(me());
    }

    /// OW1: the caller is about to give the lock up; its release follows.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.who.set(0);
    }
}
