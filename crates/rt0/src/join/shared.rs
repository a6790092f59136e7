//! A value with two owners, in a block of the runtime's (malloc/blocks.rs): what a goroutine and
//! its handle share. An `Arc` would be a malloc, a free and three counts for each goroutine.
//!
//! # Invariants
//! * `SH1`: `at` is a live [`Inner`] until the second owner has left (gone.rs), which drops it.
//! * `SH2`: what [`fits`] lies in a block, anything else in a box.

#![allow(unsafe_code, reason = "SH1, SH2: a value in a block of memory")]

use super::gone::Gone;
use crate::malloc::blocks::{self, BLOCK_ALIGN, BLOCK_BYTES};
use crate::sched::{enter, enter_system, leave, p_of};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

struct Inner<V> {
    gone: Gone,
    value: V,
}

/// One of the two owners.
pub(crate) struct Shared<V> {
    at: NonNull<Inner<V>>, // SH1
    of: PhantomData<Inner<V>>,
}

// SAFETY: SH1: both owners have `&V`, and the last one drops it, as with an Arc.
unsafe impl<V: Send + Sync> Send for Shared<V> {}
// SAFETY: SH1: both owners have `&V`, and the last one drops it, as with an Arc.
unsafe impl<V: Send + Sync> Sync for Shared<V> {}

pub(super) const fn fits<V>() -> bool {
    size_of::<Inner<V>>() <= BLOCK_BYTES && align_of::<Inner<V>>() <= BLOCK_ALIGN
}

impl<V> Shared<V> {
    /// Its two owners.
    #[inline]
    pub(crate) fn pair(value: V) -> (Shared<V>, Shared<V>) {
        let inner = Inner { gone: Gone::new(), value };
        let at = if const { fits::<V>() } {
            let block = take_block().cast::<Inner<V>>();
            // SAFETY: BL1, SH2: the block is ours and large enough.
            unsafe { block.write(inner) };
            block
        } else {
            NonNull::from(Box::leak(Box::new(inner)))
        };
        (Shared { at, of: PhantomData }, Shared { at, of: PhantomData })
    }

    fn inner(&self) -> &Inner<V> {
        // SAFETY: SH1.
        unsafe { self.at.as_ref() }
    }

    /// Whether the other owner has left.
    pub(crate) fn is_alone(&self) -> bool {
        self.inner().gone.is_alone()
    }

    /// Leaves when the goroutine's thread-locals are gone, the one that [`enter`] reads too.
    pub(crate) fn leave_at_end(self) {
        let own = ManuallyDrop::new(self);
        if own.inner().gone.leave() {
            // SAFETY: SH1: the last to leave.
            unsafe { free(own.at, put_block_at_end) };
        }
    }
}

impl<V> Deref for Shared<V> {
    type Target = V;
    #[inline]
    fn deref(&self) -> &V {
        &self.inner().value
    }
}

impl<V> Drop for Shared<V> {
    #[inline]
    fn drop(&mut self) {
        if self.inner().gone.leave() {
            // SAFETY: SH1: the last to leave.
            unsafe { free(self.at, put_block) };
        }
    }
}

/// # Safety
/// SH1: nobody else has the value.
unsafe fn free<V>(at: NonNull<Inner<V>>, put: fn(usize)) {
    if const { !fits::<V>() } {
        // SAFETY: SH2: `pair` leaked it.
        return drop(unsafe { Box::from_raw(at.as_ptr()) });
    }
    // SAFETY: the caller's promise. If it panics the block is lost.
    unsafe { at.drop_in_place() };
    put(at.addr().get());
}

#[inline]
fn take_block() -> NonNull<u8> {
    let block = match enter() {
        Some((mp, _)) => {
            let block = p_of(mp).blocks.take();
            leave(mp);
            block
        }
        None => blocks::take_global(),
    };
    match NonNull::new(block as *mut u8) {
        Some(p) => p,
        None => crate::throw::throw("blocks: a null block"),
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
