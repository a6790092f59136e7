//! The sending half of a channel.

use super::core::Core;
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::shared::{Patience, Refused, Shared};
use crate::atomic::Ordering;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The sending half of a channel. It may be cloned and shared; when the last one is dropped the
/// channel is closed.
///
/// Works on goroutines and on plain threads alike. crossbeam-channel: `Sender`; Go: `chan<- T`.
///
/// ```
/// let (tx, rx) = rt0::chan::bounded(1);
/// let tx2 = tx.clone();
/// rt0::run(move || {
///     rt0::go(move || tx.send(1).unwrap());
///     rt0::go(move || tx2.send(2).unwrap());
///     assert_eq!(rx.recv().unwrap() + rx.recv().unwrap(), 3);
/// });
/// ```
pub struct Sender<T> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// Sends if that needs no waiting: there is room, or somebody waits to receive.
    ///
    /// # Errors
    /// `Full` or `Disconnected`, with the message.
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.shared.send(msg, &Patience::None).map_err(|(why, msg)| match why {
            Refused::TooLong => TrySendError::Full(msg),
            Refused::Closed => TrySendError::Disconnected(msg),
        })
    }

    /// Sends; waits while the channel is full. With capacity 0 it waits until the message is
    /// received.
    ///
    /// # Errors
    /// The channel is or becomes closed: the message comes back.
    #[inline]
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        self.shared.send(msg, &Patience::Forever).map_err(|(_, msg)| SendError(msg))
    }

    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout` or `Disconnected`, with the message.
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.send_deadline(msg, deadline),
            None => self.send(msg).map_err(SendTimeoutError::from),
        }
    }

    /// The same until `deadline`.
    ///
    /// # Errors
    /// `Timeout` or `Disconnected`, with the message.
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.shared.send(msg, &Patience::Until(deadline)).map_err(|(why, msg)| match why {
            Refused::TooLong => SendTimeoutError::Timeout(msg),
            Refused::Closed => SendTimeoutError::Disconnected(msg),
        })
    }

    /// Closes the channel for all; false if it was closed. Who waits to send gets the message back;
    /// messages in the channel can still be received. Go: `close`, which panics the second time.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed: by `close`, or because all of one side's handles are dropped.
    pub fn is_closed(&self) -> bool {
        self.shared.look(Core::is_closed)
    }

    /// Whether no message is in the channel; always with capacity 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room; always with capacity 0.
    pub fn is_full(&self) -> bool {
        self.shared.look(Core::is_full)
    }

    /// How many messages are in the channel.
    pub fn len(&self) -> usize {
        self.shared.look(Core::len)
    }

    /// How many messages it can hold; `None`: any number.
    pub fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }

    /// How many `Sender`s of this channel there are.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed) // ORDERING: a count, nothing with it
    }

    /// How many `Receiver`s of this channel there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Ordering::Relaxed) // ORDERING: a count, nothing with it
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed); // ORDERING: this one is alive
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
