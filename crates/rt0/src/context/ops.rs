//! Waits under a context: those of the types that wait, with its latch beside their own wakers.

use super::Context;
use super::error::{AcquireError, Error, LockError, RecvError, SendError};
use crate::chan::here::Here;
use crate::chan::shared::{Patience, Refused};
use crate::chan::{Receiver, Select, SelectedOperation, Sender};
use crate::g::WaitReason;
use crate::g::ticket::TIMEOUT;
use crate::sched::wait::{self, Wait, Why};
use crate::sema::Sema;
use crate::sema::lot::Env;
use crate::sema::queue::Queue;
use crate::sync::{
    Condvar, Mutex, MutexGuard, Notify, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
    SemaphorePermit, WaitGroup,
};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

impl Context {
    /// Sleeps for at least `dur`, or until the context ends.
    ///
    /// # Errors
    /// The context ended before.
    pub fn sleep(&self, dur: Duration) -> Result<(), Error> {
        self.check()?;
        self.sleep_ns(wait::after(dur))
    }

    /// The same until `deadline`.
    ///
    /// # Errors
    /// The context ended before.
    pub fn sleep_until(&self, deadline: Instant) -> Result<(), Error> {
        self.check()?;
        self.sleep_ns(wait::at(deadline))
    }

    fn sleep_ns(&self, when: Option<i64>) -> Result<(), Error> {
        let why = Why { reason: WaitReason::Sleep, on: 0 };
        let timed_out = self.wait_for(Wait::begin(), why, when) == TIMEOUT;
        if timed_out && when.is_some_and(|when| when <= crate::sys::nanotime()) {
            return Ok(());
        }
        Err(self.ended())
    }

    /// Waits for a ticket as [`Wait::wait`] does, or until the context ends: then the operation is
    /// `CANCELLED`, or `TIMEOUT` at its deadline.
    pub(crate) fn wait_for(&self, wait: Wait, why: Why, deadline_ns: Option<i64>) -> usize {
        match &self.node {
            None => wait.wait(why, deadline_ns),
            Some(node) => node.latch().wait_under(&mut Here::enter(), wait, why, deadline_ns),
        }
    }

    /// A wait under the context gave up.
    fn ended(&self) -> Error {
        self.err().unwrap_or(Error::Cancelled)
    }

    fn patience(&self) -> Patience<'_> {
        self.node.as_ref().map_or(Patience::Forever, |node| Patience::Under(node.latch()))
    }

    fn under(&self) -> Under<'_> {
        Under { context: self }
    }

    /// Receives; waits while the channel is empty. A message that was received is returned, also if
    /// the context has ended by then.
    ///
    /// # Errors
    /// The context ended, or the channel is empty and closed.
    pub fn recv<T>(&self, rx: &Receiver<T>) -> Result<T, RecvError> {
        self.check()?;
        rx.recv_patient(&self.patience()).map_err(|why| match why {
            Refused::TooLong => RecvError::Context(self.ended()),
            Refused::Closed => RecvError::Disconnected,
        })
    }

    /// Sends; waits while the channel is full.
    ///
    /// # Errors
    /// The context ended, or the channel is closed: the message comes back.
    pub fn send<T>(&self, tx: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        if let Some(e) = self.err() {
            return Err(SendError::Context(e, msg));
        }
        tx.shared.send(msg, &self.patience()).map_err(|(why, msg)| match why {
            Refused::TooLong => SendError::Context(self.ended(), msg),
            Refused::Closed => SendError::Disconnected(msg),
        })
    }

    /// Waits until an operation of the set is ready, and chooses it. In [`select!`](crate::select!)
    /// use [`done`](Context::done).
    ///
    /// # Errors
    /// The context ended.
    ///
    /// # Panics
    /// The set is empty.
    pub fn select<'a>(&self, set: &mut Select<'a>) -> Result<SelectedOperation<'a>, Error> {
        self.check()?;
        set.select_patient(&self.patience()).ok_or_else(|| self.ended())
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// The context ended, or a holder panicked; then the guard is in the error.
    pub fn lock<'a, T: ?Sized>(
        &self,
        mutex: &'a Mutex<T>,
    ) -> Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>> {
        self.check()?;
        self.locked(mutex.lock_under(&self.under()))
    }

    /// Waits to read.
    ///
    /// # Errors
    /// The context ended, or a writer panicked; then the guard is in the error.
    pub fn read<'a, T: ?Sized>(
        &self,
        lock: &'a RwLock<T>,
    ) -> Result<RwLockReadGuard<'a, T>, LockError<RwLockReadGuard<'a, T>>> {
        self.check()?;
        self.locked(lock.read_under(&self.under()))
    }

    /// Waits to write.
    ///
    /// # Errors
    /// The context ended, or a writer panicked; then the guard is in the error.
    pub fn write<'a, T: ?Sized>(
        &self,
        lock: &'a RwLock<T>,
    ) -> Result<RwLockWriteGuard<'a, T>, LockError<RwLockWriteGuard<'a, T>>> {
        self.check()?;
        self.locked(lock.write_under(&self.under()))
    }

    fn locked<G>(&self, got: Option<Result<G, PoisonError<G>>>) -> Result<G, LockError<G>> {
        match got {
            Some(r) => r.map_err(LockError::Poisoned),
            None => Err(LockError::Context(self.ended())),
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// The context ended, or the semaphore is closed.
    pub fn acquire<'a>(
        &self,
        semaphore: &'a Semaphore,
    ) -> Result<SemaphorePermit<'a>, AcquireError> {
        self.acquire_many(semaphore, 1)
    }

    /// Waits for `n` permits at once.
    ///
    /// # Errors
    /// The context ended, or the semaphore is closed.
    pub fn acquire_many<'a>(
        &self,
        semaphore: &'a Semaphore,
        n: u32,
    ) -> Result<SemaphorePermit<'a>, AcquireError> {
        self.check()?;
        semaphore.acquire_under(&self.under(), n).map_err(|closed| match closed {
            true => AcquireError::Closed,
            false => AcquireError::Context(self.ended()),
        })
    }

    /// Waits until the group's counter is zero.
    ///
    /// # Errors
    /// The context ended; the group is as if nobody had waited.
    ///
    /// # Panics
    /// As [`WaitGroup::wait`].
    #[track_caller]
    pub fn wait(&self, group: &WaitGroup) -> Result<(), Error> {
        self.check()?;
        if group.wait_under(&self.under()) { Ok(()) } else { Err(self.ended()) }
    }

    /// Waits for a notification, or takes the stored one.
    ///
    /// # Errors
    /// The context ended; a notification goes to somebody else.
    pub fn notified(&self, notify: &Notify) -> Result<(), Error> {
        self.check()?;
        if notify.wait_under(&self.under()) { Ok(()) } else { Err(self.ended()) }
    }

    /// Gives the mutex up, waits for a notification of `condvar`, and locks the mutex again, for
    /// which it waits however long that takes. The second value is an error if the context ended;
    /// look at the condition all the same.
    ///
    /// # Errors
    /// If the mutex is poisoned by then; guard and second value are in the error.
    pub fn wait_cond<'a, T>(
        &self,
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
    ) -> LockResult<(MutexGuard<'a, T>, Result<(), Error>)> {
        if let Some(e) = self.err() {
            return Ok((guard, Err(e)));
        }
        let (r, notified) = condvar.wait_under(&self.under(), guard);
        let result = if notified { Ok(()) } else { Err(self.ended()) };
        match r {
            Ok(guard) => Ok((guard, result)),
            Err(e) => Err(PoisonError::new((e.into_inner(), result))),
        }
    }
}

/// The semaphore table for those who wait under a context.
pub(crate) struct Under<'a> {
    context: &'a Context,
}

impl Env for Under<'_> {
    type Wait = Wait;
    type Why = Why;

    fn begin(&self) -> Wait {
        Sema.begin()
    }
    fn claim(&self, wait: Wait, op: usize) -> bool {
        Sema.claim(wait, op)
    }
    fn is_waiting(&self, wait: Wait) -> bool {
        Sema.is_waiting(wait)
    }
    fn wait(&self, wait: Wait, why: Why, deadline_ns: Option<i64>) -> usize {
        self.context.wait_for(wait, why, deadline_ns)
    }
    fn wake(&self, wait: Wait) {
        Sema.wake(wait);
    }
    fn hash(&self, key: usize) -> u64 {
        Sema.hash(key)
    }
    fn locked<R>(&self, hash: u64, f: impl FnOnce(&mut Queue<Wait>) -> R) -> R {
        Sema.locked(hash, f)
    }
    fn now_ns(&self) -> i64 {
        Sema.now_ns()
    }
    fn can_spin(&self, i: u32) -> bool {
        Sema.can_spin(i)
    }
    fn spin(&self) {
        Sema.spin();
    }
    fn yield_now(&self) {
        Sema.yield_now();
    }
}
