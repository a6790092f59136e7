//! Counting permits. tokio: `sync::Semaphore`; Go: x/sync/semaphore.
//!
//! # Invariants
//! * `SM1`: `state` is the number of free permits above QUEUED and CLOSED. QUEUED is set by a
//!   waiter, and cleared, with the bucket locked; while it is set, permits are given out with the
//!   bucket locked only, in the order in which they were asked for.

use crate::atomic::{AtomicUsize, Ordering};
use crate::g::WaitReason;
use crate::sched::wait::{self, Wait, Why};
use crate::sema::Sema;
use crate::sema::lot::{Env, Outcome, Request, Waiters, park_after, unpark};
use crate::sema::queue::Place;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const QUEUED: usize = 1;
const CLOSED: usize = 2;
const PERMIT: usize = 4;

const GRANTED: usize = 0;
const REFUSED: usize = 1;

/// Gives out permits, first come, first served.
///
/// tokio: `sync::Semaphore`, but its `acquire` blocks. Who asks for many permits is not overtaken
/// by those who ask for few.
pub struct Semaphore {
    state: AtomicUsize, // SM1
}

/// The semaphore was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquireError(());

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// There are not enough, or the time is over.
    NoPermits,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl std::error::Error for AcquireError {}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => "semaphore closed",
            TryAcquireError::NoPermits => "no permits available",
        })
    }
}

impl std::error::Error for TryAcquireError {}

/// When to give up.
enum Until {
    Now,
    Deadline(Option<i64>),
}

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// A semaphore with `permits`.
    ///
    /// # Panics
    /// If that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Semaphore::MAX_PERMITS, "a semaphore may not have more permits");
        Semaphore { state: AtomicUsize::new(permits * PERMIT) }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// How many are free now.
    pub fn available_permits(&self) -> usize {
        self.state.load(Ordering::Acquire) / PERMIT // ORDERING: a hint
    }

    /// Waits for a permit. It is given back when the value is dropped.
    ///
    /// # Errors
    /// If the semaphore is closed.
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Waits for `n` permits at once.
    ///
    /// # Errors
    /// If the semaphore is closed.
    pub fn acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.get(n, Until::Deadline(None)) {
            Ok(()) => Ok(SemaphorePermit { semaphore: self, n }),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// Takes a permit if one is free and nobody waits. Never blocks.
    ///
    /// # Errors
    /// See [`TryAcquireError`].
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// The same for `n` permits.
    ///
    /// # Errors
    /// See [`TryAcquireError`].
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.get(n, Until::Now)?;
        Ok(SemaphorePermit { semaphore: self, n })
    }

    /// Waits for `n` permits for `timeout` at most.
    ///
    /// # Errors
    /// See [`TryAcquireError`].
    pub fn acquire_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.get(n, Until::Deadline(wait::after(timeout)))?;
        Ok(SemaphorePermit { semaphore: self, n })
    }

    /// Waits for `n` permits that keep the semaphore alive.
    ///
    /// # Errors
    /// If the semaphore is closed.
    pub fn acquire_owned(self: Arc<Self>, n: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        match self.get(n, Until::Deadline(None)) {
            Ok(()) => Ok(OwnedSemaphorePermit { semaphore: self, n }),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// Takes `n` permits that keep the semaphore alive, if so many are free. Never blocks.
    ///
    /// # Errors
    /// See [`TryAcquireError`].
    pub fn try_acquire_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.get(n, Until::Now)?;
        Ok(OwnedSemaphorePermit { semaphore: self, n })
    }

    /// Waits for `n` permits in another way; an error says whether the semaphore was closed.
    pub(crate) fn acquire_under<E: Env<Wait = Wait, Why = Why>>(
        &self,
        env: &E,
        n: u32,
    ) -> Result<SemaphorePermit<'_>, bool> {
        match self.get_under(env, n, Until::Deadline(None)) {
            Ok(()) => Ok(SemaphorePermit { semaphore: self, n }),
            Err(e) => Err(e == TryAcquireError::Closed),
        }
    }

    fn get(&self, n: u32, until: Until) -> Result<(), TryAcquireError> {
        self.get_under(&Sema, n, until)
    }

    fn get_under<E: Env<Wait = Wait, Why = Why>>(
        &self,
        env: &E,
        n: u32,
        until: Until,
    ) -> Result<(), TryAcquireError> {
        let need = n as usize * PERMIT;
        let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
        while s & (QUEUED | CLOSED) == 0 && s >= need {
            // ORDERING: pairs with add_permits
            let r = self.state.compare_exchange(s, s - need, Ordering::Acquire, Ordering::Relaxed);
            match r {
                Ok(_) => return Ok(()),
                Err(now) => s = now,
            }
        }
        match until {
            _ if s & CLOSED != 0 => Err(TryAcquireError::Closed),
            Until::Now => Err(TryAcquireError::NoPermits),
            Until::Deadline(deadline_ns) => self.wait(env, need, deadline_ns),
        }
    }

    #[cold]
    fn wait<E: Env<Wait = Wait, Why = Why>>(
        &self,
        env: &E,
        need: usize,
        deadline_ns: Option<i64>,
    ) -> Result<(), TryAcquireError> {
        let why = Why { reason: WaitReason::SemAcquire, on: self.key() };
        let (key, place) = (self.key(), Place::Back);
        let request = Request { key, data: need, place, since_ns: 0, why, deadline_ns };
        let mut refused = Err(TryAcquireError::Closed);
        let enqueue = || {
            let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
            loop {
                let take = s & (QUEUED | CLOSED) == 0 && s >= need;
                if s & CLOSED != 0 {
                    return false;
                }
                let new = if take { s - need } else { s | QUEUED };
                // ORDERING: pairs with add_permits
                let r = self.state.compare_exchange(s, new, Ordering::Acquire, Ordering::Relaxed);
                match r {
                    Ok(_) if take => {
                        refused = Ok(());
                        return false;
                    }
                    Ok(_) => return true,
                    Err(now) => s = now,
                }
            }
        };
        match park_after(env, request, enqueue, || (), |_| ()) {
            Outcome::Refused => refused,
            Outcome::Woken(GRANTED) => Ok(()),
            Outcome::Woken(_) => Err(TryAcquireError::Closed),
            Outcome::GaveUp => {
                // It may have been the first, in the way of others.
                unpark(&Sema, key, |waiters| self.hand_out(waiters));
                Err(TryAcquireError::NoPermits)
            }
        }
    }

    /// SM1: with the bucket locked: gives the free permits to those who wait, in turn.
    fn hand_out(&self, waiters: &mut Waiters<'_, Sema>) {
        loop {
            // ORDERING: those who wait see what was released by the wake-up
            let s = self.state.load(Ordering::Acquire);
            if s & QUEUED == 0 {
                return;
            }
            let mut need = 0;
            let fits = |data| {
                need = data;
                data <= s & !(QUEUED | CLOSED)
            };
            if waiters.take_if(GRANTED, fits).is_some() {
                // Others only add while QUEUED is set.
                self.state.fetch_sub(need, Ordering::Relaxed); // ORDERING: the bucket's lock
            } else if !waiters.is_empty() {
                return;
            }
            if waiters.is_empty() {
                self.state.fetch_and(!QUEUED, Ordering::Relaxed); // ORDERING: the bucket's lock
                return;
            }
        }
    }

    /// Adds `n` permits. Never blocks.
    ///
    /// # Panics
    /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) then.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        assert!(n <= Semaphore::MAX_PERMITS, "a semaphore may not have more permits");
        // ORDERING: pairs with whoever gets them
        let old = self.state.fetch_add(n * PERMIT, Ordering::Release);
        assert!(old / PERMIT + n <= Semaphore::MAX_PERMITS, "too many permits");
        if old & QUEUED != 0 {
            unpark(&Sema, self.key(), |waiters| self.hand_out(waiters));
        }
    }

    /// Takes away `n` of the free permits, or as many as there are; says how many.
    pub fn forget_permits(&self, n: usize) -> usize {
        // With the bucket locked, for `hand_out` relies on nobody else taking any.
        unpark(&Sema, self.key(), |_| {
            let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
            loop {
                let gone = n.min(s / PERMIT);
                let new = s - gone * PERMIT;
                // ORDERING: nothing is handed over
                match self.state.compare_exchange(s, new, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return gone,
                    Err(now) => s = now,
                }
            }
        })
    }

    /// No more permits: those who wait, or come later, get an error.
    pub fn close(&self) {
        unpark(&Sema, self.key(), |waiters| {
            // ORDERING: the bucket's lock
            self.state.fetch_or(CLOSED, Ordering::Relaxed);
            while waiters.take(REFUSED).is_some() {}
            self.state.fetch_and(!QUEUED, Ordering::Relaxed); // ORDERING: the bucket's lock
        });
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLOSED != 0 // ORDERING: a hint
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Permits of a [`Semaphore`], given back when dropped.
#[derive(Debug)]
#[must_use = "the permits are given back at once if this is dropped"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    n: u32,
}

impl SemaphorePermit<'_> {
    /// Keeps the permits from being given back.
    pub fn forget(mut self) {
        self.n = 0;
    }

    /// How many.
    pub fn num_permits(&self) -> usize {
        self.n as usize
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.add_permits(self.n as usize);
    }
}

/// Permits that keep their [`Semaphore`] alive, given back when dropped.
#[derive(Debug)]
#[must_use = "the permits are given back at once if this is dropped"]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    n: u32,
}

impl OwnedSemaphorePermit {
    /// Keeps the permits from being given back.
    pub fn forget(mut self) {
        self.n = 0;
    }

    /// How many.
    pub fn num_permits(&self) -> usize {
        self.n as usize
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.add_permits(self.n as usize);
    }
}
