//! Waiting for a goroutine's end in async code.

#![allow(unsafe_code, reason = "JN5: a task is an Arc made raw")]
#![allow(clippy::disallowed_types, reason = "wakers are code of the user's: no lock of ours")]

use super::{JoinHandle, Packet, own_task};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Result;

/// Who is to be woken at the end; `None`: nobody any more.
pub(super) struct Task(Mutex<Option<Waker>>);

impl Task {
    fn set(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }

    pub(super) fn wake(&self) {
        if let Some(w) = self.set(None) {
            w.wake();
        }
    }
}

/// [`JoinHandle::join`] as a future, for async code that runs anywhere.
///
/// It is ready when the goroutine's closure has returned. Dropping it detaches the goroutine, as
/// dropping the handle does.
#[must_use = "futures do nothing unless they are polled"]
pub struct JoinFuture<T> {
    handle: Option<JoinHandle<T>>,
    task: Option<Arc<Task>>,
}

impl<T> Unpin for JoinFuture<T> {}

impl<T> IntoFuture for JoinHandle<T> {
    type Output = Result<T>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture { handle: Some(self), task: None }
    }
}

impl<T> JoinFuture<T> {
    /// Leaves the waker; false if the goroutine has finished.
    fn enlist(&mut self, waker: &Waker) -> bool {
        let Some(packet) = self.packet() else { return false };
        if packet.is_finished() {
            return false;
        }
        if let Some(task) = &self.task {
            task.set(Some(waker.clone()));
            return !packet.is_finished();
        }
        let task = Arc::new(Task(Mutex::new(Some(waker.clone()))));
        let raw = Arc::into_raw(Arc::clone(&task)).cast_mut();
        let listed = packet.state.enlist_task(raw.cast());
        if let Err(Some(_)) = listed {
            // SAFETY: JN5: it came back.
            drop(unsafe { Arc::from_raw(raw) });
        }
        self.task = Some(task);
        listed.is_ok()
    }

    fn packet(&self) -> Option<&Packet<T>> {
        self.handle.as_ref().map(JoinHandle::packet)
    }
}

impl<T> Future for JoinFuture<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if self.enlist(cx.waker()) {
            return Poll::Pending;
        }
        match self.handle.take().and_then(|mut h| h.packet.take()) {
            Some(packet) => Poll::Ready(Packet::take(packet)),
            None => panic!("`JoinFuture` polled after completion"),
        }
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        let Some(task) = &self.task else { return };
        // First, so that whoever frees the task frees no waker.
        drop(task.set(None));
        if let Some(packet) = self.packet()
            && let Some(raw) = packet.state.delist_task()
        {
            drop(own_task(raw));
        }
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").finish_non_exhaustive()
    }
}
