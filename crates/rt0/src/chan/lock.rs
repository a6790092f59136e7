//! The lock of a channel: a word that is spun on.
//!
//! It is held for some dozen instructions and one copy of a message, by code that the runtime does
//! not preempt, so its holder runs, unless the kernel took the CPU away from its thread. For that
//! case a waiter stops spinning and naps. Because naps end by themselves, unlocking need not look
//! whether anybody sleeps: it is a plain store, half the cost of a lock whose sleepers are woken.
//!
//! # Memory orderings
//! * `unlock` releases what the holder wrote to the Acquire of the next `lock`.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

const FREE: u32 = 0;
const HELD: u32 = 1;

pub(crate) struct Lock(AtomicU32);

impl Lock {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Lock(AtomicU32::new(FREE))
        }
    }

    #[inline(always)]
    pub(crate) fn lock(&self) {
        // ORDERING: pairs with unlock
        let quick = self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if quick.is_err() {
            self.lock_slow();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        let mut tries = 0;
        loop {
            // ORDERING: a look; the exchange decides
            if self.0.load(Ordering::Relaxed) == FREE {
                // ORDERING: pairs with unlock
                let r = self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
                if r.is_ok() {
                    return;
                }
            } else if mutated("chan.lock") {
                return;
            }
            tries += 1;
            self.pause(tries);
        }
    }

    /// The caller holds the lock.
    #[inline(always)]
    pub(crate) fn unlock(&self) {
        let order = if mutated("chan.unlock") { Ordering::Relaxed } else { Ordering::Release };
        self.0.store(FREE, order); // ORDERING: pairs with lock
    }

    #[cfg(not(loom))]
    fn pause(&self, tries: u32) {
        match tries {
            0..SPINS => (0..LEAST << tries.min(4)).for_each(|_| core::hint::spin_loop()),
            SPINS..YIELDS => std::thread::yield_now(),
            _ => crate::sys::futex::wait(&self.0, HELD, Some(NAP_NS)),
        }
    }

    #[cfg(loom)]
    fn pause(&self, _tries: u32) {
        loom::thread::yield_now();
    }
}

/// Half of the first pause. Not less: a look takes the line away from the holder, with all that is
/// under the lock, and two that look in turns pass it to and fro for each message. Who pauses
/// longer finds the lock free mostly, and leaves the other a batch.
#[cfg(not(loom))]
const LEAST: u32 = 8;
/// Looks at the word before the CPU is given away; some microseconds.
#[cfg(not(loom))]
const SPINS: u32 = 30;
/// From here on it naps: the holder's thread does not run.
#[cfg(not(loom))]
const YIELDS: u32 = 40;
#[cfg(not(loom))]
const NAP_NS: i64 = 50_000;
