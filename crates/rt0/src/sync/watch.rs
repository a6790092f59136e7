//! A value that one side changes and the other watches. tokio: `sync::watch`, but waiting blocks.
//!
//! # Invariants
//! * `WT1`: `version` goes up while the value's write lock is held, so whoever reads both under the
//!   read lock knows which version it sees. The value's lock is taken before `state`.

use super::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use crate::g::WaitReason;
use crate::sched::wait::{self, Why};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use super::broadcast::SendError;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError};

struct State {
    version: u64, // WT1
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    value: RwLock<T>,
    state: Mutex<State>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `busy`; false if the time was over first.
    fn wait_while(&self, deadline_ns: Option<i64>, busy: impl Fn(&State) -> bool) -> bool {
        let on = core::ptr::from_ref(self) as usize;
        let why = Why { reason: WaitReason::WatchWait, on };
        let mut state = self.lock();
        while busy(&state) {
            let (r, in_time) = self.changed.wait_for(state, why, deadline_ns);
            state = r.unwrap_or_else(PoisonError::into_inner);
            if !in_time {
                return !busy(&state);
            }
        }
        true
    }

    /// Waits for another version than the one `seen`, which becomes that.
    fn changed_until(&self, seen: &mut u64, until: Option<i64>) -> Result<(), RecvTimeoutError> {
        let old = *seen;
        if !self.wait_while(until, |s| s.version == old && s.senders > 0) {
            return Err(RecvTimeoutError::Timeout);
        }
        *seen = self.lock().version;
        if *seen == old { Err(RecvTimeoutError::Disconnected) } else { Ok(()) }
    }
}

/// A channel whose receivers see the last value sent; `init` is seen already.
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { version: 0, senders: 1, receivers: 1 });
    let shared = Arc::new(Shared { value: RwLock::new(init), state, changed: Condvar::new() });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared, seen: 0 })
}

/// Changes the value.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Watches the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value, borrowed: it cannot change while this is there.
pub struct Ref<'a, T> {
    guard: RwLockReadGuard<'a, T>,
    has_changed: bool,
}

impl<T> Ref<'_, T> {
    /// Whether the receiver had not seen it before.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Sender<T> {
    /// Changes the value, if somebody watches it. Waits while it is borrowed.
    ///
    /// # Errors
    /// If there is no receiver; the value is in the error.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.receiver_count() == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value, also if nobody watches it, and returns the old one.
    pub fn send_replace(&self, value: T) -> T {
        let mut value = value;
        self.send_modify(|v| std::mem::swap(v, &mut value));
        value
    }

    /// Changes the value in place. If `modify` panics nobody is told.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|v| {
            modify(v);
            true
        });
    }

    /// Changes the value in place; receivers are told if `modify` says that it did. Returns that.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.shared.value.write().unwrap_or_else(PoisonError::into_inner);
        let modified = modify(&mut value);
        if modified {
            self.shared.lock().version += 1;
        }
        drop(value);
        if modified {
            self.shared.changed.notify_all();
        }
        modified
    }

    /// The value. It is not to be sent while it is borrowed.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref { guard: self.shared.read(), has_changed: false }
    }

    /// One more receiver, which has seen the value.
    pub fn subscribe(&self) -> Receiver<T> {
        let mut state = self.shared.lock();
        state.receivers += 1;
        Receiver { shared: Arc::clone(&self.shared), seen: state.version }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.lock().receivers
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    pub fn closed(&self) {
        self.shared.wait_while(None, |s| s.receivers > 0);
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
        self.shared.lock().senders -= 1;
        self.shared.changed.notify_all();
    }
}

impl<T> Receiver<T> {
    /// The value. Keep it shortly: senders wait for it.
    pub fn borrow(&self) -> Ref<'_, T> {
        let guard = self.shared.read();
        let has_changed = self.shared.lock().version != self.seen;
        Ref { guard, has_changed }
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let guard = self.shared.read();
        let version = self.shared.lock().version;
        let has_changed = version != self.seen;
        self.seen = version;
        Ref { guard, has_changed }
    }

    /// Whether there is a value that it has not seen.
    ///
    /// # Errors
    /// If every sender is gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        let state = self.shared.lock();
        if state.senders == 0 { Err(RecvError) } else { Ok(state.version != self.seen) }
    }

    /// Waits for a value that it has not seen; it counts as seen then.
    ///
    /// # Errors
    /// If every sender is gone and the last value was seen.
    pub fn changed(&mut self) -> Result<(), RecvError> {
        self.shared.changed_until(&mut self.seen, None).map_err(|_| RecvError)
    }

    /// The same for `timeout` at most.
    ///
    /// # Errors
    /// As [`changed`](Receiver::changed), or that the time is over.
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.shared.changed_until(&mut self.seen, wait::after(timeout))
    }

    /// Waits for a value of which `wanted` says true, the present one included; it counts as seen.
    ///
    /// # Errors
    /// If every sender is gone and the last value is not it.
    pub fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, RecvError> {
        let (shared, seen) = (&self.shared, &mut self.seen);
        loop {
            let guard = shared.read();
            let version = shared.lock().version;
            let has_changed = version != *seen;
            *seen = version;
            if wanted(&guard) {
                return Ok(Ref { guard, has_changed });
            }
            drop(guard);
            shared.changed_until(seen, None).map_err(|_| RecvError)?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.shared.lock().receivers += 1;
        Receiver { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.lock().receivers -= 1;
        self.shared.changed.notify_all();
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
