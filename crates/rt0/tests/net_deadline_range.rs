//! Deadlines and timeouts from a nanosecond to a second, of everything that can have one: each
//! fires, and none too early.

mod again;
#[path = "net/support.rs"]
mod support;

use rt0::context::{background, with_timeout};
use rt0::io::{Polled, pipe};
use rt0::net::{TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use rt0::time::{Duration, Instant, sleep};
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::sync::Arc;
use support::{local, pair, silent};

/// Each power of ten, and some numbers between them, other ones each time.
fn range() -> Vec<Duration> {
    use std::hash::{BuildHasher, RandomState};
    let mut all: Vec<u64> = (0..=9).map(|n| 10_u64.pow(n)).collect();
    for n in 0..9 {
        let x = RandomState::new().hash_one(n);
        all.push(10_u64.pow(n) + x % (9 * 10_u64.pow(n)));
    }
    all.into_iter().map(Duration::from_nanos).collect()
}

/// Runs `f` for each of the range, all at once; `f` waits, and tells when it began to. In a
/// goroutine, for several of these at a time.
fn each<T>(
    what: &'static str,
    f: impl Fn(Duration) -> (Instant, io::Result<T>) + Send + Sync + 'static,
) -> rt0::JoinHandle<()> {
    let f = Arc::new(f);
    let one = move |limit: Duration| {
        let (start, result) = f(limit);
        let took = start.elapsed();
        let kind = result.err().map(|e| e.kind());
        assert_eq!(kind, Some(ErrorKind::TimedOut), "{what}, {limit:?}");
        assert!(took >= limit, "{what}, {limit:?}: after {took:?}");
    };
    rt0::go(move || {
        let all: Vec<_> = range()
            .into_iter()
            .map(|limit| {
                let one = one.clone();
                rt0::go(move || one(limit))
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(120);
        while !all.iter().all(|h| h.is_finished()) {
            assert!(Instant::now() < end, "{what}: one was lost");
            sleep(Duration::from_millis(5));
        }
        all.into_iter().for_each(|h| h.join().expect("no panic"));
    })
}

fn join<const N: usize>(all: [rt0::JoinHandle<()>; N]) {
    all.into_iter().for_each(|h| h.join().expect("no panic"));
}

/// From now on.
fn within(limit: Duration) -> (Instant, Option<Instant>) {
    let now = Instant::now();
    (now, Some(now + limit))
}

#[rt0::test]
fn reading() {
    join([
        each("TCP, deadline", |limit| {
            let (mut a, _b) = pair();
            let (start, at) = within(limit);
            a.set_read_deadline(at);
            (start, a.read(&mut [0]))
        }),
        each("TCP, timeout", |limit| {
            let (mut a, _b) = pair();
            a.set_read_timeout(Some(limit)).expect("not zero");
            (Instant::now(), a.read(&mut [0]))
        }),
        each("Unix", |limit| {
            let (mut a, _b) = UnixStream::pair().expect("two sockets");
            let (start, at) = within(limit);
            a.set_deadline(at);
            (start, a.read(&mut [0]))
        }),
        each("a pipe", |limit| {
            let (mut reader, _writer) = pipe().expect("a pipe");
            let (start, at) = within(limit);
            reader.set_read_deadline(at);
            (start, reader.read(&mut [0]))
        }),
        each("a context", |limit| {
            let (mut a, _b) = pair();
            let start = Instant::now();
            let (ctx, _cancel) = with_timeout(&background(), limit);
            (start, ctx.io(|| a.read(&mut [0])))
        }),
        each("polled", |limit| {
            let (a, _b) = pair();
            a.set_read_timeout(Some(limit)).expect("not zero");
            let a = Polled::new(a);
            let start = Instant::now();
            (start, rt0::future::block_on(poll_fn(|cx| a.poll_read(cx, &mut [0]))))
        }),
        each("on a thread", |limit| {
            let (mut a, _b) = pair();
            let (start, at) = within(limit);
            a.set_read_deadline(at);
            let read = std::thread::spawn(move || a.read(&mut [0]));
            (start, read.join().expect("no panic"))
        }),
    ]);
}

/// Writes until nothing more goes.
fn fill(mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
    loop {
        write(&[0; 8192])?;
    }
}

#[rt0::test]
fn writing() {
    join([
        each("TCP", |limit| {
            let (mut a, _b) = pair();
            a.set_nonblocking(true).expect("a socket");
            fill(|buf| a.write(buf)).expect_err("full");
            a.set_nonblocking(false).expect("a socket");
            let (start, at) = within(limit);
            a.set_write_deadline(at);
            (start, fill(|buf| a.write(buf)))
        }),
        each("Unix", |limit| {
            let (mut a, _b) = UnixStream::pair().expect("two sockets");
            a.set_nonblocking(true).expect("a socket");
            fill(|buf| a.write(buf)).expect_err("full");
            a.set_nonblocking(false).expect("a socket");
            a.set_write_timeout(Some(limit)).expect("not zero");
            (Instant::now(), a.write(&[0; 8192]))
        }),
        each("a pipe", |limit| {
            let (_reader, mut writer) = pipe().expect("a pipe");
            writer.write_all(&[0; 65536]).expect("room");
            let (start, at) = within(limit);
            writer.set_write_deadline(at);
            (start, writer.write(&[0]))
        }),
        each("Unix datagrams", |limit| {
            let (a, _b) = UnixDatagram::pair().expect("two sockets");
            a.set_nonblocking(true).expect("a socket");
            fill(|buf| a.send(buf)).expect_err("full");
            a.set_nonblocking(false).expect("a socket");
            let (start, at) = within(limit);
            a.set_write_deadline(at);
            (start, a.send(&[0; 8192]))
        }),
    ]);
}

#[rt0::test]
fn accepting_connecting_and_datagrams() {
    let (addr, _queue) = silent();
    join([
        each("accept", |limit| {
            let (listener, _) = local();
            let (start, at) = within(limit);
            listener.set_read_deadline(at);
            (start, listener.accept())
        }),
        each("accept of Unix", |limit| {
            let name = format!("rt0-range-{}-{}", std::process::id(), limit.as_nanos());
            let name = rt0::net::unix::SocketAddr::from_abstract_name(name).expect("short");
            let listener = UnixListener::bind_addr(&name).expect("it is new");
            let (start, at) = within(limit);
            listener.set_read_deadline(at);
            (start, listener.accept())
        }),
        each("connect", move |limit| (Instant::now(), TcpStream::connect_timeout(&addr, limit))),
        each("UDP", |limit| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            let (start, at) = within(limit);
            socket.set_read_deadline(at);
            (start, socket.recv_from(&mut [0]))
        }),
        each("Unix datagrams", |limit| {
            let (a, _b) = UnixDatagram::pair().expect("two sockets");
            a.set_read_timeout(Some(limit)).expect("not zero");
            (Instant::now(), a.recv(&mut [0]))
        }),
    ]);
}

/// Who waits without a deadline, or with a later one, gets the new one.
#[rt0::test]
fn a_new_one_for_who_waits() {
    let later = [None, Some(Duration::from_secs(3600))].map(|before| {
        each("a new one", move |limit| {
            let (a, _b) = pair();
            a.set_read_deadline(before.map(|d| Instant::now() + d));
            let a = Arc::new(a);
            let reader = Arc::clone(&a);
            let reading = rt0::go(move || (&*reader).read(&mut [0]));
            if limit.as_nanos() % 2 == 0 {
                sleep(Duration::from_millis(2)); // it waits
            }
            let (start, at) = within(limit);
            a.set_read_deadline(at);
            (start, reading.join().expect("no panic"))
        })
    });
    // One after the other, each a little sooner, and a reader for each.
    let sooner = each("sooner and sooner", |limit| {
        let (a, _b) = pair();
        let a = Arc::new(a);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let a = Arc::clone(&a);
                rt0::go(move || (&*a).read(&mut [0]))
            })
            .collect();
        let start = Instant::now();
        for i in (0..20).rev() {
            a.set_read_deadline(Some(start + limit + Duration::from_secs(i)));
            rt0::gosched();
        }
        let results = readers.into_iter().map(|r| r.join().expect("no panic"));
        (start, results.last().expect("three"))
    });
    join(later);
    join([sooner]);
}

/// What is there is not taken, and there when the deadline is gone.
#[rt0::test]
fn a_past_one_comes_before_what_is_ready() {
    let late = |kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::TimedOut));
    let past = Some(Instant::now());

    let (listener, addr) = local();
    let _client = TcpStream::connect(addr).expect("it listens");
    listener.set_read_deadline(past);
    late(listener.accept().err().map(|e| e.kind()));
    listener.set_read_deadline(None);
    listener.accept().expect("it is there");

    let (mut a, mut b) = UnixStream::pair().expect("two sockets");
    b.write_all(b"x").expect("room");
    a.set_deadline(past);
    late(a.read(&mut [0]).err().map(|e| e.kind()));
    late(a.peek(&mut [0]).err().map(|e| e.kind()));
    late(a.write(b"x").err().map(|e| e.kind()));
    a.set_deadline(None);
    a.read_exact(&mut [0]).expect("it is there");

    let (a, b) = UnixDatagram::pair().expect("two sockets");
    b.send(b"x").expect("room");
    a.set_deadline(past);
    late(a.recv(&mut [0]).err().map(|e| e.kind()));
    late(a.send(b"x").err().map(|e| e.kind()));
    a.set_deadline(None);
    assert_eq!(a.recv(&mut [0]).expect("it is there"), 1);

    let (a, b) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (a, b) = (a.expect("a port"), b.expect("a port"));
    let to = a.local_addr().expect("bound");
    b.send_to(b"x", to).expect("room");
    a.peek_from(&mut [0]).expect("it comes");
    a.set_deadline(past);
    late(a.recv_from(&mut [0]).err().map(|e| e.kind()));
    late(a.send_to(b"x", to).err().map(|e| e.kind()));
    a.set_deadline(None);
    a.recv_from(&mut [0]).expect("it is there");

    let (mut reader, mut writer) = pipe().expect("a pipe");
    writer.write_all(b"x").expect("room");
    reader.set_read_deadline(past);
    writer.set_write_deadline(past);
    late(reader.read(&mut [0]).err().map(|e| e.kind()));
    late(writer.write(b"x").err().map(|e| e.kind()));
    reader.set_read_deadline(None);
    reader.read_exact(&mut [0]).expect("it is there");
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
