//! `rt0::sync::{WaitGroup, Semaphore}`: Go's and tokio's behaviour, from goroutines and threads.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod waiting;

use rt0::sync::{Semaphore, TryAcquireError, WaitGroup};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a text")
}

/// Go: TestWaitGroup.
#[rt0::test]
fn a_wait_group_waits_for_all_and_can_be_used_again() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let (started, done) = (Arc::new(WaitGroup::new()), Arc::new(WaitGroup::new()));
        for _ in 0..50 {
            started.add(16);
            done.add(16);
            for _ in 0..16 {
                let (started, done) = (Arc::clone(&started), Arc::clone(&done));
                rt0::go(move || {
                    started.done();
                    started.wait();
                    done.done();
                });
            }
            done.wait();
        }
    }
}

#[rt0::test]
fn a_wait_group_starts_goroutines_and_wakes_threads() {
    let (group, n) = (Arc::new(WaitGroup::default()), Arc::new(AtomicUsize::new(0)));
    group.wait();
    for i in 0..100 {
        let n = Arc::clone(&n);
        group.go(move || {
            rt0::time::sleep(MS);
            n.fetch_add(1, Ordering::Relaxed);
            if i % 10 == 0 {
                rt0::goexit();
            }
        });
    }
    let waits = {
        let (group, n) = (Arc::clone(&group), Arc::clone(&n));
        thread::spawn(move || {
            group.wait();
            n.load(Ordering::Relaxed)
        })
    };
    group.wait();
    assert_eq!(n.load(Ordering::Relaxed), 100);
    assert_eq!(rt0::blocking(|| waits.join().expect("no panic")), 100);
    assert_eq!(format!("{group:?}"), "WaitGroup { counter: 0, .. }");
}

/// Go: TestWaitGroupMisuse.
#[test]
fn a_wait_group_sees_misuse() {
    let group = WaitGroup::new();
    group.add(1);
    group.done();
    assert_eq!(panic_text(|| group.done()), "sync: negative WaitGroup counter");
    let group = WaitGroup::new();
    assert_eq!(panic_text(|| group.add(i32::MIN)), "sync: negative WaitGroup counter");
    let group = WaitGroup::new();
    group.add(i32::MAX);
    assert_eq!(panic_text(|| group.add(1)), "sync: negative WaitGroup counter");
}

#[rt0::test]
fn a_semaphore_counts() {
    let s = Semaphore::new(3);
    let a = s.acquire().expect("open");
    let b = s.try_acquire_many(2).expect("free");
    assert_eq!((b.num_permits(), s.available_permits()), (2, 0));
    assert_eq!(s.try_acquire().expect_err("none"), TryAcquireError::NoPermits);
    let start = Instant::now();
    assert!(s.acquire_timeout(1, 10 * MS).is_err() && start.elapsed() >= 10 * MS);
    assert!(s.acquire_timeout(1, Duration::ZERO).is_err());
    drop(a);
    assert!(s.acquire_timeout(1, Duration::MAX).is_ok());
    b.forget();
    assert_eq!(s.available_permits(), 1);
    s.add_permits(4);
    assert_eq!((s.forget_permits(2), s.available_permits()), (2, 3));
    assert_eq!((s.forget_permits(9), s.available_permits()), (3, 0));
    assert!(!panic_text(|| s.add_permits(usize::MAX)).is_empty());
    let owned = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&owned).acquire_owned(1).expect("open");
    assert!(Arc::clone(&owned).try_acquire_owned(1).is_err());
    rt0::go(move || drop(permit)).join().expect("no panic");
    assert_eq!(owned.available_permits(), 1);
    assert_eq!(format!("{owned:?}"), "Semaphore { permits: 1, closed: false }");
}

#[rt0::test]
fn a_semaphore_is_fair() {
    let s = Arc::new(Semaphore::new(0));
    let order = Arc::new(rt0::sync::Mutex::new(Vec::new()));
    let gs: Vec<_> = [3_u32, 1, 2, 1]
        .into_iter()
        .enumerate()
        .map(|(i, n)| {
            let (theirs, order) = (Arc::clone(&s), Arc::clone(&order));
            let g = rt0::go(move || {
                let permit = theirs.acquire_many(n).expect("open");
                order.lock().expect("not poisoned").push(i);
                permit.forget();
            });
            waiting::until(&*s, i + 1);
            g
        })
        .collect();
    for have in [0, 0, 1, 2, 2, 3, 4] {
        assert_eq!(s.try_acquire().expect_err("others wait"), TryAcquireError::NoPermits);
        s.add_permits(1);
        waiting::until(&*s, 4 - have);
        while order.lock().expect("not poisoned").len() < have {
            rt0::time::sleep(MS);
        }
    }
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    assert_eq!(*order.lock().expect("not poisoned"), [0, 1, 2, 3]);
}

/// The first in the queue asks for much and gives up: those behind it get what is there.
#[rt0::test]
fn who_gives_up_is_in_nobodys_way() {
    let s = Arc::new(Semaphore::new(1));
    let (large, small) = (Arc::clone(&s), Arc::clone(&s));
    let large = rt0::go(move || large.acquire_timeout(5, 20 * MS).is_err());
    rt0::time::sleep(5 * MS);
    let small = rt0::go(move || small.acquire().is_ok());
    assert!(small.join().expect("no panic") && large.join().expect("no panic"));
    assert_eq!(s.available_permits(), 1);
}

#[rt0::test]
fn a_closed_semaphore_refuses() {
    let s = Arc::new(Semaphore::new(0));
    let gs: Vec<_> = (0..10)
        .map(|_| {
            let s = Arc::clone(&s);
            rt0::go(move || s.acquire().map(|_| ()).expect_err("closed").to_string())
        })
        .collect();
    rt0::time::sleep(5 * MS);
    s.close();
    for g in gs {
        assert_eq!(g.join().expect("no panic"), "semaphore closed");
    }
    s.add_permits(1);
    assert!(s.is_closed() && s.acquire().is_err());
    assert_eq!(s.try_acquire().expect_err("closed"), TryAcquireError::Closed);
}

/// Never more inside than permits, whatever gives up.
#[rt0::test]
fn a_semaphore_under_load() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let s = Arc::new((Semaphore::new(5), AtomicUsize::new(0)));
        let body = |me: u64| {
            let s = Arc::clone(&s);
            move || {
                for n in 0..300 {
                    let many = ((n + me) % 4 + 1) as u32;
                    let r = if me.is_multiple_of(3) {
                        s.0.acquire_timeout(many, Duration::from_micros((n * 7) % 40)).ok()
                    } else {
                        s.0.acquire_many(many).ok()
                    };
                    let Some(_permit) = r else { continue };
                    let inside = s.1.fetch_add(many as usize, Ordering::Relaxed);
                    assert!(inside + many as usize <= 5);
                    if n % 16 == 0 {
                        rt0::gosched();
                    }
                    s.1.fetch_sub(many as usize, Ordering::Relaxed);
                }
            }
        };
        let t = thread::spawn(body(1));
        let gs: Vec<_> = (0..12).map(|me| rt0::go(body(me))).collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        rt0::blocking(|| t.join().expect("no panic"));
        assert_eq!(s.0.available_permits(), 5);
    }
}
