//! `rt0::net::unix`.

mod again;

use rt0::net::unix::SocketAddr;
use rt0::net::{Shutdown, UnixDatagram, UnixListener, UnixStream};
use rt0::time::{Duration, sleep};
use std::io::{ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A file name in a directory that goes at the end.
struct Name(PathBuf);

impl Name {
    fn new(name: &str) -> Name {
        let dir = std::env::temp_dir().join(format!("rt0-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Name(dir.join("socket"))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().expect("a directory"));
    }
}

#[rt0::test]
fn streams_by_file_name() {
    let name = Name::new("stream");
    let listener = UnixListener::bind(&name.0).expect("a new file");
    assert_eq!(listener.local_addr().expect("bound").as_pathname(), Some(&*name.0));
    let server = rt0::go(move || {
        for s in listener.incoming().take(50) {
            let mut s = s.expect("a connection");
            rt0::go(move || {
                let mut buf = Vec::new();
                s.read_to_end(&mut buf).expect("it ends");
                s.write_all(&buf).expect("room");
            });
        }
    });
    let clients: Vec<_> = (0..50_u8)
        .map(|i| {
            let name = name.0.clone();
            rt0::go(move || {
                let mut s = UnixStream::connect(&name).expect("it listens");
                assert_eq!(s.peer_addr().expect("connected").as_pathname(), Some(&*name));
                assert!(s.local_addr().expect("a socket").is_unnamed());
                s.write_all(&[i; 1000]).expect("room");
                s.shutdown(Shutdown::Write).expect("connected");
                let mut back = Vec::new();
                s.read_to_end(&mut back).expect("it ends");
                assert_eq!(back, [i; 1000]);
            })
        })
        .collect();
    for c in clients {
        c.join().expect("no panic");
    }
    server.join().expect("no panic");
    assert_eq!(UnixListener::bind(&name.0).expect_err("it is there").kind(), ErrorKind::AddrInUse);
    let long = "x".repeat(200);
    assert_eq!(UnixListener::bind(long).expect_err("too long").kind(), ErrorKind::InvalidInput);
    assert_eq!(UnixStream::connect("/does/not/exist").expect_err("no").kind(), ErrorKind::NotFound);
}

#[rt0::test]
fn abstract_names() {
    let id = format!("rt0-abstract-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&id).expect("a name");
    let listener = UnixListener::bind_addr(&addr).expect("a free name");
    assert_eq!(listener.local_addr().expect("bound").as_abstract_name(), Some(id.as_bytes()));
    let client = rt0::go(move || UnixStream::connect_addr(&addr).expect("it listens"));
    let (mut s, from) = listener.accept().expect("a connection");
    assert!(from.is_unnamed());
    let mut client = client.join().expect("no panic");
    assert_eq!(client.peer_addr().expect("connected").as_abstract_name(), Some(id.as_bytes()));
    client.write_all(b"x").expect("room");
    s.read_exact(&mut [0]).expect("it comes");
}

/// The longest name that the kernel takes has no room for a final zero.
#[rt0::test]
fn the_longest_name_of_another() {
    let name = Name::new("long");
    let listener = UnixListener::bind(&name.0).expect("a new file");
    let dir = name.0.parent().expect("a directory").to_str().expect("ASCII");
    let long = format!("{dir}/{}", "x".repeat(108 - dir.len() - 1));
    let s = UnixStream::from_std(longest(&long));
    rustix::net::connect(&s, &rustix::net::SocketAddrUnix::new(&*name.0).expect("a name"))
        .expect("it listens");
    listener.accept().expect("a connection");
    s.local_addr().expect("bound");
}

fn longest(path: &str) -> std::os::unix::net::UnixStream {
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let fd = rustix::net::socket(family, kind, None).expect("a socket");
    let addr = rustix::net::SocketAddrUnix::new(path).expect("108 bytes");
    rustix::net::bind(&fd, &addr).expect("a new file");
    fd.into()
}

/// The kernel refuses a connection that does not fit into the queue, and tells nobody when it does.
#[rt0::test]
fn connecting_waits_for_room() {
    let name = Name::new("full");
    let listener = UnixListener::bind(&name.0).expect("a new file");
    rustix::net::listen(&listener, 1).expect("it listens already");
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let name = name.0.clone();
            rt0::go(move || UnixStream::connect(&name).expect("it listens"))
        })
        .collect();
    sleep(Duration::from_millis(5));
    let accepted: Vec<_> = (0..20).map(|_| listener.accept().expect("a connection")).collect();
    for c in clients {
        c.join().expect("no panic");
    }
    drop(accepted);
}

#[rt0::test]
fn pairs() {
    let (mut a, mut b) = UnixStream::pair().expect("two sockets");
    let other = thread::spawn(move || {
        let mut buf = [0; 5];
        b.read_exact(&mut buf).expect("it comes");
        b.write_all(&buf).expect("room");
        b
    });
    a.write_all(b"hello").expect("room");
    let mut buf = [0; 5];
    assert!(a.peek(&mut buf).expect("it comes") > 0);
    a.read_exact(&mut buf).expect("it comes back");
    assert_eq!(&buf, b"hello");
    drop(other.join().expect("no panic"));
    assert_eq!(a.read(&mut buf).expect("the end"), 0);
    assert_eq!(a.write(b"x").expect_err("the other side is gone").kind(), ErrorKind::BrokenPipe);

    let (a, b) = UnixStream::pair().expect("two sockets");
    b.set_read_timeout(Some(Duration::from_millis(5))).expect("not zero");
    assert_eq!((&b).read(&mut [0]).expect_err("nothing").kind(), ErrorKind::TimedOut);
    let b = UnixStream::from_std(b.into_std());
    a.close();
    assert_eq!((&b).read(&mut [0]).expect("the end"), 0);
    let text = format!("{b:?}");
    assert!(text.starts_with("UnixStream { fd: "), "{text}");
}

/// A sender that is not connected is not told when the receiver's queue has room again.
#[rt0::test]
fn no_datagram_is_lost() {
    let name = Name::new("datagram");
    let receiver = UnixDatagram::bind(&name.0).expect("a new file");
    const N: u32 = 2000;
    let senders: Vec<_> = (0..4_u32)
        .map(|me| {
            let name = name.0.clone();
            rt0::go(move || {
                let s = UnixDatagram::unbound().expect("a socket");
                if me % 2 == 0 {
                    s.connect(&name).expect("it is there");
                }
                for i in 0..N {
                    let n = i.to_ne_bytes();
                    if me % 2 == 0 {
                        s.send(&n).expect("it waits for room");
                    } else {
                        s.send_to(&n, &name).expect("it waits for room");
                    }
                }
            })
        })
        .collect();
    let mut sum = 0_u64;
    for _ in 0..4 * N {
        let mut buf = [0; 4];
        let (n, from) = receiver.recv_from(&mut buf).expect("it comes");
        assert!(n == 4 && from.is_unnamed());
        sum += u64::from(u32::from_ne_bytes(buf));
    }
    assert_eq!(sum, 4 * u64::from(N) * u64::from(N - 1) / 2);
    for s in senders {
        s.join().expect("no panic");
    }
}

#[rt0::test]
fn datagrams() {
    let name = Name::new("named");
    let a = UnixDatagram::bind(&name.0).expect("a new file");
    let (b, c) = UnixDatagram::pair().expect("two sockets");
    b.send(b"pair").expect("room");
    let mut buf = [0; 8];
    assert_eq!(c.peek(&mut buf).expect("it comes"), 4);
    assert_eq!(c.recv(&mut buf).expect("it comes"), 4);
    let id = format!("rt0-datagram-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&id).expect("a name");
    let d = UnixDatagram::bind_addr(&addr).expect("a free name");
    a.send_to_addr(b"to d", &addr).expect("room");
    let (n, from) = d.peek_from(&mut buf).expect("it comes");
    assert_eq!((n, from.as_pathname()), (4, Some(&*name.0)));
    d.recv_from(&mut buf).expect("it is there");
    d.connect_addr(&from).expect("it is there");
    d.send(b"back").expect("room");
    let (_, from) = a.recv_from(&mut buf).expect("it comes");
    assert_eq!(from.as_abstract_name(), Some(id.as_bytes()));
    // Nobody reads: the queue is full, and the timeout counts.
    let d = Arc::new(d);
    d.set_write_timeout(Some(Duration::from_millis(20))).expect("not zero");
    a.set_write_timeout(Some(Duration::from_millis(20))).expect("not zero");
    let e = loop {
        if let Err(e) = d.send(b"x") {
            break e;
        }
    };
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let e = loop {
        if let Err(e) = a.send_to_addr(b"x", &addr) {
            break e;
        }
    };
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    c.shutdown(Shutdown::Both).expect("connected");
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
