//! Small blocks for what goroutines and their starters share (join/shared.rs): not from malloc,
//! whose caches belong to goroutines. What one allocates and another frees would wander from cache
//! to cache through the arena's lock.
//!
//! Each P keeps up to 64 free blocks and exchanges 32 at a time with the global list, as it does
//! with dead goroutines (stack/cache.rs).
//!
//! # Invariants
//! * `BL1`: a free block is on one list only; one that is taken is its taker's until it is put
//!   back. Blocks are [`BLOCK_BYTES`] long, 64-byte aligned, and never unmapped (MA1).
//! * `BL2`: a P's cache is used only by the M that holds the P (PP1).

use super::persistentalloc;
use super::vec::RtVec;
use crate::atomic::{AtomicUsize, Ordering};
use crate::lock::{mutex::RtMutex, rank::Rank};
use core::ptr::NonNull;

/// Two cache lines.
pub(crate) const BLOCK_BYTES: usize = 128;
pub(crate) const BLOCK_ALIGN: usize = 64;
const MOST: usize = 64;
const BATCH: usize = 32;

static GLOBAL: RtMutex<RtVec<usize>> = RtMutex::new(Rank::GFree, RtVec::new());

/// A block that was taken (BL1).
pub(crate) struct Block(usize);

impl Block {
    /// Takes one: from `own`, the caller's, or, for code that has no P, from the global list.
    #[inline(always)]
    pub(crate) fn take(own: Option<&Blocks>) -> Block {
        Block(own.map_or_else(take_global, Blocks::take))
    }

    /// Its memory, now the caller's.
    #[inline(always)]
    pub(crate) fn into_memory(self) -> NonNull<u8> {
        match NonNull::new(core::ptr::with_exposed_provenance_mut(self.0)) {
            Some(at) => at,
            None => crate::throw::throw("blocks: a null block"),
        }
    }
}

/// A P's free blocks, last in first out.
pub(crate) struct Blocks {
    slots: [AtomicUsize; MOST], // BL2
    n: AtomicUsize,             // BL2
}

impl Blocks {
    pub(crate) const fn new() -> Blocks {
        Blocks { slots: [const { AtomicUsize::new(0) }; MOST], n: AtomicUsize::new(0) }
    }

    /// A block, whose bytes are anything. Owner.
    #[inline]
    fn take(&self) -> usize {
        let mut n = self.n.load(Ordering::Relaxed); // ORDERING: owner-only (BL2)
        if n == 0 {
            n = self.refill();
        }
        self.n.store(n - 1, Ordering::Relaxed); // ORDERING: owner-only (BL2)
        self.slots[(n - 1) % MOST].load(Ordering::Relaxed) // ORDERING: owner-only (BL2)
    }

    /// Owner.
    #[inline]
    pub(crate) fn put(&self, block: usize) {
        let mut n = self.n.load(Ordering::Relaxed); // ORDERING: owner-only (BL2)
        if n == MOST {
            n = self.spill(BATCH);
        }
        self.slots[n % MOST].store(block, Ordering::Relaxed); // ORDERING: owner-only (BL2)
        self.n.store(n + 1, Ordering::Relaxed); // ORDERING: owner-only (BL2)
    }

    /// Gives all of them up: the P goes away.
    pub(crate) fn purge(&self) {
        self.spill(MOST);
    }

    /// Returns how many there are now.
    #[cold]
    fn refill(&self) -> usize {
        let mut global = GLOBAL.lock();
        for slot in &self.slots[..BATCH] {
            slot.store(pop(&mut global), Ordering::Relaxed); // ORDERING: owner-only (BL2)
        }
        BATCH
    }

    /// Gives up to `most` blocks to the global list; returns how many are left.
    #[cold]
    fn spill(&self, most: usize) -> usize {
        let n = self.n.load(Ordering::Relaxed); // ORDERING: owner-only (BL2)
        let left = n.saturating_sub(most);
        let mut global = GLOBAL.lock();
        for slot in &self.slots[left..n] {
            global.push(slot.load(Ordering::Relaxed)); // ORDERING: owner-only (BL2)
        }
        self.n.store(left, Ordering::Relaxed); // ORDERING: owner-only (BL2)
        left
    }
}

/// A block for code that has no P.
fn take_global() -> usize {
    pop(&mut GLOBAL.lock())
}

/// The way back for code that has no P.
pub(crate) fn put_global(block: usize) {
    GLOBAL.lock().push(block);
}

fn pop(free: &mut RtVec<usize>) -> usize {
    if let Some(block) = free.pop() {
        return block;
    }
    let first = persistentalloc(BATCH * BLOCK_BYTES);
    for i in 1..BATCH {
        free.push(first + i * BLOCK_BYTES);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_block_is_handed_out_twice_and_all_come_back() {
        let (a, b) = (Blocks::new(), Blocks::new());
        let taken: Vec<usize> = (0..500).map(|_| a.take()).collect();
        let apart: HashSet<usize> = taken.iter().copied().collect();
        assert_eq!(apart.len(), taken.len());
        assert!(taken.iter().all(|at| at % BLOCK_ALIGN == 0));
        for block in taken {
            b.put(block);
        }
        b.purge();
        let again: HashSet<usize> = (0..500).map(|_| a.take()).collect();
        assert_eq!(again.len(), 500);
    }
}
