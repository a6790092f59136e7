//! Holding all threads of the process still at once, whatever they do.
//!
//! One looks. It begins a round, signals every other thread, and each one's handler says that it
//! has arrived, and with what stack pointer, and waits until the round is over. The handler touches
//! nothing else, so a thread may be held anywhere, with any lock.
//!
//! ```text
//!   who looks                                  a thread's handler
//!   1. begin: nobody is inside; no arrivals;   1. inside + 1
//!      round odd                               2. round even: inside - 1, return
//!   2. signal; has(tid) of everybody           3. a place of its own: sp; then round and tid
//!   3. look                                    4. while the round is the same: sleep
//!   4. end: round even                         5. inside - 1, return
//! ```
//! # Invariants
//! * `ST1`: one looks at a time.
//! * `ST2`: a place is written by one handler a round: it begins when no handler is inside, and one
//!   that comes then finds either the even round or the new one.
//! * `ST3`: a place that has the round's number and a thread's is that of a handler which does not
//!   return in this round.

use crate::atomic::{AtomicU32, AtomicUsize, Ordering, fence, mutated};

/// Of threads that can be held.
#[cfg(not(loom))]
const PLACES: usize = 4096;
#[cfg(loom)]
const PLACES: usize = 2;

struct Place {
    /// The round above, the thread's id below.
    who: AtomicUsize, // ST2
    sp: AtomicUsize,    // ST2
    frame: AtomicUsize, // ST2
}

/// What a thread that is held left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arrival {
    /// Where it was interrupted.
    pub(crate) sp: usize,
    /// The handler's frame, below the context that the kernel saved.
    pub(crate) frame: usize,
}

pub(crate) struct Still {
    /// Odd: threads are held.
    round: AtomicU32,
    /// Handlers between their first and their last step.
    inside: AtomicU32,
    arrived: AtomicUsize,
    places: [Place; PLACES],
}

impl Still {
    /// As zeroed memory is, which is where the real one lives (debug/still.rs).
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        let places = core::array::from_fn(|_| Place {
            who: AtomicUsize::new(0),
            sp: AtomicUsize::new(0),
            frame: AtomicUsize::new(0),
        });
        Still {
            round: AtomicU32::new(0),
            inside: AtomicU32::new(0),
            arrived: AtomicUsize::new(0),
            places,
        }
    }

    /// Begins a round (ST1). False: handlers of the last one are not through.
    pub(crate) fn begin(&self) -> bool {
        // ORDERING: after the last round's end; pairs with arrive: it sees that, or is seen here
        fence(Ordering::SeqCst);
        // ORDERING: pairs with leave
        if self.inside.load(Ordering::Acquire) != 0 && !mutated("still.inside") {
            return false;
        }
        self.arrived.store(0, Ordering::Relaxed); // ORDERING: published by the round
        self.round.fetch_add(1, Ordering::Release); // ORDERING: pairs with arrive
        true
    }

    /// The handler: the round it is held in.
    pub(crate) fn arrive(&self, tid: u32, at: Arrival) -> Option<u32> {
        self.inside.fetch_add(1, Ordering::Relaxed); // ORDERING: the fence here
        fence(Ordering::SeqCst); // ORDERING: pairs with begin: raised before the round is read
        let round = self.round.load(Ordering::Acquire); // ORDERING: pairs with begin
        if round.is_multiple_of(2) {
            self.leave();
            return None;
        }
        // ORDERING: a number of its own
        if let Some(place) = self.places.get(self.arrived.fetch_add(1, Ordering::Relaxed)) {
            place.sp.store(at.sp, Ordering::Relaxed); // ORDERING: published by who
            place.frame.store(at.frame, Ordering::Relaxed); // ORDERING: published by who
            // ORDERING: pairs with has
            place.who.store((round as usize) << 32 | tid as usize, Ordering::Release);
        }
        Some(round)
    }

    /// The handler, held in `round`: whether it has to stay.
    pub(crate) fn stays(&self, round: u32) -> bool {
        let order = if mutated("still.stays") { Ordering::Relaxed } else { Ordering::Acquire };
        self.round.load(order) == round // ORDERING: pairs with end: who looked has done so
    }

    /// The handler's last step.
    pub(crate) fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::Release); // ORDERING: pairs with begin
    }

    /// What the thread left, if it is held (ST3).
    pub(crate) fn has(&self, tid: u32) -> Option<Arrival> {
        let round = self.round.load(Ordering::Relaxed); // ORDERING: ST1: this one's own
        let who = (round as usize) << 32 | tid as usize;
        // ORDERING: pairs with arrive
        let place = self.places.iter().find(|place| place.who.load(Ordering::Acquire) == who)?;
        // ORDERING: published by who
        let [sp, frame] = [&place.sp, &place.frame].map(|w| w.load(Ordering::Relaxed));
        Some(Arrival { sp, frame })
    }

    /// Lets all go on.
    pub(crate) fn end(&self) {
        // ORDERING: pairs with stays: what was looked at is not any more
        self.round.fetch_add(1, Ordering::Release);
    }

    /// What handlers sleep on: the round.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.round
    }
}
