//! The errors of channels and selects: crossbeam-channel's, name by name and text by text.

use std::error::Error;
use std::fmt;

/// An error of [`Sender::send`](super::Sender::send): the channel is closed. It has the message.
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct SendError<T>(pub T);

/// An error of [`Sender::try_send`](super::Sender::try_send). It has the message.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum TrySendError<T> {
    /// The channel is full; or, with capacity 0, nobody waits to receive.
    Full(T),
    /// The channel is closed.
    Disconnected(T),
}

/// An error of [`Sender::send_timeout`](super::Sender::send_timeout). It has the message.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum SendTimeoutError<T> {
    /// There was no room in time; or, with capacity 0, nobody came to receive.
    Timeout(T),
    /// The channel is closed.
    Disconnected(T),
}

/// An error of [`Receiver::recv`](super::Receiver::recv): the channel is empty and closed.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct RecvError;

/// An error of [`Receiver::try_recv`](super::Receiver::try_recv).
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// The channel is empty; or, with capacity 0, nobody waits to send.
    Empty,
    /// The channel is empty and closed.
    Disconnected,
}

/// An error of [`Receiver::recv_timeout`](super::Receiver::recv_timeout).
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum RecvTimeoutError {
    /// No message came in time.
    Timeout,
    /// The channel is empty and closed.
    Disconnected,
}

/// An error of a select: no operation is ready.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct TrySelectError;

/// An error of a select: none became ready.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct SelectTimeoutError;

/// An error of a select: no operation is ready.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct TryReadyError;

/// An error of a select: none became ready.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct ReadyTimeoutError;

const SEND_CLOSED: &str = "sending on a disconnected channel";
const RECV_CLOSED: &str = "receiving on an empty and disconnected channel";

/// `Display` by a text for each value, and `Error`.
macro_rules! error {
    ([$($generics:tt)*] $name:ty, $self:ident => $text:expr) => {
        impl $($generics)* fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $self = self;
                f.pad($text)
            }
        }
    };
}

error!([<T>] SendError<T>, _it => SEND_CLOSED);
error!([<T>] TrySendError<T>, it => {
    if it.is_full() { "sending on a full channel" } else { SEND_CLOSED }
});
error!([<T>] SendTimeoutError<T>, it => {
    if it.is_timeout() { "timed out waiting on send operation" } else { SEND_CLOSED }
});
error!([] RecvError, _it => RECV_CLOSED);
error!([] TryRecvError, it => {
    if it.is_empty() { "receiving on an empty channel" } else { RECV_CLOSED }
});
error!([] RecvTimeoutError, it => {
    if it.is_timeout() {
        "timed out waiting on receive operation"
    } else {
        "channel is empty and disconnected"
    }
});
error!([] TrySelectError, _it => "all operations in select would block");
error!([] SelectTimeoutError, _it => "timed out waiting on select");
error!([] TryReadyError, _it => "all operations in select would block");
error!([] ReadyTimeoutError, _it => "timed out waiting on select");

impl<T: Send> Error for SendError<T> {}
impl<T: Send> Error for TrySendError<T> {}
impl<T: Send> Error for SendTimeoutError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
impl Error for TrySelectError {}
impl Error for SelectTimeoutError {}
impl Error for TryReadyError {}
impl Error for ReadyTimeoutError {}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_full() { "Full(..)" } else { "Disconnected(..)" })
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendTimeoutError(..)")
    }
}

impl<T> SendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(msg) | TrySendError::Disconnected(msg) => msg,
        }
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the channel is closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(msg) | SendTimeoutError::Disconnected(msg) => msg,
        }
    }

    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether the channel is closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl TryRecvError {
    /// Whether there was no message.
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Whether the channel is empty and closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }
}

impl RecvTimeoutError {
    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Whether the channel is empty and closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(msg): SendError<T>) -> Self {
        TrySendError::Disconnected(msg)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(SendError(msg): SendError<T>) -> Self {
        SendTimeoutError::Disconnected(msg)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> Self {
        TryRecvError::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> Self {
        RecvTimeoutError::Disconnected
    }
}
