//! Who runs without a P, and by what right (hogs.rs).
//!
//! ```text
//!            take (the M)        sweep            sweep
//!      NONE --------------> SEAT ------> OLD_SEAT ------> HOG
//!        |                                                 ^
//!        +-----------> SEEN -------------------------------+
//!           sweep                       sweep
//! ```
//! A seat is the right to run without a P for a moment; few are given. A hog has none: sysmon's
//! sweeps have seen it compute. One that is seen asleep goes a step to the left. From each state
//! the M goes back to NONE, on its way into a call or into the runtime.
//!
//! Seats and hogs are counted. Each change of a count belongs to one step, and is made by whoever
//! made the step: that is why each is an atomic exchange, although nothing is handed over by it
//! and all orderings are relaxed.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

const NONE: u32 = 0;
const SEAT: u32 = 1;
const OLD_SEAT: u32 = 2;
const SEEN: u32 = 3;
const HOG: u32 = 4;

/// An M's state.
pub(crate) struct Standing(AtomicU32);

impl Standing {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Standing(AtomicU32::new(NONE))
        }
    }

    fn step(&self, from: u32, to: u32) -> bool {
        if mutated("census.step") {
            self.0.store(to, Ordering::Relaxed);
            return true;
        }
        // ORDERING: see the head of this file
        self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What a sweep sees of an M that runs without a P.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was not seen since it lost its P.
    First,
    FirstOnSeat,
    Again,
    AgainOnSeat,
}

pub(crate) struct Census {
    seats: AtomicU32,
    /// Below 0, for a moment, when an M is faster than the count of it.
    hogs: AtomicU32,
}

impl Census {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Census { seats: AtomicU32::new(0), hogs: AtomicU32::new(0) }
        }
    }

    /// The M, which was in a call: true if it has a seat now, because fewer than `most` are taken.
    pub(crate) fn take_seat(&self, m: &Standing, most: u32) -> bool {
        let mut taken = self.seats();
        loop {
            if taken >= most {
                return false;
            }
            if mutated("census.take_seat") {
                self.seats.store(taken + 1, Ordering::Relaxed);
                break;
            }
            let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed); // ORDERING: a count
            match self.seats.compare_exchange(taken, taken + 1, set, fetch) {
                Ok(_) => break,
                Err(now) => taken = now,
            }
        }
        self.forget(m.0.swap(SEAT, Ordering::Relaxed)); // ORDERING: see the head of this file
        true
    }

    /// The M goes into a call or into the runtime.
    #[inline]
    pub(crate) fn end(&self, m: &Standing) {
        // ORDERING: if sysmon makes a step from NONE now, the next sweep or `end` takes it back
        if m.0.load(Ordering::Relaxed) != NONE {
            self.forget(m.0.swap(NONE, Ordering::Relaxed)); // ORDERING: see the head of this file
        }
    }

    /// sysmon's sweep finds the M running without a P.
    pub(crate) fn seen(&self, m: &Standing) -> Seen {
        // ORDERING: the steps decide
        match m.0.load(Ordering::Relaxed) {
            NONE if m.step(NONE, SEEN) => Seen::First,
            SEAT if m.step(SEAT, OLD_SEAT) => Seen::FirstOnSeat,
            OLD_SEAT => Seen::AgainOnSeat,
            _ => Seen::Again,
        }
    }

    /// It has computed since it was seen first.
    pub(crate) fn is_hog(&self, m: &Standing) {
        let state = m.0.load(Ordering::Relaxed); // ORDERING: the steps decide
        if matches!(state, OLD_SEAT | SEEN) && m.step(state, HOG) {
            self.forget(state);
            self.hogs.fetch_add(1, Ordering::Relaxed); // ORDERING: a count
        }
    }

    /// sysmon's sweep finds that it does not run, or with a P.
    pub(crate) fn not_seen(&self, m: &Standing) {
        // ORDERING: the steps decide
        let state = m.0.load(Ordering::Relaxed);
        let back = match state {
            SEAT => OLD_SEAT,
            HOG => SEEN,
            _ => NONE,
        };
        if state != back && m.step(state, back) && back != OLD_SEAT {
            self.forget(state);
        }
    }

    /// An M has left `state`.
    fn forget(&self, state: u32) {
        let count = match state {
            SEAT | OLD_SEAT => &self.seats,
            HOG => &self.hogs,
            _ => return,
        };
        count.fetch_sub(1, Ordering::Relaxed); // ORDERING: a count
    }

    pub(crate) fn seats(&self) -> u32 {
        self.seats.load(Ordering::Relaxed) // ORDERING: a hint, or a first guess
    }

    pub(crate) fn hogs(&self) -> u32 {
        self.hogs.load(Ordering::Relaxed).cast_signed().max(0).cast_unsigned() // ORDERING: a hint
    }
}
