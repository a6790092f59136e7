//! When to stop waiting: deadlines and cancellation for a tree of goroutines.
//!
//! Go: package context. A [`Context`] is handed to what works on a request; who started that can
//! end it, by hand ([`Cancel`]) or by a deadline, and with it all contexts that were made from it.
//! Waits that were started with a context ([`Context::recv`], [`sleep`](Context::sleep),
//! [`lock`](Context::lock) …) return an error value then; nothing unwinds, and what waits without
//! the context is left alone. So code that does not know of contexts never sees one.
//!
//! ```
//! use rt0::chan::bounded;
//! use rt0::context::{Error, RecvError, background, with_timeout};
//! use rt0::time::Duration;
//!
//! # #[rt0::main] fn main() {
//! let (ctx, _cancel) = with_timeout(&background(), Duration::from_millis(1));
//! let (_tx, rx) = bounded::<u32>(0);
//! let worker = rt0::go(move || ctx.recv(&rx));
//! let expired = RecvError::Context(Error::DeadlineExceeded);
//! assert_eq!(worker.join().unwrap(), Err(expired));
//! # }
//! ```
//!
//! Of an event and the end of the context that come at the same time one decides: a message that
//! was received is returned, one that was not sent comes back. A wait that begins after the end
//! returns the error, whatever else is ready.
//!
//! node.rs has the tree, ops.rs the waits, io.rs those for descriptors.

mod error;
pub(crate) mod io;
mod node;
mod ops;

pub use error::{AcquireError, Cause, Error, LockError, RecvError, SendError};

use crate::chan::Receiver;
use crate::chan::receiver::Flavor;
use node::Node;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether work is still wanted, until when, and values that go with it. Cheap to clone; a clone is
/// the same context. Go: `context.Context`.
#[derive(Clone, Default)]
pub struct Context {
    /// `None`: it never ends.
    node: Option<Arc<Node>>,
    values: Option<Arc<Values>>,
}

/// A list: later values first.
struct Values {
    value: Box<dyn Any + Send + Sync>,
    next: Option<Arc<Values>>,
}

impl Drop for Values {
    /// Not by recursion.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut values) = next.and_then(Arc::into_inner) {
            next = values.next.take();
        }
    }
}

/// A context that never ends: the root of others. It allocates nothing. Go: `context.Background`.
pub const fn background() -> Context {
    Context { node: None, values: None }
}

/// A context that ends with `parent`, or when it is cancelled. Go: `context.WithCancelCause`.
pub fn with_cancel(parent: &Context) -> (Context, Cancel) {
    parent.child(None)
}

/// A context that ends with `parent`, or at `deadline`, or when it is cancelled. A deadline that
/// has passed ends it at once. Go: `context.WithDeadline`.
pub fn with_deadline(parent: &Context, deadline: Instant) -> (Context, Cancel) {
    parent.child(Some(deadline))
}

/// The same for a time from now; one that is longer than time goes on is no deadline. Go:
/// `context.WithTimeout`.
pub fn with_timeout(parent: &Context, timeout: Duration) -> (Context, Cancel) {
    parent.child(Instant::now().checked_add(timeout))
}

/// Runs `f` with a context that ends after `d`, and returns what `f` returns.
///
/// Waits that `f` starts with the context end with an error value then, and so do those of its
/// input and output ([`Context::io`]); `f` returns it or goes on, and nothing that it has got by
/// then is lost. Other waits are not cut short: they have no error to say so with. Go:
/// `context.WithTimeout`.
///
/// ```
/// use rt0::chan::bounded;
/// use rt0::{context::within, time::Duration};
/// # #[rt0::main] fn main() {
/// let (_tx, rx) = bounded::<u32>(0);
/// assert!(within(Duration::from_millis(1), |ctx| ctx.recv(&rx)).is_err());
/// # }
/// ```
pub fn within<T>(d: Duration, f: impl FnOnce(&Context) -> T) -> T {
    let (ctx, _cancel) = with_timeout(&background(), d);
    ctx.io(|| f(&ctx))
}

/// `parent` with a value, which [`Context::value`] finds by its type: use a type of your own. Go:
/// `context.WithValue`.
pub fn with_value<T: Send + Sync + 'static>(parent: &Context, value: T) -> Context {
    let values = Values { value: Box::new(value), next: parent.values.clone() };
    Context { node: parent.node.clone(), values: Some(Arc::new(values)) }
}

impl Context {
    fn child(&self, deadline: Option<Instant>) -> (Context, Cancel) {
        let node = Node::new(self.node.clone(), deadline);
        let cancel = Cancel { node: Some(Arc::clone(&node)) };
        (Context { node: Some(node), values: self.values.clone() }, cancel)
    }

    /// Whether the context has ended by now. Go: `Context.Err`.
    pub fn err(&self) -> Option<Error> {
        self.node.as_ref().and_then(|node| node.err())
    }

    /// The same, for `?`.
    ///
    /// # Errors
    /// The context has ended.
    pub fn check(&self) -> Result<(), Error> {
        self.err().map_or(Ok(()), Err)
    }

    /// Why the context has ended; `None`: it has not. Go: `context.Cause`.
    pub fn cause(&self) -> Option<Cause> {
        self.node.as_ref().and_then(|node| node.cause())
    }

    /// When the context will end at the latest. Go: `Context.Deadline`.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref().and_then(|node| node.deadline)
    }

    /// Never has a message before the context ends, and always has one from then on: for
    /// [`select!`](crate::select!). Go: `Context.Done`.
    pub fn done(&self) -> &Receiver<()> {
        static NEVER: Receiver<()> = Receiver { flavor: Flavor::Never };
        self.node.as_ref().map_or(&NEVER, |node| &node.done)
    }

    /// The value of this type that was added last. Go: `Context.Value`.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut at = &self.values;
        while let Some(values) = at {
            if let Some(value) = values.value.downcast_ref() {
                return Some(value);
            }
            at = &values.next;
        }
        None
    }

    /// The values, in a context that never ends. Go: `context.WithoutCancel`.
    pub fn without_cancel(&self) -> Context {
        Context { node: None, values: self.values.clone() }
    }

    /// Starts `f` in a goroutine of its own when the context ends; at once, if it has. A panic of
    /// `f` ends the process, as that of any goroutine that nobody joins. Go: `context.AfterFunc`.
    ///
    /// The function is kept as long as the context: [`AfterFunc::stop`] takes it back, dropping the
    /// handle does not. If no clone of the context is left when it could end, `f` is dropped
    /// without having run. Where no goroutine can be made, `f` runs in the one that ends the
    /// context.
    ///
    /// # Panics
    /// If the context has a deadline, as [`Timer::after_func`](crate::time::Timer::after_func).
    #[track_caller]
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> AfterFunc {
        let Some(node) = &self.node else { return AfterFunc { place: None } };
        AfterFunc { place: Some((Arc::clone(node), node.after(Box::new(f)))) }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("deadline", &self.deadline())
            .field("err", &self.err())
            .finish_non_exhaustive()
    }
}

/// Ends the context that it was made with, and all made from that. Dropping it does so too, so that
/// a context does not outlive what it is for. Go: `context.CancelCauseFunc`, to be deferred.
#[must_use = "the context ends when this is dropped"]
pub struct Cancel {
    node: Option<Arc<Node>>,
}

impl Cancel {
    /// Ends the context, unless it has ended. Never blocks.
    pub fn cancel(&self) {
        self.end(&Cause::Cancelled);
    }

    /// The same; [`Context::cause`] says why.
    pub fn cancel_with(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) {
        self.end(&Cause::Other(Arc::from(cause.into())));
    }

    /// Leaves the context to its parent and its deadline.
    pub fn keep(mut self) {
        self.node = None;
    }

    fn end(&self, cause: &Cause) {
        if let Some(node) = &self.node {
            node.end(cause);
        }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").finish_non_exhaustive()
    }
}

/// A function that is to be started at a context's end.
pub struct AfterFunc {
    /// The number is `None` when it was started at once.
    place: Option<(Arc<Node>, Option<u64>)>,
}

impl AfterFunc {
    /// Takes the function back; true if it was not started, and now will not be. It is dropped.
    pub fn stop(self) -> bool {
        match self.place {
            None => true,
            Some((node, number)) => number.is_some_and(|number| node.take_back(number)),
        }
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}
