//! `rt0::thread` and what it takes from `rt0::sync`: code for std, with other imports.

#![allow(clippy::disallowed_types, reason = "what std's programs use, by rt0's path")]

use rt0::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use rt0::sync::{Arc, Mutex, Weak};
use rt0::thread;
use rt0::time::{Duration, Instant};
use std::collections::HashSet;

const LONG: Duration = Duration::from_secs(3600);

#[rt0::test]
fn a_program_for_threads() {
    let total = Arc::new(Mutex::new(0));
    let weak: Weak<_> = Arc::downgrade(&total);
    let handles: Vec<thread::JoinHandle<thread::ThreadId>> = (0..8)
        .map(|n| {
            let total = Arc::clone(&total);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(n));
                thread::yield_now();
                *total.lock().unwrap() += n;
                thread::current().id()
            })
        })
        .collect();
    let ids: Vec<_> = handles.iter().map(|h| h.thread().id()).collect();
    let theirs: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    assert_eq!(ids, theirs);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 8);
    assert_eq!(*total.lock().unwrap(), 28);
    drop(total);
    assert!(weak.upgrade().is_none());
}

#[rt0::test]
fn builders_scopes_and_names() {
    let mut numbers = [1, 2, 3];
    let sum = AtomicUsize::new(0);
    thread::scope(|s| {
        let named = thread::Builder::new()
            .name("adder".to_string())
            .stack_size(64 << 10)
            .spawn_scoped(s, || thread::current().name().map(str::to_owned))
            .unwrap();
        assert_eq!(named.thread().name(), Some("adder"));
        assert_eq!(named.join().unwrap().as_deref(), Some("adder"));
        for n in &mut numbers {
            let sum = &sum;
            s.spawn(move || {
                *n *= 10;
                sum.fetch_add(*n, Ordering::Relaxed);
            });
        }
    });
    assert_eq!((numbers, sum.into_inner()), ([10, 20, 30], 60));
    let t = thread::Builder::new().name("worker".into()).spawn(thread::current).unwrap();
    let (outside, inside) = (t.thread().clone(), t.join().unwrap());
    assert_eq!((outside.id(), outside.name()), (inside.id(), Some("worker")));
    assert!(format!("{outside:?}").starts_with("Thread { id: ThreadId("), "{outside:?}");
}

#[rt0::test]
#[should_panic = "interior null bytes"]
fn names_are_without_null_bytes() {
    let _ = thread::Builder::new().name("a\0b".into()).spawn(|| ());
}

#[rt0::test]
fn goroutines_and_threads_are_told_apart() {
    let here = thread::current();
    assert!(here.goroutine().is_some());
    let there = std::thread::spawn(thread::current).join().unwrap();
    assert!(there.goroutine().is_none());
    assert_ne!(here.id(), there.id());
    let twice = std::thread::spawn(|| thread::current().id() == thread::current().id());
    assert!(twice.join().unwrap());
}

#[rt0::test]
fn an_unpark_ends_a_timed_park_or_is_kept_for_the_next() {
    let t = thread::spawn(|| {
        thread::park_timeout(LONG); // the token that came before, or the unpark that comes
        true
    });
    t.thread().unpark();
    assert!(t.join().unwrap());
    let go = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&go);
    let t = thread::spawn(move || {
        while !theirs.load(Ordering::Acquire) {
            thread::park_timeout(LONG);
        }
    });
    thread::sleep(Duration::from_millis(5)); // most likely it waits by now
    go.store(true, Ordering::Release);
    t.thread().unpark();
    t.join().unwrap();
    thread::current().unpark();
    thread::park_timeout(LONG);
    thread::current().unpark();
    thread::park_timeout(Duration::ZERO); // takes the token too
    let began = Instant::now();
    // A park may end for no reason, but not a hundred times before its time.
    for _ in 0..100 {
        thread::park_timeout(Duration::from_millis(1));
    }
    assert!(began.elapsed() >= Duration::from_millis(1));
}

/// Deadlines and unparks that meet: the goroutine goes on each time, and the next park waits.
#[rt0::test]
fn timers_and_unparks_race() {
    let stop = Arc::new(AtomicBool::new(false));
    let parker = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let mut rounds = 0_u32;
            while !stop.load(Ordering::Acquire) {
                thread::park_timeout(Duration::from_micros(50));
                rounds += 1;
            }
            rounds
        })
    };
    let wakers: Vec<_> = (0..2)
        .map(|i| {
            let t = parker.thread().clone();
            let wake = move || {
                for n in 0..2000 {
                    t.unpark();
                    if n % 16 == i {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            };
            if i == 0 { std::thread::spawn(wake).into() } else { Waker::G(thread::spawn(wake)) }
        })
        .collect();
    for w in wakers {
        w.join();
    }
    stop.store(true, Ordering::Release);
    parker.thread().unpark();
    assert!(parker.join().unwrap() > 0);
}

enum Waker {
    G(thread::JoinHandle<()>),
    T(std::thread::JoinHandle<()>),
}

impl From<std::thread::JoinHandle<()>> for Waker {
    fn from(t: std::thread::JoinHandle<()>) -> Waker {
        Waker::T(t)
    }
}

impl Waker {
    fn join(self) {
        match self {
            Waker::G(g) => g.join().unwrap(),
            Waker::T(t) => t.join().unwrap(),
        }
    }
}
