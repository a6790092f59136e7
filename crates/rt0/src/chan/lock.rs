//! The lock of a channel: a word that is spun on.
//!
//! It is held for some dozen instructions and one copy of a message, by code that the runtime does
//! not preempt, so its holder runs, unless the kernel took the CPU away from its thread. For that
//! case a waiter stops spinning and naps. Because naps end by themselves, unlocking need not look
//! whether anybody sleeps: it is a plain store, half the cost of a lock whose sleepers are woken.
//!
//! A waiter looks seldom: a look takes the line away from the holder, with all that is under the
//! lock, and two that look in turns pass it to and fro for each message. A lock that is found free
//! says little: who does nothing else than send has given it up at half of all looks, to take it
//! again at once. So `unlock` counts, and a waiter tells by the count whom it met. One that met the
//! other by chance sees it once or twice more in a short pause, and takes the lock as soon as it is
//! free. One that sees it oftener leaves the other a batch of messages, though the lock be free;
//! then the next one, while it goes on like that; then it has its own.
//!
//! # Memory orderings
//! * `unlock` releases what the holder wrote to the Acquire of the next `lock`.
//! * `given` is written by the holder and read by waiters, as a hint.
//!
//! # Rejected
//! A pause whose length does not depend on the count: one that is good where CPUs do nothing else
//! is too long where they compute for a tenth of a microsecond in between, and the other way round.
//!
//! To give the CPU away (`sched_yield`) before the first nap. The kernel takes that for a turn that
//! was had: where other programs want the CPU, too, each of ten yields cost a turn of all of them,
//! while who naps is let in soon after. A plain thread that sent beside one goroutine that did
//! nothing else waited 17 to 19 ms then (p99, load 12 on two CPUs), and 1.2 to 2.6 with naps alone.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
#[cfg(not(loom))]
use crate::sys::cputicks;

const FREE: u32 = 0;
const HELD: u32 = 1;

pub(crate) struct Lock {
    word: AtomicU32,
    /// How often it was given up.
    #[cfg(not(loom))]
    given: AtomicU32,
}

impl Lock {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Lock {
                word: AtomicU32::new(FREE),
                #[cfg(not(loom))]
                given: AtomicU32::new(0),
            }
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
        self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn lock_slow(&self) {
        if mutated("chan.lock") {
            return;
        }
        let mut waiting = Waiting::begin(self);
        loop {
            waiting.pause(self);
            // ORDERING: a look; the exchange decides
            if self.word.load(Ordering::Relaxed) == FREE && self.try_lock() {
                return;
            }
        }
    }

    /// The caller holds the lock.
    #[inline(always)]
    pub(crate) fn unlock(&self) {
        #[cfg(not(loom))]
        self.count();
        let order = if mutated("chan.unlock") { Ordering::Relaxed } else { Ordering::Release };
        self.word.store(FREE, order); // ORDERING: pairs with lock
    }
}

/// Pauses, in ticks of the CPU's counter, some of which are a nanosecond: until a look, and for a
/// batch of the other's. Not in `pause` instructions: those take 10 to 140 cycles.
#[cfg(not(loom))]
const SHORT: u64 = 1 << 9;
#[cfg(not(loom))]
const BATCH: u64 = 1 << 14;
/// Who gives the lock up so often in a pause does nothing else.
#[cfg(not(loom))]
const OFTEN: u32 = 4;
/// How many batches one lets pass.
#[cfg(not(loom))]
const BATCHES: u32 = 3;
/// After that it naps, for the holder's thread does not run; some twenty microseconds.
#[cfg(not(loom))]
const SPIN: u64 = 1 << 16;
#[cfg(not(loom))]
const NAP_NS: i64 = 50_000;

#[cfg(not(loom))]
impl Lock {
    /// By the holder, who is about to give it up.
    #[inline(always)]
    fn count(&self) {
        // ORDERING: a hint; written under the lock only
        let given = self.given.load(Ordering::Relaxed).wrapping_add(1);
        self.given.store(given, Ordering::Relaxed); // ORDERING: the same
    }
}

/// Of one who waits for a lock.
#[cfg(not(loom))]
struct Waiting {
    began: u64,
    /// The count at the last look.
    given: u32,
    batches: u32,
}

#[cfg(not(loom))]
impl Waiting {
    fn begin(lock: &Lock) -> Self {
        let given = lock.given.load(Ordering::Relaxed); // ORDERING: a hint
        Waiting { began: cputicks(), given, batches: BATCHES }
    }

    /// Until it is time to look whether the lock is free.
    fn pause(&mut self, lock: &Lock) {
        let now = cputicks();
        if now.wrapping_sub(self.began) < SPIN {
            spin(now, SHORT);
            while self.batches > 0 && self.is_often(lock) {
                self.batches -= 1;
                spin(cputicks(), BATCH);
            }
        } else {
            crate::sys::futex::wait(&lock.word, HELD, Some(NAP_NS));
        }
    }

    /// Whether the lock was given up often since the last look.
    fn is_often(&mut self, lock: &Lock) -> bool {
        let before = self.given;
        self.given = lock.given.load(Ordering::Relaxed); // ORDERING: a hint
        self.given.wrapping_sub(before) >= OFTEN
    }
}

#[cfg(not(loom))]
fn spin(since: u64, ticks: u64) {
    while cputicks().wrapping_sub(since) < ticks {
        core::hint::spin_loop();
    }
}

#[cfg(loom)]
struct Waiting;

#[cfg(loom)]
impl Waiting {
    fn begin(_: &Lock) -> Self {
        Waiting
    }

    fn pause(&mut self, _: &Lock) {
        loom::thread::yield_now();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_beside_a_holder() {
        const EACH: u32 = 100_000;
        let (lock, n) = (Lock::new(), AtomicU32::new(0));
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    for _ in 0..EACH {
                        lock.lock();
                        // Two steps: under the lock none of another's comes between.
                        let now = n.load(Ordering::Relaxed);
                        n.store(now + 1, Ordering::Relaxed);
                        lock.unlock();
                    }
                });
            }
        });
        assert_eq!(n.load(Ordering::Relaxed), 3 * EACH);
    }

    #[test]
    fn a_waiter_tells_who_hammers_from_who_comes_by() {
        let lock = Lock::new();
        let use_it = |times| (0..times).for_each(|_| (lock.lock(), lock.unlock()).1);
        let mut waiting = Waiting::begin(&lock);
        assert!(!waiting.is_often(&lock));
        use_it(OFTEN - 1);
        assert!(!waiting.is_often(&lock), "it was met by chance");
        use_it(OFTEN);
        assert!(waiting.is_often(&lock));
        assert!(!waiting.is_often(&lock), "nothing since the last look");
    }
}
