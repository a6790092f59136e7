//! Who waits on a channel: a list through the stacks of those who wait.
//!
//! Go: `waitq`, `sudog`. A waiter makes an [`Entry`] on its stack, with its ticket (g/ticket.rs)
//! and the place of its message, and links it under the channel's lock. A partner takes the first
//! entry whose ticket it can claim ([`Queue::claim_first`]). From then on the waiter is the
//! partner's ([`Claimed`]): it moves the message between the two stacks, without the lock if it
//! likes, says how it ended, and wakes it. Who was woken by something else (a deadline, another
//! channel of a select) takes its entry out itself, under the lock.
//!
//! Not generic over the message: what lies at `slot` is the business of shared.rs.
//!
//! # Invariants
//! * `QU1`: an entry that is linked is alive, and so are the entries that it points to: its owner
//!   does not return before it has taken it out under the lock, or somebody claimed it, took it out
//!   and woke it.
//! * `QU2`: links and `queued` are touched under the channel's lock only; in a [`Chain`], by who
//!   claimed the entries.
//! * `QU3`: `outcome` and `partner` are written by who claimed the entry, before the wake-up, and
//!   read by the owner after it.
//!
//! # Safety
//! Pointers to entries are followed under the lock (QU1, QU2), or by who claimed the entry, which
//! is alive until its owner is woken.

#![allow(unsafe_code, reason = "QU1: entries outlive their time in a queue")]

use crate::atomic::mutated;
use core::ptr;
#[cfg(loom)]
use loom::cell::Cell;
#[cfg(not(loom))]
use std::cell::Cell;

/// What a queue has to know of a ticket.
pub(crate) trait Ticket: Copy {
    /// True if the waiter is now the caller's to wake.
    fn claim(self, op: usize) -> bool;
    /// Whether nobody has claimed it yet.
    fn is_waiting(self) -> bool;
    /// Whether both are of one waiter.
    fn same(self, other: Self) -> bool;
}

/// How a wait on a channel ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Not yet.
    Waiting,
    /// The message has been moved.
    Done,
    /// The channel is closed; a message that was to be sent is where it was.
    Closed,
    /// A send of a select: a place in the buffer is kept for its message.
    Reserved,
    /// A send of a select: `partner` waits for its message.
    Paired,
    /// The partner changed its mind: start again.
    Retry,
}

/// In this order, no two words that begin as zero are neighbours: the compiler would clear two by
/// one vector instruction, and the first of those after a switch was seen to wait for the control
/// words that the switch loads.
#[repr(C)]
pub(crate) struct Entry<W> {
    next: Cell<*const Entry<W>>,
    /// What the claimer claims the ticket with.
    op: usize,
    prev: Cell<*const Entry<W>>,
    /// Where the message is, or is to go. Null: it is not there yet (a send of a select).
    slot: *mut u8,
    partner: Cell<*const Entry<W>>,
    pub(crate) wait: W,
    /// Of a select's entry: the channel's name, `place::NOBODY`, or 0: for reports.
    pub(crate) on: Cell<usize>,
    queued: Cell<bool>,
    outcome: Cell<Outcome>,
}

impl<W: Ticket> Entry<W> {
    pub(crate) fn new(wait: W, op: usize, slot: *mut u8) -> Self {
        Entry {
            next: Cell::new(ptr::null()),
            op,
            prev: Cell::new(ptr::null()),
            slot,
            partner: Cell::new(ptr::null()),
            wait,
            on: Cell::new(0),
            queued: Cell::new(false),
            outcome: Cell::new(Outcome::Waiting),
        }
    }

    /// Owner, after the wake-up (QU3).
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.get()
    }

    /// Owner, after a wake-up with `Paired`: the one that waits for the message.
    pub(crate) fn partner(&self) -> Claimed<W> {
        Claimed(self.partner.get())
    }

    /// The owner has claimed its own ticket, and waits for the one it was paired with.
    pub(crate) fn claim_self(&self) {
        if !self.wait.claim(self.op) {
            crate::throw::throw("chan: a ticket that nobody knows is claimed");
        }
    }
}

/// A waiter that the caller owns: it has to end with `finish` or `pair`, and with a wake-up of the
/// ticket that these return.
pub(crate) struct Claimed<W>(*const Entry<W>);

impl<W> Clone for Claimed<W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Claimed<W> {}

impl<W: Ticket> Claimed<W> {
    fn entry(&self) -> &Entry<W> {
        // SAFETY: QU1: claimed and not woken yet.
        unsafe { &*self.0 }
    }

    /// Where its message is, or is to go; null if it has none yet.
    pub(crate) fn slot(&self) -> *mut u8 {
        self.entry().slot
    }

    /// The wait is over. The entry may be gone as soon as the ticket is woken.
    pub(crate) fn finish(self, outcome: Outcome) -> W {
        self.entry().outcome.set(outcome);
        self.entry().wait
    }

    /// The wait is over: the message is for `partner`, which waits for nothing else.
    pub(crate) fn pair(self, partner: &Entry<W>) -> W {
        self.entry().partner.set(partner);
        self.finish(Outcome::Paired)
    }
}

/// One word, so that what is under a channel's lock fits into the cache line of the lock: the last
/// entry is found by the first.
pub(crate) struct Queue<W> {
    /// The first, whose `prev` is the last; null: there is none. QU2
    head: *const Entry<W>,
}

// SAFETY: QU2: the lock around a queue protects all entries that are linked from it.
unsafe impl<W: Send> Send for Queue<W> {}

impl<W: Ticket> Queue<W> {
    pub(crate) const fn new() -> Self {
        Queue { head: ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Links `e` at the end.
    ///
    /// # Safety
    /// Under the lock; the caller keeps QU1.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, e: &Entry<W>) {
        e.next.set(ptr::null());
        e.queued.set(true);
        // SAFETY: QU1
        let Some(first) = (unsafe { self.head.as_ref() }) else {
            e.prev.set(e);
            self.head = e;
            return;
        };
        let last = first.prev.replace(e);
        e.prev.set(last);
        // SAFETY: QU1
        unsafe { &*last }.next.set(e);
    }

    /// Takes `e` out, if nobody has.
    ///
    /// # Safety
    /// Under the lock; `e` was linked here and nowhere else.
    pub(crate) unsafe fn remove(&mut self, e: &Entry<W>) {
        if !e.queued.get() || mutated("chan.remove") {
            return;
        }
        if ptr::eq(self.head, e) {
            self.pop();
            return;
        }
        e.queued.set(false);
        let (prev, next) = (e.prev.get(), e.next.get());
        // SAFETY: QU1: it is not the first, so there is one before it
        unsafe { &*prev }.next.set(next);
        // Behind the last there is the first, in this respect.
        let behind = if next.is_null() { self.head } else { next };
        // SAFETY: QU1
        unsafe { &*behind }.prev.set(prev);
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<&Entry<W>> {
        // SAFETY: QU1, under the lock (`&mut self`)
        let e = unsafe { self.head.as_ref() }?;
        self.head = e.next.get();
        // SAFETY: QU1
        if let Some(first) = unsafe { self.head.as_ref() } {
            first.prev.set(e.prev.get());
        }
        e.queued.set(false);
        Some(e)
    }

    /// Takes the first waiter that nothing else has woken.
    #[inline]
    pub(crate) fn claim_first(&mut self) -> Option<Claimed<W>> {
        loop {
            let e = self.pop()?;
            if e.wait.claim(e.op) || mutated("chan.claim") {
                return Some(Claimed(e));
            }
        }
    }

    /// Takes all of them; each ends with `outcome`.
    pub(crate) fn claim_all(&mut self, outcome: Outcome, chain: &mut Chain<W>) {
        while let Some(claimed) = self.claim_first() {
            let e = claimed.entry();
            e.outcome.set(outcome);
            e.next.set(chain.0);
            chain.0 = e;
        }
    }

    /// Whether somebody waits here, other than `but`.
    pub(crate) fn any_waiting(&self, but: Option<W>) -> bool {
        let mut at = self.head;
        // SAFETY: QU1, under the lock
        while let Some(e) = unsafe { at.as_ref() } {
            if e.wait.is_waiting() && !but.is_some_and(|own| own.same(e.wait)) {
                return true;
            }
            at = e.next.get();
        }
        false
    }
}

/// Waiters that were claimed under the lock, to be woken without it.
#[must_use]
pub(crate) struct Chain<W>(*const Entry<W>);

impl<W: Ticket> Chain<W> {
    pub(crate) const fn new() -> Self {
        Chain(ptr::null())
    }

    #[inline]
    pub(crate) fn wake_each(self, mut wake: impl FnMut(W)) {
        let mut at = self.0;
        // SAFETY: QU1: claimed by this chain's maker and not woken yet
        while let Some(e) = unsafe { at.as_ref() } {
            at = e.next.get(); // before the wake-up, after which the entry may be gone
            wake(e.wait);
        }
    }
}
