//! The word of a mutex: who may go on, and who is to be woken.
//!
//! Go: internal/sync/mutex.go, whose two modes this has:
//!
//! * **normal**: the holder frees the lock and wakes the first waiter, which has to compete for it
//!   with those who come by. They win mostly, for they are running already, and that is what makes
//!   a contended mutex fast. Who loses after it was woken goes to the front of the queue.
//! * **starving**: a waiter that lost although it had waited for a millisecond sets STARVING. The
//!   lock is then not freed: `unlock` hands it to the first waiter and yields to it. The mode ends
//!   with a waiter that is the last, or has waited for less.
//!
//! ```text
//!   bit 0 LOCKED    held
//!   bit 1 PARKED    somebody may be queued; exact while the bucket is locked
//!   bit 2 WOKEN     a waiter is awake and competes: who unlocks wakes nobody
//!   bit 3 STARVING  hand over instead of freeing
//!   bits 4 and up   not the mutex's (rwlock.rs)
//! ```
//! # Invariants
//! * `MX1`: one at a time has LOCKED, from the exchange that set it (or the hand-over) to unlock.
//! * `MX2`: PARKED is set by a waiter that saw LOCKED, in one exchange, and cleared with the bucket
//!   locked and the queue empty. The waiter looks for both bits again with the bucket locked.
//! * `MX3`: WOKEN belongs to one waiter that runs: it clears it when it gets the lock, or in the
//!   exchange, that sees LOCKED, before it queues. So while PARKED, there is a holder whose unlock
//!   wakes, or somebody with WOKEN who will hold or see a holder: nobody is left behind.
//!
//! # Memory orderings
//! * Whatever sets LOCKED acquires what unlock's decrement released; a hand-over publishes by the
//!   wake-up.
//!
//! Rejected: Go's counter of waiters in the word, which a waiter that times out would have to
//! correct; and fairness by handing over always, which costs a switch for each lock.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sema::lot::{Env, Outcome, Request, park, unpark};
use crate::sema::queue::Place;

pub(crate) const LOCKED: u32 = 1;
pub(crate) const PARKED: u32 = 2;
pub(crate) const WOKEN: u32 = 4;
pub(crate) const STARVING: u32 = 8;

/// What a waker tells: compete for the lock, or it is yours.
const COMPETE: usize = 0;
const HANDED: usize = 1;

/// From this on a waiter that loses asks for the lock to be handed over. Go:
/// starvationThresholdNs.
const STARVES_AFTER_NS: i64 = 1_000_000;

pub(crate) struct MutexWord(pub(crate) AtomicU32);

impl MutexWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            MutexWord(AtomicU32::new(0))
        }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// A hint for those who do not hold it.
    #[cfg(loom)]
    pub(crate) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & LOCKED != 0 // ORDERING: a hint
    }

    /// Takes a lock that is free and that nobody waits for.
    #[inline(always)]
    pub(crate) fn try_fast(&self) -> bool {
        // ORDERING: pairs with unlock
        self.0.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes a lock that is free, also before those who wait; not from a starving one.
    pub(crate) fn try_lock(&self) -> bool {
        let mut s = self.0.load(Ordering::Relaxed); // ORDERING: the exchange decides
        while s & (LOCKED | STARVING) == 0 {
            // ORDERING: pairs with unlock
            let r = self.0.compare_exchange(s, s | LOCKED, Ordering::Acquire, Ordering::Relaxed);
            match r {
                Ok(_) => return true,
                Err(now) => s = now,
            }
        }
        false
    }

    /// Waits for the lock; false when the deadline came first.
    #[cold]
    pub(crate) fn lock_slow<E: Env>(&self, env: &E, why: E::Why, until: Option<i64>) -> bool {
        let (mut awoke, mut starving, mut round) = (false, false, 0);
        let mut since_ns = None;
        let mut s = self.0.load(Ordering::Relaxed); // ORDERING: the exchange decides
        loop {
            if s & LOCKED == 0 {
                let new = (s | LOCKED) & if awoke { !WOKEN } else { !0 };
                match self.exchange(s, new) {
                    Ok(_) => return true,
                    Err(now) => s = now,
                }
                continue;
            }
            if s & STARVING == 0 && env.can_spin(round) {
                // Whoever unlocks meanwhile need not wake another.
                awoke =
                    awoke || s & (WOKEN | PARKED) == PARKED && self.exchange(s, s | WOKEN).is_ok();
                env.spin();
                round += 1;
                s = self.0.load(Ordering::Relaxed); // ORDERING: the exchange decides
                continue;
            }
            let new = s | PARKED | if starving { STARVING } else { 0 };
            let mark = awoke && !mutated("rawmutex.woken");
            if let Err(now) = self.exchange(s, new & if mark { !WOKEN } else { !0 }) {
                s = now;
                continue;
            }
            awoke = false;
            let place = if since_ns.is_some() { Place::Front } else { Place::Back };
            let began = *since_ns.get_or_insert_with(|| env.now_ns());
            match self.park(env, why, place, began, until) {
                Outcome::Woken(HANDED) => return true,
                Outcome::GaveUp => return false,
                Outcome::Refused => {}
                Outcome::Woken(_) => {
                    awoke = true;
                    round = 0;
                    starving = starving || env.now_ns() - began > STARVES_AFTER_NS;
                }
            }
            s = self.0.load(Ordering::Relaxed); // ORDERING: the exchange decides
        }
    }

    fn exchange(&self, old: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: pairs with unlock
        self.0.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed)
    }

    fn park<E: Env>(
        &self,
        env: &E,
        why: E::Why,
        place: Place,
        since_ns: i64,
        deadline_ns: Option<i64>,
    ) -> Outcome {
        let request = Request { key: self.key(), data: 0, place, since_ns, why, deadline_ns };
        // MX2. ORDERING: the bucket's lock orders this with those who clear PARKED
        let both = |s: u32| s & (LOCKED | PARKED) == LOCKED | PARKED;
        park(env, request, || mutated("rawmutex.recheck") || both(self.0.load(Ordering::Relaxed)))
    }

    /// Gives the lock up. The caller holds it (MX1).
    #[inline(always)]
    pub(crate) fn unlock<E: Env>(&self, env: &E) {
        // ORDERING: a hint: one that comes later is seen by the next unlock
        if self.0.load(Ordering::Relaxed) & STARVING != 0 && self.hand_over(env) {
            return;
        }
        let order = if mutated("rawmutex.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with whatever sets LOCKED next
        let old = self.0.fetch_sub(LOCKED, order);
        if old & (PARKED | WOKEN) == PARKED {
            self.wake_one(env, old - LOCKED);
        }
    }

    /// The lock was freed while somebody was queued and nobody awake.
    #[cold]
    pub(crate) fn wake_one<E: Env>(&self, env: &E, mut s: u32) {
        loop {
            // MX3: whoever holds the lock by now, or is awake, sees to it.
            if s & PARKED == 0 || s & (LOCKED | WOKEN) != 0 {
                return;
            }
            // ORDERING: the bucket's lock orders what follows
            let r = self.0.compare_exchange(s, s | WOKEN, Ordering::Relaxed, Ordering::Relaxed);
            match r {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        unpark(env, self.key(), |waiters| {
            let found = waiters.take(COMPETE).is_some();
            let none_left = if waiters.is_empty() { PARKED } else { 0 };
            let clear = none_left | if found { 0 } else { WOKEN };
            if clear != 0 {
                // ORDERING: MX2: ordered by the bucket's lock
                self.0.fetch_and(!clear, Ordering::Relaxed);
            }
        });
    }

    /// Unlock of a starving mutex: LOCKED stays, for the first in the queue. False if there is
    /// none, and the caller still holds it.
    #[cold]
    pub(crate) fn hand_over<E: Env>(&self, env: &E) -> bool {
        let handed = unpark(env, self.key(), |waiters| {
            let taken = waiters.take(HANDED);
            let recent = |since_ns| env.now_ns() - since_ns < STARVES_AFTER_NS;
            let clear = if waiters.is_empty() {
                PARKED | STARVING
            } else if taken.is_some_and(|t| recent(t.since_ns)) {
                STARVING
            } else {
                0
            };
            // ORDERING: MX2: ordered by the bucket's lock; the wake-up publishes
            self.0.fetch_and(!clear, Ordering::Relaxed);
            taken.is_some()
        });
        if handed {
            env.yield_now();
        }
        handed
    }
}
