//! hyper's executor and timer.

use rt0::future::block_on;
use rt0::sync::{Mutex, MutexGuard, PoisonError};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Runs each future in a goroutine of its own: hyper's [`Executor`](hyper::rt::Executor).
///
/// A future that panics is dropped, and std's panic hook reports it; nothing else ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
{
    /// # Panics
    /// As [`rt0::go`].
    fn execute(&self, fut: F) {
        rt0::go(|| {
            // Nobody can see the outcome; a panic that nobody sees would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(block_on(fut))));
        });
    }
}

/// Sleeps by rt0's timers: hyper's [`Timer`](hyper::rt::Timer).
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        // What lies beyond the clock does not come.
        Box::pin(Sleep::new(Instant::now().checked_add(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep::new(Some(deadline)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.get_mut().deadline = Some(new_deadline),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

/// A future that is ready at a moment: of [`Timer`].
///
/// No timer runs before it is polled, nor when it is dropped.
pub struct Sleep {
    /// `None`: never.
    deadline: Option<Instant>,
    /// What was polled last, with its deadline.
    timer: Option<(rt0::time::Timer, Instant)>,
    shared: Arc<Mutex<Shared>>,
}

/// What the timer's function has, too. No waker is cloned, woken or dropped under the lock.
#[derive(Default)]
struct Shared {
    waker: Option<Waker>,
    /// The function was run, for whoever had polled last then.
    has_fired: bool,
}

impl Sleep {
    fn new(deadline: Option<Instant>) -> Sleep {
        Sleep { deadline, timer: None, shared: Arc::default() }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fire(shared: &Mutex<Shared>) {
    let waker = {
        let mut shared = lock(shared);
        shared.has_fired = true;
        shared.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl hyper::rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let (old, has_fired) = {
            let mut shared = lock(&self.shared);
            (shared.waker.replace(waker), std::mem::take(&mut shared.has_fired))
        };
        drop(old);
        match &self.timer {
            Some((_, armed_for)) if *armed_for == deadline && !has_fired => return Poll::Pending,
            Some((timer, _)) => {
                timer.reset_at(deadline);
            }
            None => {
                let shared = Arc::clone(&self.shared);
                let timer = rt0::time::Timer::after_func(left, move || fire(&shared));
                self.timer = Some((timer, deadline));
            }
        }
        if let Some((_, armed_for)) = &mut self.timer {
            *armed_for = deadline;
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((timer, _)) = &self.timer {
            timer.stop();
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
