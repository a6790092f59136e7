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
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Sleep {
    fn new(deadline: Option<Instant>) -> Sleep {
        Sleep { deadline, timer: None, waker: Arc::default() }
    }
}

fn lock(waker: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    waker.lock().unwrap_or_else(PoisonError::into_inner)
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
        let old = lock(&self.waker).replace(cx.waker().clone());
        drop(old);
        match &self.timer {
            Some((_, armed_for)) if *armed_for == deadline => return Poll::Pending,
            Some((timer, _)) => {
                timer.reset_at(deadline);
            }
            None => {
                let waker = Arc::clone(&self.waker);
                let timer = rt0::time::Timer::after_func(left, move || {
                    let waker = lock(&waker).take();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                });
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
