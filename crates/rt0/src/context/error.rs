//! Why a context ended, and what its waits return then.

use std::error;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};

/// A context has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It was cancelled, or one that it comes from was. Go: `context.Canceled`.
    Cancelled,
    /// Its time is over. Go: `context.DeadlineExceeded`.
    DeadlineExceeded,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Error::Cancelled => "context canceled",
            Error::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl error::Error for Error {}

/// `TimedOut` or `Other`; `Interrupted` would be taken as a reason to try again.
impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        let kind = match e {
            Error::Cancelled => io::ErrorKind::Other,
            Error::DeadlineExceeded => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, e)
    }
}

/// Why a context ended, in the words of who ended it. Go: `context.Cause`.
#[derive(Clone, Debug)]
pub enum Cause {
    /// [`Cancel::cancel`](super::Cancel::cancel), or the drop of the handle.
    Cancelled,
    /// Its time is over.
    DeadlineExceeded,
    /// What was given to [`Cancel::cancel_with`](super::Cancel::cancel_with).
    Other(Arc<dyn error::Error + Send + Sync>),
}

impl Cause {
    /// What [`Context::err`](super::Context::err) says.
    pub fn err(&self) -> Error {
        match self {
            Cause::DeadlineExceeded => Error::DeadlineExceeded,
            Cause::Cancelled | Cause::Other(_) => Error::Cancelled,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Other(e) => e.fmt(f),
            Cause::Cancelled | Cause::DeadlineExceeded => self.err().fmt(f),
        }
    }
}

/// An error of [`Context::recv`](super::Context::recv).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecvError {
    /// The context ended; a message stays in the channel.
    Context(Error),
    /// The channel is empty and closed.
    Disconnected,
}

/// An error of [`Context::send`](super::Context::send). It has the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// The context ended.
    Context(Error, T),
    /// The channel is closed.
    Disconnected(T),
}

impl<T> SendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            SendError::Context(_, msg) | SendError::Disconnected(msg) => msg,
        }
    }
}

/// An error of [`Context::lock`](super::Context::lock) and its like.
pub enum LockError<G> {
    /// The context ended; the lock was not taken.
    Context(Error),
    /// A holder panicked. The guard is in the error.
    Poisoned(PoisonError<G>),
}

/// An error of [`Context::acquire`](super::Context::acquire).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcquireError {
    /// The context ended; no permit was taken.
    Context(Error),
    /// The semaphore was closed.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Context(e) => e.fmt(f),
            RecvError::Disconnected => crate::chan::RecvError.fmt(f),
        }
    }
}

impl error::Error for RecvError {}

impl From<Error> for RecvError {
    fn from(e: Error) -> RecvError {
        RecvError::Context(e)
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Context(e, _) => e.fmt(f),
            SendError::Disconnected(_) => crate::chan::SendError(()).fmt(f),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Context(e, _) => write!(f, "Context({e:?}, ..)"),
            SendError::Disconnected(_) => f.pad("Disconnected(..)"),
        }
    }
}

impl<T> error::Error for SendError<T> {}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Context(e) => e.fmt(f),
            LockError::Poisoned(e) => e.fmt(f),
        }
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Context(e) => write!(f, "Context({e:?})"),
            LockError::Poisoned(_) => f.pad("Poisoned(..)"),
        }
    }
}

impl<G> error::Error for LockError<G> {}

impl<G> From<Error> for LockError<G> {
    fn from(e: Error) -> LockError<G> {
        LockError::Context(e)
    }
}

impl<G> From<PoisonError<G>> for LockError<G> {
    fn from(e: PoisonError<G>) -> LockError<G> {
        LockError::Poisoned(e)
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AcquireError::Context(e) => return e.fmt(f),
            AcquireError::Closed => "semaphore closed",
        })
    }
}

impl error::Error for AcquireError {}

impl From<Error> for AcquireError {
    fn from(e: Error) -> AcquireError {
        AcquireError::Context(e)
    }
}
