//! Where a goroutine could be told from a thread by its end.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct OnEnd(Arc<AtomicUsize>);

impl Drop for OnEnd {
    fn drop(&mut self) {
        // Long enough for a joiner that is woken too early to look.
        for _ in 0..20 {
            rt0::gosched();
        }
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static AT_END: RefCell<Option<OnEnd>> = const { RefCell::new(None) };
}

/// std joins the thread itself, so its thread-locals are gone when `join` returns; so here.
#[rt0::test]
fn join_returns_after_thread_local_destructors() {
    let ends = Arc::new(AtomicUsize::new(0));
    for round in 1..=50 {
        let theirs = Arc::clone(&ends);
        let h = rt0::go(move || AT_END.set(Some(OnEnd(theirs))));
        h.join().expect("it does not panic");
        assert_eq!(ends.load(Ordering::SeqCst), round);
    }
}

#[rt0::test]
fn a_scoped_join_returns_after_thread_local_destructors() {
    let ends = Arc::new(AtomicUsize::new(0));
    for round in 1..=50 {
        rt0::scope(|s| {
            let theirs = Arc::clone(&ends);
            s.go(move || AT_END.set(Some(OnEnd(theirs)))).join().expect("it does not panic");
            assert_eq!(ends.load(Ordering::SeqCst), round);
        });
    }
}

thread_local! {
    static SEEN: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

struct UsesThreadLocal(Arc<AtomicUsize>);

impl Drop for UsesThreadLocal {
    fn drop(&mut self) {
        SEEN.with_borrow_mut(|v| v.push(1));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A result that nobody takes is dropped by the goroutine while its thread-locals still live.
#[rt0::test]
fn an_unwanted_result_may_use_thread_locals_when_it_is_dropped() {
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let theirs = Arc::clone(&drops);
        drop(rt0::go(move || {
            SEEN.with_borrow_mut(|v| v.push(0));
            UsesThreadLocal(theirs)
        }));
    }
    while drops.load(Ordering::SeqCst) < 50 {
        rt0::time::sleep(rt0::time::Duration::from_millis(1));
    }
}
