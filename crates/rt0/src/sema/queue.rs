//! Who waits, by address: one bucket of the semaphore table.
//!
//! Go: sema.go `semaRoot`, which keeps the waiters of an address in a list and the addresses of a
//! bucket in a treap.
//!
//! Here the addresses of a bucket form a digital search tree: at depth `d` a node branches by bit
//! `d` of its hash. The hash is keyed, so the tree is as balanced as a treap, without random
//! priorities and rotations: an address comes in as a leaf, and one that goes is replaced by any
//! leaf below it. A million blocked locks cost about twelve steps each.
//!
//! ```text
//!          root
//!           |
//!         [A1] <-> [A2] <-> [A3]        first in first out among those who wait for A
//!         /  \
//!      [B1]  [C1] <-> [C2]
//! ```
//! Only the first of an address has `child` and `tail`. Nodes lie on the waiters' stacks, so
//! waiting allocates nothing.
//!
//! # Invariants
//! * `SQ1`: a node is linked from `push` until `pop` or `remove`, and lives at least that long: the
//!   waiter does not leave the function that owns the node while `queued` is set (sema/lot.rs).
//! * `SQ2`: nodes are read and written only while the bucket is locked, or by the one who popped
//!   them, or by the waiter before `push` and after its wake-up.
//! * `SQ3`: a child's hash agrees with its parent's in the bits above it.
//!
//! # Safety
//! SQ1 lets a node be called `'static`; SQ2 makes its cells private to one thread at a time.

#![allow(unsafe_code, reason = "SQ1, SQ2: links to nodes on other stacks")]

use core::cell::Cell;

pub(crate) type Link<W> = Option<&'static Node<W>>;

/// Where a waiter stands among those of its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waited already and was overtaken.
    Front,
    Back,
}

/// Something that waits for an address.
pub(crate) struct Node<W: 'static> {
    key: usize,
    hash: u64,
    /// What the waiter tells its waker.
    pub(crate) data: usize,
    /// When it began to wait.
    pub(crate) since_ns: i64,
    pub(crate) wait: W,
    /// What the waker tells the waiter.
    pub(crate) token: Cell<usize>,
    queued: Cell<bool>,
    prev: Cell<Link<W>>,
    /// The next of the address; after `pop`, of a chain of the popper's.
    pub(crate) next: Cell<Link<W>>,
    tail: Cell<Link<W>>,
    child: [Cell<Link<W>>; 2],
}

impl<W> Node<W> {
    pub(crate) fn new(key: usize, hash: u64, data: usize, since_ns: i64, wait: W) -> Node<W> {
        Node {
            key,
            hash,
            data,
            since_ns,
            wait,
            token: Cell::new(0),
            queued: Cell::new(false),
            prev: Cell::new(None),
            next: Cell::new(None),
            tail: Cell::new(None),
            child: [Cell::new(None), Cell::new(None)],
        }
    }

    /// SQ2. Whether a waker may still find it.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued.get()
    }
}

/// The waiters of one bucket.
pub(crate) struct Queue<W: 'static> {
    root: Cell<Link<W>>,
}

// SAFETY: SQ2: the lock around a queue protects all nodes that are linked from it.
unsafe impl<W: Send> Send for Queue<W> {}

impl<W> Queue<W> {
    pub(crate) const fn new() -> Queue<W> {
        Queue { root: Cell::new(None) }
    }

    /// The cell that links the first of `key`, or the empty one where it would be linked.
    fn slot(&self, key: usize, hash: u64) -> &Cell<Link<W>> {
        let (mut slot, mut depth) = (&self.root, 0);
        while let Some(n) = slot.get()
            && n.key != key
        {
            slot = &n.child[branch(hash, depth)];
            depth += 1;
        }
        slot
    }

    /// The first of those who wait for `key`.
    pub(crate) fn first(&self, key: usize, hash: u64) -> Link<W> {
        self.slot(key, hash).get()
    }

    /// # Safety
    /// SQ1: the caller keeps the node alive, and unmoved, until it is no longer queued.
    pub(crate) unsafe fn push(&mut self, node: &Node<W>, place: Place) {
        // SAFETY: SQ1: the caller's promise.
        let node: &'static Node<W> = unsafe { &*core::ptr::from_ref(node) };
        node.queued.set(true);
        let slot = self.slot(node.key, node.hash);
        let Some(head) = slot.get() else {
            node.tail.set(Some(node));
            return slot.set(Some(node));
        };
        match place {
            Place::Back => {
                if let Some(last) = head.tail.get() {
                    last.next.set(Some(node));
                    node.prev.set(Some(last));
                }
                head.tail.set(Some(node));
            }
            Place::Front => {
                node.next.set(Some(head));
                head.prev.set(Some(node));
                replace(slot, head, node);
            }
        }
    }

    /// Takes the first of `key` out.
    pub(crate) fn pop(&mut self, key: usize, hash: u64) -> Link<W> {
        let slot = self.slot(key, hash);
        let head = slot.get()?;
        self.take_head(slot, head);
        Some(head)
    }

    /// Takes a node out, wherever it stands. It is queued here.
    pub(crate) fn remove(&mut self, node: &Node<W>) {
        let slot = self.slot(node.key, node.hash);
        let Some(head) = slot.get() else { return };
        if core::ptr::eq(head, node) {
            return self.take_head(slot, head);
        }
        let (prev, next) = (node.prev.get(), node.next.get());
        if let Some(p) = prev {
            p.next.set(next);
        }
        match next {
            Some(n) => n.prev.set(prev),
            None => head.tail.set(prev),
        }
        unlink(node);
    }

    fn take_head(&self, slot: &Cell<Link<W>>, head: &'static Node<W>) {
        match head.next.get() {
            Some(next) => {
                next.prev.set(None);
                replace(slot, head, next);
            }
            None => delete(slot, head),
        }
        unlink(head);
    }
}

/// By which child a hash goes on below a node at `depth`. Its low bits chose the bucket.
fn branch(hash: u64, depth: u32) -> usize {
    (hash.rotate_right(8 + depth) & 1) as usize
}

/// `new` stands for its address instead of `old`.
fn replace<W>(slot: &Cell<Link<W>>, old: &'static Node<W>, new: &'static Node<W>) {
    for (to, from) in new.child.iter().zip(&old.child) {
        to.set(from.take());
    }
    new.tail.set(old.tail.take());
    slot.set(Some(new));
}

/// `head` was the last of its address: a leaf from below takes its place (SQ3 holds: it is in the
/// same subtree).
fn delete<W>(slot: &Cell<Link<W>>, head: &'static Node<W>) {
    let Some(mut leaf_slot) = head.child.iter().find(|c| c.get().is_some()) else {
        return slot.set(None);
    };
    let mut leaf = head;
    while let Some(n) = leaf_slot.get() {
        leaf = n;
        match n.child.iter().find(|c| c.get().is_some()) {
            Some(below) => leaf_slot = below,
            None => break,
        }
    }
    leaf_slot.set(None);
    for (to, from) in leaf.child.iter().zip(&head.child) {
        to.set(from.take());
    }
    slot.set(Some(leaf));
}

fn unlink<W>(node: &Node<W>) {
    node.queued.set(false);
    node.prev.set(None);
    node.next.set(None);
    node.tail.set(None);
}

#[cfg(all(test, not(loom)))]
mod tests;
