//! Sockets under a context.

#![allow(clippy::disallowed_types, reason = "a lock between tests")]

#[path = "chan/support.rs"]
mod support;

use rt0::context::{Error, background, with_cancel, within};
use rt0::net::{TcpListener, TcpStream, UdpSocket};
use rt0::time::{Duration, sleep};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{HOUR, KINDS, Task, ms, on_all_ps};

/// Reads, writes and accepts that wait end with the context; the sockets stay as they are.
#[rt0::test]
fn io_ends_with_its_context() {
    type IoFn = fn(&TcpListener, &mut TcpStream) -> io::Error;
    let ways: &[(&str, IoFn)] = &[
        ("accept", |l, _| l.accept().map(drop).expect_err("nobody connects")),
        ("read", |_, s| s.read(&mut [0]).expect_err("nobody writes")),
        ("write", |_, s| {
            loop {
                if let Err(e) = s.write_all(&[0; 1 << 16]) {
                    return e;
                }
            }
        }),
    ];
    on_all_ps(|| {
        for (name, way) in ways {
            for kind in KINDS {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let addr = listener.local_addr().expect("bound");
                let mut near = TcpStream::connect(addr).expect("it listens");
                let (mut far, _) = listener.accept().expect("connected");
                let (ctx, cancel) = with_cancel(&background());
                let way = *way;
                let task = Task::start(kind, move || {
                    let e = ctx.io(|| way(&listener, &mut near));
                    assert!(ctx.io(|| near.read(&mut [0])).is_err(), "after the end");
                    (e, near)
                });
                sleep(ms(1));
                cancel.cancel();
                let (e, mut near) = task.join();
                let inner = e.get_ref().and_then(|e| e.downcast_ref::<Error>());
                assert_eq!(inner, Some(&Error::Cancelled), "{name} on {kind:?}: {e}");
                far.write_all(b"on").expect("it is open");
                assert_eq!(near.read(&mut [0; 2]).expect("it is open"), 2);
            }
        }
    });
}

#[rt0::test]
fn io_under_a_deadline_and_beside_others() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let timed_out = |r: io::Result<usize>| {
        let e = r.expect_err("nobody sends");
        e.kind() == io::ErrorKind::TimedOut && e.get_ref().is_some_and(|e| e.is::<Error>())
    };
    assert!(within(ms(2), |_| timed_out(socket.recv(&mut [0]))));
    assert!(within(ms(2), |outer| {
        let inner = within(HOUR, |_| background().io(|| rt0::go(|| ()).join().is_ok()));
        inner && timed_out(outer.io(|| socket.recv(&mut [0]))) && timed_out(socket.recv(&mut [0]))
    }));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        within(Duration::ZERO, |_| std::panic::resume_unwind(Box::new(())))
    }));
    assert!(caught.is_err());
    let own = socket.local_addr().expect("bound");
    socket.send_to(b"!", own).expect("it sends to itself");
    assert_eq!(socket.recv(&mut [0]).expect("no context any more"), 1);
    socket.send_to(b"!", own).expect("it sends to itself");
    sleep(ms(1));
    let ready = within(Duration::ZERO, |_| socket.recv(&mut [0]));
    assert_eq!(ready.expect("it need not wait"), 1);
}

/// Bytes that were read are never lost to a context that ends at the same time.
#[rt0::test]
fn cancelling_races_with_reading() {
    on_all_ps(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let writer = rt0::go(move || {
            let (mut s, _) = listener.accept().expect("it connects");
            for i in 0..2000_u64 {
                s.write_all(&[i as u8]).expect("it reads");
                if i % 16 == 0 {
                    sleep(Duration::from_micros(20));
                }
            }
        });
        let mut s = TcpStream::connect(addr).expect("it listens");
        let (mut got, mut round) = (0_u64, 0);
        while got < 2000 {
            round += 1;
            let mut byte = [0];
            match within(Duration::from_micros(round % 60), |_| s.read(&mut byte)) {
                Ok(n) => {
                    assert_eq!((n, byte[0]), (1, got as u8));
                    got += 1;
                }
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::TimedOut),
            }
        }
        writer.join().expect("no panic");
    });
}
