//! Receiving in async code.
//!
//! A future waits as a `Select::ready` does: it watches the channel, is told of every change that
//! may let it receive, and looks again when it is polled. A message is never kept for it, so one
//! that is dropped loses none, whenever that is; and since every watcher is told, it takes no
//! wake-up with it. Its ticket is that of a task (future/task.rs).
//!
//! # Invariants
//! * `CF1`: `entry` is written while the task is idle. From then on it is linked, or in the chain
//!   of who claimed its ticket; when the task is idle again it is neither.
//! * `CF2`: who claims the ticket has taken the entry out before, but for the timer and the owner:
//!   they take it out afterwards, before the task is idle or gone.
//!
//! Rejected: a place for the message in the future, as receivers on goroutines have. One that was
//! filled and is then dropped has to put its message back, in front of others that are older by
//! then, or into a channel that is full again.

#![allow(unsafe_code, reason = "CF1: an entry that outlives its time in a queue")]

use super::clocked::Clocked;
use super::error::{RecvError, TryRecvError};
use super::here::Here;
use super::queue::Entry;
use super::receiver::{Flavor, Receiver};
use crate::future::task::{Source, Task};
use crate::g::parker::Wait;
use crate::g::ticket::FIRST_OP;
use core::cell::UnsafeCell;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// [`Receiver::recv`] as a future, for async code that runs anywhere: of
/// [`recv_async`](Receiver::recv_async).
///
/// Polled again after it was ready, it receives the next message.
#[must_use = "futures do nothing unless they are polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    /// Made when it first has to wait.
    waits: Option<(Arc<Task>, Arc<Watch>)>,
}

impl<T> Receiver<T> {
    /// Receives, in async code. Dropping the future loses no message.
    ///
    /// Goroutines that wait in [`recv`](Receiver::recv) get messages first. While a future waits at
    /// a channel without capacity, a `try_send` finds nobody there; a `send` waits until the future
    /// is polled. `&receiver` can be awaited, too. Go has no counterpart.
    ///
    /// # Errors
    /// The channel is empty and closed.
    ///
    /// # Panics
    /// When it has to wait and the runtime does not run.
    ///
    /// ```
    /// # #[rt0::main] fn main() {
    /// let (tx, rx) = rt0::chan::bounded(1);
    /// rt0::go(move || tx.send(5).unwrap());
    /// assert_eq!(rt0::future::block_on(rx.recv_async()), Ok(5));
    /// # }
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, waits: None }
    }
}

impl<'a, T> IntoFuture for &'a Receiver<T> {
    type Output = Result<T, RecvError>;
    type IntoFuture = RecvFuture<'a, T>;

    fn into_future(self) -> RecvFuture<'a, T> {
        self.recv_async()
    }
}

/// What is linked, and where if that is a clocked channel.
struct Watch {
    entry: UnsafeCell<Option<Entry<Wait>>>, // CF1
    clocked: Option<Arc<Clocked>>,
}

// SAFETY: CF1: the entry is written by one, and what is in it belongs to its queue's lock.
unsafe impl Send for Watch {}
// SAFETY: CF1
unsafe impl Sync for Watch {}

impl Watch {
    /// CF1: the task was idle, and has got this ticket.
    fn renew(&self, wait: Wait) {
        let entry = Entry::new(wait, FIRST_OP, core::ptr::null_mut());
        // SAFETY: CF1: nobody else has a reference.
        unsafe { *self.entry.get() = Some(entry) };
    }

    fn entry(&self) -> Option<&Entry<Wait>> {
        // SAFETY: CF1: not written before the task is idle.
        unsafe { &*self.entry.get() }.as_ref()
    }
}

impl Source for Arc<Watch> {
    fn part(&self, _: Wait) {
        if let (Some(clocked), Some(entry)) = (&self.clocked, self.entry()) {
            clocked.unregister(&Here::enter(), entry);
        }
    }
}

impl<T> RecvFuture<'_, T> {
    fn waits(&mut self) -> &(Arc<Task>, Arc<Watch>) {
        let receiver = self.receiver;
        self.waits.get_or_insert_with(|| {
            let clocked = match &receiver.flavor {
                Flavor::Clocked(clocked, _) => Some(Arc::clone(clocked)),
                _ => None,
            };
            let watch = Arc::new(Watch { entry: UnsafeCell::new(None), clocked });
            match Task::new(Box::new(Arc::clone(&watch))) {
                Ok(task) => (task, watch),
                Err(e) => panic!("failed to start goroutine: {e}"),
            }
        })
    }

    /// Begins to wait; false: something may have come.
    fn watch(&mut self, cx: &mut Context<'_>) -> bool {
        let receiver = self.receiver;
        let next = match &receiver.flavor {
            Flavor::Never => return true,
            Flavor::Clocked(clocked, _) => Some(clocked.next_ns()),
            Flavor::Chan(_) => None,
        };
        let (task, watch) = self.waits();
        let deadline_ns = next.filter(|ns| *ns < super::alarm::LAST);
        let Some(armed) = task.arm(cx.waker(), deadline_ns) else { return true };
        watch.renew(armed.wait);
        let linked = match (&receiver.flavor, watch.entry()) {
            (Flavor::Chan(shared), Some(entry)) => shared.watch(entry),
            (Flavor::Clocked(clocked, _), Some(entry)) => clocked.register_at(entry, next),
            _ => false,
        };
        if !linked {
            // If the timer was faster, the task fires for nothing.
            drop(task.disarm(armed));
        } else if let Flavor::Clocked(clocked, _) = &receiver.flavor
            && let Some(entry) = watch.entry()
            && !armed.wait.is_waiting()
        {
            clocked.unregister(&Here::enter(), entry); // CF2: the timer may have been faster
        }
        linked
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.receiver.try_recv() {
                Ok(msg) => return Poll::Ready(Ok(msg)),
                Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
            if self.watch(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        let Some((task, watch)) = &self.waits else { return };
        task.retire();
        // CF2. The task is idle, or the runner has it.
        if let (Some(shared), Some(entry)) = (self.receiver.shared(), watch.entry()) {
            shared.unwatch(entry);
        }
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").finish_non_exhaustive()
    }
}
