//! Async code from goroutines, and the other way round.
//!
//! [`block_on`] runs a future on the goroutine that calls it, which parks whenever the future is
//! pending; its waker is an unpark. So the future needs neither `Send` nor `'static`, may borrow
//! from the stack, and may block in the middle of a poll without stalling anything. In the other
//! direction a [`JoinHandle`] is a future too, a channel's receiver can be awaited
//! ([`recv_async`](crate::chan::Receiver::recv_async)), and streams can be polled
//! ([`Polled`](crate::io::Polled)): under any executor.
//!
//! ```
//! use rt0::future::{block_on, spawn_future};
//!
//! # #[rt0::main] fn main() {
//! let text = String::from("borrowed");
//! let length = block_on(async {
//!     let other = spawn_future(async { 5 });
//!     other.await.unwrap() + text.len()
//! });
//! assert_eq!(length, 13);
//! # }
//! ```

pub(crate) mod armed;
pub(crate) mod task;

use crate::g::WaitReason;
use crate::join::{Builder, JoinHandle};
use crate::sched::wait::Why;
use crate::sched::waiter::Waiter;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        Waiter::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Waiter::wake(self);
    }
}

/// Runs `fut` to its end and returns its output: a future, or what can be made one of, such as a
/// [`JoinHandle`].
///
/// Blocks the goroutine (or plain thread) while the future is pending; others run meanwhile. May be
/// called inside another `block_on`. A future that needs a runtime of its own (tokio's sockets and
/// timers) panics as it does outside of that. A panic of the future unwinds through the call. Go
/// has no counterpart.
pub fn block_on<F: IntoFuture>(fut: F) -> F::Output {
    let mut fut = pin!(fut.into_future());
    let waiter = Arc::new(Waiter::new());
    let waker = Waker::from(Arc::clone(&waiter));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = fut.as_mut().poll(&mut cx) {
            return output;
        }
        waiter.wait(Why { reason: WaitReason::FutureWait, on: 0 });
    }
}

/// Starts a goroutine that runs `fut`. The handle can be joined or awaited. tokio: `spawn`.
///
/// # Panics
/// As [`go`](crate::go).
#[track_caller]
pub fn spawn_future<F>(fut: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Builder::new().go(|| block_on(fut)) {
        Ok(h) => h,
        Err(e) => panic!("failed to start goroutine: {e}"),
    }
}
