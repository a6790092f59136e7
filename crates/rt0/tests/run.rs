//! `rt0::run`: the runtime inside a program that has a main of its own.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::panic::{catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn returns_the_value_every_time() {
    for n in 0..5_u64 {
        let got = rt0::run(|| {
            assert!(rt0::current().is_some());
            rt0::go(move || n * 2).join().expect("no panic")
        });
        assert_eq!(got, n * 2);
        assert!(rt0::current().is_none(), "the thread is a plain one again");
    }
}

#[test]
fn borrows_what_the_caller_has() {
    let mut list = vec![String::from("a")];
    let first: &str = rt0::run(|| {
        list.push(String::from("b"));
        rt0::time::sleep(Duration::from_millis(1));
        list.push(String::from("c"));
        list[0].as_str()
    });
    assert_eq!(first, "a");
    assert_eq!(list.len(), 3);
}

#[test]
fn eight_threads_at_once() {
    let barrier = Barrier::new(8);
    let sum = AtomicUsize::new(0);
    thread::scope(|s| {
        for n in 0..8 {
            let (barrier, sum) = (&barrier, &sum);
            s.spawn(move || {
                barrier.wait();
                for round in 0..20 {
                    let v = rt0::run(|| {
                        let hs: Vec<_> = (0..10).map(|i| rt0::go(move || i + n)).collect();
                        hs.into_iter().map(|h| h.join().expect("no panic")).sum::<usize>()
                    });
                    assert_eq!(v, 45 + 10 * n, "round {round}");
                    sum.fetch_add(v, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(sum.load(Ordering::SeqCst), 20 * (8 * 45 + 10 * 28));
}

#[test]
fn resumes_the_panic() {
    let r = catch_unwind(|| rt0::run(|| resume_unwind(Box::new("from run"))));
    let payload = r.map(|()| 0).expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"from run"));
    assert_eq!(rt0::run(|| 1), 1, "and goes on");
}

#[test]
fn on_a_goroutine_it_is_a_call() {
    let same = rt0::run(|| {
        let outer = rt0::current().map(|g| g.id());
        outer == rt0::run(|| rt0::current().map(|g| g.id()))
    });
    assert!(same);
}

#[test]
fn thread_locals_and_identity_of_the_caller_survive() {
    thread_local! {
        static MARK: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    MARK.set(7);
    let me = thread::current().id();
    for _ in 0..3 {
        rt0::run(|| {
            rt0::go(|| MARK.set(1)).join().expect("no panic");
            rt0::time::sleep(Duration::from_millis(1));
        });
    }
    assert_eq!(MARK.get(), 7);
    assert_eq!(thread::current().id(), me);
}

#[test]
fn goroutines_of_one_run_are_joined_in_another() {
    let h = rt0::run(|| {
        rt0::go(|| {
            rt0::time::sleep(Duration::from_millis(20));
            "still there"
        })
    });
    assert_eq!(rt0::run(|| h.join().expect("no panic")), "still there");

    let h = rt0::run(|| rt0::go(|| rt0::time::sleep(Duration::from_millis(20))));
    h.join().expect("a plain thread may wait as well, with no run active");
}

/// A test whose function returns a Result, as `#[test]` allows.
#[rt0::test]
fn tests_may_return_results() -> Result<(), std::num::ParseIntError> {
    let n: u32 = rt0::go(|| "12".parse()).join().expect("no panic")?;
    assert_eq!(n, 12);
    Ok(())
}

#[rt0::test]
#[should_panic(expected = "seen by the harness")]
fn a_test_may_be_expected_to_panic() {
    panic!("seen by the harness");
}
