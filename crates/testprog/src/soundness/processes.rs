//! Child processes, name resolution, and changes to all of the process's threads.

#![allow(unsafe_code, reason = "pre_exec and setuid are unsafe to call")]

use super::harness::{goroutines, hop, hops, wait_until};
use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// `posix_spawn`: glibc's vfork-like child shares our memory, TLS included, for a moment.
pub(crate) fn command() {
    goroutines(6, |i| {
        let output = Command::new("echo").arg(i.to_string()).output();
        hop();
        assert_eq!(output.expect("echo is everywhere").stdout, format!("{i}\n").as_bytes());
        let missing = Command::new("/nonexistent/program").status();
        assert_eq!(missing.expect_err("no such program").kind(), io::ErrorKind::NotFound);
    });
}

/// `fork`: the child's only thread is the goroutine's.
pub(crate) fn command_pre_exec() {
    goroutines(4, |i| {
        let mut command = Command::new("sh");
        command.args(["-c", "read line; echo $line"]).stdout(Stdio::piped());
        let (reader, mut writer) = io::pipe().expect("a pipe");
        io::Write::write_all(&mut writer, format!("{i}\n").as_bytes()).expect("it fits");
        command.stdin(reader);
        let in_child = || {
            // As on a thread, the child may allocate: malloc's locks were taken for the fork.
            let name = format!("child of {}", rustix::process::getppid().is_some());
            if name == "child of true" { Ok(()) } else { Err(io::Error::other("no parent")) }
        };
        // SAFETY: the closure calls nothing that another thread's lock could block for ever:
        // malloc's are free in the child, and getppid is a bare system call.
        unsafe { command.pre_exec(in_child) };
        let child = command.spawn();
        drop(command);
        hop();
        let output = child.expect("sh is everywhere").wait_with_output().expect("our child");
        assert_eq!(output.stdout, format!("{i}\n").as_bytes());
    });
}

/// Why names cannot be resolved here: glibc's resolver in a static program needs shared objects.
pub(crate) fn no_resolver() -> Option<String> {
    let static_libc = cfg!(target_feature = "crt-static");
    let failed = ("localhost", 80).to_socket_addrs().err().filter(|_| static_libc);
    failed.map(|e| format!("static glibc without its shared objects cannot resolve: {e}"))
}

/// The resolver's state is per thread, and so are its errors. Name servers may leave who asks too
/// often without an answer, so only the first round asks for a name that does not exist.
pub(crate) fn getaddrinfo() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    goroutines(10, |i| {
        for _ in 0..2 {
            if i % 5 == 0 && ASKED.fetch_add(1, SeqCst) < 4 {
                assert!(("nope.invalid", 80).to_socket_addrs().is_err());
            } else {
                let mut found = ("localhost", 80).to_socket_addrs().expect("localhost is known");
                hop();
                assert!(found.all(|a| a.ip().is_loopback() && a.port() == 80));
            }
            hop();
        }
    });
}

/// glibc sends every thread a signal and waits for each: also for those that goroutines block, and
/// its handler finds its thread by TLS.
pub(crate) fn setuid() {
    let lock = Mutex::new(());
    let done = AtomicBool::new(false);
    goroutines(8, |i| match i {
        0 => {
            let held = lock.lock().expect("nobody panics");
            hops(20);
            for _ in 0..3 {
                set_own_uid();
                hop();
            }
            drop(held);
            done.store(true, SeqCst);
        }
        1..=3 => drop(lock.lock().expect("nobody panics")),
        _ => wait_until("the other has set its uid", || done.load(SeqCst)),
    });
}

fn set_own_uid() {
    // SAFETY: it has no precondition; the user stays who he is.
    let status = unsafe { libc::setuid(rustix::process::geteuid().as_raw()) };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
}
