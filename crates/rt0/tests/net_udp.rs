//! `rt0::net::UdpSocket`.

mod again;

use rt0::net::{Ipv4Addr, SocketAddr, UdpSocket};
use rt0::time::{Duration, sleep};
use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

fn local() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a free port")
}

fn connected() -> (UdpSocket, UdpSocket) {
    let (a, b) = (local(), local());
    a.connect(b.local_addr().expect("bound")).expect("an address");
    b.connect(a.local_addr().expect("bound")).expect("an address");
    (a, b)
}

#[rt0::test]
fn datagrams_say_where_they_come_from() {
    let (a, b) = (local(), local());
    let (at_a, at_b) = (a.local_addr().expect("bound"), b.local_addr().expect("bound"));
    let receiver = rt0::go(move || {
        let mut buf = [0; 16];
        assert_eq!(b.peek_from(&mut buf).expect("it comes"), (5, at_a));
        let (n, from) = b.recv_from(&mut buf).expect("it comes");
        b.send_to(&buf[..n], from).expect("room");
        buf[..n].to_vec()
    });
    assert_eq!(a.send_to(b"hello", at_b).expect("room"), 5);
    let mut buf = [0; 3];
    assert_eq!(a.recv_from(&mut buf).expect("it comes back"), (3, at_b), "the rest is lost");
    assert_eq!(receiver.join().expect("no panic"), b"hello");
}

#[rt0::test]
fn connected_sockets() {
    let (a, b) = connected();
    assert_eq!(a.peer_addr().expect("connected"), b.local_addr().expect("bound"));
    let echo = rt0::go(move || {
        let mut buf = [0; 8];
        loop {
            let n = b.recv(&mut buf).expect("it comes");
            if n == 0 {
                return;
            }
            b.send(&buf[..n]).expect("room");
        }
    });
    for i in 0..200_u64 {
        a.send(&i.to_ne_bytes()).expect("room");
        let mut buf = [0; 8];
        assert_eq!(a.peek(&mut buf).expect("it comes"), 8);
        assert_eq!(a.recv(&mut buf).expect("it is there"), 8);
        assert_eq!(u64::from_ne_bytes(buf), i);
    }
    a.send(&[]).expect("an empty one");
    echo.join().expect("no panic");
}

#[rt0::test]
fn many_receive_from_one_socket() {
    let socket = Arc::new(local());
    let to = socket.local_addr().expect("bound");
    let receive = |socket: Arc<UdpSocket>| {
        move || {
            let mut got = Vec::new();
            let mut buf = [0; 4];
            loop {
                match socket.recv(&mut buf) {
                    Ok(_) => got.push(u32::from_ne_bytes(buf)),
                    Err(_) => return got,
                }
            }
        }
    };
    let goroutines: Vec<_> = (0..6).map(|_| rt0::go(receive(Arc::clone(&socket)))).collect();
    let threads: Vec<_> = (0..2).map(|_| thread::spawn(receive(Arc::clone(&socket)))).collect();
    let sender = local();
    for i in 0..500_u32 {
        sender.send_to(&i.to_ne_bytes(), to).expect("room");
        if i % 50 == 0 {
            sleep(Duration::from_millis(1)); // the buffer holds some hundred
        }
    }
    sleep(Duration::from_millis(50));
    socket.close();
    let mut got: Vec<u32> = Vec::new();
    for g in goroutines {
        got.extend(g.join().expect("no panic"));
    }
    for t in threads {
        got.extend(t.join().expect("no panic"));
    }
    got.sort_unstable();
    assert!(got.windows(2).all(|w| w[0] < w[1]), "each goes to one");
    assert!(got.len() > 250, "{} of 500 came", got.len());
}

#[rt0::test]
fn timeouts() {
    let (a, b) = connected();
    a.set_read_timeout(Some(Duration::from_millis(10))).expect("not zero");
    assert_eq!(a.recv(&mut [0; 1]).expect_err("nothing comes").kind(), ErrorKind::TimedOut);
    b.send(b"x").expect("room");
    assert_eq!(a.recv(&mut [0; 1]).expect("it comes"), 1);
    assert_eq!(a.read_timeout().expect("a socket"), Some(Duration::from_millis(10)));
    assert_eq!(
        a.set_read_timeout(Some(Duration::ZERO)).map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput)
    );
}

/// The kernel tells a connected socket that nobody listens there. They have an address of this
/// process's own: elsewhere another test may get the port that is free now.
#[rt0::test]
fn an_error_wakes_the_receiver() {
    let [_, x, y, z] = std::process::id().to_be_bytes();
    let own = || UdpSocket::bind(SocketAddr::from(([127, x, y, z], 0))).expect("a free port");
    let (a, b) = (own(), own());
    a.connect(b.local_addr().expect("bound")).expect("an address");
    drop(b);
    let a = Arc::new(a);
    let receiver = Arc::clone(&a);
    let receiver = rt0::go(move || receiver.recv(&mut [0; 1]).expect_err("refused"));
    sleep(Duration::from_millis(5));
    let _ = a.send(b"x");
    assert_eq!(receiver.join().expect("no panic").kind(), ErrorKind::ConnectionRefused);
}

#[rt0::test]
fn options_and_conversions() {
    let s = local();
    s.set_broadcast(true).expect("a socket");
    s.set_ttl(9).expect("a socket");
    s.set_multicast_loop_v4(false).expect("a socket");
    s.set_multicast_ttl_v4(3).expect("a socket");
    assert!(s.broadcast().expect("a socket"));
    assert_eq!((s.ttl().expect("a socket"), s.multicast_ttl_v4().expect("a socket")), (9, 3));
    assert!(!s.multicast_loop_v4().expect("a socket"));
    let group = Ipv4Addr::new(224, 0, 0, 251);
    if s.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED).is_ok() {
        s.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED).expect("joined");
    }
    assert!(s.take_error().expect("a socket").is_none());
    let addr = s.local_addr().expect("bound");
    assert_eq!(UdpSocket::from_std(s.into_std()).local_addr().expect("bound"), addr);
    let s = local();
    s.set_nonblocking(true).expect("a socket");
    assert_eq!(s.recv(&mut [0]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
