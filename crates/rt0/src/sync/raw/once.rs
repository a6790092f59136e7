//! The word of something that is done once.
//!
//! std: sys/sync/once/futex.rs; Go: sync/once.go, where the others wait for a mutex.
//!
//! ```text
//!   INCOMPLETE --begin--> RUNNING --finish(COMPLETE)--> COMPLETE
//!        ^                 |  ^
//!                          |  +--begin, by force-- POISONED
//!                          +--finish(POISONED)-------^
//! ```
//! QUEUED beside any of the first three: somebody may wait.
//!
//! # Memory orderings
//! * `finish` releases to every Acquire load that sees COMPLETE.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sema::lot::{Env, Request, park, unpark};
use crate::sema::queue::Place;

const INCOMPLETE: u32 = 0;
pub(crate) const POISONED: u32 = 1;
const RUNNING: u32 = 2;
pub(crate) const COMPLETE: u32 = 3;
const STATE: u32 = 3;
const QUEUED: u32 = 4;

/// What is there to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begin {
    /// It is complete.
    Done,
    /// It is poisoned, and the caller minds.
    Poisoned,
    /// The caller is to do it; whether somebody failed before.
    Run { poisoned: bool },
}

/// Whether somebody's failure is an obstacle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    Minds,
    Ignores,
}

pub(crate) struct OnceWord(AtomicU32);

impl OnceWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            OnceWord(AtomicU32::new(INCOMPLETE))
        }
    }

    /// One that is complete already.
    #[cfg(not(loom))]
    pub(crate) const fn complete() -> Self {
        OnceWord(AtomicU32::new(COMPLETE))
    }

    #[inline(always)]
    pub(crate) fn is_complete(&self) -> bool {
        self.state() == COMPLETE
    }

    /// For `&mut` holders and reports.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.state() == POISONED
    }

    #[inline(always)]
    fn state(&self) -> u32 {
        self.0.load(Ordering::Acquire) & STATE // ORDERING: pairs with finish
    }

    /// Takes the right to do it, or waits until it is done. After `Run` the caller must `finish`.
    #[cold]
    pub(crate) fn begin<E: Env>(&self, env: &E, why: E::Why, poison: Poison) -> Begin {
        loop {
            let s = self.0.load(Ordering::Acquire); // ORDERING: pairs with finish
            match s & STATE {
                COMPLETE => return Begin::Done,
                POISONED if poison == Poison::Minds => return Begin::Poisoned,
                RUNNING => self.wait_while(env, why, s),
                state => {
                    let new = RUNNING | s & QUEUED;
                    // ORDERING: pairs with the finish that poisoned it
                    let r = self.0.compare_exchange(s, new, Ordering::Acquire, Ordering::Relaxed);
                    if r.is_ok() {
                        return Begin::Run { poisoned: state == POISONED };
                    }
                }
            }
        }
    }

    /// Waits until somebody has done it; false if it is poisoned and the caller minds.
    pub(crate) fn wait<E: Env>(&self, env: &E, why: E::Why, poison: Poison) -> bool {
        loop {
            let s = self.0.load(Ordering::Acquire); // ORDERING: pairs with finish
            match s & STATE {
                COMPLETE => return true,
                POISONED if poison == Poison::Minds => return false,
                _ => self.wait_while(env, why, s),
            }
        }
    }

    /// Waits while the word has the state of `s`, or returns for no reason.
    fn wait_while<E: Env>(&self, env: &E, why: E::Why, s: u32) {
        // ORDERING: the bucket's lock orders what follows
        let mark = || self.0.compare_exchange(s, s | QUEUED, Ordering::Relaxed, Ordering::Relaxed);
        if s & QUEUED == 0 && mark().is_err() {
            return;
        }
        let key = core::ptr::from_ref(self) as usize;
        let request =
            Request { key, data: 0, place: Place::Back, since_ns: 0, why, deadline_ns: None };
        // ORDERING: `finish` changes it before it takes the bucket's lock
        let same = || self.0.load(Ordering::Relaxed) == s | QUEUED;
        park(env, request, || mutated("once.recheck") || same());
    }

    /// Ends what `begin` began: COMPLETE or POISONED.
    pub(crate) fn finish<E: Env>(&self, env: &E, state: u32) {
        let order = if mutated("once.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with the loads that see the state
        let old = self.0.swap(state, order);
        if old & QUEUED == 0 {
            return;
        }
        let key = core::ptr::from_ref(self) as usize;
        unpark(env, key, |waiters| while waiters.take(0).is_some() {});
    }
}
