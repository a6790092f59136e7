//! The receiving half of a channel.

use super::clocked::Clocked;
use super::core::Core;
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::here::Here;
use super::iter::{IntoIter, Iter, TryIter};
use super::shared::{Patience, Refused, Shared};
use crate::atomic::Ordering;
use crate::g::WaitReason;
use crate::sched::wait::Why;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The receiving half of a channel. It may be cloned and shared: each message goes to one receiver.
/// When the last one is dropped the channel is closed and the messages in it are dropped.
///
/// Works on goroutines and on plain threads alike. crossbeam-channel: `Receiver`; Go: `<-chan T`.
///
/// ```
/// let (tx, rx) = rt0::chan::unbounded();
/// rt0::run(move || {
///     rt0::go(move || (0..3).for_each(|n| tx.send(n).unwrap()));
///     assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
/// });
/// ```
pub struct Receiver<T> {
    pub(crate) flavor: Flavor<T>,
}

/// What is behind a receiver.
pub(crate) enum Flavor<T> {
    Chan(Arc<Shared<T>>),
    /// `T` is `Instant`, as the function says.
    Clocked(Arc<Clocked>, fn(Instant) -> T),
    Never,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// Receives if that needs no waiting: a message is there, or somebody waits to send.
    ///
    /// # Errors
    /// `Empty`, or `Disconnected` if nothing will come any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_patient(&Patience::None).map_err(|why| match why {
            Refused::TooLong => TryRecvError::Empty,
            Refused::Closed => TryRecvError::Disconnected,
        })
    }

    /// Receives; waits while the channel is empty.
    ///
    /// # Errors
    /// The channel is empty and closed.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_patient(&Patience::Forever).map_err(|_| RecvError)
    }

    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout`, or `Disconnected` if nothing will come any more.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            None => self.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// The same until `deadline`.
    ///
    /// # Errors
    /// `Timeout`, or `Disconnected` if nothing will come any more.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_patient(&Patience::Until(deadline)).map_err(|why| match why {
            Refused::TooLong => RecvTimeoutError::Timeout,
            Refused::Closed => RecvTimeoutError::Disconnected,
        })
    }

    #[inline]
    pub(crate) fn recv_patient(&self, patience: &Patience<'_>) -> Result<T, Refused> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.recv(patience),
            Flavor::Clocked(clocked, message) => clocked.recv(patience).map(message),
            Flavor::Never => Err(never(patience)),
        }
    }

    /// Closes the channel for all; false if it was closed. Who waits to send gets the message back;
    /// messages in the channel can still be received. A channel of `after`, `at`, `tick` or `never`
    /// cannot be closed: false.
    pub fn close(&self) -> bool {
        self.shared().is_some_and(Shared::close)
    }

    /// Whether the channel is closed: by `close`, or because all of one side's handles are dropped.
    pub fn is_closed(&self) -> bool {
        self.shared().is_some_and(|shared| shared.look(Core::is_closed))
    }

    /// Whether no message is in the channel; always with capacity 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room; always with capacity 0.
    pub fn is_full(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(shared) => shared.look(Core::is_full),
            Flavor::Clocked(clocked, _) => clocked.is_due(),
            Flavor::Never => true,
        }
    }

    /// How many messages are in the channel.
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Chan(shared) => shared.look(Core::len),
            Flavor::Clocked(clocked, _) => usize::from(clocked.is_due()),
            Flavor::Never => 0,
        }
    }

    /// How many messages it can hold; `None`: any number.
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.capacity(),
            Flavor::Clocked(..) => Some(1),
            Flavor::Never => Some(0),
        }
    }

    /// How many `Sender`s of this channel there are; 0 for `after`, `at`, `tick` and `never`.
    pub fn sender_count(&self) -> usize {
        // ORDERING: a count, nothing with it
        self.shared().map_or(0, |shared| shared.senders.load(Ordering::Relaxed))
    }

    /// How many `Receiver`s of this channel there are; 0 for `after`, `at`, `tick` and `never`.
    pub fn receiver_count(&self) -> usize {
        // ORDERING: a count, nothing with it
        self.shared().map_or(0, |shared| shared.receivers.load(Ordering::Relaxed))
    }

    /// The messages as they come; ends when the channel is empty and closed.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The messages that are there; ends at the first look that finds none.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Whether both are of one channel. All of `never` are.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.flavor, &other.flavor) {
            (Flavor::Chan(a), Flavor::Chan(b)) => Arc::ptr_eq(a, b),
            (Flavor::Clocked(a, _), Flavor::Clocked(b, _)) => Arc::ptr_eq(a, b),
            (Flavor::Never, Flavor::Never) => true,
            _ => false,
        }
    }

    pub(crate) fn shared(&self) -> Option<&Shared<T>> {
        match &self.flavor {
            Flavor::Chan(shared) => Some(shared),
            _ => None,
        }
    }
}

/// Waits until the patience is over.
fn never(patience: &Patience<'_>) -> Refused {
    let why = Why { reason: WaitReason::ChanReceiveNilChan, on: 0 };
    while let Ok(until) = patience.until() {
        let mut here = Here::enter();
        let wait = here.begin();
        until.wait(&mut here, wait, why);
    }
    Refused::TooLong
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let flavor = match &self.flavor {
            Flavor::Chan(shared) => {
                shared.receivers.fetch_add(1, Ordering::Relaxed); // ORDERING: this one is alive
                Flavor::Chan(Arc::clone(shared))
            }
            Flavor::Clocked(clocked, message) => Flavor::Clocked(Arc::clone(clocked), *message),
            Flavor::Never => Flavor::Never,
        };
        Receiver { flavor }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared() {
            shared.drop_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}
