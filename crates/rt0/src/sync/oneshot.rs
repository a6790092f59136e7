//! A channel for one value. tokio: `sync::oneshot`, but receiving blocks.

use super::{Condvar, Mutex, MutexGuard};
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use std::sync::mpsc::{RecvError, RecvTimeoutError};

/// Why there is no value now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// It may still come.
    Empty,
    /// The sender is gone, or the value was received.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "channel empty",
            TryRecvError::Closed => "channel closed",
        })
    }
}

impl std::error::Error for TryRecvError {}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<T>,
    sender: bool,
    receiver: bool,
}

impl<T> Shared<T> {
    /// No code of the user's runs with the lock held.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `busy`; returns when it is not, or the time is over.
    fn wait_while(
        &self,
        deadline_ns: Option<i64>,
        busy: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        let on = core::ptr::from_ref(self) as usize;
        let why = Why { reason: WaitReason::OneshotReceive, on };
        let (mut state, mut in_time) = (self.lock(), true);
        while in_time && busy(&state) {
            let r;
            (r, in_time) = self.changed.wait_for(state, why, deadline_ns);
            state = r.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

/// A channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { value: None, sender: true, receiver: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// Sends the value; dropped without, the receiver gets an error.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Receives the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value. Never blocks.
    ///
    /// # Errors
    /// If the receiver is gone or closed; the value is in the error.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        if !state.receiver {
            return Err(value);
        }
        state.value = Some(value);
        Ok(())
    }

    /// Whether the receiver is gone or closed.
    pub fn is_closed(&self) -> bool {
        !self.shared.lock().receiver
    }

    /// Waits until the receiver is gone or closed.
    pub fn closed(&self) {
        drop(self.shared.wait_while(None, |s| s.receiver));
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.lock().sender = false;
        self.shared.changed.notify_all();
    }
}

impl<T> Receiver<T> {
    /// Waits for the value.
    ///
    /// # Errors
    /// If the sender is gone without having sent one, or it was received already.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        let mut state = self.shared.wait_while(None, |s| s.value.is_none() && s.sender);
        state.value.take().ok_or(RecvError)
    }

    /// The same for `timeout` at most.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv), or that the time is over.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let deadline_ns = wait::after(timeout);
        let mut state = self.shared.wait_while(deadline_ns, |s| s.value.is_none() && s.sender);
        match state.value.take() {
            Some(value) => Ok(value),
            None if state.sender => Err(RecvTimeoutError::Timeout),
            None => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// The value, if it is there. Never blocks.
    ///
    /// # Errors
    /// See [`TryRecvError`].
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = self.shared.lock();
        match state.value.take() {
            Some(value) => Ok(value),
            None if state.sender => Err(TryRecvError::Empty),
            None => Err(TryRecvError::Closed),
        }
    }

    /// Keeps the sender from sending; what was sent can still be received.
    pub fn close(&mut self) {
        self.shared.lock().receiver = false;
        self.shared.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiver = false;
        let value = state.value.take();
        drop(state);
        self.shared.changed.notify_all();
        drop(value); // the user's code: without the lock
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
