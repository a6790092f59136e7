//! What the suites of channels, timers and contexts share.

#![allow(dead_code, reason = "no suite uses all of it")]

use rt0::time::Duration;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// Longer than anything takes here.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Sleeps where it is: the goroutine, or the thread.
pub(crate) fn pause(d: Duration) {
    rt0::time::sleep(d);
}

/// Tests that change the number of Ps take turns.
pub(crate) fn turn_to_resize() -> MutexGuard<'static, ()> {
    static RESIZE: Mutex<()> = Mutex::new(());
    RESIZE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f` on one, two and eight Ps.
pub(crate) fn on_all_ps(f: impl Fn()) {
    let _turn = turn_to_resize();
    let before = rt0::gomaxprocs();
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        f();
    }
    rt0::set_gomaxprocs(before);
}

/// What code runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Goroutine,
    Thread,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Goroutine, Kind::Thread];

/// Something that runs beside the test.
pub(crate) struct Task<T>(Inner<T>);

enum Inner<T> {
    Goroutine(rt0::JoinHandle<T>),
    Thread(thread::JoinHandle<T>),
}

impl<T: Send + 'static> Task<T> {
    pub(crate) fn start(kind: Kind, f: impl FnOnce() -> T + Send + 'static) -> Self {
        Task(match kind {
            Kind::Goroutine => Inner::Goroutine(rt0::go(f)),
            Kind::Thread => Inner::Thread(thread::spawn(f)),
        })
    }

    pub(crate) fn join(self) -> T {
        let r = match self.0 {
            Inner::Goroutine(h) => h.join(),
            Inner::Thread(h) => h.join(),
        };
        r.expect("it does not panic")
    }
}

/// A message that is counted while it lives.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
