//! `rt0::io::Polled`: streams for async code.

#![allow(clippy::disallowed_types, reason = "a test's own wakers")]

mod again;
mod wakers;

use rt0::future::block_on;
use rt0::io::{ErrorKind, Polled, Read, Write};
use rt0::net::{TcpListener, TcpStream, UnixStream};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wakers::{Counts, counting};

#[test]
fn on_other_numbers_of_ps() {
    again::on_ps(&[1, 2, 8]);
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let a = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    (a, listener.accept().expect("one has come").0)
}

fn wait_for(counts: &Counts, n: usize) {
    while counts.get() < n {
        rt0::time::sleep(Duration::from_micros(100));
    }
}

/// Reads and writes of async code and of goroutines that block, in both directions at once.
fn echo(
    a: impl rt0::io::Stream + Send + Sync + 'static,
    mut b: impl Read + Write + Send + 'static,
) {
    const LEN: usize = 3 << 20; // more than the kernel keeps
    let echo = rt0::go(move || {
        let mut buf = vec![0; 10_000];
        loop {
            match b.read(&mut buf).expect("connected") {
                0 => return,
                n => b.write_all(&buf[..n]).expect("connected"),
            }
        }
    });
    let a = Arc::new(Polled::new(a));
    let writer = Arc::clone(&a);
    let writing = rt0::future::spawn_future(async move {
        let data: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
        let mut at = 0;
        while at < LEN {
            at += poll_fn(|cx| writer.poll_write(cx, &data[at..])).await.expect("connected");
        }
    });
    block_on(async {
        let (mut at, mut buf) = (0, vec![0; 7_000]);
        while at < LEN {
            let n = poll_fn(|cx| a.poll_read(cx, &mut buf)).await.expect("connected");
            assert!(buf[..n].iter().zip(at..).all(|(b, i)| *b == (i % 251) as u8));
            at += n;
        }
        writing.await.expect("no panic");
    });
    drop(a);
    echo.join().expect("the end is seen");
}

#[rt0::test]
fn tcp_in_both_directions() {
    let (a, b) = tcp();
    echo(a, b);
}

#[rt0::test]
fn unix_in_both_directions() {
    let (a, b) = UnixStream::pair().expect("a pair");
    echo(a, b);
}

#[rt0::test]
fn the_last_waker_is_woken_once() {
    let (a, mut b) = tcp();
    let a = Polled::new(a);
    let [(first, one), (last, two)] = [counting(), counting()];
    let mut buf = [0; 8];
    for waker in [&one, &two] {
        assert!(a.poll_read(&mut Context::from_waker(waker), &mut buf).is_pending());
    }
    b.write_all(b"x").expect("connected");
    wait_for(&last, 1);
    assert_eq!(first.get(), 0);
    let polled = a.poll_read(&mut Context::from_waker(&two), &mut buf);
    assert!(matches!(polled, Poll::Ready(Ok(1))), "{polled:?}");
    drop((one, two, a));
    // Who has woken it has counted, and may not have dropped it yet.
    while (Arc::strong_count(&first), Arc::strong_count(&last)) != (1, 1) {
        rt0::gosched(); // for ever, if a waker is kept
    }
    assert_eq!((first.get(), last.get()), (0, 1));
}

#[rt0::test]
fn the_end_and_the_close_are_told_apart() {
    let (a, b) = tcp();
    let a = Arc::new(Polled::new(a));
    let theirs = Arc::clone(&a);
    let reading = rt0::go(move || block_on(poll_fn(|cx| theirs.poll_read(cx, &mut [0; 4]))));
    rt0::time::sleep(Duration::from_millis(1));
    drop(b);
    assert_eq!(reading.join().expect("no panic").expect("no reset"), 0);

    let (b, _other) = tcp();
    let b = Arc::new(Polled::new(b));
    let theirs = Arc::clone(&b);
    let reading = rt0::go(move || block_on(poll_fn(|cx| theirs.poll_read(cx, &mut [0; 4]))));
    rt0::time::sleep(Duration::from_millis(1));
    b.get_ref().close();
    let e = reading.join().expect("no panic").expect_err("closed");
    assert!(e.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>()), "{e}");
    let e = block_on(poll_fn(|cx| b.poll_write(cx, b"x"))).expect_err("closed");
    assert!(e.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>()), "{e}");
}

#[rt0::test]
fn deadlines_and_timeouts_hold() {
    let (a, mut b) = tcp();
    let a = Arc::new(Polled::new(a));
    let mut buf = [0; 4];
    let mut read = || block_on(poll_fn(|cx| a.poll_read(cx, &mut buf))).map_err(|e| e.kind());
    let soon = || Instant::now() + Duration::from_millis(3);

    a.get_ref().set_read_deadline(Some(soon()));
    assert_eq!(read(), Err(ErrorKind::TimedOut));
    a.get_ref().set_read_deadline(None);
    a.get_ref().set_read_timeout(Some(Duration::from_millis(2))).expect("not zero");
    for _ in 0..3 {
        assert_eq!(read(), Err(ErrorKind::TimedOut));
    }
    b.write_all(b"ab").expect("connected");
    a.get_ref().set_read_timeout(None).expect("none is allowed");
    assert_eq!(read(), Ok(2));
    // One that is set while it waits already.
    let theirs = Arc::clone(&a);
    let setting = rt0::go(move || {
        rt0::time::sleep(Duration::from_millis(2));
        theirs.get_ref().set_read_deadline(Some(soon()));
    });
    assert_eq!(read(), Err(ErrorKind::TimedOut));
    setting.join().expect("no panic");
}

/// A thread of the program's may poll, while every goroutine sleeps.
#[rt0::test]
fn on_a_plain_thread() {
    let (a, mut b) = tcp();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let a = Polled::new(a);
        for _ in 0..50 {
            tell.send(()).expect("main listens");
            let n = block_on(poll_fn(|cx| a.poll_read(cx, &mut [0; 4]))).expect("connected");
            assert_eq!(n, 1);
        }
    });
    let writer = std::thread::spawn(move || {
        for () in told {
            std::thread::sleep(Duration::from_micros(300)); // so that it waits
            b.write_all(b"x").expect("connected");
        }
    });
    thread.join().expect("no panic");
    writer.join().expect("no panic");
}

/// Drops, deadlines, closes and data that meet leave neither a waker nor a waiter behind: closing a
/// descriptor that somebody waits for would end the process.
#[rt0::test]
fn dropped_while_something_happens() {
    let (counts, waker) = counting();
    for n in 0..2000 {
        let (a, mut b) = UnixStream::pair().expect("a pair");
        let a = Polled::new(a);
        if n % 3 == 0 {
            let soon = Instant::now() + Duration::from_micros(n % 50);
            a.get_ref().set_read_deadline(Some(soon));
        }
        let mut cx = Context::from_waker(&waker);
        let _ = a.poll_read(&mut cx, &mut [0; 4]);
        let other = rt0::go(move || {
            if n % 2 == 0 {
                b.write_all(b"x").unwrap_or(());
            }
        });
        if n % 4 < 2 {
            rt0::gosched();
        }
        if n % 7 == 0 {
            let stream = a.into_inner();
            stream.set_nonblocking(true).expect("it is open");
        } else {
            drop(a);
        }
        other.join().expect("no panic");
    }
    drop(waker);
    while Arc::strong_count(&counts) > 1 {
        rt0::gosched();
    }
}
