//! Deadlines, timeouts and closing, against each other and against data.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod again;
mod cpu;
#[path = "net/support.rs"]
mod support;

use rt0::net::{TcpStream, UdpSocket};
use rt0::time::{Duration, Instant, sleep};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::{local, pair};

fn timed_out(r: io::Result<usize>) {
    assert_eq!(r.expect_err("nothing comes").kind(), ErrorKind::TimedOut);
}

#[rt0::test]
fn deadlines_from_a_nanosecond_to_half_a_second_fire_and_not_early() {
    let waits = [1, 1_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 500_000_000_u64];
    let handles: Vec<_> = waits
        .into_iter()
        .flat_map(|ns| [ns; 8])
        .map(|ns| {
            rt0::go(move || {
                let (mut client, _server) = pair();
                let at = Instant::now() + Duration::from_nanos(ns);
                client.set_read_deadline(Some(at));
                timed_out(client.read(&mut [0; 1]));
                assert!(Instant::now() >= at, "{ns} ns: early");
                timed_out(client.read(&mut [0; 1]));
                client.write_all(b"writing is another matter").expect("room");
            })
        })
        .collect();
    for h in handles {
        h.join().expect("no panic");
    }
}

#[rt0::test]
fn a_past_deadline_comes_before_data() {
    let (mut client, mut server) = pair();
    server.write_all(b"data").expect("room");
    let mut buf = [0; 4];
    assert_eq!(client.peek(&mut buf).expect("it comes"), 4);
    client.set_deadline(Some(Instant::now()));
    timed_out(client.read(&mut buf));
    timed_out(client.write(b"x"));
    client.set_deadline(None);
    client.read_exact(&mut buf).expect("it is there");
}

#[rt0::test]
fn a_new_deadline_acts_on_who_waits() {
    let (client, _server) = pair();
    let client = Arc::new(client);
    for in_thread in [false, true] {
        client.set_read_deadline(Some(Instant::now() + Duration::from_secs(3600)));
        let reader = Arc::clone(&client);
        let read = move || (&*reader).read(&mut [0; 1]);
        let waiting = if in_thread {
            let t = thread::spawn(read);
            rt0::go(move || t.join().expect("no panic"))
        } else {
            rt0::go(read)
        };
        sleep(Duration::from_millis(5));
        // Later, sooner, none, and at last now.
        client.set_read_deadline(Some(Instant::now() + Duration::from_secs(7200)));
        client.set_read_deadline(Some(Instant::now() + Duration::from_secs(1800)));
        client.set_read_deadline(None);
        sleep(Duration::from_millis(2));
        assert!(!waiting.is_finished());
        client.set_read_deadline(Some(Instant::now()));
        timed_out(waiting.join().expect("no panic"));
    }
}

#[rt0::test]
fn a_deadline_that_is_moved_away_in_time_does_not_fire() {
    let (client, mut server) = pair();
    let client = Arc::new(client);
    client.set_read_deadline(Some(Instant::now() + Duration::from_secs(60)));
    let reader = Arc::clone(&client);
    let reader = rt0::go(move || (&*reader).read(&mut [0; 1]));
    for _ in 0..50 {
        client.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)));
        sleep(Duration::from_millis(1));
    }
    server.write_all(b"x").expect("room");
    assert_eq!(reader.join().expect("no panic").expect("it comes"), 1);
}

#[rt0::test]
fn timeouts_count_from_each_call() {
    let (mut client, mut server) = pair();
    client.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
    for _ in 0..5 {
        let writer = rt0::go(move || {
            sleep(Duration::from_millis(30));
            server.write_all(b"x").expect("room");
            server
        });
        let start = Instant::now();
        match client.read(&mut [0; 1]) {
            Ok(n) => assert_eq!(n, 1),
            // A machine that stood still.
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::TimedOut);
                assert!(start.elapsed() >= Duration::from_millis(100));
            }
        }
        server = writer.join().expect("no panic");
    }
    let start = Instant::now();
    client.set_nonblocking(true).expect("a socket");
    while client.read(&mut [0; 8]).is_ok() {}
    client.set_nonblocking(false).expect("a socket");
    timed_out(client.read(&mut [0; 1]));
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[rt0::test]
fn a_write_that_finds_no_room_times_out() {
    let (mut client, server) = pair();
    client.set_write_timeout(Some(Duration::from_millis(20))).expect("not zero");
    let data = [0; 65536];
    let e = loop {
        if let Err(e) = client.write(&data) {
            break e;
        }
    };
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    drop(server);
}

#[rt0::test]
fn accept_has_a_deadline_too() {
    let (listener, addr) = local();
    listener.set_read_timeout(Some(Duration::from_millis(10))).expect("not zero");
    assert_eq!(listener.accept().expect_err("nobody comes").kind(), ErrorKind::TimedOut);
    let client = rt0::go(move || TcpStream::connect(addr).expect("somebody listens"));
    listener.set_read_timeout(None).expect("a socket");
    listener.accept().expect("somebody comes");
    client.join().expect("no panic");
}

/// Readers with short deadlines, data, and others who set deadlines, at the same time: every read
/// ends, and no byte is lost or comes twice.
#[rt0::test]
fn a_storm_of_deadlines() {
    let storms: Vec<_> = (0..32_u64)
        .map(|seed| {
            rt0::go(move || {
                let (client, mut server) = pair();
                let client = Arc::new(client);
                let stop = Arc::new(AtomicBool::new(false));
                let setter = {
                    let (client, stop) = (Arc::clone(&client), Arc::clone(&stop));
                    rt0::go(move || {
                        let mut n = seed;
                        while !stop.load(Ordering::SeqCst) {
                            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                            let ns = n >> 48;
                            let at = Instant::now() + Duration::from_nanos(ns * 10);
                            client.set_read_deadline(if ns % 5 == 0 { None } else { Some(at) });
                            if ns % 3 == 0 {
                                sleep(Duration::from_nanos(ns));
                            } else {
                                rt0::gosched();
                            }
                        }
                        client.set_read_deadline(None);
                    })
                };
                let writer = rt0::go(move || {
                    for i in 0..300_u32 {
                        server.write_all(&i.to_ne_bytes()).expect("room");
                        if i % 7 == 0 {
                            sleep(Duration::from_micros(u64::from(i)));
                        }
                    }
                });
                let mut got = Vec::new();
                while got.len() < 1200 {
                    let mut buf = [0; 64];
                    match (&*client).read(&mut buf) {
                        Ok(0) => break,
                        Ok(n) => got.extend_from_slice(&buf[..n]),
                        Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut),
                    }
                }
                stop.store(true, Ordering::SeqCst);
                let want: Vec<u8> = (0..300_u32).flat_map(u32::to_ne_bytes).collect();
                assert_eq!(got, want);
                writer.join().expect("no panic");
                setter.join().expect("no panic");
            })
        })
        .collect();
    for s in storms {
        s.join().expect("no panic");
    }
}

/// Sockets are closed while others read from them, and their numbers are used again at once: no
/// reader ever sees what is meant for another.
#[rt0::test]
fn descriptors_are_used_again_while_others_wait() {
    let wrong = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..8_u8)
        .map(|me| {
            let wrong = Arc::clone(&wrong);
            rt0::go(move || {
                for round in 0..150 {
                    let (client, mut server) = pair();
                    let client = Arc::new(client);
                    let reader = Arc::clone(&client);
                    let wrong = Arc::clone(&wrong);
                    let reader = rt0::go(move || {
                        let mut buf = [0; 16];
                        while let Ok(n) = (&*reader).read(&mut buf) {
                            if n == 0 {
                                return;
                            }
                            if buf[..n].iter().any(|b| *b != me) {
                                wrong.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    });
                    server.write_all(&[me; 16]).expect("room");
                    match round % 3 {
                        0 => client.close(),
                        1 => drop(server),
                        _ => client.set_deadline(Some(Instant::now())),
                    }
                    reader.join().expect("no panic");
                }
            })
        })
        .collect();
    for w in workers {
        w.join().expect("no panic");
    }
    assert_eq!(wrong.load(Ordering::SeqCst), 0);
}

#[rt0::test]
fn accepting_against_closing() {
    for round in 0..200 {
        let (listener, addr) = local();
        let listener = Arc::new(listener);
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let listener = Arc::clone(&listener);
                rt0::go(move || while listener.accept().is_ok() {})
            })
            .collect();
        if round % 2 == 0 {
            drop(TcpStream::connect(addr));
        }
        if round % 3 == 0 {
            rt0::gosched();
        }
        listener.close();
        for a in accepting {
            a.join().expect("no panic");
        }
    }
}

/// In a process of its own, for tests beside it would use CPU too.
#[test]
fn idle_sockets_use_no_cpu() {
    again::alone("idle_sockets_use_no_cpu", || rt0::run(idle_sockets));
}

fn idle_sockets() {
    let (listener, addr) = local();
    let clients: Vec<_> =
        (0..100).map(|_| TcpStream::connect(addr).expect("somebody listens")).collect();
    for _ in 0..100 {
        let (mut s, _) = listener.accept().expect("somebody connects");
        drop(rt0::go(move || s.read(&mut [0; 1])));
    }
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    drop(rt0::go(move || udp.recv(&mut [0; 1])));
    sleep(Duration::from_millis(100));
    let before = cpu::ticks();
    sleep(Duration::from_millis(1000));
    let used = cpu::ticks() - before;
    assert!(used <= 2, "{used} ticks of 10 ms in a second");
    drop(clients);
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
