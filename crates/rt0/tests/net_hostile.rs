//! What others do to a server: they reset, say nothing, go in the middle, and come in numbers. Each
//! is an error of its own connection, and nothing is left of it.

mod again;
#[path = "net/support.rs"]
mod support;

use again::{again, alone, is_again};
use rt0::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use rt0::time::{Duration, Instant, sleep};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use support::{local, open_files, pair};

fn settles(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(
            Instant::now() < end,
            "{what}: {} goroutines, {:?}",
            rt0::num_goroutine(),
            open_files()
        );
        sleep(Duration::from_millis(1));
    }
}

/// Echoes, and ends connections that say nothing for a while.
fn serve(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        drop(rt0::go(move || -> io::Result<()> {
            stream.set_read_timeout(Some(Duration::from_millis(50)))?;
            stream.set_write_timeout(Some(Duration::from_millis(50)))?;
            let mut buf = [0; 4096];
            loop {
                match stream.read(&mut buf)? {
                    0 => return Ok(()),
                    n => stream.write_all(&buf[..n])?,
                }
            }
        }));
    }
}

fn misbehave(how: usize, addr: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    let reset = |stream: &TcpStream| stream.set_linger(Some(Duration::ZERO));
    match how % 6 {
        0 => reset(&stream), // at once
        1 => {
            stream.write_all(&[b'x'; 3000])?;
            reset(&stream) // in the middle of the answer
        }
        2 => {
            stream.shutdown(Shutdown::Write)?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        }
        3 => stream.write_all(&[b'x'; 3000]), // and does not read
        4 => stream.read(&mut [0]).map(drop), // says nothing: the server ends it
        _ => {
            // Sends for as long as it can, and never reads.
            while stream.write_all(&[b'x'; 64 << 10]).is_ok() {}
            Ok(())
        }
    }
}

#[test]
fn crowds_that_misbehave_leave_nothing_behind() {
    alone("crowds_that_misbehave_leave_nothing_behind", || {
        rt0::run(|| {
            let (listener, addr) = local();
            let listener = Arc::new(listener);
            let serving = {
                let listener = Arc::clone(&listener);
                rt0::go(move || serve(&listener))
            };
            let round = |each: usize| {
                rt0::scope(|s| {
                    for who in 0..24 {
                        s.go(move || {
                            for i in 0..each {
                                // Whatever becomes of it, it is an error at most.
                                let _ = misbehave(who + i, addr);
                            }
                        });
                    }
                });
                settles("a round", || rt0::num_goroutine() == 2);
            };
            round(2); // opens what stays open
            let before = open_files();
            round(30);
            settles("descriptors", || open_files() == before);
            // Who says nothing for 50 ms is not answered, though the machine be busy.
            let said = || {
                let start = Instant::now();
                let mut stream = TcpStream::connect(addr).expect("it still listens");
                let mut buf = [0; 5];
                let answer = stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut buf));
                let was_slow = start.elapsed() >= Duration::from_millis(50);
                assert!(answer.is_ok() || was_slow, "it does not answer: {answer:?}");
                answer.is_ok().then_some(buf)
            };
            let answer = std::iter::repeat_with(said).find_map(|answer| answer);
            assert_eq!(&answer.expect("in the end"), b"hello");
            listener.close();
            serving.join().expect("no panic");
            settles("the end", || rt0::num_goroutine() == 1);
        });
    });
}

/// With SIGPIPE's default action too, which std's start takes away and a program may restore.
#[test]
fn writing_to_nobody_is_an_error_and_no_signal() {
    let name = "writing_to_nobody_is_an_error_and_no_signal";
    if !is_again(name) {
        again(name, &[]);
        return;
    }
    rt0::run(|| {
        restore_sigpipe();
        let gone = |e: io::Error| {
            assert!(matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{e}");
        };
        let reset = || {
            let (client, server) = pair();
            server.set_linger(Some(Duration::ZERO)).expect("a socket");
            drop(server);
            client
        };
        let mut client = reset();
        (0..3).for_each(|_| gone(client.write(b"x").expect_err("nobody reads")));
        let slices = [io::IoSlice::new(b"x")];
        gone(reset().write_vectored(&slices).expect_err("nobody reads"));
        let (mut a, b) = rt0::net::UnixStream::pair().expect("a pair");
        drop(b);
        (0..3).for_each(|_| gone(a.write(b"x").expect_err("nobody reads")));
    });
}

#[allow(unsafe_code, reason = "std has no door to it")]
fn restore_sigpipe() {
    // SAFETY: the default action is no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// std's start ignores SIGPIPE, so what the kernel copies ends with an error too.
#[rt0::test]
fn copying_to_nobody_is_an_error() {
    let path = std::env::temp_dir().join(format!("rt0-copying-{}", std::process::id()));
    let hole = File::create(&path).and_then(|file| file.set_len(1 << 30)); // no buffer has room
    hole.expect("a file");
    let mut file = File::open(&path).expect("a file");
    std::fs::remove_file(&path).expect("ours");
    let (mut client, server) = pair();
    server.set_linger(Some(Duration::ZERO)).expect("a socket");
    let closing = rt0::go(move || {
        (&server).read_exact(&mut [0; 1000]).expect("it comes");
        drop(server);
    });
    let e = rt0::io::copy(&mut file, &mut client).expect_err("nobody reads the rest");
    assert!(matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{e}");
    closing.join().expect("no panic");
}

#[rt0::test]
fn a_full_disk_is_an_error() {
    let mut full = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    assert_eq!(full.write(b"x").expect_err("full").kind(), ErrorKind::StorageFull);
    let (mut client, mut server) = pair();
    server.write_all(&[b'x'; 100_000]).expect("room");
    drop(server);
    let e = rt0::io::copy(&mut client, &mut full).expect_err("full");
    assert_eq!(e.kind(), ErrorKind::StorageFull);
}

/// A small disk of our own, if we may have one: it fills up while many write, what was written is
/// there, and when there is room again all goes on.
#[test]
fn a_small_disk_is_filled_and_used_again() {
    let name = "a_small_disk_is_filled_and_used_again";
    if is_again(name) {
        return rt0::run(fill_the_disk);
    }
    let dir = std::env::temp_dir().join(format!("rt0-disk-{}", std::process::id()));
    std::fs::create_dir(&dir).expect("it is new");
    let script = "mount -t tmpfs -o size=256k none \"$1\" || exit 77; exec \"$0\" --exact \"$2\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(std::env::current_exe().expect("this test")).arg(&dir).arg(name);
    let out = command.env(again::VARIABLE, name).env("RT0_TEST_DISK", &dir).output();
    std::fs::remove_dir(&dir).expect("ours, and empty");
    let out = out.expect("unshare is here");
    let text = String::from_utf8_lossy(&out.stderr);
    if out.status.code() == Some(77) || text.contains("unshare:") {
        return; // no disk can be had here
    }
    let printed = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}\n{printed}\n{text}", out.status);
}

fn fill_the_disk() {
    let dir = std::path::PathBuf::from(std::env::var_os("RT0_TEST_DISK").expect("set above"));
    let file = |i: usize| dir.join(i.to_string());
    let full = |e: io::Error| assert_eq!(e.kind(), ErrorKind::StorageFull, "{e}");
    // What is opened by the first who waits stays open.
    let (mut client, _server) = pair();
    client.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    assert_eq!(client.read(&mut [0]).expect_err("nothing comes").kind(), ErrorKind::TimedOut);
    let before = open_files();
    for _ in 0..3 {
        rt0::scope(|s| {
            for i in 0..8 {
                s.go(move || {
                    let mut f = rt0::fs::File::create(file(i)).expect("a name needs no room");
                    let mut written = 0;
                    let e = loop {
                        match f.write(&[i as u8; 1000]) {
                            Ok(n) => written += n,
                            Err(e) => break e,
                        }
                    };
                    full(e);
                    let got = rt0::fs::read(file(i)).expect("ours");
                    assert!(got.len() == written && got.iter().all(|b| *b == i as u8));
                });
            }
        });
        let (mut client, mut server) = pair();
        let sending = rt0::go(move || drop(server.write_all(&[b'x'; 1 << 20])));
        let mut to = rt0::fs::File::create(dir.join("copy")).expect("a name needs no room");
        full(rt0::io::copy(&mut client, &mut to).expect_err("there is no room"));
        drop((client, to));
        sending.join().expect("no panic");
        (0..8).for_each(|i| rt0::fs::remove_file(file(i)).expect("ours"));
        rt0::fs::write(dir.join("copy"), [b'x'; 100_000]).expect("there is room again");
        rt0::fs::remove_file(dir.join("copy")).expect("ours");
        assert_eq!(open_files(), before);
    }
}

/// The other side is gone without a word, as a machine that lost its power. Deadlines hold; the
/// kernel's question after a while of silence, or data, finds out, and is answered by a reset.
#[rt0::test]
fn a_peer_that_vanished_is_found_out() {
    let reset = |e: io::Error| assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}");
    let (client, mut server) = pair();
    if !vanish(client) {
        return; // it takes CAP_NET_ADMIN
    }
    server.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
    assert_eq!(server.read(&mut [0]).expect_err("silence").kind(), ErrorKind::TimedOut);
    server.set_read_timeout(None).expect("a socket");
    server.set_keepalive(Some(Duration::from_secs(1))).expect("a socket");
    reset(server.read(&mut [0]).expect_err("nobody is there"));

    let (client, mut server) = pair();
    assert!(vanish(client));
    let mut reading = server.try_clone().expect("a descriptor");
    let reading = rt0::go(move || reading.read(&mut [0]).expect_err("nobody is there"));
    rt0::gosched();
    server.write_all(b"data").expect("room");
    reset(reading.join().expect("no panic"));
    let e = server.write_all(b"more").expect_err("nobody is there");
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
}

/// Closes a connection without telling the other side (TCP_REPAIR), if one may.
#[allow(unsafe_code, reason = "rustix has no name for it")]
fn vanish(client: TcpStream) -> bool {
    use std::os::fd::AsRawFd;
    let on = 1_i32;
    // SAFETY: an option that is a number.
    let r = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of::<i32>() as u32,
        )
    };
    r == 0
}
