//! Which of several wakers wakes a waiter: the word that they compete for.
//!
//! Something that waits may be woken by a partner on a channel, by its deadline, by a cancelled
//! context, by the closing of what it waits on: by whoever comes first, and by nobody else. Each
//! wait has a ticket, a number that is never used again, and a waker claims the ticket with the
//! number of its event:
//!
//! ```text
//!   begin: WAITING(t) ---claim(t, op)---> CLAIMED(t, op) ---begin---> WAITING(t + 1) ...
//! ```
//! One claim succeeds. Its caller then owns the waiter: it may read and write what the waiter has
//! put on its stack for it, and must wake it afterwards (sched/wait.rs). The waiter does not go on
//! before that wake-up, unless it was itself the one that claimed (it gave up). A claim with an old
//! ticket fails, so entries that the waiter left behind in lists and heaps do no harm: the word
//! lies in memory that is never freed.
//!
//! # Memory orderings
//! * `claim` acquires what the waiter wrote before it published its ticket, and through the wake-up
//!   that follows releases what the claimer wrote.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

/// Bits of the operation's number.
const OP_BITS: u32 = 24;
const OP_MASK: usize = (1 << OP_BITS) - 1;
const WAITING: usize = 0;

/// Operations that every wait knows; those of its user begin at [`FIRST_OP`].
pub(crate) const TIMEOUT: usize = 1;
/// The waiter itself: there is no need to wait any more.
pub(crate) const ABORTED: usize = 2;
/// The context that the wait was under has ended.
pub(crate) const CANCELLED: usize = 3;
pub(crate) const FIRST_OP: usize = 4;
#[cfg_attr(loom, allow(dead_code, reason = "no model has so many"))]
/// The largest number of an operation.
pub(crate) const LAST_OP: usize = OP_MASK;

pub(crate) struct TicketWord(AtomicUsize);

impl TicketWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            TicketWord(AtomicUsize::new(ABORTED))
        }
    }

    /// Waiter: a new ticket. The last one has been claimed.
    pub(crate) fn begin(&self) -> usize {
        // ORDERING: owner-only while nobody knows the new ticket
        let ticket = (self.0.load(Ordering::Relaxed) >> OP_BITS).wrapping_add(1);
        let ticket = if mutated("ticket.reuse") { 1 } else { ticket & (usize::MAX >> OP_BITS) };
        // ORDERING: published with the ticket, by a list's lock or the like
        self.0.store(ticket << OP_BITS | WAITING, Ordering::Relaxed);
        ticket
    }

    /// A waker, or the waiter that gives up: true for the first.
    pub(crate) fn claim(&self, ticket: usize, op: usize) -> bool {
        let waiting = ticket << OP_BITS | WAITING;
        if mutated("ticket.claim") {
            let free = self.0.load(Ordering::Acquire) == waiting;
            self.0.store(ticket << OP_BITS | op, Ordering::Release);
            return free;
        }
        // ORDERING: Acquire: the waiter's data; Release: for `op`, which sees the claim
        let r = self.0.compare_exchange(
            waiting,
            ticket << OP_BITS | op,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        r.is_ok()
    }

    #[cfg_attr(loom, allow(dead_code, reason = "no model looks from outside"))]
    /// Whether nobody has claimed it yet: a hint for others, exact when it says no.
    pub(crate) fn is_waiting(&self, ticket: usize) -> bool {
        self.0.load(Ordering::Relaxed) == ticket << OP_BITS | WAITING // ORDERING: a hint
    }

    #[cfg_attr(loom, allow(dead_code, reason = "no model looks from outside"))]
    /// The ticket that nobody has claimed yet, if there is one. While the same one is returned, the
    /// waiter has not gone on.
    pub(crate) fn unclaimed(&self) -> Option<usize> {
        let word = self.0.load(Ordering::Acquire); // ORDERING: a look from outside
        (word & OP_MASK == WAITING).then_some(word >> OP_BITS)
    }

    /// Waiter: the ticket was only to show that it waits, and nobody else knows it.
    pub(crate) fn retire(&self, ticket: usize) {
        // ORDERING: owner-only, but for looks from outside
        self.0.store(ticket << OP_BITS | ABORTED, Ordering::Release);
    }

    /// Waiter, after the claim: who it was.
    pub(crate) fn op(&self) -> usize {
        self.0.load(Ordering::Acquire) & OP_MASK // ORDERING: pairs with claim
    }
}
