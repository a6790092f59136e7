//! Dumps that a program asks for.
//!
//! Go: runtime/debug `Stack`, `SetTraceback`, `SetCrashOutput`; `runtime.Stack`; runtime/pprof's
//! goroutine profile with debug=1 and 2.

use super::dump;
use super::frame::Registers;
use super::graph::write_head;
use super::json;
use super::print::Detail;
use super::stacks::{Taken, tool};
use super::vars::{Traceback, set_traceback as set};
use crate::arch::here::here;
use core::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// The stack of the goroutine, or thread, that this code runs on, as text:
///
/// ```text
/// goroutine 7 [running] "worker":
/// rt0::debug::stack(...)
///         src/debug/api.rs:40 +0x1f
/// app::work(...)
///         src/main.rs:12 +0x4c
/// created by rt0::go in goroutine 1
///         src/main.rs:30
/// ```
/// Never blocks. Without the feature `backtrace` there are no frames. Go: `debug.Stack`.
#[inline(never)]
pub fn stack() -> String {
    let [pc, sp, bp] = here();
    let mut text = String::new();
    let _ = own(&mut text, Registers { pc, sp, bp }, Detail::Program); // a String takes all
    text
}

/// Writes the stacks of all goroutines, the caller's first, while the others go on.
///
/// Each stack is the goroutine's of one moment, but not all of the same. A goroutine that runs is
/// held for some microseconds; one whose thread does not answer within two seconds in all is shown
/// without its stack. Memory does not grow with their number, so a million can be written, and
/// nothing is locked while `to` is written to. Go: `runtime.Stack(buf, true)`.
///
/// # Errors
/// Those of `to`.
#[inline(never)]
pub fn dump_all(to: &mut dyn Write) -> io::Result<()> {
    Dump::new().write_at(to, here())
}

/// How a dump is to look. See [`dump_all`].
///
/// ```
/// # #[rt0::main] fn main() -> std::io::Result<()> {
/// let mut text = Vec::new();
/// rt0::debug::Dump::new().grouped(true).write_to(&mut text)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    json: bool,
    grouped: bool,
    system: bool,
    deadlocks: bool,
}

impl Dump {
    /// Text, a goroutine after the other, the program's frames.
    pub fn new() -> Dump {
        Dump::default()
    }

    /// One JSON object for each goroutine or group, each on a line of its own.
    ///
    /// Its members: `count` and `ids` (of a group: how many, and the first ten) or `id`; `name`,
    /// `state`, `locked`, `minutes` (for how long it has been waiting), `labels`, `created_by`
    /// (`goroutine`, `file`, `line`), `ancestors`, and `frames` (`function`, `file`, `line`, `pc`),
    /// the innermost first; of one that waits `waits_for`: the `kind` of thing, `on` which ones
    /// (text), of channels how many `senders` and `receivers` each has, the `holder` of a lock or
    /// who is joined (`goroutine` or `thread`, `file`, `line`), and those `readers` of an `RwLock`
    /// that wait themselves. What is not known is left out.
    pub fn json(mut self, yes: bool) -> Dump {
        self.json = yes;
        self
    }

    /// Goroutines with the same stack, state, labels and creation site are shown once, with their
    /// number, the largest group first. Memory grows with the number of different stacks. Go: the
    /// goroutine profile with debug=1.
    pub fn grouped(mut self, yes: bool) -> Dump {
        self.grouped = yes;
        self
    }

    /// Also the runtime's frames and goroutines, and addresses. Go: `GOTRACEBACK=system`.
    pub fn system(mut self, yes: bool) -> Dump {
        self.system = yes;
        self
    }

    /// At the head who waits for ever, as the last report shows it: see
    /// [`deadlocks`](super::deadlocks), also for what it costs. As JSON an object for each: a
    /// `deadlock` with those in its `circle`, and those `behind` it (`goroutine` or `thread`);
    /// where who has handles of channels is not known, `unknown` says why.
    pub fn deadlocks(mut self, yes: bool) -> Dump {
        self.deadlocks = yes;
        self
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of `to`; `OutOfMemory` if there is no address space for what a dump works with.
    #[inline(never)]
    pub fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        self.write_at(to, here())
    }

    fn write_at(&self, to: &mut dyn Write, [pc, sp, bp]: [usize; 3]) -> io::Result<()> {
        let at = Registers { pc, sp, bp };
        let detail = if self.system { Detail::System } else { Detail::Program };
        let mut to = Adapter { to, error: None, buffer: Vec::with_capacity(Adapter::ROOM) };
        let head = if self.deadlocks { write_head(&mut to, self.json) } else { Ok(()) };
        let done = head.and_then(|()| match (self.grouped, self.json) {
            (true, is_json) => super::groups::write(&mut to, at, detail, is_json),
            (false, true) => json::all(&mut to, at, detail),
            (false, false) => all(&mut to, at, detail),
        });
        let done = done.and_then(|()| to.flush());
        match (to.error, done) {
            (Some(e), _) => Err(e),
            (None, Ok(())) => Ok(()),
            (None, Err(fmt::Error)) => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

/// Passes text on to a writer, much at a time, and keeps its error.
struct Adapter<'a> {
    to: &'a mut dyn Write,
    error: Option<io::Error>,
    buffer: Vec<u8>,
}

impl Adapter<'_> {
    const ROOM: usize = 16 << 10;

    fn flush(&mut self) -> fmt::Result {
        let written = self.to.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|e| {
            self.error = Some(e);
            fmt::Error
        })
    }
}

impl fmt::Write for Adapter<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for part in s.as_bytes().chunks(Self::ROOM) {
            if self.buffer.len() + part.len() > Self::ROOM {
                self.flush()?;
            }
            self.buffer.extend_from_slice(part);
        }
        Ok(())
    }
}

/// A tool that holds the running code's stack.
pub(super) fn tool_with_own(at: Registers) -> Option<Taken> {
    let mut taken = tool()?;
    taken.get().own(at, crate::tls::getg().map_or(0, |gp| crate::stack::bounds(gp).1));
    Some(taken)
}

fn own(out: &mut dyn fmt::Write, at: Registers, detail: Detail) -> fmt::Result {
    let mut taken = tool_with_own(at).ok_or(fmt::Error)?;
    let tool = taken.get();
    if let Some(gp) = crate::tls::getg() {
        return dump::own(out, tool, gp, detail);
    }
    let thread = std::thread::current();
    writeln!(out, "thread {} {:?}:", crate::sys::gettid(), thread.name().unwrap_or(""))?;
    super::print::stack(out, tool, detail)
}

fn all(out: &mut dyn fmt::Write, at: Registers, detail: Detail) -> fmt::Result {
    own(out, at, detail)?;
    let mut taken = tool().ok_or(fmt::Error)?;
    dump::others(out, taken.get(), crate::tls::getg(), detail, usize::MAX)
}

/// Sets how much the report of a panic or a fatal error shows: `none`, `single`, `all`, `system`,
/// `crash`, as the variable GOTRACEBACK, which it cannot go below. Go: `debug.SetTraceback`.
pub fn set_traceback(level: &str) {
    set(Traceback::parse(level.as_bytes(), level.parse().ok()));
}

/// Sends a copy of the last report, of a panic or fatal error, to `file` as well as to standard
/// error; `None`: no longer. Returns what was set before, if no such report is on its way to it.
/// Nothing else is written to it.
///
/// A pipe to a process that watches this one is a good choice. Go: `debug.SetCrashOutput`.
pub fn set_crash_output(file: Option<OwnedFd>) -> Option<OwnedFd> {
    crate::sys::stderr::set_crash_fd(file)
}
