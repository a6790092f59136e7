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

/// Bytes and blocks handed out so far.
pub(crate) fn stats() -> (usize, usize) {
    let slab = SLAB.lock();
    (slab.bytes, slab.allocs)
}

/// Sets the slabs up: the first chunk is mapped here, so that a process without memory says so at
/// boot. Go: mallocinit.
pub(crate) fn mallocinit() {
    persistentalloc(64);
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

const TABLE_CHUNK: usize = 8192;
const TABLE_CHUNKS: usize = 8192;

/// A list of static references that only grows, read without a lock.
pub(crate) struct Table<T: 'static> {
    grow: RtMutex<()>,
    len: AtomicUsize,
    chunks: [AtomicPtr<AtomicPtr<T>>; TABLE_CHUNKS],
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
        let Some(chunk) = self.chunks.get(i / TABLE_CHUNK) else {
            crate::throw::fatal("too many goroutines: 67108864 exist already");
        };
        // ORDERING: under the lock
        let mut base = chunk.load(Ordering::Relaxed);
        if base.is_null() {
            base = persistentalloc(TABLE_CHUNK * 8) as *mut AtomicPtr<T>;
            // ORDERING: pairs with iter
            chunk.store(base, Ordering::Release);
        }
        // SAFETY: MA1: a chunk of TABLE_CHUNK zeroed pointers.
        let slot = unsafe { &*base.wrapping_add(i % TABLE_CHUNK) };
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
        // ORDERING: pairs with push
        let base = self.chunks[i / TABLE_CHUNK].load(Ordering::Acquire);
        // SAFETY: MA1: index below len, so the chunk is there.
        let slot = unsafe { &*base.wrapping_add(i % TABLE_CHUNK) };
        // ORDERING: published by len
        as_static(slot.load(Ordering::Relaxed))
    }
}
