//! Identity, park and unpark.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn current() -> rt0::Goroutine {
    rt0::current().expect("a test's body is a goroutine")
}

/// Parks until `flag` is set, as a caller of `park` has to.
fn park_until(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        rt0::park();
    }
}

#[rt0::test]
fn ids_are_unique() {
    let handles: Vec<_> = (0..2000).map(|_| rt0::go(|| current().id())).collect();
    let mut ids: HashSet<u64> = handles
        .into_iter()
        .map(|h| {
            let outside = h.goroutine().id();
            let inside = h.join().expect("no panic");
            assert_eq!(outside, inside);
            inside
        })
        .collect();
    assert_eq!(ids.len(), 2000);
    assert!(ids.insert(current().id()));
    assert!(!ids.contains(&0));
}

#[rt0::test]
fn names_are_kept_and_optional() {
    let named = rt0::Builder::new().name("a name, längere auch".into()).go(|| {
        assert_eq!(thread::current().name(), None);
        current().name().map(str::to_owned)
    });
    let named = named.expect("a goroutine");
    assert_eq!(named.goroutine().name(), Some("a name, längere auch"));
    let g = named.goroutine().clone();
    assert_eq!(named.join().expect("no panic").as_deref(), Some("a name, längere auch"));
    assert_eq!(g.name(), Some("a name, längere auch"), "the handle keeps the name");

    // The next goroutine, very likely on the same stack, has none.
    let unnamed = rt0::go(|| current().name().map(str::to_owned));
    assert_eq!(unnamed.join().expect("no panic"), None);
}

#[rt0::test]
fn plain_threads_are_no_goroutines() {
    let t = thread::spawn(|| {
        rt0::gosched();
        rt0::current().is_none()
    });
    assert!(t.join().expect("no panic"));
    assert!(rt0::current().is_some());
}

#[rt0::test]
fn unpark_before_park_is_not_lost() {
    let me = current();
    me.unpark();
    me.unpark();
    let start = Instant::now();
    rt0::park();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[rt0::test]
fn unpark_wakes_a_parked_goroutine() {
    let flag = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&flag);
    let h = rt0::go(move || park_until(&theirs));
    rt0::time::sleep(Duration::from_millis(5));
    assert!(!h.is_finished());
    flag.store(true, Ordering::SeqCst);
    h.goroutine().unpark();
    h.join().expect("no panic");
}

#[rt0::test]
fn unpark_works_from_threads() {
    let flag = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&flag);
    let h = rt0::go(move || park_until(&theirs));
    let g = h.goroutine().clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        flag.store(true, Ordering::SeqCst);
        g.unpark();
    });
    h.join().expect("no panic");
}

#[rt0::test]
fn park_on_a_thread_is_that_of_std() {
    let t = thread::spawn(rt0::park);
    while !t.is_finished() {
        t.thread().unpark();
        rt0::time::sleep(Duration::from_millis(1));
    }
    t.join().expect("no panic");
}

#[rt0::test]
fn unparks_from_many_sides_lose_nothing() {
    const SENDERS: usize = 8;
    const EACH: usize = 500;
    let sent = Arc::new(AtomicUsize::new(0));
    let me = current();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (sent, me) = (Arc::clone(&sent), me.clone());
            rt0::go(move || {
                for n in 0..EACH {
                    sent.fetch_add(1, Ordering::SeqCst);
                    me.unpark();
                    if n % 16 == 0 {
                        rt0::gosched();
                    }
                }
            })
        })
        .collect();
    while sent.load(Ordering::SeqCst) < SENDERS * EACH {
        rt0::park();
    }
    for h in senders {
        h.join().expect("no panic");
    }
}

#[rt0::test]
fn unpark_of_an_ended_goroutine_does_nothing() {
    let h = rt0::go(|| ());
    let g = h.goroutine().clone();
    h.join().expect("no panic");
    for _ in 0..100 {
        g.unpark();
        rt0::go(|| ()).join().expect("no panic");
    }
    // Whoever has the stack now is not disturbed in what it waits for.
    let others: Vec<_> = (0..50_u64)
        .map(|_| {
            rt0::go(|| {
                let start = Instant::now();
                rt0::time::sleep(Duration::from_millis(10));
                start.elapsed() >= Duration::from_millis(10)
            })
        })
        .collect();
    for _ in 0..100 {
        g.unpark();
        rt0::gosched();
    }
    assert!(others.into_iter().all(|h| h.join().expect("no panic")));
}

#[rt0::test]
fn an_unpark_does_not_end_a_join_or_a_sleep() {
    let me = current();
    let noise = rt0::go(move || {
        for _ in 0..200 {
            me.unpark();
            rt0::gosched();
        }
    });
    let start = Instant::now();
    rt0::time::sleep(Duration::from_millis(10));
    assert!(start.elapsed() >= Duration::from_millis(10));
    let late = rt0::go(|| {
        rt0::time::sleep(Duration::from_millis(10));
        3
    });
    assert_eq!(late.join().expect("no panic"), 3);
    noise.join().expect("no panic");
}

#[rt0::test]
fn goroutines_are_shown() {
    let g = current();
    let shown = format!("{g:?}");
    assert!(shown.contains(&format!("id: {}", g.id())), "{shown}");
}
