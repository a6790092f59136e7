//! The runtime's own memory: never malloc, never freed.
//!
//! Go: malloc.go `persistentalloc`, mfixalloc.go, and what `mallocinit` sets up. M, P, timer heaps
//! and the table of goroutines come from here, because scheduler code may not call the program's
//! allocator (a goroutine that holds its lock may be waiting to be scheduled).
//!
//! # Invariants
//! * `MA1`: memory handed out is zero, 64-byte aligned, and never taken back.

#![allow(unsafe_code, reason = "MA1: makes references into fresh mappings")]

pub(crate) mod blocks;
pub(crate) mod deque;
pub(crate) mod vec;

use core::cell::UnsafeCell;

use crate::atomic::{AtomicPtr, AtomicUsize, Ordering, as_ptr, as_static};
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;

const CHUNK_BYTES: usize = 256 << 10;

struct Bump {
    at: usize,
    left: usize,
    bytes: usize,
    allocs: usize,
}

static SLAB: RtMutex<Bump> = RtMutex::new(Rank::Slab, Bump { at: 0, left: 0, bytes: 0, allocs: 0 });

/// What the slabs begin with, and all that a small program needs of them: a mapping less, and pages
/// that lie beside the runtime's statics.
static FIRST_CHUNK: FirstChunk = FirstChunk(UnsafeCell::new([0; FIRST_CHUNK_BYTES]));

const FIRST_CHUNK_BYTES: usize = 64 << 10;

#[repr(align(64))]
struct FirstChunk(UnsafeCell<[u8; FIRST_CHUNK_BYTES]>);

// SAFETY: MA1: `persistentalloc` hands each byte of it out once.
unsafe impl Sync for FirstChunk {}

/// Bytes and blocks handed out so far.
pub(crate) fn stats() -> (usize, usize) {
    let slab = SLAB.lock();
    (slab.bytes, slab.allocs)
}

/// Sets the slabs up. Go: mallocinit.
pub(crate) fn mallocinit() {
    let mut slab = SLAB.lock();
    if slab.at == 0 {
        slab.at = FIRST_CHUNK.0.get() as usize;
        slab.left = FIRST_CHUNK_BYTES;
    }
}

/// `bytes` of zeroed memory (MA1).
pub(crate) fn persistentalloc(bytes: usize) -> usize {
    let bytes = bytes.next_multiple_of(64);
    let mut slab = SLAB.lock();
    if slab.left < bytes {
        let want = bytes.max(CHUNK_BYTES).next_multiple_of(crate::sys::mem::PAGE);
        match crate::sys::mem::reserve(want) {
            Ok(base) => {
                slab.at = base;
                slab.left = want;
            }
            Err(e) => crate::throw::fatal_with(
                format_args!("cannot allocate {want} bytes (errno={})", e.raw_os_error()),
                "out of memory",
            ),
        }
    }
    let p = slab.at;
    slab.at += bytes;
    slab.left -= bytes;
    slab.bytes += bytes;
    slab.allocs += 1;
    p
}

/// Moves `v` to memory that lives for the rest of the process. Go: `new` of a runtime type.
pub(crate) fn immortal<T: Sync>(v: T) -> &'static T {
    const { assert!(align_of::<T>() <= 64) };
    let p = persistentalloc(size_of::<T>()) as *mut T;
    // SAFETY: MA1: room for a T, aligned, nobody else's.
    unsafe { p.write(v) };
    // SAFETY: just written; never freed.
    unsafe { &*p }
}

/// A slice of `n` words that lives for the rest of the process.
pub(crate) fn immortal_words(n: usize) -> &'static [AtomicUsize] {
    let p = persistentalloc(n * size_of::<AtomicUsize>()) as *const AtomicUsize;
    // SAFETY: MA1: zeroed room for n words, which any bit pattern is valid for.
    unsafe { core::slice::from_raw_parts(p, n) }
}

/// Places in the first chunk of a table.
const TABLE_FIRST: usize = 64;
const TABLE_CHUNKS: usize = 20;

/// A list of static references that only grows, read without a lock. Each chunk of it has twice as
/// many places as the one before it, so that one with few entries is small.
pub(crate) struct Table<T: 'static> {
    grow: RtMutex<()>,
    len: AtomicUsize,
    chunks: [AtomicPtr<AtomicPtr<T>>; TABLE_CHUNKS],
}

/// How many places chunk `k` has, and how many the chunks before it have.
const fn table_chunk(k: usize) -> (usize, usize) {
    (TABLE_FIRST << k, TABLE_FIRST * ((1 << k) - 1))
}

/// In which chunk entry `i` is, and at which place.
const fn table_place(i: usize) -> (usize, usize) {
    let k = (i / TABLE_FIRST + 1).ilog2() as usize;
    (k, i - table_chunk(k).1)
}

impl<T: Sync + 'static> Table<T> {
    pub(crate) const fn new(rank: Rank) -> Self {
        Table {
            grow: RtMutex::new(rank, ()),
            len: AtomicUsize::new(0),
            chunks: [const { AtomicPtr::new(core::ptr::null_mut()) }; TABLE_CHUNKS],
        }
    }

    pub(crate) fn push(&self, v: &'static T) {
        self.push_numbered(v, |_| ());
    }

    /// Adds `v` with the number that is told to `numbered`.
    pub(crate) fn push_numbered(&self, v: &'static T, numbered: impl FnOnce(usize)) {
        let _grow = self.grow.lock();
        // ORDERING: under the lock
        let i = self.len.load(Ordering::Relaxed);
        let (k, place) = table_place(i);
        let Some(chunk) = self.chunks.get(k) else {
            crate::throw::fatal("too many goroutines: 67108800 exist already");
        };
        // ORDERING: under the lock
        let mut base = chunk.load(Ordering::Relaxed);
        if base.is_null() {
            base = persistentalloc(table_chunk(k).0 * 8) as *mut AtomicPtr<T>;
            // ORDERING: pairs with iter
            chunk.store(base, Ordering::Release);
        }
        // SAFETY: MA1: a chunk of zeroed pointers, as many as table_chunk says.
        let slot = unsafe { &*base.wrapping_add(place) };
        // ORDERING: published by len
        slot.store(as_ptr(Some(v)), Ordering::Relaxed);
        numbered(i);
        // ORDERING: pairs with iter
        self.len.store(i + 1, Ordering::Release);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> + '_ {
        // ORDERING: pairs with push
        let n = self.len.load(Ordering::Acquire);
        (0..n).filter_map(move |i| self.below(i))
    }

    /// The entry with this number, the first being 0.
    pub(crate) fn get(&self, i: usize) -> Option<&'static T> {
        // ORDERING: pairs with push
        if i < self.len.load(Ordering::Acquire) { self.below(i) } else { None }
    }

    /// `i` is below a length that was loaded.
    fn below(&self, i: usize) -> Option<&'static T> {
        let (k, place) = table_place(i);
        // ORDERING: pairs with push
        let base = self.chunks[k].load(Ordering::Acquire);
        // SAFETY: MA1: index below len, so the chunk is there.
        let slot = unsafe { &*base.wrapping_add(place) };
        // ORDERING: published by len
        as_static(slot.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_a_table_follow_each_other() {
        let mut i = 0;
        for k in 0..12 {
            let (places, before) = table_chunk(k);
            assert_eq!(before, i);
            for place in 0..places {
                assert_eq!(table_place(i), (k, place));
                i += 1;
            }
        }
        let (places, before) = table_chunk(TABLE_CHUNKS - 1);
        assert_eq!(
            (before + places, table_place(before + places)),
            (67_108_800, (TABLE_CHUNKS, 0))
        );
    }
}
