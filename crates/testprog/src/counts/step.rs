//! Steps a thread of a child process and counts its instructions.
//!
//! The child stops itself as a whole: whichever thread the goroutine has got to, and whatever took
//! its P, nobody else runs any more, and sysmon, to whom a goroutine that is stepped is one that
//! computes for seconds, does not see it.
//!
//! # Safety
//! `PT1`: ptrace on the child that this process started and that stopped itself for it, from the
//! one thread that asks; no request passes a pointer that the kernel writes to.

#![allow(unsafe_code, reason = "PT1: ptrace")]

use super::ops::ROUNDS;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Beyond this a round is no operation any more.
const MOST_STEPS: u64 = 2_000_000;
const TRIES: u32 = 5;
/// A try takes a second, on a machine with ten times the work that it can do some more.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Where the parent counts. It must stay a function with an address of its own.
#[inline(never)]
pub(crate) extern "C" fn mark() {
    std::hint::black_box(());
}

/// The child: tells the parent where `mark` is, and stops until the parent steps it.
pub(crate) fn begin() {
    println!("{}", mark as extern "C" fn() as usize);
    std::io::stdout().flush().expect("the parent reads");
    // SAFETY: no memory is involved.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// The instructions of `op`: a quarter of its rounds take no more.
pub(crate) fn lower_quartile(op: &str, plant: bool) -> Result<u64, String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        match rounds(op, plant) {
            Ok(mut counts) => {
                counts.sort_unstable();
                return Ok(counts[counts.len() / 4]);
            }
            Err(e) => why = e,
        }
    }
    Err(format!("{op} cannot be counted: {why}"))
}

fn rounds(op: &str, plant: bool) -> Result<Vec<u64>, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(me)
        .args(["run", op, if plant { "plant" } else { "" }])
        .env("GOMAXPROCS", "1")
        .env("GODEBUG", "randseed=1") // a select tries its channels in the same order each time
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let pid = child.id().cast_signed();
    let mut seized = Vec::new();
    let counted = within(STUCK_AFTER, pid, || step_all(&mut child, &mut seized));
    let _ = child.kill(); // it may have ended
    // Its end is not told before that of its threads has been taken note of.
    for tid in seized.into_iter().filter(|tid| *tid != pid) {
        while stopped_by(tid).is_ok() {}
    }
    let _ = child.wait(); // step_all may have had its status
    counted
}

/// Runs `f`; if that takes longer than `limit`, the child is killed, and `f` sees that it ended.
fn within<R>(limit: Duration, pid: i32, f: impl FnOnce() -> R) -> R {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|s| {
        s.spawn(move || {
            if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: no memory is involved; the child has not been waited for
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        let r = f();
        drop(done);
        r
    })
}

fn step_all(child: &mut Child, seized: &mut Vec<i32>) -> Result<Vec<u64>, String> {
    let out = child.stdout.take().ok_or("no pipe")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
    let mark: u64 = line.trim().parse().map_err(|_| format!("not an address: {line:?}"))?;
    let pid = child.id().cast_signed();
    stopped_by(pid)?; // all its threads are
    let tid = who_stopped(pid, seized)?;
    let (mut counts, mut steps, mut started) = (Vec::with_capacity(ROUNDS), 0, false);
    let mut signal = 0;
    while counts.len() < ROUNDS {
        // SAFETY: PT1: the signal is passed by value
        if unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, tid, 0, signal) } != 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        signal = stopped_by(tid)?;
        if signal == libc::SIGTRAP {
            signal = 0;
        }
        steps += 1;
        if register(tid, std::mem::offset_of!(libc::user_regs_struct, rip)) == mark {
            if started {
                counts.push(steps);
            }
            (started, steps) = (true, 0);
        }
        if steps > MOST_STEPS {
            return Err(format!("{} rounds were counted, then {steps} steps", counts.len()));
        }
    }
    Ok(counts)
}

/// The thread of a stopped process that stopped it: it is in the system call that sends the signal.
/// It and those that were looked at before are traced from now on, and do not outlive this process.
fn who_stopped(pid: i32, seized: &mut Vec<i32>) -> Result<i32, String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| e.to_string())?;
    let tids = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse::<i32>().ok());
    for tid in tids {
        let options = libc::PTRACE_O_EXITKILL;
        // SAFETY: PT1: the options are passed by value
        if unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, 0, options) } != 0 {
            return Err(format!("ptrace: {}", std::io::Error::last_os_error()));
        }
        seized.push(tid);
        stopped_by(tid)?;
        let call = register(tid, std::mem::offset_of!(libc::user_regs_struct, orig_rax));
        let signal = register(tid, std::mem::offset_of!(libc::user_regs_struct, rdx));
        if call == libc::SYS_tgkill as u64 && signal == libc::SIGSTOP as u64 {
            return Ok(tid);
        }
    }
    Err("no thread stopped the process".to_owned())
}

fn stopped_by(tid: i32) -> Result<i32, String> {
    let mut status = 0;
    // SAFETY: a local for the status
    let r = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WUNTRACED) };
    if r != tid {
        return Err(std::io::Error::last_os_error().to_string());
    }
    if libc::WIFSTOPPED(status) {
        Ok(libc::WSTOPSIG(status))
    } else {
        Err(format!("it ended with status {status:#x}"))
    }
}

fn register(tid: i32, at: usize) -> u64 {
    // SAFETY: PT1: an offset into the child's registers, no pointer
    unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, tid, at, 0) }.cast_unsigned()
}
