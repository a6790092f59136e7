//! `rt0::time::sleep`.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod again;

use rt0::debug::{Party, waits};
use rt0::sync::OnceLock;
use rt0::time::{Duration, sleep, sleep_until};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// Ten thousand sleepers, each a thread where goroutines are, are no company for a test of how long
/// something takes.
static ALONE: rt0::sync::Mutex<()> = rt0::sync::Mutex::new(());

fn alone() -> impl Sized {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("procfs is mounted").count()
}

#[rt0::test]
fn never_early() {
    let _alone = alone();
    let handles: Vec<_> = (0..200_u64)
        .map(|n| {
            rt0::go(move || {
                let want = Duration::from_micros(n * 100 + 1);
                let start = Instant::now();
                sleep(want);
                (want, start.elapsed())
            })
        })
        .collect();
    for h in handles {
        let (want, took) = h.join().expect("no panic");
        assert!(took >= want, "slept {took:?} instead of {want:?}");
        assert!(took < want + Duration::from_secs(5), "slept {took:?} instead of {want:?}");
    }
}

#[rt0::test]
fn zero_and_tiny_return_at_once() {
    let _alone = alone();
    let start = Instant::now();
    for _ in 0..1000 {
        sleep(Duration::ZERO);
        sleep(Duration::from_nanos(1));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[rt0::test]
fn the_longest_sleep_does_not_fire() {
    let woke = Arc::new(AtomicBool::new(false));
    for d in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 33)] {
        let woke = Arc::clone(&woke);
        drop(rt0::go(move || {
            sleep(d);
            woke.store(true, Ordering::SeqCst);
        }));
    }
    sleep(Duration::from_millis(50));
    assert!(!woke.load(Ordering::SeqCst));
}

#[rt0::test]
fn ten_thousand_sleepers_need_few_threads() {
    let _alone = alone();
    let handles: Vec<_> = (0..10_000_u64)
        .map(|n| rt0::go(move || sleep(Duration::from_millis(100 + n % 50))))
        .collect();
    let most = threads();
    for h in handles {
        h.join().expect("no panic");
    }
    if std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3")) {
        return; // the fallback in which each goroutine is a thread
    }
    // The harness has some of its own, and other tests of this file run beside this one.
    assert!(most < 40, "{most} threads");
}

/// Who wakes finds nobody asleep whose time came earlier. On one P, where all are in one heap;
/// which of those that are awake runs first is the kernel's choice, too.
#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    const NAME: &str = "sleepers_wake_in_the_order_of_their_deadlines";
    if !again::is_again(NAME) {
        again::again(NAME, &[("GOMAXPROCS", "1")]);
        return;
    }
    rt0::run(|| {
        // It counts if all are asleep before the first is due.
        let mut delays = (0..).map(|n| Duration::from_millis(50 << n));
        while !delays.next().is_some_and(wake_in_order) {}
    });
}

/// False: not all were asleep after `delay`.
fn wake_in_order(delay: Duration) -> bool {
    const N: u64 = 100;
    let first = Instant::now() + delay;
    let ids = Arc::new(OnceLock::new()); // in the order of the deadlines
    let handles: Vec<_> = (0..N)
        .map(|i| (i * 37 % N, Arc::clone(&ids)))
        .map(|(n, ids)| {
            let handle = rt0::go(move || {
                sleep_until(first + Duration::from_micros(n * 100));
                let ids: &Vec<u64> = ids.wait();
                let asleep = asleep();
                ids[..n as usize].iter().filter(|id| asleep.contains(id)).count()
            });
            (n, handle)
        })
        .collect();
    let mut in_order: Vec<_> = handles.iter().map(|(n, h)| (*n, h.goroutine().id())).collect();
    in_order.sort_unstable();
    while asleep().len() < N as usize && Instant::now() < first {
        rt0::gosched();
    }
    let all_slept = Instant::now() < first;
    ids.set(in_order.into_iter().map(|(_, id)| id).collect()).expect("once");
    for (n, handle) in handles {
        let earlier = handle.join().expect("no panic");
        assert!(earlier == 0 || !all_slept, "{earlier} that are due before {n} sleep on");
    }
    all_slept
}

/// The goroutines that sleep.
fn asleep() -> Vec<u64> {
    let sleeping = waits().into_iter().filter(|w| w.reason == "sleep");
    let ids = sleeping.filter_map(|w| match w.party {
        Party::Goroutine(id) => Some(id),
        _ => None,
    });
    ids.collect()
}

#[rt0::test]
fn a_short_sleep_is_not_held_up_by_a_long_one() {
    let _alone = alone();
    drop(rt0::go(|| sleep(Duration::from_secs(3600))));
    let start = Instant::now();
    sleep(Duration::from_millis(1));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[rt0::test]
fn plain_threads_may_sleep() {
    let t = thread::spawn(|| {
        let start = Instant::now();
        sleep(Duration::from_millis(5));
        start.elapsed()
    });
    assert!(t.join().expect("no panic") >= Duration::from_millis(5));
}
