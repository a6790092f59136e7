//! What a goroutine or a thread waits with. One in every G, one for each plain thread that waits,
//! one for each timer with a function, and for each wait of async code.
//!
//! # Invariants
//! * `PA1`: never freed; one wait at a time.

use super::G;
use super::key::Key;
use super::park_state::ParkState;
use super::ticket::{ABORTED, TicketWord};
use crate::atomic::{AtomicRef, AtomicUsize, Ordering};
use crate::sys::eventfd::EventFd;

/// The wait has a deadline: the low bit, which no object's address has.
pub(crate) const TIMED: usize = 1;
/// Nobody waits: at the address is what the runner is to do (time/fired.rs). Constant.
const RUNS: usize = 2;

pub(crate) struct Parker {
    pub(crate) ticket: TicketWord,
    /// For a claimer that comes before the goroutine is parked.
    pub(crate) park: ParkState,
    /// A plain thread's.
    pub(crate) key: Key,
    /// The same for one that waits in poll(2).
    pub(crate) eventfd: EventFd,
    /// The goroutine it belongs to; constant.
    gp: AtomicRef<G>,
    /// What is waited for, for reports: an address, 0 between waits and where there is none, and
    /// [`TIMED`].
    on: AtomicUsize,
}

impl Parker {
    pub(crate) const fn new() -> Parker {
        Parker {
            ticket: TicketWord::new(),
            park: ParkState::new(),
            key: Key::new(),
            eventfd: EventFd::new(),
            gp: AtomicRef::none(),
            on: AtomicUsize::new(0),
        }
    }

    /// Once, before the goroutine is first made.
    pub(crate) fn belongs_to(&self, gp: &'static G) {
        self.gp.set(Some(gp));
    }

    /// The goroutine it belongs to; `None`: a plain thread's.
    #[inline]
    pub(crate) fn g(&self) -> Option<&'static G> {
        self.gp.get()
    }

    /// See [`Wait::prefetch`].
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        let at = core::ptr::from_ref(self).cast::<u8>();
        crate::sys::prefetch(at);
        crate::sys::prefetch(at.wrapping_sub(64));
    }

    /// The new side of the switch: true if the goroutine stays parked.
    #[inline]
    pub(crate) fn commit(&self) -> bool {
        self.ticket.commit() || self.park.commit()
    }

    /// Wakes the plain thread it belongs to.
    pub(crate) fn wake_thread(&self) {
        self.key.wake();
        self.eventfd.wake();
    }

    #[inline]
    pub(crate) fn set_waits_on(&self, address: usize, timed: bool) {
        debug_assert_eq!(address & RUNS, 0);
        self.on.store(address | usize::from(timed), Ordering::Relaxed); // ORDERING: a report
    }

    /// For one that is nobody's: its wake-up is to do what lies at this address, a multiple of 4.
    pub(crate) fn set_runs(&self, what: usize) {
        self.on.store(what | RUNS, Ordering::Relaxed); // ORDERING: published with the first ticket
    }

    /// What was set so.
    pub(crate) fn runs(&self) -> Option<usize> {
        // ORDERING: the claim of the ticket acquires it
        let on = self.on.load(Ordering::Relaxed);
        (on & RUNS != 0).then_some(on & !RUNS)
    }

    /// The wait is over.
    #[inline]
    pub(crate) fn waits_no_more(&self) {
        self.on.store(0, Ordering::Relaxed); // ORDERING: a report
    }

    /// The address of what is waited for, and whether the wait has a deadline.
    pub(crate) fn waits_on(&self) -> (usize, bool) {
        let on = self.on.load(Ordering::Relaxed); // ORDERING: a report
        (on & !TIMED, on & TIMED != 0)
    }
}

impl PartialEq for Wait {
    fn eq(&self, other: &Wait) -> bool {
        core::ptr::eq(self.parker, other.parker) && self.ticket == other.ticket
    }
}

/// A ticket, and whose it is. Old ones may be kept anywhere: they are only good for failing.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) parker: &'static Parker,
    pub(crate) ticket: usize,
}

impl Wait {
    /// A new ticket of this parker.
    #[inline]
    pub(crate) fn of(parker: &'static Parker) -> Wait {
        Wait { parker, ticket: parker.ticket.begin() }
    }

    /// The last ticket of this parker, for who knows that nobody takes another one meanwhile.
    #[inline]
    pub(crate) fn last_of(parker: &'static Parker) -> Wait {
        Wait { parker, ticket: parker.ticket.last() }
    }

    /// Brings what a claimer touches into the cache: the ticket, and the line before, where a
    /// goroutine's context and status are.
    #[inline]
    pub(crate) fn prefetch(self) {
        self.parker.prefetch();
    }

    /// After a successful claim, when all is handed over: true if the goroutine is parked and the
    /// claimer's to queue. Else it has not left yet, and goes on by itself.
    #[inline]
    pub(crate) fn release(self) -> bool {
        self.parker.ticket.was_parked() || self.parker.park.notify()
    }

    /// A waker: true if this waiter is the caller's to wake. `op` is what its wait returns then.
    #[inline]
    pub(crate) fn claim(self, op: usize) -> bool {
        self.parker.ticket.claim(self.ticket, op)
    }

    /// Whether it has not been claimed yet. A no is final.
    pub(crate) fn is_waiting(self) -> bool {
        self.parker.ticket.is_waiting(self.ticket)
    }

    /// The waiter need not wait. False: a waker was faster, and it must wait for that one.
    pub(crate) fn abort(self) -> bool {
        self.claim(ABORTED)
    }
}

/// How many a P keeps at most.
const KEPT: usize = 16;

/// Parkers that are nobody's, last in first out: what a P has at hand for timers with a function
/// and for async code. The owner's (PP1); those of a P that goes away are there when it comes back.
pub(crate) struct Parkers {
    slots: [AtomicRef<Parker>; KEPT],
    n: AtomicUsize,
}

impl Parkers {
    pub(crate) const fn new() -> Self {
        Parkers { slots: [const { AtomicRef::none() }; KEPT], n: AtomicUsize::new(0) }
    }

    pub(crate) fn pop(&self) -> Option<&'static Parker> {
        let n = self.n.load(Ordering::Relaxed).checked_sub(1)?; // ORDERING: owner-only
        self.n.store(n, Ordering::Relaxed); // ORDERING: owner-only
        self.slots[n].get()
    }

    /// False: it is full.
    pub(crate) fn push(&self, parker: &'static Parker) -> bool {
        let n = self.n.load(Ordering::Relaxed); // ORDERING: owner-only
        let Some(slot) = self.slots.get(n) else { return false };
        slot.set(Some(parker));
        self.n.store(n + 1, Ordering::Relaxed); // ORDERING: owner-only
        true
    }
}
