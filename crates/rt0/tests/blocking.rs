//! Calls that block a thread do not keep other goroutines from running.

#![allow(
    clippy::disallowed_types,
    reason = "a test counts with std's atomics and uses std's locks"
)]

mod again;

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

#[rt0::test]
fn a_hundred_block_side_by_side() {
    let start = Instant::now();
    let all = Arc::new(Barrier::new(100)); // none goes on before all are in their call
    let handles: Vec<_> = (0..100)
        .map(|n| {
            let all = Arc::clone(&all);
            rt0::go(move || {
                rt0::blocking(|| {
                    all.wait();
                    thread::sleep(Duration::from_millis(50));
                });
                n
            })
        })
        .collect();
    let sum: i32 = handles.into_iter().map(|h| h.join().expect("no panic")).sum();
    assert_eq!(sum, 4950);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[rt0::test]
fn blocking_returns_the_value_and_borrows() {
    let mut list = vec![1];
    let n = rt0::blocking(|| {
        list.push(2);
        list.len()
    });
    assert_eq!((n, list.as_slice()), (2, &[1, 2][..]));
}

#[rt0::test]
fn a_panic_passes_through() {
    for _ in 0..10 {
        let r = catch_unwind(|| rt0::blocking(|| resume_unwind(Box::new("inside"))));
        let payload = r.map(|()| 0).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"inside"));
        rt0::gosched();
    }
    assert_eq!(rt0::go(|| rt0::blocking(|| 1)).join().expect("no panic"), 1);
}

#[rt0::test]
fn the_goroutine_stays_on_its_thread() {
    let id = kernel_tid;
    for _ in 0..50 {
        let (before, after) = rt0::blocking(|| {
            let before = id();
            thread::sleep(Duration::from_micros(100));
            (before, id())
        });
        assert_eq!(before, after);
    }
}

/// The kernel's id of this thread, by procfs.
fn kernel_tid() -> String {
    let link = std::fs::read_link("/proc/thread-self").expect("procfs is mounted");
    link.to_string_lossy().into_owned()
}

#[rt0::test]
fn blocking_nests_and_may_use_the_runtime() {
    let n = rt0::blocking(|| {
        let inner = rt0::blocking(|| rt0::go(|| 5));
        rt0::gosched();
        rt0::time::sleep(Duration::from_millis(1));
        inner.join().expect("no panic") + rt0::scope(|s| s.go(|| 1).join().expect("no panic"))
    });
    assert_eq!(n, 6);
    rt0::gosched();
}

#[rt0::test]
fn on_a_plain_thread_it_is_a_call() {
    assert_eq!(thread::spawn(|| rt0::blocking(|| 3)).join().expect("no panic"), 3);
}

#[rt0::test]
fn unmarked_sleeps_do_not_stop_the_others() {
    let stop = Arc::new(AtomicBool::new(false));
    let sleepers: Vec<_> =
        (0..8).map(|_| rt0::go(|| thread::sleep(Duration::from_millis(100)))).collect();
    let counter = {
        let stop = Arc::clone(&stop);
        rt0::go(move || {
            let mut turns = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                rt0::time::sleep(Duration::from_millis(1));
                turns += 1;
            }
            turns
        })
    };
    for h in sleepers {
        h.join().expect("no panic");
    }
    stop.store(true, Ordering::SeqCst);
    assert!(counter.join().expect("no panic") > 5);
}

#[test]
fn unmarked_sleeps_are_seen_after_a_long_calm() {
    const NAME: &str = "unmarked_sleeps_are_seen_after_a_long_calm";
    if again::is_again(NAME) {
        rt0::run(others_have_turns);
    } else {
        again::again(NAME, &[("GOMAXPROCS", "1")]);
    }
}

fn others_have_turns() {
    let turns = Arc::new(AtomicU64::new(0));
    for _ in 0..2 {
        let turns = Arc::clone(&turns);
        rt0::go(move || {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                rt0::gosched();
            }
        });
    }
    // The only P never idles, nobody blocks: sysmon looks seldom by the end of this.
    rt0::time::sleep(Duration::from_millis(400));
    let asleep = rt0::go(move || {
        let before = turns.load(Ordering::SeqCst);
        let rest = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        let _ = rustix::thread::nanosleep(&rest); // a system call that nobody marks
        turns.load(Ordering::SeqCst) - before
    });
    assert!(asleep.join().expect("no panic") > 0, "its P slept with it");
}

#[rt0::test]
fn the_locks_of_std_make_progress() {
    let lock = Arc::new(Mutex::new(0_u64));
    let handles: Vec<_> = (0..16)
        .map(|_| {
            let lock = Arc::clone(&lock);
            rt0::go(move || {
                for n in 0..50 {
                    let mut guard = lock.lock().expect("no panic under the lock");
                    *guard += 1;
                    if n % 10 == 0 {
                        // Others wait for the lock on their threads while the owner yields.
                        rt0::gosched();
                    }
                }
            })
        })
        .collect();
    for h in handles {
        h.join().expect("no panic");
    }
    assert_eq!(*lock.lock().expect("no panic under the lock"), 800);
}

#[rt0::test]
fn condvars_and_channels_of_std_make_progress() {
    let (tx, rx) = mpsc::sync_channel(0);
    let sum = rt0::go(move || rx.iter().sum::<u32>());
    let senders: Vec<_> = (1..=20_u32)
        .map(|n| {
            let tx = tx.clone();
            rt0::go(move || tx.send(n).expect("the receiver lives"))
        })
        .collect();
    drop(tx);
    for h in senders {
        h.join().expect("no panic");
    }
    assert_eq!(sum.join().expect("no panic"), 210);

    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = {
        let pair = Arc::clone(&pair);
        rt0::go(move || {
            let guard = pair.0.lock().expect("no panic");
            drop(pair.1.wait_while(guard, |ready| !*ready).expect("no panic"));
        })
    };
    let start = Instant::now();
    rt0::time::sleep(Duration::from_millis(5));
    *pair.0.lock().expect("no panic") = true;
    pair.1.notify_all();
    waits.join().expect("no panic");
    assert!(start.elapsed() < Duration::from_secs(5));
}
