//! A channel whose every receiver gets every value. tokio: `sync::broadcast`, but receiving blocks.
//!
//! A bounded number of values is kept. Sending never waits: a receiver that is too slow loses the
//! oldest ones and is told how many.
//!
//! # Invariants
//! * `BC1`: slot `i` of `slots` has position `first + i`; it has its value until every receiver
//!   that was there when it was sent has taken or skipped it.

use super::{Condvar, Mutex, MutexGuard};
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// There is no receiver; the value is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why [`Receiver::recv`] has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// Every sender is gone, and everything sent was received.
    Closed,
    /// The receiver was too slow, and so many values are gone. The next call gets the oldest left.
    Lagged(u64),
}

/// Why [`Receiver::try_recv`] or [`Receiver::recv_timeout`] has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// As [`RecvError::Closed`].
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl<T: fmt::Debug> std::error::Error for SendError<T> {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TryRecvError::from(*self).fmt(f)
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("channel empty"),
            TryRecvError::Closed => f.write_str("channel closed"),
            TryRecvError::Lagged(n) => write!(f, "channel lagged by {n}"),
        }
    }
}

impl std::error::Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(e: RecvError) -> TryRecvError {
        match e {
            RecvError::Closed => TryRecvError::Closed,
            RecvError::Lagged(n) => TryRecvError::Lagged(n),
        }
    }
}

struct Slot<T> {
    value: Option<Arc<T>>,
    /// Receivers that have not taken it.
    left: usize,
}

struct Ring<T> {
    slots: VecDeque<Slot<T>>, // BC1
    first: u64,
    senders: usize,
    receivers: usize,
}

impl<T> Ring<T> {
    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// BC1: a receiver passes the slot at `position`. The value, for it or to be dropped.
    fn pass(&mut self, position: u64) -> Option<Arc<T>> {
        let slot = self.slots.get_mut((position - self.first) as usize)?;
        slot.left -= 1;
        if slot.left == 0 { slot.value.take() } else { slot.value.clone() }
    }
}

struct Shared<T> {
    ring: Mutex<Ring<T>>,
    changed: Condvar,
    capacity: usize,
}

impl<T> Shared<T> {
    /// No code of the user's runs with the lock held.
    fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(self: &Arc<Self>) -> Receiver<T> {
        let mut ring = self.lock();
        ring.receivers += 1;
        Receiver { position: ring.next(), shared: Arc::clone(self) }
    }
}

/// A channel that keeps up to `capacity` values for slow receivers.
///
/// # Panics
/// If `capacity` is 0.
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "broadcast channel capacity cannot be zero");
    let ring = Ring { slots: VecDeque::new(), first: 0, senders: 1, receivers: 0 };
    let shared = Arc::new(Shared { ring: Mutex::new(ring), changed: Condvar::new(), capacity });
    let receiver = shared.subscribe();
    (Sender { shared }, receiver)
}

/// Sends to every receiver.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Receives every value that is sent while it exists.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    position: u64,
}

impl<T> Sender<T> {
    /// Sends a value and says how many receivers there are. Never blocks.
    ///
    /// # Errors
    /// If there is no receiver; the value is in the error.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let value = Arc::new(value);
        let mut ring = self.shared.lock();
        let receivers = ring.receivers;
        if receivers == 0 {
            drop(ring);
            return match Arc::try_unwrap(value) {
                Ok(value) => Err(SendError(value)),
                Err(_) => crate::throw::throw("broadcast: a value that was not sent is shared"),
            };
        }
        let full = ring.slots.len() == self.shared.capacity;
        let oldest = if full { ring.slots.pop_front() } else { None };
        ring.first += u64::from(full);
        ring.slots.push_back(Slot { value: Some(value), left: receivers });
        drop(ring);
        self.shared.changed.notify_all();
        drop(oldest);
        Ok(receivers)
    }

    /// One more receiver, for what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.subscribe()
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.lock().receivers
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.lock().senders += 1;
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut ring = self.shared.lock();
        ring.senders -= 1;
        let last = ring.senders == 0;
        drop(ring);
        if last {
            self.shared.changed.notify_all();
        }
    }
}

impl<T> Receiver<T> {
    /// How many values wait for it, lost ones included.
    pub fn len(&self) -> usize {
        (self.shared.lock().next() - self.position) as usize
    }

    /// Whether no value waits for it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new receiver of the same channel, for what is sent from now on.
    pub fn resubscribe(&self) -> Receiver<T> {
        self.shared.subscribe()
    }

    /// Waits until something is there, or the time is over; takes it.
    fn take(&mut self, deadline: Option<Option<i64>>) -> Result<Arc<T>, TryRecvError> {
        let on = Arc::as_ptr(&self.shared) as usize;
        let why = Why { reason: WaitReason::BroadcastReceive, on };
        let (mut ring, mut in_time) = (self.shared.lock(), deadline.is_some());
        loop {
            if self.position < ring.first {
                let lost = ring.first - self.position;
                self.position = ring.first;
                return Err(TryRecvError::Lagged(lost));
            }
            if let Some(value) = ring.pass(self.position) {
                self.position += 1;
                return Ok(value);
            }
            if ring.senders == 0 {
                return Err(TryRecvError::Closed);
            }
            if !in_time {
                return Err(TryRecvError::Empty);
            }
            let r;
            (r, in_time) = self.shared.changed.wait_for(ring, why, deadline.flatten());
            ring = r.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The value itself if nobody else needs it.
fn own<T: Clone>(value: Arc<T>) -> T {
    Arc::try_unwrap(value).unwrap_or_else(|shared| T::clone(&shared))
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next value.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub fn recv(&mut self) -> Result<T, RecvError> {
        match self.take(Some(None)) {
            Ok(value) => Ok(own(value)),
            Err(TryRecvError::Lagged(n)) => Err(RecvError::Lagged(n)),
            Err(_) => Err(RecvError::Closed),
        }
    }

    /// The same for `timeout` at most.
    ///
    /// # Errors
    /// See [`TryRecvError`]: `Empty` if the time is over.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, TryRecvError> {
        self.take(Some(wait::after(timeout))).map(own)
    }

    /// The next value, if it is there. Never blocks.
    ///
    /// # Errors
    /// See [`TryRecvError`].
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.take(None).map(own)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut ring = self.shared.lock();
        ring.receivers -= 1;
        let from = self.position.max(ring.first);
        let passed: Vec<_> = (from..ring.next()).map(|at| ring.pass(at)).collect();
        drop(ring);
        drop(passed); // the user's code: without the lock
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
