//! `rt0::time::sleep`.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use rt0::time::{Duration, sleep};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("procfs is mounted").count()
}

#[rt0::test]
fn never_early() {
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

/// Where goroutines are threads the kernel may run a later one first; not each time.
#[rt0::test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let orders: Vec<_> = (0..5).map(|_| order_of_waking()).collect();
    assert!(orders.iter().any(|o| *o == [100, 200, 300]), "{orders:?}");
}

fn order_of_waking() -> Vec<u64> {
    let turn = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = [300_u64, 100, 200]
        .into_iter()
        .map(|ms| {
            let turn = Arc::clone(&turn);
            rt0::go(move || {
                sleep(Duration::from_millis(ms));
                (ms, turn.fetch_add(1, Ordering::SeqCst))
            })
        })
        .collect();
    let mut order: Vec<_> = handles.into_iter().map(|h| h.join().expect("no panic")).collect();
    order.sort_unstable_by_key(|(_, turn)| *turn);
    order.into_iter().map(|(ms, _)| ms).collect()
}

#[rt0::test]
fn a_short_sleep_is_not_held_up_by_a_long_one() {
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
