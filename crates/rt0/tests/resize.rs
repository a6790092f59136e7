//! `set_gomaxprocs` while goroutines run, sleep and block: nothing is lost.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use rt0::time::{Duration, sleep};
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
    let workers: Vec<_> = (0..50u64)
        .map(|i| {
            let stop = Arc::clone(&stop);
            rt0::go(move || {
                let mut turns = 0u64;
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
    for n in [1, 7, 2, 9, 1, 4, 3, 8, 2, 1, 16, 1].into_iter().cycle().take(300) {
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

/// The tests of this file change one number of the process: one at a time.
fn serial() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
