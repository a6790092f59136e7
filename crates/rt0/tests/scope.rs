//! Goroutines that borrow from the one who starts them.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn text(payload: &(dyn std::any::Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str))
}

#[rt0::test]
fn goroutines_borrow_and_write() {
    let mut left = vec![1, 2, 3];
    let mut right = 0;
    let words = String::from("borrowed");
    let len = rt0::scope(|s| {
        s.go(|| left.push(4));
        s.go(|| {
            rt0::time::sleep(Duration::from_millis(2));
            right += words.len();
        });
        let h = s.go(|| words.len());
        h.join().expect("no panic")
    });
    assert_eq!((left.len(), right, len), (4, 8, 8));
}

#[rt0::test]
fn the_scope_waits_for_all() {
    let done = AtomicUsize::new(0);
    rt0::scope(|s| {
        for n in 0..200 {
            let done = &done;
            s.go(move || {
                rt0::time::sleep(Duration::from_micros(n * 50));
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 200);
}

#[rt0::test]
fn scopes_nest_and_goroutines_start_more() {
    let count = AtomicUsize::new(0);
    rt0::scope(|outer| {
        outer.go(|| {
            rt0::scope(|inner| {
                for _ in 0..10 {
                    inner.go(|| count.fetch_add(1, Ordering::SeqCst));
                }
            });
            assert!(count.load(Ordering::SeqCst) >= 10);
            // The outer scope also waits for what its goroutines start in it.
            outer.go(|| {
                rt0::time::sleep(Duration::from_millis(5));
                outer.go(|| count.fetch_add(100, Ordering::SeqCst));
            });
        });
    });
    assert_eq!(count.load(Ordering::SeqCst), 110);
}

#[rt0::test]
fn a_panic_that_nobody_joined_panics_at_the_end() {
    let done = AtomicUsize::new(0);
    let r = catch_unwind(AssertUnwindSafe(|| {
        rt0::scope(|s| {
            s.go(|| resume_unwind(Box::new("unseen")));
            s.go(|| {
                rt0::time::sleep(Duration::from_millis(5));
                done.fetch_add(1, Ordering::SeqCst);
            });
            7
        })
    }));
    let payload = r.expect_err("a goroutine panicked");
    assert_eq!(text(&*payload), Some("a scoped goroutine panicked"));
    assert_eq!(done.load(Ordering::SeqCst), 1, "the others were waited for");
}

#[rt0::test]
fn a_panic_that_was_joined_is_over() {
    let r = rt0::scope(|s| {
        let h = s.go(|| resume_unwind(Box::new("seen")));
        let payload = h.join().map(|()| 0).expect_err("it panics");
        assert_eq!(text(&*payload), Some("seen"));
        5
    });
    assert_eq!(r, 5);
}

#[rt0::test]
fn the_closures_panic_is_resumed_when_all_have_ended() {
    let done = AtomicUsize::new(0);
    let r = catch_unwind(AssertUnwindSafe(|| {
        rt0::scope(|s| {
            s.go(|| {
                rt0::time::sleep(Duration::from_millis(5));
                done.fetch_add(1, Ordering::SeqCst);
            });
            resume_unwind(Box::new("the closure"));
        })
    }))
    .map(|()| 0);
    let payload = r.expect_err("the closure panicked");
    assert_eq!(text(&*payload), Some("the closure"));
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[rt0::test]
fn goexit_in_a_scope_is_no_panic() {
    let r = rt0::scope(|s| {
        s.go(|| rt0::goexit());
        let h = s.go(|| rt0::goexit());
        h.join().map(|()| 0).is_err_and(|p| p.is::<rt0::Goexit>())
    });
    assert!(r);
}

#[rt0::test]
fn a_plain_thread_may_have_a_scope() {
    let t = thread::spawn(|| {
        let mut sum = 0;
        rt0::scope(|s| {
            let h = s.go(|| {
                rt0::time::sleep(Duration::from_millis(5));
                20
            });
            s.go(|| sum += 1);
            h.join().expect("no panic")
        }) + sum
    });
    assert_eq!(t.join().expect("no panic"), 21);
}

/// A result goes where there are thread-locals: with the handle, or on the goroutine before its own
/// are destroyed.
#[rt0::test]
fn a_result_that_nobody_took_can_use_thread_locals() {
    static ENDS: AtomicUsize = AtomicUsize::new(0);
    static HANDLE_IS_GONE: AtomicUsize = AtomicUsize::new(0);
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            ENDS.store(1, Ordering::SeqCst);
            while HANDLE_IS_GONE.load(Ordering::SeqCst) == 0 {
                rt0::gosched();
            }
        }
    }
    thread_local! {
        static SLOW: Slow = const { Slow };
        static LOCAL: Box<usize> = Box::new(7);
    }
    struct Outcome;
    impl Drop for Outcome {
        fn drop(&mut self) {
            SEEN.store(LOCAL.try_with(|n| **n).unwrap_or(1), Ordering::SeqCst);
        }
    }
    rt0::scope(|s| {
        let h = s.go(|| {
            SLOW.with(|_| LOCAL.with(|_| ()));
            Outcome
        });
        while ENDS.load(Ordering::SeqCst) == 0 {
            rt0::gosched();
        }
        drop(h);
        HANDLE_IS_GONE.store(1, Ordering::SeqCst);
    });
    assert_eq!(SEEN.swap(0, Ordering::SeqCst), 7);
    rt0::scope(|s| drop(s.go(|| Outcome)));
    assert_eq!(SEEN.load(Ordering::SeqCst), 7);
}

#[rt0::test]
fn scoped_goroutines_have_names_and_ids() {
    rt0::scope(|s| {
        let b = rt0::Builder::new().name("scoped".into()).stack_size(64 << 10);
        let h = b.go_scoped(s, || rt0::current().map(|g| (g.id(), g.name() == Some("scoped"))));
        let h = h.expect("a goroutine");
        let id = h.goroutine().id();
        assert_eq!(h.goroutine().name(), Some("scoped"));
        assert!(format!("{s:?}").starts_with("Scope"));
        assert_eq!(h.join().expect("no panic"), Some((id, true)));
    });
}

#[rt0::test]
fn a_stack_that_cannot_be_had_leaves_the_scope_usable() {
    let n = rt0::scope(|s| {
        let b = rt0::Builder::new().stack_size(usize::MAX);
        let e = b.go_scoped(s, || 1).expect_err("too large");
        assert_eq!(e.kind(), std::io::ErrorKind::InvalidInput);
        s.go(|| 2).join().expect("no panic")
    });
    assert_eq!(n, 2);
}
