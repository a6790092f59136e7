//! Children, and pipes without a reader.

#![allow(unsafe_code, reason = "pre_exec is unsafe to call")]

use super::{Ending, done};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a child inherits: streams, environment, no ignored or blocked signal.
pub(crate) fn cmd() -> Ending {
    let text = |e: io::Error| e.to_string();
    let output = Command::new("sh").args(["-c", "echo out; echo err >&2; exit 5"]).output();
    println!("{:?}", output.map_err(text)?);
    println!("{:?}", Command::new("cat").status().map_err(text)?);
    let script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo $FOO; ls /proc/self/fd | wc -l";
    println!("{:?}", Command::new("sh").args(["-c", script]).output().map_err(text)?);
    println!("{:?}", Command::new("sh").args(["-c", "kill -TERM $$"]).status().map_err(text)?);
    println!("{:?}", Command::new("/nonexistent").status().map_err(|e| e.kind()));
    done()
}

pub(crate) fn pre_exec() -> Ending {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $PPID is the parent of $0"]).arg("child");
    let in_child = || {
        rustix::io::write(rustix::stdio::stdout(), b"in the child\n")?;
        Ok(())
    };
    // SAFETY: write is a bare system call; it takes no lock.
    unsafe { command.pre_exec(in_child) };
    let output = command.output().map_err(|e| e.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{}", printed.replace(&std::process::id().to_string(), "PID"));
    let mut refused = Command::new("true");
    // SAFETY: it only returns an error.
    unsafe { refused.pre_exec(|| Err(io::ErrorKind::PermissionDenied.into())) };
    println!("{:?}", refused.status().map_err(|e| e.raw_os_error().is_some()));
    done()
}

/// The program becomes another one, on this process's main thread or not.
pub(crate) fn exec() -> Ending {
    println!("before");
    let failed = Command::new("sh").args(["-c", "echo after, $FOO; exit 6"]).exec();
    Err(failed.to_string())
}

/// std ignores SIGPIPE: a write to a pipe without a reader is an error.
pub(crate) fn sigpipe() -> Ending {
    let (reader, mut writer) = io::pipe().map_err(|e| e.to_string())?;
    drop(reader);
    println!("{:?}", writer.write_all(b"x").map_err(|e| e.kind()));
    done()
}

/// The reader of standard output goes after one line: println panics.
pub(crate) fn epipe() -> Ending {
    for n in 0..1_000_000 {
        println!("line {n}");
    }
    done()
}
