//! Seats: the right to run without a P for a moment, of which there are few (sched/hogs.rs).
//!
//! ```text
//!   FREE --take (the M)--> TAKEN --age--> OLD
//!    ^                       |             |
//!    +----- leave (the M) ---+-------------+ age
//! ```
//! An M takes a seat on its way out of a call and leaves it on its way into the next one, or into
//! the runtime. sysmon's sweeps make it older, and the second one takes it away: whoever computes
//! that long is a hog. A seat is counted once, and given back once, by whoever turned it FREE.
//!
//! All orderings are relaxed: nothing is handed over with a seat.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const OLD: u32 = 2;

/// An M's seat.
pub(crate) struct Seat(AtomicU32);

impl Seat {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Seat(AtomicU32::new(FREE))
        }
    }
}

/// How many are taken.
pub(crate) struct Seats(AtomicU32);

impl Seats {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Seats(AtomicU32::new(0))
        }
    }

    /// The M, whose seat is free: true if it has it now, because fewer than `most` were taken.
    pub(crate) fn take(&self, seat: &Seat, most: u32) -> bool {
        let mut taken = self.taken();
        loop {
            if taken >= most {
                return false;
            }
            if mutated("seats.take") {
                self.0.store(taken + 1, Ordering::Relaxed);
                break;
            }
            // ORDERING: a count
            let up =
                self.0.compare_exchange(taken, taken + 1, Ordering::Relaxed, Ordering::Relaxed);
            match up {
                Ok(_) => break,
                Err(now) => taken = now,
            }
        }
        seat.0.store(TAKEN, Ordering::Relaxed); // ORDERING: see the head of this file
        true
    }

    /// The M: it needs no seat, whether it has one or not.
    #[inline]
    pub(crate) fn leave(&self, seat: &Seat) {
        // ORDERING: nobody but the M takes its seat
        if seat.0.load(Ordering::Relaxed) != FREE {
            self.free(seat);
        }
    }

    /// sysmon: whether the M has had its seat for less than two sweeps, of which this is one.
    pub(crate) fn age(&self, seat: &Seat) -> bool {
        // ORDERING: the CAS decides
        match seat.0.load(Ordering::Relaxed) {
            FREE => false,
            TAKEN => {
                // ORDERING: see the head of this file; if it fails the M was faster
                let _ = seat.0.compare_exchange(TAKEN, OLD, Ordering::Relaxed, Ordering::Relaxed);
                true
            }
            _ => {
                self.free(seat);
                false
            }
        }
    }

    fn free(&self, seat: &Seat) {
        let was = if mutated("seats.free") {
            let was = seat.0.load(Ordering::Relaxed);
            seat.0.store(FREE, Ordering::Relaxed);
            was
        } else {
            seat.0.swap(FREE, Ordering::Relaxed) // ORDERING: see the head of this file
        };
        if was != FREE {
            self.0.fetch_sub(1, Ordering::Relaxed); // ORDERING: a count
        }
    }

    pub(crate) fn taken(&self) -> u32 {
        self.0.load(Ordering::Relaxed) // ORDERING: a hint, or take's first guess
    }
}
