//! The messages that a channel holds: a ring for a bounded one, a list of blocks for an unbounded.
//!
//! Neither allocates or frees while it is used: a bounded channel's ring is made with it, a block
//! is handed in from outside ([`Buffer::give`]) and out again ([`Buffer::pop_into`]), so that the
//! program's allocator never runs under the channel's lock. Messages are moved by copying their
//! bytes from and to where the caller says: however large they are, they are on no other stack.
//!
//! # Invariants
//! * `BU1`: of the ring's `cap` places the `n` from `head` on hold messages; of the blocks' places
//!   those from `head` to `tail`. How many there are is the caller's knowledge (core.rs CH1).
//! * `BU2`: a block has `PER_BLOCK` places behind its header; blocks are linked from `head` to
//!   `tail`, and `head_at`, `tail_at` are at most `PER_BLOCK`.
//!
//! # Safety
//! Copies are within BU1; blocks come from [`Block::alloc`] and are freed once, by [`Block`].

#![allow(unsafe_code, reason = "BU1, BU2: places that hold messages, and memory for them")]

use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

pub(crate) enum Buffer<T> {
    Ring(Ring<T>),
    List(List<T>),
}

impl<T> Buffer<T> {
    /// For `cap` messages, or for any number.
    pub(crate) fn new(cap: Option<usize>) -> Self {
        match cap {
            Some(cap) => Buffer::Ring(Ring::new(cap)),
            None => Buffer::List(List::new()),
        }
    }

    /// Whether a block must be given first.
    #[inline]
    pub(crate) fn needs_block(&self) -> bool {
        match self {
            Buffer::Ring(_) => false,
            Buffer::List(list) => list.needs_block(),
        }
    }

    pub(crate) fn give(&mut self, block: Block<T>) {
        if let Buffer::List(list) = self {
            list.give(block);
        }
    }

    /// Moves the message at `src` to the end.
    ///
    /// # Safety
    /// There is room and `needs_block` is false; `len` messages are there; `src` is valid.
    #[inline]
    pub(crate) unsafe fn push_from(&mut self, src: *const T, len: usize) {
        match self {
            // SAFETY: the caller's contract
            Buffer::Ring(ring) => unsafe { ring.push_from(src, len) },
            // SAFETY: the caller's contract
            Buffer::List(list) => unsafe { list.push_from(src) },
        }
    }

    /// Moves the first message to `dst`. A block that was used up comes back.
    ///
    /// # Safety
    /// There is a message; `dst` is valid.
    #[inline]
    pub(crate) unsafe fn pop_into(&mut self, dst: *mut T) -> Option<Block<T>> {
        match self {
            Buffer::Ring(ring) => {
                // SAFETY: the caller's contract
                unsafe { ring.pop_into(dst) };
                None
            }
            // SAFETY: the caller's contract
            Buffer::List(list) => unsafe { list.pop_into(dst) },
        }
    }
}

pub(crate) struct Ring<T> {
    at: NonNull<T>,
    cap: usize,
    head: usize,
}

impl<T> Ring<T> {
    fn layout(cap: usize) -> Option<Layout> {
        Layout::array::<T>(cap).ok()
    }

    fn new(cap: usize) -> Self {
        let Some(layout) = Self::layout(cap) else {
            panic!(
                "rt0: capacity too large: {cap} messages of {} bytes do not fit into memory",
                size_of::<T>()
            )
        };
        if layout.size() == 0 {
            return Ring { at: NonNull::dangling(), cap, head: 0 };
        }
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(at.cast()) else {
            panic!("rt0: capacity too large: no {} bytes for {cap} messages", layout.size())
        };
        Ring { at, cap, head: 0 }
    }

    /// BU1: `i < cap`.
    fn place(&self, i: usize) -> *mut T {
        self.at.as_ptr().wrapping_add(i)
    }

    unsafe fn push_from(&mut self, src: *const T, len: usize) {
        let (i, before_end) = (self.head.wrapping_add(len), self.cap - self.head);
        let i = if len < before_end { i } else { len - before_end };
        // SAFETY: BU1: a place behind the last message
        unsafe { ptr::copy_nonoverlapping(src, self.place(i), 1) };
    }

    unsafe fn pop_into(&mut self, dst: *mut T) {
        // SAFETY: BU1: the first message
        unsafe { ptr::copy_nonoverlapping(self.place(self.head), dst, 1) };
        self.head = if self.head + 1 == self.cap { 0 } else { self.head + 1 };
    }
}

impl<T> Drop for Ring<T> {
    /// The messages have been taken out.
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.cap)
            && layout.size() != 0
        {
            // SAFETY: allocated by `new` with this layout
            unsafe { dealloc(self.at.as_ptr().cast(), layout) };
        }
    }
}

/// What a block has in front of its places.
struct Header {
    next: Option<NonNull<Header>>,
}

/// A block that nobody uses.
pub(crate) struct Block<T> {
    at: NonNull<Header>,
    places: PhantomData<T>,
}

impl<T> Block<T> {
    /// BU2: about 2 KiB, at least one message.
    const PER_BLOCK: usize = match 2048usize.checked_div(size_of::<T>()) {
        None => usize::MAX,
        Some(0) => 1,
        Some(n @ ..64) => n,
        Some(_) => 64,
    };

    const LAYOUT: (Layout, usize) = {
        let places = match Layout::array::<T>(Self::PER_BLOCK) {
            Ok(places) => places,
            Err(_) => panic!("a message larger than memory"),
        };
        match Layout::new::<Header>().extend(places) {
            Ok((layout, offset)) => (layout.pad_to_align(), offset),
            Err(_) => panic!("a message larger than memory"),
        }
    };

    pub(crate) fn alloc() -> Self {
        let layout = Self::LAYOUT.0;
        // SAFETY: the layout has a header.
        let at = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(at.cast::<Header>()) else { handle_alloc_error(layout) };
        // SAFETY: fresh memory of that size
        unsafe { at.write(Header { next: None }) };
        Block { at, places: PhantomData }
    }
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `alloc` with this layout; owned
        unsafe { dealloc(self.at.as_ptr().cast(), Self::LAYOUT.0) };
    }
}

/// Places from `head_at` in the first block to `tail_at` in the last.
pub(crate) struct List<T> {
    head: Option<NonNull<Header>>, // BU2
    tail: Option<NonNull<Header>>, // BU2
    head_at: usize,
    tail_at: usize,
    /// A block that was used up, for the next time.
    spare: Option<Block<T>>,
}

impl<T> List<T> {
    fn new() -> Self {
        List { head: None, tail: None, head_at: 0, tail_at: Block::<T>::PER_BLOCK, spare: None }
    }

    fn needs_block(&self) -> bool {
        self.tail_at == Block::<T>::PER_BLOCK && self.spare.is_none()
    }

    fn give(&mut self, block: Block<T>) {
        self.spare = Some(block);
    }

    fn place(at: NonNull<Header>, i: usize) -> *mut T {
        at.as_ptr().cast::<u8>().wrapping_add(Block::<T>::LAYOUT.1).cast::<T>().wrapping_add(i)
    }

    unsafe fn push_from(&mut self, src: *const T) {
        if self.tail_at == Block::<T>::PER_BLOCK {
            self.append();
        }
        if let Some(tail) = self.tail {
            // SAFETY: BU1: a place behind the last message
            unsafe { ptr::copy_nonoverlapping(src, Self::place(tail, self.tail_at), 1) };
            self.tail_at += 1;
        }
    }

    fn append(&mut self) {
        let Some(block) = self.spare.take() else { return };
        let at = block.at;
        core::mem::forget(block);
        // SAFETY: BU2: the list's own block, header and all
        unsafe { (*at.as_ptr()).next = None };
        match self.tail {
            // SAFETY: BU2
            Some(tail) => unsafe { (*tail.as_ptr()).next = Some(at) },
            None => {
                self.head = Some(at);
                self.head_at = 0;
            }
        }
        self.tail = Some(at);
        self.tail_at = 0;
    }

    unsafe fn pop_into(&mut self, dst: *mut T) -> Option<Block<T>> {
        let head = self.head?;
        // SAFETY: BU1: the first message
        unsafe { ptr::copy_nonoverlapping(Self::place(head, self.head_at), dst, 1) };
        self.head_at += 1;
        if self.head_at < Block::<T>::PER_BLOCK {
            return None;
        }
        self.unlink()
    }

    /// The first block is used up: kept for the next time, or handed out if there is one.
    fn unlink(&mut self) -> Option<Block<T>> {
        let head = self.head?;
        // SAFETY: BU2
        self.head = unsafe { (*head.as_ptr()).next };
        self.head_at = 0;
        if self.head.is_none() {
            self.tail = None;
            self.tail_at = Block::<T>::PER_BLOCK;
        }
        let block = Block { at: head, places: PhantomData };
        let keep = self.spare.is_none() && Block::<T>::LAYOUT.0.size() <= 64 << 10;
        if keep {
            self.spare = Some(block);
            return None;
        }
        Some(block)
    }
}

impl<T> Drop for List<T> {
    /// The messages have been taken out.
    fn drop(&mut self) {
        while self.head.is_some() {
            drop(self.unlink());
            self.spare = None;
        }
    }
}
