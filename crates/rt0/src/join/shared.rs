//! A value with two owners, in a block of the runtime's (malloc/blocks.rs): what a goroutine and
//! its handle share. An `Arc` would be a malloc, a free and three counts for each goroutine.
//!
//! # Invariants
//! * `SH1`: `at` is a live value until the owner that is told so (state.rs) frees it.
//! * `SH2`: what [`fits`] lies in a block, anything else in a box.

#![allow(unsafe_code, reason = "SH1, SH2: a value in a block of memory")]

use crate::malloc::blocks::{self, BLOCK_ALIGN, BLOCK_BYTES, Block};
use crate::sched::newproc::Want;
use crate::sched::{enter, enter_system, leave, p_of};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::NonNull;

/// One of the two owners. It is freed by hand: dropping it does nothing.
pub(crate) struct Shared<V> {
    at: NonNull<V>, // SH1
    of: PhantomData<V>,
}

// SAFETY: SH1: both owners have `&V`, and one of them drops it, as with an Arc.
unsafe impl<V: Send + Sync> Send for Shared<V> {}
// SAFETY: SH1: both owners have `&V`, and one of them drops it, as with an Arc.
unsafe impl<V: Send + Sync> Sync for Shared<V> {}

pub(super) const fn fits<V>() -> bool {
    size_of::<V>() <= BLOCK_BYTES && align_of::<V>() <= BLOCK_ALIGN
}

impl<V> Shared<V> {
    /// Room for a value that does not fit a block (SH2). In user context: it may allocate.
    #[inline(always)]
    pub(crate) fn room() -> Room<V> {
        Room(const { !fits::<V>() }.then(Box::new_uninit))
    }

    /// The last use. If the value's destructor panics the block is lost.
    ///
    /// # Safety
    /// SH1: the other owner does not use it any more, and did not free it.
    #[inline]
    pub(crate) unsafe fn free(self, by: By) {
        if const { !fits::<V>() } {
            // SAFETY: SH2: `Room::pair` leaked it.
            return drop(unsafe { Box::from_raw(self.at.as_ptr()) });
        }
        // SAFETY: the caller's promise.
        unsafe { self.at.drop_in_place() };
        let block = self.at.addr().get();
        match by {
            By::User => put_block(block),
            By::End => put_block_at_end(block),
        }
    }
}

/// Which code frees a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    User,
    /// That of a goroutine whose thread-locals are gone, the one that [`enter`] reads too.
    End,
}

/// What [`Shared::room`] has found.
pub(crate) struct Room<V>(Option<Box<MaybeUninit<V>>>);

impl<V> Room<V> {
    #[inline(always)]
    pub(crate) fn want(&self) -> Want {
        if const { fits::<V>() } { Want::Block } else { Want::Nothing }
    }

    /// The two owners of a value, which is made in its place. With a block if `want` says so.
    #[inline(always)]
    pub(crate) fn pair(
        self,
        block: Option<Block>,
        make: impl FnOnce() -> V,
    ) -> (Shared<V>, Shared<V>) {
        let at = match (self.0, block) {
            (Some(room), _) => NonNull::from(Box::leak(Box::write(room, make()))),
            (None, Some(block)) => {
                let at = block.into_memory().cast::<V>();
                // SAFETY: BL1, SH2: the block is ours and large enough.
                unsafe { at.write(make()) };
                at
            }
            (None, None) => crate::throw::throw("join: no room for a packet"),
        };
        (Shared { at, of: PhantomData }, Shared { at, of: PhantomData })
    }
}

impl<V> Deref for Shared<V> {
    type Target = V;
    #[inline]
    fn deref(&self) -> &V {
        // SAFETY: SH1.
        unsafe { self.at.as_ref() }
    }
}

#[inline]
fn put_block(block: usize) {
    match enter() {
        Some((mp, _)) => {
            p_of(mp).blocks.put(block);
            leave(mp);
        }
        None => blocks::put_global(block),
    }
}

fn put_block_at_end(block: usize) {
    let (mp, _) = enter_system();
    p_of(mp).blocks.put(block);
    leave(mp);
}
