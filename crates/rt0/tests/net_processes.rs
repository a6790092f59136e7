//! Sockets, and what a process has of its own: descriptors and children.

mod again;
mod cpu;
#[path = "net/support.rs"]
mod support;

use again::alone;
use rt0::context::{background, with_timeout};
use rt0::debug::{Party, waits};
use rt0::net::TcpStream;
use rt0::time::{Duration, sleep};
use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use support::{local, open_files, pair, silent};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

/// Waits for a descriptor, which opens the poll set and its eventfd for good.
fn open_the_set() {
    let (mut a, _b) = pair();
    a.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    assert_eq!(a.read(&mut [0]).expect_err("nothing comes").kind(), ErrorKind::TimedOut);
}

/// The child of a fork shares the kernel's poll set: it must leave it alone, and can still use its
/// sockets, one thread that it is.
#[test]
fn a_forked_child_uses_its_sockets_and_leaves_ours_alone() {
    alone("a_forked_child_uses_its_sockets_and_leaves_ours_alone", || {
        rt0::run(fork_beside_a_reader)
    });
}

/// Nor does it open one, and run what goroutines it has copies of until there is an event.
#[test]
fn a_child_forked_before_anybody_waits_uses_its_sockets() {
    const NAME: &str = "a_child_forked_before_anybody_waits_uses_its_sockets";
    if !again::is_again(NAME) {
        again::again(NAME, &[("GOMAXPROCS", "1")]);
        return;
    }
    rt0::run(|| {
        let (unused, _end) = pair();
        let parent = std::process::id();
        let queued = rt0::go(move || {
            if std::process::id() != parent {
                std::process::abort();
            }
        });
        drop(ask_a_child(unused));
        queued.join().expect("no panic");
    });
}

fn fork_beside_a_reader() {
    let (mut near, far) = pair();
    let reader = rt0::go(move || {
        let mut far = far;
        let mut buf = [0; 3];
        far.read_exact(&mut buf).expect("it comes");
        (far, buf)
    });
    let it = Party::Goroutine(reader.goroutine().id());
    while !waits().iter().any(|w| w.party == it && w.reason == "IO wait") {
        sleep(Duration::from_millis(1));
    }
    near = ask_a_child(near);
    near.write_all(b"abc").expect("room");
    let (mut far, buf) = reader.join().expect("no panic");
    assert_eq!(&buf, b"abc");
    near.write_all(b"d").expect("room");
    far.read_exact(&mut [0]).expect("it comes");
}

/// Forks a child, which answers by a socket and closes that and its own `other`.
#[allow(unsafe_code, reason = "fork has no safe form")]
fn ask_a_child(other: TcpStream) -> TcpStream {
    let (mut to_child, mut childs) = pair();
    // SAFETY: the child uses sockets and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut buf = [0; 5];
        let ok = childs.read_exact(&mut buf).is_ok() && childs.write_all(&buf).is_ok();
        childs.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
        let late = childs.read(&mut buf).is_err_and(|e| e.kind() == ErrorKind::TimedOut);
        drop(other);
        drop(childs);
        // SAFETY: ends the process.
        unsafe { libc::_exit(if ok && late { 7 } else { 8 }) };
    }
    drop(childs); // should the child fail, nobody waits for it
    sleep(Duration::from_millis(10));
    to_child.write_all(b"hello").expect("room");
    let mut buf = [0; 5];
    to_child.read_exact(&mut buf).expect("the child answers");
    assert_eq!(&buf, b"hello");
    let mut status = 0;
    // SAFETY: a child of ours.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert!(libc::WIFEXITED(status), "{status:#x}");
    assert_eq!(libc::WEXITSTATUS(status), 7);
    other
}

#[test]
fn accept_recovers_when_descriptors_run_out() {
    alone("accept_recovers_when_descriptors_run_out", || {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        rt0::run(|| {
            let (listener, addr) = local();
            open_the_set();
            let old = getrlimit(Resource::Nofile);
            let limit = descriptors() as u64 + 4;
            let few = Rlimit { current: Some(limit), maximum: old.maximum };
            setrlimit(Resource::Nofile, few).expect("less is allowed");
            let mut held = Vec::new();
            let e = loop {
                match TcpStream::connect(addr).and_then(|s| Ok((s, listener.accept()?.0))) {
                    Ok(both) => held.push(both),
                    Err(e) => break e,
                }
            };
            assert_eq!(e.raw_os_error(), Some(libc::EMFILE), "{e}");
            held.clear();
            let client = TcpStream::connect(addr).expect("it listens");
            listener.accept().expect("there is room again");
            drop(client);
            setrlimit(Resource::Nofile, old).expect("as before");
        });
    });
}

#[test]
fn nothing_is_left_behind() {
    alone("nothing_is_left_behind", || {
        rt0::run(|| {
            open_the_set();
            let round = || {
                let handles: Vec<_> = (0..200)
                    .map(|i| {
                        rt0::go(move || {
                            let (mut a, mut b) = pair();
                            let c = a.try_clone().expect("a descriptor");
                            let reader = rt0::go(move || drop(b.read(&mut [0; 8])));
                            match i % 4 {
                                0 => a.write_all(b"x").expect("room"),
                                1 => a.close(),
                                2 => drop((c, a)),
                                _ => drop((a.into_std(), c)),
                            }
                            reader.join().expect("no panic");
                        })
                    })
                    .collect();
                handles.into_iter().for_each(|h| h.join().expect("no panic"));
            };
            round();
            // A goroutine counts for a moment after it was joined.
            let settles = |done: &dyn Fn() -> bool| {
                (0..10_000).any(|_| {
                    sleep(Duration::from_millis(1));
                    done()
                })
            };
            assert!(settles(&|| rt0::num_goroutine() == 1), "{}", rt0::num_goroutine());
            let before = open_files();
            for _ in 0..3 {
                round();
            }
            assert!(settles(&|| rt0::num_goroutine() == 1), "{}", rt0::num_goroutine());
            assert!(settles(&|| open_files() == before), "{:?}, not {before:?}", open_files());
        });
    });
}

/// More addresses than are waited for at once: waiting costs nothing.
#[test]
fn many_addresses_that_do_not_answer_use_no_cpu() {
    alone("many_addresses_that_do_not_answer_use_no_cpu", || {
        rt0::run(|| {
            let (silent, _queue) = silent();
            let (ctx, _cancel) =
                with_timeout(&background(), Duration::from_millis(17 * 250 + 1000));
            let before = cpu::ticks();
            let e = ctx.io(|| TcpStream::connect(&[silent; 30][..])).expect_err("nobody answers");
            assert_eq!(e.kind(), ErrorKind::TimedOut);
            let used = cpu::ticks() - before;
            assert!(used <= 20, "{used} ticks of 10 ms in five seconds");
        });
    });
}

#[rt0::test]
fn sockets_are_closed_on_exec() {
    let (a, _b) = pair();
    let c = a.try_clone().expect("a descriptor");
    let udp = rt0::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let unix = rt0::net::UnixStream::pair().expect("two sockets");
    let out = Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("ls runs");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && !text.contains("socket:"), "{text}");
    assert!(!text.contains("eventpoll") && !text.contains("eventfd"), "{text}");
    drop((a, c, udp, unix));
}
