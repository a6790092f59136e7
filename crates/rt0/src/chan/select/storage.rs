//! Where a select receives to: one place for the message of whichever operation is chosen.
//!
//! Messages of up to eight words lie in the select itself, larger ones on the heap.
//!
//! # Invariants
//! * `ST1`: `place` fits every layout that was reserved, and stays where it is while the storage is
//!   not moved.
//!
//! # Safety
//! The heap's part is allocated and freed here only; ST1 is what users rely on.

#![allow(unsafe_code, reason = "ST1: bytes for a message of some type")]

use core::mem::MaybeUninit;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

type Inline = [u64; 8];

pub(crate) struct Storage {
    inline: MaybeUninit<Inline>,
    heap: Option<(*mut u8, Layout)>, // ST1
}

impl Storage {
    #[inline]
    pub(crate) fn new() -> Self {
        Storage { inline: MaybeUninit::uninit(), heap: None }
    }

    /// Whether there is always room for a message of this layout.
    pub(crate) const fn is_inline(layout: Layout) -> bool {
        let inline = Layout::new::<Inline>();
        layout.size() <= inline.size() && layout.align() <= inline.align()
    }

    /// Makes room for a message of this layout, which is large.
    #[cold]
    pub(crate) fn reserve(&mut self, layout: Layout) {
        // Small messages lie there too, if there is one.
        let had = self.heap.map_or(Layout::new::<Inline>(), |(_, had)| had);
        if self.heap.is_some() && had.size() >= layout.size() && had.align() >= layout.align() {
            return;
        }
        let size = had.size().max(layout.size());
        let Ok(need) = Layout::from_size_align(size, had.align().max(layout.align())) else {
            panic!("rt0: a message larger than memory");
        };
        // SAFETY: not empty: `had` is not
        let at = unsafe { alloc(need) };
        if at.is_null() {
            handle_alloc_error(need);
        }
        self.free();
        self.heap = Some((at, need));
    }

    /// ST1
    pub(crate) fn place<T>(&mut self) -> *mut T {
        match self.heap {
            Some((at, _)) => at.cast(),
            None => self.inline.as_mut_ptr().cast(),
        }
    }

    fn free(&mut self) {
        if let Some((at, layout)) = self.heap.take() {
            // SAFETY: allocated by reserve with this layout
            unsafe { dealloc(at, layout) };
        }
    }
}

impl Drop for Storage {
    /// The message has been taken out.
    fn drop(&mut self) {
        self.free();
    }
}
