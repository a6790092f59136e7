//! std's locks and thread-local state, the unwinder and the loader.

use super::worker::Worker;
use crate::soundness::{Library, fresh_library};
use rand::Rng;
use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// The lines go to [`check_printed`](super::run).
pub(crate) fn print(worker: &mut Worker) {
    println!("goroutine {} line {}", worker.index, worker.rounds);
}

/// The seed of a hash map is thread-local.
pub(crate) fn hash(worker: &mut Worker) {
    worker.x += 1;
    let map: HashMap<u64, u64> = (0..200).map(|k| (k ^ worker.x, k)).collect();
    assert_eq!(map.values().sum::<u64>(), 199 * 100);
}

/// A thread-local generator behind an `Rc`, which a second borrow would corrupt.
pub(crate) fn rand(worker: &mut Worker) {
    let mut rng = rand::rng();
    for _ in 0..1000 {
        worker.x ^= rng.random::<u64>();
    }
}

/// The lock's owner may be preempted: the others sleep in the kernel until it runs again.
pub(crate) fn mutex(worker: &mut Worker) {
    static PAIR: Mutex<(u64, u64)> = Mutex::new((0, 0));
    let mut pair = PAIR.lock().expect("nobody panics with it");
    pair.0 += 1;
    stir(worker, 50);
    pair.1 += 1;
    let seen = *pair;
    drop(pair);
    assert_eq!(seen.0, seen.1, "two held the lock at once");
    stir(worker, 1000);
}

fn stir(worker: &mut Worker, times: u32) {
    worker.x = (0..times).fold(worker.x, |x, _| x.wrapping_mul(31).rotate_left(3));
}

pub(crate) fn panic(worker: &mut Worker) {
    worker.x += 1;
    let payload = catch_unwind(|| resume_unwind(Box::new(worker.x))).expect_err("it panics");
    assert_eq!(payload.downcast_ref(), Some(&worker.x), "another's panic");
    assert!(!thread::panicking());
}

/// Walks the stack and reads debug information under a lock of std's.
pub(crate) fn bt(_: &mut Worker) {
    let trace = format!("{}", Backtrace::force_capture());
    assert!(!trace.is_empty());
}

pub(crate) fn tid(worker: &mut Worker) {
    assert!((0..1000).all(|_| thread::current().id() == worker.thread), "another's thread id");
}

/// Whoever comes first computes for a while; the others sleep in the kernel until then.
pub(crate) fn once(worker: &mut Worker) {
    static VALUE: OnceLock<Duration> = OnceLock::new();
    let value = VALUE.get_or_init(|| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(100) {}
        start.elapsed()
    });
    stir(worker, 1000);
    assert!(*value >= Duration::from_millis(100));
}

/// A library with thread-local variables; it is unloaded whenever nobody has it open.
pub(crate) fn dl(_: &mut Worker) {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let library = Library::open(PATH.get_or_init(|| fresh_library("mix", 7)));
    let first = black_box(library.bump());
    assert!(first > 7, "its variables are not initialised");
    assert_eq!(library.bump(), first + 1, "another's variables");
}
