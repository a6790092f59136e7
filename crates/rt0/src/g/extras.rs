//! What few goroutines have: a name, labels, recorded ancestors.
//!
//! A box that the owner makes, replaces by another and frees; what is in it does not change. Dumps
//! read it while the goroutine may end: who takes it away waits for those that came before.
//!
//! # Invariants
//! * `EX1`: `g.extras` is null or a box of this file's, which is freed by who swapped it out, when
//!   it has seen no reader since.

#![allow(unsafe_code, reason = "EX1: a box in a word")]

use super::G;
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use core::panic::Location;
use std::sync::Arc;

/// How many ancestors `tracebackancestors` may ask for.
pub(crate) const MAX_ANCESTORS: usize = 4;

/// A goroutine that made a goroutine that made this one.
#[derive(Clone, Copy)]
pub(crate) struct Ancestor {
    pub(crate) goid: u64,
    pub(crate) gopc: &'static Location<'static>,
}

/// Key and value, sorted by key; each key once.
pub(crate) type Labels = Arc<[(Box<str>, Box<str>)]>;

#[derive(Clone, Default)]
pub(crate) struct Extras {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) labels: Option<Labels>,
    pub(crate) ancestors: [Option<Ancestor>; MAX_ANCESTORS],
}

impl G {
    /// Owner, in user context (it frees): these from now on.
    pub(crate) fn set_extras(&self, e: Option<Box<Extras>>) {
        // ORDERING: the owner's own word
        if e.is_none() && self.extras.load(Ordering::Relaxed) == 0 {
            return;
        }
        let new = e.map_or(0, |e| Box::into_raw(e) as usize);
        // ORDERING: SeqCst: before the look at READERS; publishes the box
        let old = self.extras.swap(new, Ordering::SeqCst) as *mut Extras;
        if !old.is_null() {
            // ORDERING: pairs with read_extras: who came before the swap may be at the box
            while READERS.load(Ordering::SeqCst) != 0 {
                std::thread::yield_now();
            }
            // SAFETY: EX1.
            drop(unsafe { Box::from_raw(old) });
        }
    }

    /// Owner, in user context (it frees): drops name, labels and ancestors.
    pub(crate) fn clear_extras(&self) {
        self.set_extras(None);
    }

    /// For the owner and for reports while the process ends.
    pub(crate) fn extras(&self) -> Option<&Extras> {
        // ORDERING: pairs with set_extras; SeqCst: after READERS in read_extras
        let p = self.extras.load(Ordering::SeqCst) as *const Extras;
        // SAFETY: EX1; the owner takes it away.
        unsafe { p.as_ref() }
    }

    /// For a goroutine that cannot go on meanwhile.
    pub(crate) fn name(&self) -> Option<&str> {
        self.extras().and_then(|e| e.name.as_deref())
    }

    /// For a dump, while the goroutine may end: what `f` is given stays until it returns. `f` does
    /// not block.
    pub(crate) fn read_extras(&self, f: impl FnOnce(&Extras)) {
        if self.extras.load(Ordering::Relaxed) == 0 {
            return; // ORDERING: a hint
        }
        READERS.fetch_add(1, Ordering::SeqCst); // ORDERING: before the load of the box
        if let Some(e) = self.extras() {
            f(e);
        }
        READERS.fetch_sub(1, Ordering::Release); // ORDERING: pairs with set_extras
    }
}

/// Dumps that are reading some goroutine's extras.
static READERS: AtomicU32 = AtomicU32::new(0);

/// Whether goroutines may have something that those they start inherit.
static INHERITED: AtomicBool = AtomicBool::new(false);

/// See [`INHERITED`].
#[inline(always)]
pub(crate) fn may_inherit() -> bool {
    INHERITED.load(Ordering::Relaxed) // ORDERING: set by the goroutine that has something
}

/// From now on goroutines look what they inherit. Before anything is set.
pub(crate) fn will_inherit() {
    // ORDERING: a goroutine moves to another thread by what the scheduler publishes
    INHERITED.store(true, Ordering::Relaxed);
}
