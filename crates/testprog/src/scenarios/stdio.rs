//! The standard streams, and others that are shared with other processes.

#![allow(unsafe_code, reason = "a pair of terminals is made by C")]

use super::{DONE, Entry, Run::Main, number};
use rt0::io::{PipeReader, PipeWriter, stderr, stdin, stdout};
use rt0::signal::{Signal, ignore, notify};
use rt0::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("StdinParks", Main(stdin_parks)),
    ("StdinContext", Main(stdin_context)),
    ("StdinMixed", Main(stdin_mixed)),
    ("StdoutFull", Main(stdout_full)),
    ("SigpipeStdout", Main(sigpipe_stdout)),
    ("SigpipeStderr", Main(sigpipe_stderr)),
    ("SigpipeIgnored", Main(sigpipe_ignored)),
    ("SigpipeNotified", Main(sigpipe_notified)),
    ("SigpipeOther", Main(sigpipe_other)),
    ("Tty", Main(tty)),
];

fn is_nonblocking(fd: impl AsFd) -> bool {
    let flags = rustix::fs::fcntl_getfl(fd).expect("a descriptor");
    flags.contains(rustix::fs::OFlags::NONBLOCK)
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("procfs").count()
}

/// Whether some goroutine waits as the netpoller's waiters do.
fn somebody_waits() -> bool {
    let mut dump = Vec::new();
    rt0::debug::dump_all(&mut dump).expect("a buffer");
    String::from_utf8_lossy(&dump).contains("[IO wait")
}

fn wait_until_somebody_waits() {
    while !somebody_waits() {
        rt0::time::sleep(Duration::from_millis(5));
    }
}

/// Says when the goroutine that reads waits, then what it has read.
fn stdin_parks() -> ExitCode {
    let reader = rt0::go(|| {
        let mut first = String::new();
        stdin().read_line(&mut first).expect("text");
        let rest: Vec<_> = stdin().lines().map(|line| line.expect("text")).collect();
        format!("{first:?} {rest:?}")
    });
    wait_until_somebody_waits();
    assert!(!is_nonblocking(stdin()));
    writeln!(stdout(), "parked, {}", stdin().is_terminal()).expect("somebody reads");
    println!("{}", reader.join().expect("nobody panics"));
    DONE
}

/// A context ends the wait, and nothing is lost.
fn stdin_context() -> ExitCode {
    let (ctx, _cancel) =
        rt0::context::with_timeout(&rt0::context::background(), Duration::from_millis(30));
    let late = ctx.io(|| stdin().read(&mut [0])).expect_err("nothing comes");
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    writeln!(stdout(), "late").expect("somebody reads");
    let mut all = String::new();
    stdin().read_to_string(&mut all).expect("text");
    print!("{all}");
    DONE
}

/// rt0's and std's take turns: they have one buffer.
fn stdin_mixed() -> ExitCode {
    for i in 0.. {
        let mut line = String::new();
        let n = match i % 2 {
            0 => stdin().read_line(&mut line),
            _ => std::io::stdin().read_line(&mut line),
        };
        if n.expect("text") == 0 {
            return DONE;
        }
        print!("{line}");
    }
    DONE
}

/// Many write more than there is room for, and nobody reads yet.
fn stdout_full() -> ExitCode {
    let nonblocking = number(0) == 1;
    rustix::io::ioctl_fionbio(stdout(), nonblocking).expect("a pipe");
    let line = |i: usize| format!("{}\n", char::from(b'a' + i as u8 % 26).to_string().repeat(999));
    let writers: Vec<_> = (0..200)
        .map(|i| {
            rt0::go(move || {
                for _ in 0..5 {
                    stdout().write_all(line(i).as_bytes()).expect("somebody reads");
                }
            })
        })
        .collect();
    wait_until_somebody_waits();
    rt0::time::sleep(Duration::from_millis(50));
    assert_eq!(is_nonblocking(stdout()), nonblocking);
    writeln!(stderr(), "{}", threads()).expect("somebody reads");
    writers.into_iter().for_each(|w| w.join().expect("nobody panics"));
    DONE
}

/// Writes until that fails; says so to standard error.
fn write_lines(to: &mut impl Write) -> ExitCode {
    for n in 0..1_000_000 {
        if let Err(e) = writeln!(to, "line {n}") {
            eprintln!("{:?}", e.kind());
            return DONE;
        }
    }
    ExitCode::from(1)
}

fn sigpipe_stdout() -> ExitCode {
    write_lines(&mut stdout())
}

fn sigpipe_stderr() -> ExitCode {
    write_lines(&mut stderr())
}

fn sigpipe_ignored() -> ExitCode {
    ignore(&[Signal::PIPE]);
    write_lines(&mut stdout().lock())
}

fn sigpipe_notified() -> ExitCode {
    let (to, from) = rt0::chan::bounded(1);
    notify(&to, &[Signal::PIPE]).expect("a descriptor is left");
    let code = write_lines(&mut stdout());
    assert_eq!(from.recv(), Ok(Signal::PIPE));
    code
}

/// Go: any other descriptor is an error.
fn sigpipe_other() -> ExitCode {
    let (reader, writer) = rt0::io::pipe().expect("two descriptors");
    drop(reader);
    write_lines(&mut &writer)
}

/// A program on a terminal, which stays as it is; and a terminal that was opened.
fn tty() -> ExitCode {
    let (mut master, mut slave) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: places for two descriptors.
    let made = unsafe {
        libc::openpty(&raw mut master, &raw mut slave, null, std::ptr::null(), std::ptr::null())
    };
    assert_eq!(made, 0);
    // SAFETY: just made.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: just made.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    let mut typed = PipeWriter::from(File::from(master.try_clone().expect("a descriptor")));

    let again = || slave.try_clone().expect("a descriptor");
    let mut child = Command::new(std::env::current_exe().expect("this one"))
        .arg("StdinParks")
        .stdin(again())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is there");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "parked, true");
    assert!(!is_nonblocking(&slave));
    typed.write_all(b"one\ntwo\n\x04").expect("a terminal");
    assert_eq!(next(), "\"one\\n\" [\"two\"]");
    assert!(child.wait().expect("ours").success());

    for _ in 0..number(3) {
        let reader = rt0::go({
            let mut read = BufReader::new(PipeReader::from(again()));
            move || {
                let mut line = String::new();
                read.read_line(&mut line).expect("text");
                line
            }
        });
        wait_until_somebody_waits();
        typed.write_all(b"three\n").expect("a terminal");
        assert_eq!(reader.join().expect("nobody panics"), "three\n");
    }
    assert!(!is_nonblocking(&slave) && !is_nonblocking(&master));
    println!("OK");
    DONE
}
