//! Telling one, or all who wait, that something happened. tokio: `sync::Notify`.
//!
//! # Invariants
//! * `NO1`: QUEUED is set by a waiter, and cleared, with the bucket locked; while it is set, PERMIT
//!   is set with the bucket locked only, and only if nobody could be woken.

use crate::atomic::{AtomicU32, Ordering};
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use crate::sema::Sema;
use crate::sema::lot::{Env, Outcome, Request, park, unpark};
use crate::sema::queue::Place;
use std::fmt;
use std::time::Duration;

const PERMIT: u32 = 1;
const QUEUED: u32 = 2;

/// Wakes one of those who wait, or stores one permit for the next.
///
/// tokio: `sync::Notify`, but [`notified`](Notify::notified) blocks. However often `notify_one` is
/// called while nobody waits, it lets one `notified` pass.
pub struct Notify {
    state: AtomicU32, // NO1
}

impl Notify {
    /// One without a permit.
    pub const fn new() -> Notify {
        Notify { state: AtomicU32::new(0) }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// Waits for a notification, or takes the stored one.
    pub fn notified(&self) {
        self.wait(&Sema, None);
    }

    /// The same for `timeout` at most; whether there was one.
    pub fn notified_timeout(&self, timeout: Duration) -> bool {
        self.wait(&Sema, wait::after(timeout))
    }

    /// Waits in another way; false: it was given up.
    pub(crate) fn wait_under<E: Env<Why = Why>>(&self, env: &E) -> bool {
        self.wait(env, None)
    }

    fn wait<E: Env<Why = Why>>(&self, env: &E, deadline_ns: Option<i64>) -> bool {
        let why = Why { reason: WaitReason::NotifyWait, on: self.key() };
        let request =
            Request { key: self.key(), data: 0, place: Place::Back, since_ns: 0, why, deadline_ns };
        let enqueue = || {
            let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
            loop {
                let permit = s & PERMIT != 0;
                let new = if permit { s & !PERMIT } else { s | QUEUED };
                // ORDERING: pairs with notify_one
                let r = self.state.compare_exchange(s, new, Ordering::Acquire, Ordering::Relaxed);
                match r {
                    Ok(_) => return !permit,
                    Err(now) => s = now,
                }
            }
        };
        park(env, request, enqueue) != Outcome::GaveUp
    }

    /// Wakes the one that has waited longest; if nobody waits, the next `notified` passes. Never
    /// blocks.
    pub fn notify_one(&self) {
        let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
        while s & QUEUED == 0 {
            // ORDERING: pairs with whoever takes the permit
            let r =
                self.state.compare_exchange(s, s | PERMIT, Ordering::Release, Ordering::Relaxed);
            match r {
                Ok(_) => return,
                Err(now) => s = now,
            }
        }
        unpark(&Sema, self.key(), |waiters| {
            let permit = if waiters.take(0).is_none() { PERMIT } else { 0 };
            self.state.fetch_or(permit, Ordering::Release); // ORDERING: pairs with whoever takes it
            if waiters.is_empty() {
                self.state.fetch_and(!QUEUED, Ordering::Relaxed); // ORDERING: NO1
            }
        });
    }

    /// Wakes all that wait now; stores nothing. Never blocks.
    pub fn notify_waiters(&self) {
        unpark(&Sema, self.key(), |waiters| {
            while waiters.take(0).is_some() {}
            self.state.fetch_and(!QUEUED, Ordering::Relaxed); // ORDERING: NO1
        });
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}
