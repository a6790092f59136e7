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
//! # Tries that are not made
//! A TCP read that got less than it asked for has emptied the socket. The next one would only be
//! told so, at the price of a third system call for each request of a server's. So it waits at
//! once, if nothing has changed since before the last one (`used_up`). That is sound because what
//! comes later is a change of its own. What was there already, behind the data, is none: the end of
//! the stream, an error, urgent data, at which a read stops short. But the kernel says that with
//! the event which brought the data, for it looks when it reports; from then on every read is
//! tried ([`Behind::Maybe`]).
//!
//! # Memory orderings
//! * The count's Acquire load in `seen` pairs with the Release store in `change`: who sees the new
//!   count sees the change. An old count is only a try more.
//!
//! Rejected: one waiter and a lock around it, as Go: the second reader of a socket, and the second
//! acceptor, would wait for the lock, with a deadline of its own. A set of ready bits: they have to
//! be cleared before each try, by one reader at a time.

use crate::atomic::{AtomicU32, AtomicUsize, Ordering, const_unless_loom, mutated};

pub(crate) struct Gate {
    /// How often this direction has changed.
    count: AtomicUsize,
    /// The count at which a try used up what was there; `NEVER`: none is known to have.
    used_up: AtomicUsize,
    /// 1: tries have to be made.
    behind: AtomicU32,
}

/// Whether there may be something behind the data which a change is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    Maybe,
}

const NEVER: usize = usize::MAX;

impl Gate {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Gate {
                count: AtomicUsize::new(0),
                used_up: AtomicUsize::new(NEVER),
                behind: AtomicU32::new(0),
            }
        }
    }

    /// For another descriptor, under the lock.
    #[cfg(not(loom))]
    pub(crate) fn reset(&self) {
        self.behind.store(0, Ordering::Relaxed); // ORDERING: under the lock, nobody waits
        self.used_up.store(NEVER, Ordering::Relaxed); // ORDERING: under the lock, nobody waits
    }

    /// Whether a try is known to find nothing.
    #[inline(always)]
    pub(crate) fn is_used_up(&self, seen: usize) -> bool {
        self.used_up.load(Ordering::Relaxed) == seen // ORDERING: an old one is another count
    }

    /// A try before which `seen` was noted has used up what was there.
    #[inline(always)]
    pub(crate) fn use_up(&self, seen: usize) {
        // ORDERING: no older than the count that `seen` has returned
        if self.behind.load(Ordering::Relaxed) == 0 {
            self.used_up.store(seen, Ordering::Relaxed); // ORDERING: see is_used_up
        }
    }

    /// Before a try.
    #[inline(always)]
    pub(crate) fn seen(&self) -> usize {
        let order = if mutated("gate.seen") { Ordering::Relaxed } else { Ordering::Acquire };
        self.count.load(order) // ORDERING: pairs with change
    }

    /// After a try that found nothing, under the lock of `waiters`. False: try again.
    pub(crate) fn join<W: Copy + PartialEq>(
        &self,
        seen: usize,
        waiters: &mut Waiters<W>,
        waiter: W,
    ) -> bool {
        // ORDERING: changes under the lock only
        if self.count.load(Ordering::Relaxed) != seen && !mutated("gate.join") {
            return false;
        }
        waiters.push(waiter);
        true
    }

    /// Something has changed, under the lock of the waiters, all of which are to be woken then.
    pub(crate) fn change(&self, behind: Behind) {
        if mutated("gate.change") {
            return;
        }
        if behind == Behind::Maybe && !mutated("gate.behind") {
            self.behind.store(1, Ordering::Relaxed); // ORDERING: before the count
        }
        // ORDERING: changes under the lock only
        let n = self.count.load(Ordering::Relaxed).wrapping_add(1);
        let order = if mutated("gate.release") { Ordering::Relaxed } else { Ordering::Release };
        self.count.store(n, order); // ORDERING: pairs with seen
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

    /// Takes all.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn take_all(&mut self, mut take: impl FnMut(W)) {
        if let Some(waiter) = self.first.take() {
            take(waiter);
        }
        if !self.more.is_empty() {
            self.take_more(&mut take);
        }
    }

    #[cfg(not(loom))]
    #[cold]
    fn take_more(&mut self, take: &mut impl FnMut(W)) {
        while let Some(waiter) = self.more.pop() {
            take(waiter);
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
