//! Channels: messages from goroutine to goroutine, and to and from plain threads.
//!
//! The API is crossbeam-channel's: a program written for it ports by changing paths. Added is what
//! Go has: `close` from either side. Go's nil channel is [`never()`].
//!
//! * [`bounded`]`(n)` holds up to `n` messages; `bounded(0)` holds none: sender and receiver meet.
//! * [`unbounded`] holds any number; sending never waits.
//! * [`after`], [`at`], [`tick`]: the clock sends. [`never()`]: nobody does.
//!
//! ```
//! use rt0::chan::bounded;
//!
//! #[rt0::main]
//! fn main() {
//!     let (tx, rx) = bounded(8);
//!     rt0::go(move || (1..=10).for_each(|n: u32| tx.send(n * n).unwrap()));
//!     assert_eq!(rx.iter().sum::<u32>(), 385);
//! }
//! ```
//!
//! Messages of one sender arrive in order. What is sent happens before it is received; with a
//! bounded channel the `n`th receive happens before send number `n + capacity` returns.
//!
//! core.rs has what a channel decides, queue.rs who waits, shared.rs how messages move; head.rs has
//! what is the same whatever they are.

pub(crate) mod alarm;
mod buffer;
pub(crate) mod clocked;
pub(crate) mod core;
mod error;
mod future;
pub(crate) mod head;
pub(crate) mod here;
mod iter;
pub(crate) mod lock;
pub(crate) mod place;
pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod select;
pub(crate) mod selecting;
mod sender;
pub(crate) mod shared;

pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use future::RecvFuture;
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

#[doc(no_inline)]
pub use select::macros::{select, select_biased};
pub use select::{Select, SelectedOperation};

use clocked::Clocked;
use receiver::Flavor;
use shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A channel that holds any number of messages: sending never waits.
///
/// Memory follows the number of messages in it. crossbeam-channel: `unbounded`; std:
/// `mpsc::channel`.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

/// A channel that holds up to `cap` messages: sending waits while it is full.
///
/// With `cap` 0 it holds none: a send waits for its receive. Go: `make(chan T, cap)`; std:
/// `mpsc::sync_channel`.
///
/// # Panics
/// `cap` messages do not fit into memory.
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(cap))
}

fn channel<T>(cap: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(cap));
    (Sender { shared: Arc::clone(&shared) }, Receiver { flavor: Flavor::Chan(shared) })
}

/// A channel with one message, which comes after `duration`: the moment it was due.
///
/// No timer runs while nobody waits for it. Longer than time goes on, it is [`never()`]. Go:
/// `time.After`.
pub fn after(duration: Duration) -> Receiver<Instant> {
    Instant::now().checked_add(duration).map_or_else(never, at)
}

/// A channel with one message, which comes at `when`: that moment.
pub fn at(when: Instant) -> Receiver<Instant> {
    clocked(Clocked::at(when))
}

/// A channel with a message every `duration`: the moment it was due.
///
/// At most one message is in it. Ticks keep their rhythm while they are received within a period; a
/// slower receiver loses some. No timer runs while nobody waits. Go: `time.Tick`.
pub fn tick(duration: Duration) -> Receiver<Instant> {
    clocked(Clocked::every(duration))
}

pub(crate) fn clocked(clocked: Clocked) -> Receiver<Instant> {
    Receiver { flavor: Flavor::Clocked(Arc::new(clocked), |when| when) }
}

/// A channel that never has a message and is never closed. Go: a nil channel.
pub fn never<T>() -> Receiver<T> {
    Receiver { flavor: Flavor::Never }
}
