//! The word of a runtime lock: who holds it, and whether somebody may sleep for it.
//!
//! ```text
//!           lock                lock, while held
//!   FREE ----------> HELD ------------------------> SLEEPING
//!     ^                |                               |
//!     +----------------+-------------------------------+
//!        unlock; from SLEEPING it wakes one
//! ```
//! Whoever came through `lock_slow` leaves SLEEPING behind although nobody may sleep: it cannot
//! know, and a wake-up too many costs less than one too few.
//!
//! # Memory orderings
//! * `unlock` releases what the holder wrote to the Acquire of the next `lock`.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sys::futex;

const FREE: u32 = 0;
const HELD: u32 = 1;
const SLEEPING: u32 = 2;
/// Spins of 30 pauses each before sleeping: Go's active_spin.
const SPINS: u32 = if cfg!(loom) { 1 } else { 4 };

pub(crate) struct Word(AtomicU32);

impl Word {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Word(AtomicU32::new(FREE))
        }
    }

    #[inline]
    pub(crate) fn lock(&self) {
        // ORDERING: pairs with the swap in unlock
        let quick = self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if quick.is_err() {
            self.lock_slow();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        for _ in 0..SPINS {
            pause();
            // ORDERING: pairs with the swap in unlock
            let r = self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
            if r.is_ok() {
                return;
            }
        }
        let mark = if mutated("mutex.mark") { HELD } else { SLEEPING };
        // ORDERING: pairs with the swap in unlock
        while self.0.swap(mark, Ordering::Acquire) != FREE {
            futex::wait(&self.0, mark, None);
        }
    }

    /// The caller holds the lock.
    #[inline]
    pub(crate) fn unlock(&self) {
        let order = if mutated("mutex.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with lock
        if self.0.swap(FREE, order) == SLEEPING && !mutated("mutex.wake") {
            futex::wake(&self.0, 1);
        }
    }
}

fn pause() {
    #[cfg(not(loom))]
    for _ in 0..30 {
        core::hint::spin_loop();
    }
}
