//! Which of several wakers wakes a waiter: the word that they compete for.
//!
//! Something that waits may be woken by a partner on a channel, by its deadline, by a cancelled
//! context, by the closing of what it waits on: by whoever comes first, and by nobody else. Each
//! wait has a ticket, a number that is never used again, and a waker claims the ticket with the
//! number of its event:
//!
//! ```text
//!   begin: WAITING(t) ---claim(t, op)---> CLAIMED(t, op) ---begin---> WAITING(t + 1) ...
//!              |                              ^
//!              +--commit--> PARKED(t) --------+ claim(t, op)
//! ```
//! One claim succeeds. Its caller then owns the waiter: it may read and write what the waiter has
//! put on its stack for it, and must wake it afterwards (sched/wait.rs). The waiter does not go on
//! before that wake-up, unless it was itself the one that claimed (it gave up). A claim with an old
//! ticket fails, so entries that the waiter left behind in lists and heaps do no harm: the word
//! lies in memory that is never freed.
//!
//! A goroutine is first left and then woken, mostly. So the side that runs after it says in the
//! same word that its registers are saved (`commit`), and a claim of a parked one is also the right
//! to queue it. Only where the claim came before the commit do both meet at the park token
//! (park_state.rs): the hand-over may last, and the waiter must not run before it is done.
//!
//! # Memory orderings
//! * `claim` acquires what the waiter wrote before it published its ticket, and its saved context
//!   from `commit`; through the wake-up that follows it releases what the claimer wrote.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

/// Below the ticket: the operation's number, and above that the bit PARKED.
const TICKET_SHIFT: u32 = 24;
const PARKED: usize = 1 << 23;
const OP_MASK: usize = PARKED - 1;
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
    #[inline]
    pub(crate) fn begin(&self) -> usize {
        // ORDERING: owner-only while nobody knows the new ticket
        let ticket = (self.0.load(Ordering::Relaxed) >> TICKET_SHIFT).wrapping_add(1);
        let ticket =
            if mutated("ticket.reuse") { 1 } else { ticket & (usize::MAX >> TICKET_SHIFT) };
        // ORDERING: published with the ticket, by a list's lock or the like
        self.0.store(ticket << TICKET_SHIFT | WAITING, Ordering::Relaxed);
        ticket
    }

    /// The last ticket, claimed or not. By who begins them.
    #[cfg_attr(loom, allow(dead_code, reason = "models know their tickets"))]
    #[inline]
    pub(crate) fn last(&self) -> usize {
        self.0.load(Ordering::Relaxed) >> TICKET_SHIFT // ORDERING: the caller's own store
    }

    /// A waker, or the waiter that gives up: true for the first.
    #[inline]
    pub(crate) fn claim(&self, ticket: usize, op: usize) -> bool {
        // ORDERING: a no is final; else the exchange decides
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & !PARKED != ticket << TICKET_SHIFT | WAITING {
                return false;
            }
            if mutated("ticket.claim") {
                self.0.store(word | op, Ordering::Release);
                return true;
            }
            // ORDERING: Acquire: the waiter's data; Release: for `op`, which sees the claim
            match self.0.compare_exchange(word, word | op, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now, // parked meanwhile, or claimed
            }
        }
    }

    /// The new side of the switch: the waiter's registers are saved. False: it was claimed before,
    /// and the claimer will leave a park token.
    #[inline]
    pub(crate) fn commit(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed); // ORDERING: the exchange decides
        if mutated("ticket.commit") {
            self.0.store(word | PARKED, Ordering::Release);
            return true;
        }
        let order = if mutated("ticket.publish") { Ordering::Relaxed } else { Ordering::Release };
        word & OP_MASK == WAITING
            // ORDERING: pairs with claim
            && self.0.compare_exchange(word, word | PARKED, order, Ordering::Relaxed).is_ok()
    }

    /// Claimer: whether the waiter was parked when it was claimed, and so is the claimer's to
    /// queue.
    #[inline]
    pub(crate) fn was_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PARKED != 0 // ORDERING: what the own claim left
    }

    /// Whether nobody has claimed it yet: a hint for others, exact when it says no.
    #[inline]
    pub(crate) fn is_waiting(&self, ticket: usize) -> bool {
        // ORDERING: a hint
        self.0.load(Ordering::Relaxed) & !PARKED == ticket << TICKET_SHIFT | WAITING
    }

    /// The ticket that nobody has claimed yet, if there is one. While the same one is returned, the
    /// waiter has not gone on.
    pub(crate) fn unclaimed(&self) -> Option<usize> {
        let word = self.0.load(Ordering::Acquire); // ORDERING: a look from outside
        let waits = word & OP_MASK == WAITING || mutated("ticket.unclaimed");
        waits.then_some(word >> TICKET_SHIFT)
    }

    #[cfg_attr(loom, allow(dead_code, reason = "no model waits without one"))]
    /// Waiter: the ticket was only to show that it waits, and nobody else knows it.
    pub(crate) fn retire(&self, ticket: usize) {
        // ORDERING: owner-only, but for looks from outside
        self.0.store(ticket << TICKET_SHIFT | ABORTED, Ordering::Release);
    }

    /// Waiter, after the claim: who it was.
    #[inline]
    pub(crate) fn op(&self) -> usize {
        self.0.load(Ordering::Acquire) & OP_MASK // ORDERING: pairs with claim
    }
}
