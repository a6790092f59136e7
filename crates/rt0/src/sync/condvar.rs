//! Waiting for a condition that somebody else makes true.
//!
//! std: `sync::Condvar`; Go: `sync.Cond`. raw/condvar.rs has the protocol.

use super::mutex::MutexGuard;
use super::raw::condvar::CondWord;
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use crate::sema::Sema;
use crate::sema::lot::Env;
use std::fmt;
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

/// Whether a wait ended because its time was over. std: [`std::sync::WaitTimeoutResult`].
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the wait ended because its time was over.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// Lets goroutines and threads wait until a condition holds that a [`Mutex`](super::Mutex)
/// protects.
///
/// std: [`std::sync::Condvar`]; Go: `sync.Cond`. Waiters are woken in the order in which they came.
/// A wait may also end for no reason, so look at the condition again.
pub struct Condvar {
    word: CondWord,
}

impl Condvar {
    /// A condition variable that nobody waits for.
    pub const fn new() -> Condvar {
        Condvar { word: CondWord::new() }
    }

    /// Gives the mutex up, waits for a notification, and locks the mutex again.
    ///
    /// # Errors
    /// If the mutex is poisoned by then; the guard is in the error.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// Waits while `condition` says true of the data.
    ///
    /// # Errors
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same as [`wait`](Condvar::wait), for `dur` at most.
    ///
    /// # Errors
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (r, notified) = self.wait_until(guard, wait::after(dur));
        let result = WaitTimeoutResult(!notified);
        match r {
            Ok(guard) => Ok((guard, result)),
            Err(e) => Err(PoisonError::new((e.into_inner(), result))),
        }
    }

    /// The same as [`wait_while`](Condvar::wait_while), for `dur` at most: the time is over if the
    /// condition still says true.
    ///
    /// # Errors
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let start = Instant::now();
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            let Some(left) = dur.checked_sub(start.elapsed()) else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            guard = self.wait_timeout(guard, left)?.0;
        }
    }

    #[track_caller]
    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline_ns: Option<i64>,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let on = core::ptr::from_ref(self) as usize;
        self.wait_for(guard, Why { reason: WaitReason::CondWait, on }, deadline_ns)
    }

    /// For what is made of condition variables: says why it waits. The second value is false when
    /// the deadline came first.
    #[track_caller]
    pub(super) fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        why: Why,
        deadline_ns: Option<i64>,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        self.wait_in(&Sema, guard, why, deadline_ns)
    }

    /// Waits in another way; the second value is false when it was given up.
    pub(crate) fn wait_under<'a, T, E: Env<Why = Why>>(
        &self,
        env: &E,
        guard: MutexGuard<'a, T>,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let on = core::ptr::from_ref(self) as usize;
        self.wait_in(env, guard, Why { reason: WaitReason::CondWait, on }, None)
    }

    fn wait_in<'a, T, E: Env<Why = Why>>(
        &self,
        env: &E,
        guard: MutexGuard<'a, T>,
        why: Why,
        deadline_ns: Option<i64>,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let mutex = guard.mutex();
        let notified = self.word.wait(env, why, deadline_ns, || drop(guard));
        (mutex.lock(), notified)
    }

    /// Wakes the one that has waited longest, if any waits. Never blocks. Go: `Cond.Signal`.
    pub fn notify_one(&self) {
        self.word.notify(&Sema, 1);
    }

    /// Wakes all that wait. Never blocks. Go: `Cond.Broadcast`.
    pub fn notify_all(&self) {
        self.word.notify(&Sema, usize::MAX);
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}
