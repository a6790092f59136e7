//! `rt0::future`: futures on goroutines, goroutines as futures.

#![allow(clippy::disallowed_types, reason = "a test's own executor and wakers")]

mod wakers;

use rt0::future::{block_on, spawn_future};
use std::cell::Cell;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wakers::counting;

/// Ready when `set` was called.
#[derive(Default)]
struct Flag(Mutex<(bool, Option<Waker>)>);

impl Flag {
    fn set(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.0 = true;
        let waker = inner.1.take();
        drop(inner);
        if let Some(w) = waker {
            w.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut inner = self.0.lock().unwrap();
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[rt0::test]
fn woken_by_goroutines_and_threads() {
    for on_thread in [false, true] {
        for _ in 0..200 {
            let flag = Arc::new(Flag::default());
            let theirs = Arc::clone(&flag);
            let waker = move || theirs.set();
            if on_thread {
                let t = std::thread::spawn(waker);
                block_on(flag.wait());
                t.join().unwrap();
            } else {
                let g = rt0::go(waker);
                block_on(flag.wait());
                g.join().unwrap();
            }
        }
    }
    // A plain thread may do it too.
    let flag = Arc::new(Flag::default());
    let theirs = Arc::clone(&flag);
    let t = std::thread::spawn(move || block_on(theirs.wait()));
    flag.set();
    t.join().unwrap();
}

#[rt0::test]
fn it_borrows_blocks_and_nests() {
    let seen = Rc::new(Cell::new(0)); // neither Send nor 'static
    let seen_inside = &seen;
    let n = block_on(async {
        seen_inside.set(1);
        rt0::time::sleep(Duration::from_millis(1)); // blocking in a poll stalls nobody
        // The inner one must not use up what is meant for the outer.
        let flag = Arc::new(Flag::default());
        let theirs = Arc::clone(&flag);
        poll_fn(move |cx| {
            if seen_inside.replace(2) == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            let setter = Arc::clone(&theirs);
            let g = rt0::go(move || setter.set());
            block_on(theirs.wait());
            rt0::park_timeout(Duration::from_micros(10));
            g.join().unwrap();
            Poll::Pending
        })
        .await;
        flag.wait().await;
        7
    });
    assert_eq!((n, seen.get()), (7, 2));
}

#[rt0::test]
fn a_goroutine_is_a_future() {
    let fut = async {
        let slow = rt0::go(|| {
            rt0::time::sleep(Duration::from_millis(2));
            String::from("slow")
        });
        let quick = rt0::go(|| 1);
        let failing = rt0::go(|| panic!("seen by the one who waits"));
        let gone = rt0::go(|| rt0::goexit());
        assert_eq!(quick.await.unwrap(), 1);
        assert_eq!(slow.await.unwrap(), "slow");
        let payload = failing.await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"seen by the one who waits"));
        assert!(gone.await.unwrap_err().is::<rt0::Goexit>());
        2
    };
    assert_eq!(spawn_future(fut).join().unwrap(), 2);
    assert_eq!(block_on(rt0::go(|| 3)).unwrap(), 3);
}

#[rt0::test]
fn a_join_future_tells_its_last_waker() {
    let go = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&go);
    let handle = rt0::go(move || {
        while !theirs.load(Ordering::Acquire) {
            rt0::gosched();
        }
        9
    });
    let mut fut = pin!(handle.into_future());
    let (first, first_waker) = counting();
    let (last, last_waker) = counting();
    assert!(fut.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(fut.as_mut().poll(&mut Context::from_waker(&last_waker)).is_pending());
    go.store(true, Ordering::Release);
    while last.get() == 0 {
        rt0::gosched();
    }
    assert_eq!(first.get(), 0);
    let ready = fut.as_mut().poll(&mut Context::from_waker(&last_waker));
    assert!(matches!(ready, Poll::Ready(Ok(9))));
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "a waker was kept");
}

/// Ends and drops of the future that meet leave no waker behind, and the value is dropped once.
#[rt0::test]
fn dropped_while_the_goroutine_ends() {
    let drops = Arc::new(());
    for n in 0..2000 {
        let value = Arc::clone(&drops);
        let (counts, waker) = counting();
        let mut fut: Pin<Box<_>> = Box::pin(rt0::go(move || value).into_future());
        let polled = fut.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if !polled && n % 2 == 0 {
            rt0::gosched();
        }
        drop(fut);
        drop(waker);
        while Arc::strong_count(&counts) > 1 {
            rt0::gosched();
        }
    }
    while Arc::strong_count(&drops) > 1 {
        rt0::gosched();
    }
}
