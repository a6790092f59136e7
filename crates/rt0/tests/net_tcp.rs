//! `rt0::net::TcpStream` and `TcpListener`.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod again;
#[path = "net/support.rs"]
mod support;

use rt0::context::{background, with_timeout};
use rt0::io::Closed;
use rt0::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use rt0::time::{Duration, sleep};
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::{local, own_local, pair, refusing, silent};

fn is_closed(e: &io::Error) -> bool {
    e.kind() == ErrorKind::NotConnected && e.get_ref().is_some_and(|e| e.is::<Closed>())
}

/// Answers whatever comes, until the other side ends.
fn echo(mut s: TcpStream) -> io::Result<u64> {
    let mut buf = [0; 4096];
    let mut total = 0;
    loop {
        let n = s.read(&mut buf)?;
        if n == 0 {
            return Ok(total);
        }
        s.write_all(&buf[..n])?;
        total += n as u64;
    }
}

#[rt0::test]
fn echoes() {
    let (mut client, server) = pair();
    let server = rt0::go(move || echo(server));
    for i in 0..1000_u32 {
        client.write_all(&i.to_ne_bytes()).expect("the server reads");
        let mut answer = [0; 4];
        client.read_exact(&mut answer).expect("the server answers");
        assert_eq!(u32::from_ne_bytes(answer), i);
    }
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
    assert_eq!(server.join().expect("no panic").expect("no error"), 4000);
}

/// More than the buffers of the kernel hold, so that writers wait too.
#[rt0::test]
fn moves_megabytes_both_ways() {
    let (client, server) = pair();
    let server = rt0::go(move || echo(server));
    let client = Arc::new(client);
    let writer = Arc::clone(&client);
    const BYTES: usize = 16 << 20;
    let writer = rt0::go(move || {
        let data: Vec<u8> = (0..BYTES).map(|i| (i * 7 / 3) as u8).collect();
        (&*writer).write_all(&data).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("connected");
        data
    });
    let mut back = Vec::new();
    (&*client).read_to_end(&mut back).expect("the server answers");
    assert_eq!(back, writer.join().expect("no panic"));
    assert_eq!(server.join().expect("no panic").expect("no error"), BYTES as u64);
}

#[rt0::test]
fn a_thousand_connections() {
    let (listener, addr) = local();
    let server = rt0::go(move || {
        let echoes: Vec<_> = listener
            .incoming()
            .take(1000)
            .map(|s| rt0::go(move || echo(s.expect("a connection"))))
            .collect();
        echoes.into_iter().map(|h| h.join().expect("no panic").expect("no error")).sum::<u64>()
    });
    let clients: Vec<_> = (0..1000_u32)
        .map(|i| {
            rt0::go(move || {
                let mut s = TcpStream::connect(addr).expect("somebody listens");
                for round in 0..5 {
                    let text = format!("{i} {round}\n");
                    s.write_all(text.as_bytes()).expect("the server reads");
                    let mut answer = vec![0; text.len()];
                    s.read_exact(&mut answer).expect("the server answers");
                    assert_eq!(answer, text.as_bytes());
                    if i % 3 == 0 {
                        sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    for c in clients {
        c.join().expect("no panic");
    }
    assert!(server.join().expect("no panic") > 5000);
}

#[rt0::test]
fn threads_and_goroutines_talk() {
    let (listener, addr) = local();
    let server = thread::spawn(move || {
        for _ in 0..20 {
            let (s, _) = listener.accept().expect("a connection");
            thread::spawn(move || echo(s));
        }
    });
    let talk = move |i: u8| {
        let mut s = TcpStream::connect(addr).expect("somebody listens");
        for _ in 0..50 {
            s.write_all(&[i; 100]).expect("the server reads");
            let mut answer = [0; 100];
            s.read_exact(&mut answer).expect("the server answers");
            assert_eq!(answer, [i; 100]);
        }
    };
    let threads: Vec<_> = (0..10).map(|i| thread::spawn(move || talk(i))).collect();
    let goroutines: Vec<_> = (10..20).map(|i| rt0::go(move || talk(i))).collect();
    for t in threads {
        t.join().expect("no panic");
    }
    for g in goroutines {
        g.join().expect("no panic");
    }
    server.join().expect("no panic");
}

/// No goroutine is involved at all.
#[test]
fn threads_alone() {
    let (listener, addr) = local();
    let server = thread::spawn(move || echo(listener.accept().expect("a connection").0));
    let mut s = TcpStream::connect(addr).expect("somebody listens");
    s.write_all(b"hello").expect("the server reads");
    let mut answer = [0; 5];
    s.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"hello");
    s.set_read_timeout(Some(Duration::from_millis(5))).expect("not zero");
    assert_eq!(s.read(&mut answer).expect_err("nothing comes").kind(), ErrorKind::TimedOut);
    drop(s);
    assert_eq!(server.join().expect("no panic").expect("no error"), 5);
}

#[rt0::test]
fn many_accept_from_one_listener() {
    let (listener, addr) = own_local();
    let listener = Arc::new(listener);
    let served = Arc::new(AtomicUsize::new(0));
    let mut accepting = Vec::new();
    for i in 0..16 {
        let (listener, served) = (Arc::clone(&listener), Arc::clone(&served));
        let accept = move || {
            loop {
                match listener.accept() {
                    Ok((s, _)) => {
                        served.fetch_add(1, Ordering::SeqCst);
                        drop(echo(s));
                    }
                    Err(e) => return e,
                }
            }
        };
        if i % 4 == 0 {
            let t = thread::spawn(accept);
            accepting.push(rt0::go(move || t.join().expect("no panic")));
        } else {
            accepting.push(rt0::go(accept));
        }
    }
    for _ in 0..200 {
        let mut s = TcpStream::connect(addr).expect("somebody listens");
        s.write_all(b"x").expect("the server reads");
        s.read_exact(&mut [0]).expect("the server answers");
    }
    listener.close();
    for a in accepting {
        let e = a.join().expect("no panic");
        assert!(is_closed(&e), "{e:?}");
    }
    assert_eq!(served.load(Ordering::SeqCst), 200);
    assert!(is_closed(&listener.accept().expect_err("closed")));
    assert_eq!(TcpStream::connect(addr).expect_err("closed").kind(), ErrorKind::ConnectionRefused);
}

#[rt0::test]
fn close_ends_a_read_and_a_write() {
    let (client, _server) = pair();
    let client = Arc::new(client);
    let reader = Arc::clone(&client);
    let reader = rt0::go(move || (&*reader).read(&mut [0; 8]).expect_err("nothing comes"));
    let writer = Arc::clone(&client);
    let writer = rt0::go(move || {
        loop {
            if let Err(e) = (&*writer).write(&[0; 65536]) {
                return e;
            }
        }
    });
    let thread = Arc::clone(&client);
    let thread = thread::spawn(move || (&*thread).read(&mut [0; 8]).expect_err("nothing comes"));
    sleep(Duration::from_millis(20));
    client.close();
    client.close();
    for e in [
        reader.join().expect("no panic"),
        writer.join().expect("no panic"),
        thread.join().expect("no panic"),
    ] {
        assert!(is_closed(&e), "{e:?}");
    }
    assert!(is_closed(&(&*client).write(b"x").expect_err("closed")));
    assert_eq!(
        client.try_clone().expect("a descriptor").peek(&mut [0]).map_err(|e| is_closed(&e)),
        Err(true)
    );
}

#[rt0::test]
fn the_other_side_goes() {
    let (mut client, server) = pair();
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
    // The first write is answered by a reset, and no signal is raised.
    let e = loop {
        if let Err(e) = client.write(b"x") {
            break e;
        }
        sleep(Duration::from_millis(1));
    };
    assert!(matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{e:?}");

    let (mut client, server) = pair();
    server.set_linger(Some(Duration::ZERO)).expect("a socket");
    let reader = rt0::go(move || client.read(&mut [0; 8]).expect_err("a reset"));
    sleep(Duration::from_millis(5));
    drop(server);
    assert_eq!(reader.join().expect("no panic").kind(), ErrorKind::ConnectionReset);
}

#[rt0::test]
fn refused() {
    let (addr, _bound) = refusing();
    assert_eq!(TcpStream::connect(addr).expect_err("refused").kind(), ErrorKind::ConnectionRefused);
    let e = TcpStream::connect_timeout(&addr, Duration::from_secs(5)).expect_err("refused");
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    let e = thread::spawn(move || TcpStream::connect(addr)).join().expect("no panic");
    assert_eq!(e.expect_err("refused").kind(), ErrorKind::ConnectionRefused);
}

#[rt0::test]
fn the_first_address_that_answers_is_taken() {
    let (listener, addr) = local();
    let (refused, _bound) = refusing();
    let s = TcpStream::connect(&[refused, refused, addr][..]).expect("the third listens");
    assert_eq!(s.peer_addr().expect("connected"), addr);
    let e = TcpStream::connect(&[refused, refused][..]).expect_err("nobody listens");
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    let e = TcpStream::connect(&[][..]).expect_err("no address");
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
    drop(listener);
}

/// A listener whose queue is full answers nobody: the next address has its turn before it does.
#[rt0::test]
fn an_address_that_does_not_answer_is_passed_over() {
    let (silent, _queue) = silent();
    let (listener, addr) = local();
    let s = TcpStream::connect(&[silent, addr][..]).expect("the second listens");
    assert_eq!(s.peer_addr().expect("connected"), addr);
    drop(listener);
}

/// One that refuses makes room at once for the next, although others may still answer.
#[rt0::test]
fn an_address_that_refuses_is_not_waited_for() {
    let (silent, _queue) = silent();
    let (refused, _bound) = refusing();
    let (listener, addr) = local();
    let addrs = [vec![silent], vec![refused; 200], vec![addr]].concat();
    let (ctx, _cancel) = with_timeout(&background(), Duration::from_secs(40));
    let s = ctx.io(|| TcpStream::connect(&addrs[..])).expect("the last listens");
    assert_eq!(s.peer_addr().expect("connected"), addr);
    drop(listener);
}

#[rt0::test]
fn names_are_looked_up() {
    let (listener, addr) = local();
    let port = addr.port();
    let looking: Vec<_> = (0..50)
        .map(|i| {
            rt0::go(move || match i % 3 {
                0 => TcpStream::connect(format!("localhost:{port}")),
                1 => TcpStream::connect(("localhost", port)),
                _ => TcpStream::connect((String::from("127.0.0.1"), port)),
            })
        })
        .collect();
    for l in looking {
        let s = l.join().expect("no panic").expect("localhost is here");
        assert_eq!(s.peer_addr().expect("connected").port(), port);
    }
    drop(listener);
    let found: Vec<_> =
        rt0::net::lookup_host(("localhost", 7)).expect("localhost is known").collect();
    assert!(found.iter().all(|a| a.port() == 7 && a.ip().is_loopback()), "{found:?}");
    assert!("no port".to_socket_addrs().is_err());
    assert!("host:123456".to_socket_addrs().is_err());
    assert!(rt0::net::lookup_host("does-not-exist.invalid:1").is_err());
}

#[rt0::test]
fn vectors_peek_and_lines() {
    let (mut client, mut server) = pair();
    let n = client
        .write_vectored(&[IoSlice::new(b"one\n"), IoSlice::new(b""), IoSlice::new(b"two\n")])
        .expect("room");
    assert_eq!(n, 8);
    let mut head = [0; 3];
    assert_eq!(server.peek(&mut head).expect("it is there"), 3);
    let (mut a, mut b) = ([0; 2], [0; 2]);
    let n = server
        .read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)])
        .expect("it is there");
    assert_eq!((n, &head, &a, &b), (4, b"one", b"on", b"e\n"));
    drop(client);
    let lines: Vec<_> = BufReader::new(server).lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["two"]);
    assert_eq!(pair().0.write_vectored(&[]).expect("nothing to do"), 0);
}

#[rt0::test]
fn options() {
    let (s, _other) = pair();
    s.set_nodelay(true).expect("a socket");
    s.set_ttl(42).expect("a socket");
    s.set_linger(Some(Duration::from_secs(3))).expect("a socket");
    s.set_keepalive(Some(Duration::from_secs(77))).expect("a socket");
    assert!(s.nodelay().expect("a socket"));
    assert_eq!(s.ttl().expect("a socket"), 42);
    assert_eq!(s.linger().expect("a socket"), Some(Duration::from_secs(3)));
    assert_eq!(s.keepalive().expect("a socket"), Some(Duration::from_secs(77)));
    s.set_keepalive(None).expect("a socket");
    assert_eq!(s.keepalive().expect("a socket"), None);
    assert!(s.take_error().expect("a socket").is_none());
    let text = format!("{s:?}");
    assert!(text.starts_with("TcpStream { addr: 127.0.0.1:"), "{text}");

    let a = TcpListener::bind_reuseport("127.0.0.1:0").expect("a free port");
    let b = TcpListener::bind_reuseport(a.local_addr().expect("bound")).expect("a shared port");
    assert_eq!(a.local_addr().expect("bound"), b.local_addr().expect("bound"));
    let e = TcpListener::bind(a.local_addr().expect("bound")).expect_err("a port in use");
    assert_eq!(e.kind(), ErrorKind::AddrInUse);
}

#[rt0::test]
fn to_std_and_back() {
    let (client, server) = pair();
    let mut client = client.into_std();
    let mut server = TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(server)));
    let reader = rt0::go(move || {
        let mut buf = [0; 2];
        server.read_exact(&mut buf).expect("it comes");
        buf
    });
    client.write_all(b"hi").expect("room");
    assert_eq!(&reader.join().expect("no panic"), b"hi");
    // std's socket blocks again: a read without data waits for its timeout.
    client.set_read_timeout(Some(Duration::from_millis(5))).expect("not zero");
    let (listener, _) = local();
    let raw = listener.as_raw_fd();
    assert_eq!(listener.into_raw_fd(), raw);
}

/// A read of datagrams that gets less than it asked for says nothing of the next one.
#[rt0::test]
fn sockets_that_are_no_tcp_are_read_to_their_last_message() {
    let (near, far) = std::os::unix::net::UnixDatagram::pair().expect("two sockets");
    let mut far = TcpStream::from(OwnedFd::from(far));
    far.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
    for _ in 0..3 {
        for text in [b"one", b"two", b"six"] {
            assert_eq!(near.send(text).expect("room"), 3);
        }
        for text in [b"one", b"two", b"six"] {
            let mut buf = [0; 64];
            assert_eq!(far.read(&mut buf).expect("it is there"), 3);
            assert_eq!(&buf[..3], text);
        }
    }
}

#[rt0::test]
fn nonblocking_does_not_wait() {
    let (mut client, mut server) = pair();
    client.set_nonblocking(true).expect("a socket");
    assert_eq!(client.read(&mut [0]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
    server.write_all(b"x").expect("room");
    client.set_nonblocking(false).expect("a socket");
    client.read_exact(&mut [0]).expect("it comes");
}

#[rt0::test]
fn clones_are_one_socket() {
    let (client, mut server) = pair();
    let clones: Vec<_> = (0..8).map(|_| client.try_clone().expect("a descriptor")).collect();
    let fds: std::collections::BTreeSet<_> = clones.iter().map(AsRawFd::as_raw_fd).collect();
    assert_eq!(fds.len(), 8);
    // Readers wait by different descriptors; the one that waited first goes before the data comes.
    let mut client = Some(client);
    for mut clone in clones {
        let reader = rt0::go(move || {
            let mut buf = [0; 3];
            clone.read_exact(&mut buf).expect("it comes");
            (clone, buf)
        });
        sleep(Duration::from_millis(2));
        drop(client.take());
        server.write_all(b"abc").expect("room");
        let (clone, buf) = reader.join().expect("no panic");
        assert_eq!(&buf, b"abc");
        client = Some(clone);
    }
}

#[rt0::test]
fn a_clone_closed_while_another_waits_does_not_lose_its_wake_up() {
    for _ in 0..200 {
        let (client, mut server) = pair();
        let mut other = client.try_clone().expect("a descriptor");
        // The first one registers.
        client.set_read_timeout(Some(Duration::from_micros(1))).expect("not zero");
        let _ = (&client).read(&mut [0]);
        client.set_read_timeout(None).expect("a socket");
        let reader = rt0::go(move || other.read(&mut [0; 4]).expect("it comes"));
        rt0::gosched();
        drop(client);
        server.write_all(b"x").expect("room");
        assert_eq!(reader.join().expect("no panic"), 1);
    }
}

/// A read stops at urgent data, with more behind it: the next one must not wait for news.
#[rt0::test]
fn reads_go_on_behind_urgent_data() {
    let (client, mut server) = pair();
    for _ in 0..20 {
        let reader = rt0::go(move || {
            let mut got = Vec::new();
            while got.len() < 6 {
                let mut buf = [0; 64];
                let n = server.read(&mut buf).expect("it comes");
                got.extend_from_slice(&buf[..n]);
            }
            (server, got)
        });
        rt0::gosched();
        (&client).write_all(b"abc").expect("room");
        rustix::net::send(&client, b"!", rustix::net::SendFlags::OOB).expect("room");
        (&client).write_all(b"def").expect("room");
        let got;
        (server, got) = reader.join().expect("no panic");
        assert_eq!(got, b"abcdef");
    }
}

/// Data, then the end, at every distance from each other.
#[rt0::test]
fn the_end_is_found_behind_short_reads() {
    for pause in 0..300_u64 {
        let (mut client, mut server) = pair();
        let reader = rt0::go(move || {
            let mut buf = [0; 64];
            let mut total = 0;
            loop {
                match server.read(&mut buf).expect("no error") {
                    0 => return total,
                    n => total += n,
                }
            }
        });
        client.write_all(b"abc").expect("room");
        match pause % 3 {
            0 => {}
            1 => rt0::gosched(),
            _ => sleep(Duration::from_micros(pause)),
        }
        drop(client);
        assert_eq!(reader.join().expect("no panic"), 3);
    }
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
