//! One direction of a descriptor: waiting until something has changed since the last try.
//!
//! Go keeps `pdReady`, `pdWait` or the goroutine in a word, and lets one goroutine at a time wait.
//! Here each direction counts its changes: events of the kernel's, new deadlines, the close. Who
//! wants to read notes the count, looks at the deadline, tries, and if there is nothing to read
//! waits for another count than the one it noted:
//!
//! ```text
//!   reader                                  kernel, then poller; who sets a deadline; who closes
//!   1. seen = count                         1. change what the try looks at
//!   2. look at what the try needs; try      2. under the lock: count + 1, take all waiters
//!   3. under the lock: if count == seen     3. claim each, wake it
//!      join the waiters; else try again
//! ```
//! If the change comes before step 1 of a reader, its try sees it. Else the reader finds another
//! count in its step 3, or has joined before the change's step 2 and is woken. So nothing is reset
//! before a try, a try that succeeds touches no lock, and any number of readers may wait: each is
//! woken by every change, and tries again.
//!
//! # Memory orderings
//! * The count's Acquire load in `seen` pairs with the Release store in `change`: who sees the new
//!   count sees the change. An old count is only a try more.
//!
//! Rejected: one waiter and a lock around it, as Go: the second reader of a socket, and the second
//! acceptor, would wait for the lock, with a deadline of its own. A set of ready bits: they have to
//! be cleared before each try, by one reader at a time.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

/// How often this direction has changed.
pub(crate) struct Gate(AtomicUsize);

impl Gate {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Gate(AtomicUsize::new(0))
        }
    }

    /// Before a try.
    #[inline(always)]
    pub(crate) fn seen(&self) -> usize {
        let order = if mutated("gate.seen") { Ordering::Relaxed } else { Ordering::Acquire };
        self.0.load(order) // ORDERING: pairs with change
    }

    /// After a try that found nothing, under the lock of `waiters`. False: try again.
    pub(crate) fn join<W: Copy + PartialEq>(
        &self,
        seen: usize,
        waiters: &mut Waiters<W>,
        waiter: W,
    ) -> bool {
        // ORDERING: changes under the lock only
        if self.0.load(Ordering::Relaxed) != seen && !mutated("gate.join") {
            return false;
        }
        waiters.push(waiter);
        true
    }

    /// Something has changed, under the lock of the waiters, all of which are to be woken then.
    pub(crate) fn change(&self) {
        if mutated("gate.change") {
            return;
        }
        // ORDERING: changes under the lock only
        let n = self.0.load(Ordering::Relaxed).wrapping_add(1);
        let order = if mutated("gate.release") { Ordering::Relaxed } else { Ordering::Release };
        self.0.store(n, order); // ORDERING: pairs with seen
    }
}

#[cfg(not(loom))]
type List<W> = crate::malloc::vec::RtVec<W>;
#[cfg(loom)]
type List<W> = Vec<W>;

/// Who waits for one direction: mostly nobody or one.
pub(crate) struct Waiters<W: Copy> {
    first: Option<W>,
    more: List<W>,
}

impl<W: Copy + PartialEq> Waiters<W> {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Waiters { first: None, more: List::new() }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Waiters { first: None, more: List::new() }
    }

    fn push(&mut self, waiter: W) {
        match self.first {
            None => self.first = Some(waiter),
            Some(_) => self.more.push(waiter),
        }
    }

    /// Takes any one.
    pub(crate) fn pop(&mut self) -> Option<W> {
        self.first.take().or_else(|| self.more.pop())
    }

    /// Takes this one, which waits no more, if nobody has taken it yet.
    pub(crate) fn remove(&mut self, waiter: W) {
        if self.first == Some(waiter) {
            self.first = None;
        } else if let Some(i) = self.more.iter().position(|w| *w == waiter) {
            let last = self.more.len() - 1;
            self.more.swap(i, last);
            self.more.pop();
        }
    }

    #[cfg(not(loom))]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }
}
