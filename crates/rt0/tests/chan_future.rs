//! Receivers as futures.

#![allow(clippy::disallowed_types, reason = "a test's own wakers")]

mod again;
mod wakers;

use rt0::chan::{RecvError, after, bounded, never, tick, unbounded};
use rt0::future::{block_on, spawn_future};
use rt0::time::{Duration, Timer};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wakers::counting;

#[test]
fn on_other_numbers_of_ps() {
    again::on_ps(&[1, 2, 8]);
}

#[rt0::test]
fn messages_come_in_order_and_then_the_end() {
    for cap in [Some(0), Some(1), Some(100), None] {
        let (tx, rx) = cap.map_or_else(unbounded, bounded);
        let sending = rt0::go(move || (0..2000).for_each(|n| tx.send(n).expect("it is open")));
        block_on(async {
            for n in 0..2000 {
                assert_eq!((&rx).await, Ok(n), "{cap:?}");
            }
            assert_eq!(rx.recv_async().await, Err(RecvError));
        });
        sending.join().expect("no panic");
    }
}

/// Goroutines, futures and futures that are given up share a channel: each message comes once.
#[rt0::test]
fn nothing_is_lost_or_doubled() {
    const EACH: usize = 2000;
    for cap in [0, 1, 16] {
        let (tx, rx) = bounded(cap);
        let senders: Vec<_> = (0..4)
            .map(|s| {
                let tx = tx.clone();
                rt0::go(move || (0..EACH).for_each(|n| tx.send(s * EACH + n).expect("open")))
            })
            .collect();
        drop(tx);
        let receivers: Vec<_> = (0..6)
            .map(|kind| {
                let rx = rx.clone();
                rt0::go(move || receive(kind, &rx))
            })
            .collect();
        senders.into_iter().for_each(|s| s.join().expect("no panic"));
        let mut seen = BTreeSet::new();
        for receiver in receivers {
            for msg in receiver.join().expect("no panic") {
                assert!(seen.insert(msg), "{msg} came twice");
            }
        }
        assert_eq!(seen.len(), 4 * EACH, "capacity {cap}");
    }
}

/// Two kinds of receivers that end with the channel, and one whose futures do not live long.
fn receive(kind: usize, rx: &rt0::chan::Receiver<usize>) -> Vec<usize> {
    let mut got = Vec::new();
    match kind % 3 {
        0 => got.extend(rx.iter()),
        1 => block_on(async {
            while let Ok(msg) = rx.recv_async().await {
                got.push(msg);
            }
        }),
        _ => {
            let (_, waker) = counting();
            let mut cx = Context::from_waker(&waker);
            loop {
                match pin!(rx.recv_async()).poll(&mut cx) {
                    Poll::Ready(Ok(msg)) => got.push(msg),
                    Poll::Ready(Err(_)) => break,
                    Poll::Pending => rt0::gosched(),
                }
            }
        }
    }
    got
}

#[rt0::test]
fn the_last_waker_is_woken_and_none_is_kept() {
    let (tx, rx) = bounded(1);
    let [(first, one), (last, two)] = [counting(), counting()];
    let mut fut = Box::pin(rx.recv_async());
    for waker in [&one, &two] {
        assert!(fut.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    tx.send(1).expect("it is open");
    while last.get() == 0 {
        rt0::gosched();
    }
    assert_eq!((first.get(), last.get()), (0, 1));
    let polled = fut.as_mut().poll(&mut Context::from_waker(&two));
    assert_eq!(polled, Poll::Ready(Ok(1)));
    // And again, for the next one: given up this time.
    assert!(fut.as_mut().poll(&mut Context::from_waker(&two)).is_pending());
    drop((fut, one, two));
    // Who has woken it has counted, and may not have dropped it yet.
    while (Arc::strong_count(&first), Arc::strong_count(&last)) != (1, 1) {
        rt0::gosched(); // for ever, if one is kept
    }
    assert_eq!((first.get(), last.get()), (0, 1));
    tx.send(2).expect("it is open");
    assert_eq!(rx.try_recv(), Ok(2), "the one who gave up took it");
}

#[rt0::test]
fn a_close_ends_all_who_wait() {
    let (tx, rx) = bounded::<u32>(0);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let rx = rx.clone();
            spawn_future(async move { rx.recv_async().await })
        })
        .collect();
    rt0::time::sleep(Duration::from_millis(1));
    tx.close();
    for end in waiting {
        assert_eq!(end.join().expect("no panic"), Err(RecvError));
    }
}

#[rt0::test]
fn clocks_are_channels_too() {
    block_on(async {
        after(Duration::from_millis(2)).recv_async().await.expect("it comes");
        let ticks = tick(Duration::from_micros(500));
        for _ in 0..5 {
            (&ticks).await.expect("it comes");
        }
    });
    // One that is set to another time while it is waited for, earlier and later.
    let timer = Arc::new(Timer::new(Duration::from_secs(3600)));
    let theirs = Arc::clone(&timer);
    let waiting = spawn_future(async move { theirs.receiver().recv_async().await });
    rt0::time::sleep(Duration::from_millis(1));
    assert!(timer.reset(Duration::from_secs(1800)));
    assert!(timer.reset(Duration::from_millis(1)));
    waiting.join().expect("no panic").expect("it comes");
    // The end of a context.
    let (ctx, cancel) = rt0::context::with_cancel(&rt0::context::background());
    let waiting = spawn_future(async move { ctx.done().recv_async().await });
    cancel.cancel();
    waiting.join().expect("no panic").expect("it is the end");
    let (_, waker) = counting();
    let never = never::<()>();
    assert!(pin!(never.recv_async()).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// Futures that go while a message, a close or a time comes leave nothing behind.
#[rt0::test]
fn dropped_while_something_comes() {
    let (counts, waker) = counting();
    for n in 0..3000_u64 {
        let (tx, rx) = bounded(1);
        let timer = Timer::new(Duration::from_micros(n % 40));
        let mut cx = Context::from_waker(&waker);
        let mut message = Box::pin(rx.recv_async());
        let mut time = Box::pin(timer.receiver().recv_async());
        let _ = message.as_mut().poll(&mut cx).is_pending();
        let _ = time.as_mut().poll(&mut cx).is_pending();
        let other = rt0::go(move || match n % 2 {
            0 => tx.send(n).unwrap_or(()),
            _ => drop(tx),
        });
        if n % 3 == 0 {
            rt0::gosched();
        }
        drop(message);
        drop(time);
        if n % 5 == 0 {
            timer.reset(Duration::from_micros(1));
        }
        other.join().expect("no panic");
    }
    drop(waker);
    while Arc::strong_count(&counts) > 1 {
        rt0::gosched();
    }
}
