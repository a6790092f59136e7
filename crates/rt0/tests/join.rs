//! Starting a goroutine, and what its handle tells of its end.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Ends the goroutine as a panic does, without the message of std's hook in the test's output.
fn panic_quietly<T>(payload: &'static str) -> T {
    resume_unwind(Box::new(payload))
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if done() {
            return;
        }
        rt0::time::sleep(Duration::from_millis(1));
    }
    panic!("waited 5 s: {what}");
}

#[rt0::test]
fn join_returns_the_value() {
    assert_eq!(rt0::go(|| 6 * 7).join().expect("no panic"), 42);
    rt0::go(|| ()).join().expect("no panic");
    let large = rt0::go(|| [7_u8; 10_000]).join().expect("no panic");
    assert_eq!(large.iter().map(|b| usize::from(*b)).sum::<usize>(), 70_000);
    let boxed: Box<dyn Fn(u32) -> u32 + Send> = Box::new(|n| n + 1);
    let f = rt0::go(move || boxed).join().expect("no panic");
    assert_eq!(f(1), 2);
}

#[rt0::test]
fn join_works_in_any_order_and_late() {
    let handles: Vec<_> = (0..1000_usize).map(|n| rt0::go(move || n)).collect();
    for (n, h) in handles.into_iter().enumerate().rev() {
        assert_eq!(h.join().expect("no panic"), n);
    }
    let h = rt0::go(|| 1);
    wait_until("the goroutine ends", || h.is_finished());
    assert_eq!(h.join().expect("no panic"), 1);
}

#[rt0::test]
fn join_returns_the_payload_of_a_panic() {
    let payload = rt0::go(|| panic!("formatted {}", black_box(7))).join().expect_err("it panics");
    assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("formatted 7"));

    let payload = rt0::go(|| panic_quietly::<()>("text")).join().expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"text"));

    let payload = rt0::go(|| resume_unwind(Box::new(vec![1, 2]))).join().map(|()| 0);
    let payload = payload.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<Vec<i32>>(), Some(&vec![1, 2]));
}

#[rt0::test]
fn a_panic_may_be_joined_long_after() {
    let h = rt0::go(|| panic_quietly::<()>("early"));
    wait_until("the goroutine ends", || h.is_finished());
    rt0::time::sleep(Duration::from_millis(20));
    assert_eq!(h.join().expect_err("it panics").downcast_ref::<&str>(), Some(&"early"));
}

#[rt0::test]
fn a_panic_unwinds_the_goroutine_only() {
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Counted(Arc::clone(&drops));
    let h = rt0::go(move || {
        let _guard = guard;
        let _local = String::from("dropped as well");
        assert!(!thread::panicking());
        panic_quietly::<()>("unwinds");
    });
    h.join().expect_err("it panics");
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(!thread::panicking());
}

#[rt0::test]
fn plain_threads_start_and_join() {
    let h = rt0::go(|| "from a goroutine");
    let joined = thread::spawn(move || h.join().expect("no panic")).join().expect("no panic");
    assert_eq!(joined, "from a goroutine");

    let started = thread::spawn(|| {
        let h = rt0::go(|| {
            rt0::time::sleep(Duration::from_millis(5));
            rt0::current().map(|g| g.id())
        });
        let id = h.goroutine().id();
        (h.join().expect("no panic"), id)
    });
    let (seen, id) = started.join().expect("no panic");
    assert_eq!(seen, Some(id));

    let panics = thread::spawn(|| rt0::go(|| panic_quietly::<()>("to a thread")).join());
    let payload =
        panics.join().expect("the thread does not panic").expect_err("the goroutine does");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"to a thread"));
}

#[rt0::test]
fn a_dropped_handle_detaches() {
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    drop(rt0::go(move || {
        rt0::time::sleep(Duration::from_millis(5));
        flag.store(true, Ordering::SeqCst);
    }));
    wait_until("the detached goroutine goes on", || done.load(Ordering::SeqCst));
}

#[rt0::test]
fn a_value_is_dropped_once_joined_or_not() {
    let drops = Arc::new(AtomicUsize::new(0));
    let make = || {
        let value = Counted(Arc::clone(&drops));
        rt0::go(move || value)
    };
    drop(make().join().expect("no panic"));
    assert_eq!(drops.load(Ordering::SeqCst), 1);

    drop(make());
    wait_until("the value of a detached goroutine is dropped", || {
        drops.load(Ordering::SeqCst) == 2
    });

    let h = make();
    wait_until("the goroutine ends", || h.is_finished());
    drop(h);
    wait_until("the value goes with the handle", || drops.load(Ordering::SeqCst) == 3);
}

#[rt0::test]
fn is_finished_turns_true_at_the_end() {
    let go_on = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&go_on);
    let h = rt0::go(move || {
        while !flag.load(Ordering::SeqCst) {
            rt0::gosched();
        }
    });
    assert!(!h.is_finished());
    go_on.store(true, Ordering::SeqCst);
    wait_until("is_finished", || h.is_finished());
    h.join().expect("no panic");
}

#[rt0::test]
fn goexit_ends_the_goroutine_and_runs_destructors() {
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Counted(Arc::clone(&drops));
    let h = rt0::go(move || {
        let _guard = guard;
        if rt0::current().is_some() {
            rt0::goexit();
        }
    });
    let payload = h.join().expect_err("goexit is no value");
    assert!(payload.is::<rt0::Goexit>());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[rt0::test]
fn goexit_can_be_caught_and_detached() {
    let h = rt0::go(|| {
        let caught = catch_unwind(|| rt0::goexit()).map(|()| false);
        caught.is_err_and(|payload| payload.is::<rt0::Goexit>())
    });
    assert!(h.join().expect("the unwinding was stopped"));

    // No panic: nothing is reported when nobody joins.
    let done = Arc::new(AtomicUsize::new(0));
    let guard = Counted(Arc::clone(&done));
    drop(rt0::go(move || {
        let _guard = guard;
        rt0::goexit()
    }));
    wait_until("the goroutine ends", || done.load(Ordering::SeqCst) == 1);
}

#[rt0::test]
fn goexit_on_a_thread_says_what_to_do() {
    let t = thread::Builder::new().name("plain".into()).spawn(|| rt0::goexit());
    let payload = t.expect("a thread").join().map(|()| 0).expect_err("it panics");
    assert_eq!(
        payload.downcast_ref::<String>().map(String::as_str),
        Some(
            "rt0: goexit called on thread \"plain\", which is not a goroutine; start it with \
             rt0::go inside #[rt0::main]"
        )
    );
}

#[rt0::test]
fn a_panic_in_a_drop_is_caught_like_another() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic_quietly::<()>("in drop");
        }
    }
    let payload = rt0::go(|| drop(PanicsInDrop)).join().expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in drop"));
}

#[rt0::test]
fn handles_are_debug_and_send() {
    fn is_send_sync<T: Send + Sync>(_: &T) {}
    let h = rt0::Builder::new().name("shown".into()).go(|| 1).expect("a goroutine");
    is_send_sync(&h);
    let shown = format!("{h:?}");
    assert!(shown.starts_with("JoinHandle") && shown.contains("\"shown\""), "{shown}");
    h.join().expect("no panic");
}
