//! The lock of a channel: a word that is spun on.
//!
//! It is held for some dozen instructions and one copy of a message, by code that the runtime does
//! not preempt, so its holder runs, unless the kernel took the CPU away from its thread. For that
//! case a waiter stops spinning and naps. Because naps end by themselves, unlocking need not look
//! whether anybody sleeps: it is a plain store, half the cost of a lock whose sleepers are woken.
//!
//! A waiter looks seldom: a look takes the line away from the holder, with all that is under the
//! lock, and two that look in turns pass it to and fro for each message. Who met the other by
//! chance finds the lock free at the second look. Who does not is one of several that do nothing
//! else: the longer it pauses then, the longer the batch that it leaves to the other.
//!
//! # Memory orderings
//! * `unlock` releases what the holder wrote to the Acquire of the next `lock`.
//!
//! # Rejected
//! A long first pause where somebody had to wait some microseconds ago: 6% faster where CPUs do
//! nothing else, 8% slower where they compute for a quarter of a microsecond in between. The same
//! where the lock was given up often since the last wait: to count that gained nothing.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
#[cfg(not(loom))]
use crate::sys::cputicks;

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
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        // ORDERING: pairs with unlock
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn lock_slow(&self) {
        let mut waiting = Waiting::begin();
        loop {
            // ORDERING: a look; the exchange decides
            if self.0.load(Ordering::Relaxed) == FREE {
                if self.try_lock() {
                    return;
                }
            } else if mutated("chan.lock") {
                return;
            }
            waiting.pause(self);
        }
    }

    /// The caller holds the lock.
    #[inline(always)]
    pub(crate) fn unlock(&self) {
        let order = if mutated("chan.unlock") { Ordering::Relaxed } else { Ordering::Release };
        self.0.store(FREE, order); // ORDERING: pairs with lock
    }
}

/// Pauses, in ticks of the CPU's counter, some of which are a nanosecond: after the first look,
/// after the second, and from then on. Not in `pause` instructions: those take 10 to 140 cycles.
#[cfg(not(loom))]
const FIRST: u64 = 1 << 9;
#[cfg(not(loom))]
const SECOND: u64 = 1 << 12;
#[cfg(not(loom))]
const LATER: u64 = 1 << 13;
/// After that the CPU is given away; some twenty microseconds.
#[cfg(not(loom))]
const SPIN: u64 = 1 << 16;
/// How often, before it naps: the holder's thread does not run.
#[cfg(not(loom))]
const YIELDS: u32 = 10;
#[cfg(not(loom))]
const NAP_NS: i64 = 50_000;

/// Of one who waits for a lock.
#[cfg(not(loom))]
struct Waiting {
    began: u64,
    pause: u64,
    yields: u32,
}

#[cfg(not(loom))]
impl Waiting {
    fn begin() -> Self {
        Waiting { began: cputicks(), pause: FIRST, yields: 0 }
    }

    fn pause(&mut self, lock: &Lock) {
        let now = cputicks();
        if now.wrapping_sub(self.began) < SPIN {
            while cputicks().wrapping_sub(now) < self.pause {
                core::hint::spin_loop();
            }
            self.pause = if self.pause == FIRST { SECOND } else { LATER };
        } else if self.yields < YIELDS {
            self.yields += 1;
            std::thread::yield_now();
        } else {
            crate::sys::futex::wait(&lock.0, HELD, Some(NAP_NS));
        }
    }
}

#[cfg(loom)]
struct Waiting;

#[cfg(loom)]
impl Waiting {
    fn begin() -> Self {
        Waiting
    }

    fn pause(&mut self, _: &Lock) {
        loom::thread::yield_now();
    }
}
