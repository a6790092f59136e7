//! What cases are made of: goroutines that all run one function, and yields that count migrations.

use std::mem;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long something may take that takes microseconds when nothing is wrong, and the machine has
/// nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

static GOROUTINES: AtomicUsize = AtomicUsize::new(0);
static MIGRATIONS: AtomicUsize = AtomicUsize::new(0);

/// How many goroutines cases have started, and how often one moved to another thread.
pub(crate) fn counts() -> (usize, usize) {
    (GOROUTINES.load(Relaxed), MIGRATIONS.load(Relaxed))
}

/// Runs `f(0)` to `f(n - 1)` as goroutines and waits for all. Panics with the first panic of one.
pub(crate) fn goroutines(n: usize, f: impl Fn(usize) + Sync) {
    GOROUTINES.fetch_add(n, Relaxed);
    let f = &f;
    rt0::scope(|scope| {
        let handles: Vec<_> = (0..n).map(|i| scope.go(move || f(i))).collect();
        let panics: Vec<_> = handles.into_iter().filter_map(|h| h.join().err()).collect();
        if let Some(payload) = panics.into_iter().next() {
            resume_unwind(payload);
        }
    });
}

/// Every so many hops a goroutine parks and is woken by a thread, so that any P may run it next:
/// one that only yields mostly stays where it is.
const RIDE_EVERY: usize = 4;

/// Yields or parks, and counts whether the goroutine came back on another thread.
pub(crate) fn hop() {
    static HOPS: AtomicUsize = AtomicUsize::new(0);
    if HOPS.fetch_add(1, Relaxed).is_multiple_of(RIDE_EVERY) {
        counted(ride_carousel);
    } else {
        only_yield();
    }
}

/// Yields, which calls nothing of std or libc's.
pub(crate) fn only_yield() {
    counted(rt0::gosched);
}

fn counted(leave: impl FnOnce()) {
    let before = rustix::thread::gettid();
    leave();
    if rustix::thread::gettid() != before {
        MIGRATIONS.fetch_add(1, Relaxed);
    }
}

/// The goroutines that wait for the carousel's thread to wake them.
static CAROUSEL: Mutex<Vec<rt0::Goroutine>> = Mutex::new(Vec::new());

fn ride_carousel() {
    static THREAD: OnceLock<Thread> = OnceLock::new();
    let Some(this) = rt0::current() else {
        return thread::yield_now(); // a plain thread
    };
    CAROUSEL.lock().expect("nobody panics with it").push(this);
    THREAD.get_or_init(|| thread::spawn(turn_carousel).thread().clone()).unpark();
    rt0::park();
}

fn turn_carousel() {
    loop {
        let riders = mem::take(&mut *CAROUSEL.lock().expect("nobody panics with it"));
        if riders.is_empty() {
            thread::park();
        }
        riders.iter().for_each(rt0::Goroutine::unpark);
    }
}

/// [`hop`], `n` times.
pub(crate) fn hops(n: usize) {
    for _ in 0..n {
        hop();
    }
}

/// Yields until `done`; panics when that takes too long.
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        hop();
        std::thread::yield_now();
    }
}
