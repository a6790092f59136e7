//! `set_gomaxprocs` while goroutines run, sleep and block: nothing is lost.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use rt0::time::{Duration, Instant, sleep};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[rt0::test]
fn it_returns_the_old_number_and_zero_only_asks() {
    let _one = serial();
    let first = rt0::gomaxprocs();
    assert_eq!(rt0::set_gomaxprocs(0), first);
    assert_eq!(rt0::set_gomaxprocs(3), first);
    assert_eq!(rt0::gomaxprocs(), 3);
    assert_eq!(rt0::set_gomaxprocs(usize::MAX), 3);
    assert_eq!(rt0::gomaxprocs(), 4096);
    assert_eq!(rt0::set_gomaxprocs(first), 4096);
}

#[test]
fn a_plain_thread_may_resize() {
    rt0::run(|| {
        let _one = serial();
        let old = rt0::gomaxprocs();
        let was = std::thread::spawn(|| rt0::set_gomaxprocs(5)).join().expect("no panic");
        assert_eq!((was, rt0::gomaxprocs()), (old, 5));
        rt0::set_gomaxprocs(old);
    });
}

#[rt0::test]
fn shrinking_loses_no_goroutine_and_no_timer() {
    let _one = serial();
    let old = rt0::set_gomaxprocs(8);
    let ran = Arc::new(AtomicUsize::new(0));
    let all: Vec<_> = (0..3000u64)
        .map(|i| {
            let ran = Arc::clone(&ran);
            rt0::go(move || {
                match i % 3 {
                    0 => rt0::gosched(),
                    1 => sleep(Duration::from_millis(i % 40)),
                    _ => rt0::blocking(|| std::thread::sleep(Duration::from_micros(200))),
                }
                ran.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    rt0::set_gomaxprocs(1);
    for h in all {
        h.join().expect("no goroutine panics");
    }
    assert_eq!(ran.load(Ordering::SeqCst), 3000);
    rt0::set_gomaxprocs(old);
}

#[rt0::test]
fn resizing_under_load_goes_on_for_ever() {
    let _one = serial();
    let old = rt0::gomaxprocs();
    let stop = Arc::new(AtomicBool::new(false));
    let ran = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..50u64)
        .map(|i| {
            let (stop, ran) = (Arc::clone(&stop), Arc::clone(&ran));
            rt0::go(move || {
                let mut turns = 0u64;
                ran.fetch_add(usize::from(!stop.load(Ordering::Relaxed)), Ordering::Relaxed);
                while !stop.load(Ordering::Relaxed) {
                    match (i + turns) % 4 {
                        0 => sleep(Duration::from_micros(300)),
                        1 => drop(rt0::go(|| ()).join()),
                        2 => turns += std::hint::black_box(0..1000u64).sum::<u64>() % 2,
                        _ => rt0::gosched(),
                    }
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    // Each of them has run long before the last of many; how soon is the machine's affair.
    let numbers = [1, 7, 2, 9, 1, 4, 3, 8, 2, 1, 16, 1].into_iter().cycle().take(30_000);
    for (i, n) in numbers.enumerate() {
        if i >= 300 && ran.load(Ordering::Relaxed) == 50 {
            break;
        }
        rt0::set_gomaxprocs(n);
        assert_eq!(rt0::gomaxprocs(), n);
        sleep(Duration::from_micros(500));
    }
    stop.store(true, Ordering::Relaxed);
    for w in workers {
        assert!(w.join().expect("no worker panics") > 0, "a worker never ran");
    }
    rt0::set_gomaxprocs(old);
}

/// 1 ↔ 64 again and again over 10,000 runnable goroutines, 1,000 sleepers, calls that block and
/// loops that compute. `RT0_STRESS_SECS` seconds, 2 unless set. Each goroutine counts its turns;
/// whoever was lost would never end, or end with too few.
#[test]
fn a_storm_of_resizes_loses_nothing() {
    let _one = serial();
    let secs = std::env::var("RT0_STRESS_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    rt0::run(move || storm(Duration::from_secs(secs)));
}

fn storm(time: Duration) {
    let old = rt0::gomaxprocs();
    let end = Instant::now() + time;
    let alive = Arc::new(AtomicUsize::new(0));
    let start = |turn: fn(u64)| {
        let alive = Arc::clone(&alive);
        alive.fetch_add(1, Ordering::SeqCst);
        rt0::go(move || {
            let mut turns = 0;
            while turns < 3 || Instant::now() < end {
                turn(turns);
                turns += 1;
            }
            alive.fetch_sub(1, Ordering::SeqCst);
        })
    };
    let mut all: Vec<_> = (0..10_000).map(|_| start(|_| rt0::gosched())).collect();
    all.extend((0..1000).map(|_| start(|n| sleep(Duration::from_micros(500 + n % 7 * 300)))));
    all.extend((0..16).map(|_| {
        start(|n| match n % 2 {
            0 => rt0::blocking(|| std::thread::sleep(Duration::from_micros(300))),
            _ => std::thread::sleep(Duration::from_millis(2)),
        })
    }));
    all.extend((0..4).map(|_| {
        start(|_| {
            let until = Instant::now() + Duration::from_millis(15);
            while Instant::now() < until {}
        })
    }));
    let resizes = [(1, 64), (3, 9)].map(|(a, b)| {
        rt0::go(move || {
            let mut n = 0;
            while n < 3 || Instant::now() < end {
                rt0::set_gomaxprocs(if n % 2 == 0 { a } else { b });
                rt0::gosched();
                n += 1;
            }
        })
    });
    for r in resizes {
        r.join().expect("no panic");
    }
    // One after the other ends, on a slow machine slowly, unless the last of them are lost.
    let patience = || Instant::now() + Duration::from_secs(30);
    let (mut left, mut until) = (alive.load(Ordering::SeqCst), patience());
    while left > 0 {
        let now = alive.load(Ordering::SeqCst);
        if now < left {
            (left, until) = (now, patience());
        }
        assert!(Instant::now() < until, "{left} are lost");
        sleep(Duration::from_millis(5));
    }
    all.into_iter().for_each(|h| h.join().expect("no panic"));
    rt0::set_gomaxprocs(old);
}

/// Goroutines and plain threads that resize at once wait for each other, and nobody for ever.
#[test]
fn resizes_at_once_come_one_after_the_other() {
    let _one = serial();
    rt0::run(|| {
        let old = rt0::gomaxprocs();
        let resize = |from: usize| {
            for n in 0..40 {
                let n = (from + n) % 6 + 1;
                assert!((1..=12).contains(&rt0::set_gomaxprocs(n)));
            }
        };
        let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(move || resize(i))).collect();
        let goroutines: Vec<_> = (0..8).map(|i| rt0::go(move || resize(i))).collect();
        goroutines.into_iter().for_each(|g| g.join().expect("no panic"));
        threads.into_iter().for_each(|t| t.join().expect("no panic"));
        rt0::set_gomaxprocs(old);
    });
}

/// The tests of this file change one number of the process: one at a time.
fn serial() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
