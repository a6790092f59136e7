//! The last report: what a process says of its goroutines before it ends.
//!
//! Go: panic.go `dopanic_m`, `fatalthrow`; runtime1.go `gotraceback`; signal_unix.go `sighandler`.
//!
//! It is written with every other M held where it was (halted.rs), by whatever thread failed, on a
//! stack of its own: a signal stack has no room for it, nor has a goroutine that overflowed. It
//! uses nothing that another thread could hold.

#![allow(unsafe_code, reason = "runs the report on a stack of its own")]

use super::dump::{self, Panicked};
use super::frame::Registers;
use super::graph::Asker;
use super::halted;
use super::print::{self, Detail};
use super::stacks;
use super::vars::{Traceback, traceback};
use crate::g::G;
use crate::m::M;
use crate::sys::signal::{current_mask, set_mask};
use crate::sys::stderr::Stderr;
use core::fmt::{Result, Write};

/// Whose fault it is. Go: throwType.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// A panic: as GOTRACEBACK says.
    Panic,
    /// The program: all goroutines.
    Program,
    /// The runtime, or a signal: all goroutines and the runtime's frames.
    Runtime,
}

/// Where the failing code is.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    /// In the report's caller.
    Here([usize; 3]),
    /// Where a signal interrupted it.
    Signal(Registers),
    /// Its stack is gone, the goroutine may have ended.
    Unwound(&'a Panicked<'a>),
    /// It is nobody's in particular.
    Nowhere,
}

/// Goroutines that a report shows unless GOTRACEBACK asks for more; the rest is counted.
const USUAL: usize = 1000;
/// Of the report's own stack.
const STACK_BYTES: usize = 512 << 10;

/// Shows the goroutines, the failing one first, as `blame` and GOTRACEBACK say.
pub(crate) fn goroutines(at: At<'_>, blame: Blame) {
    goroutines_then(at, blame, &|| ());
}

/// The same, and calls `then` on the report's stack: a thread of std's has 8 KiB for signals, of
/// which the kernel's frame takes almost half.
pub(crate) fn goroutines_then(at: At<'_>, blame: Blame, then: &dyn Fn()) {
    let shows = !super::vars::dumps_suppressed();
    if shows {
        halted::freeze_the_world();
    }
    let mut report = Report { at, blame, t: traceback(), own_stack: None, shows, then };
    let stack = crate::sys::mem::reserve(STACK_BYTES);
    report.own_stack = stack.ok().map(|base| (base, base + STACK_BYTES));
    let arg = (&raw mut report).addr();
    // To the kernel the signal stack, on which the caller may be, is free meanwhile: another signal
    // would overwrite it. A fault does, and ends the process.
    let old = current_mask();
    set_mask(!FAULTS);
    match stack {
        // SAFETY: a fresh mapping; run_report does not unwind: what panics in it aborts.
        Ok(base) => unsafe { crate::arch::switch::call_on(base + STACK_BYTES, run_report, arg) },
        Err(_) => run_report(arg),
    }
    set_mask(old);
}

/// Signals by which code fails: they come when they are blocked, too, but then to no handler.
const FAULTS: u64 = {
    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    let (mut set, all, mut i) = (0, [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP], 0);
    while i < all.len() {
        set |= 1 << (all[i] - 1);
        i += 1;
    }
    set
};

struct Report<'a> {
    at: At<'a>,
    blame: Blame,
    t: Traceback,
    /// The stack that it is written on; `None`: that of the code that failed.
    own_stack: Option<(usize, usize)>,
    /// Whether goroutines are shown.
    shows: bool,
    then: &'a dyn Fn(),
}

extern "C" fn run_report(arg: usize) {
    // SAFETY: `goroutines` passes its own.
    let report = unsafe { &mut *core::ptr::with_exposed_provenance_mut::<Report<'_>>(arg) };
    if report.shows {
        let mut out = Stderr::new();
        let _ = report.write(&mut out);
    }
    (report.then)();
}

impl Report<'_> {
    fn write(&self, out: &mut Stderr) -> Result {
        // Go shows them after faults and signals all the same.
        let is_signal = matches!(self.at, At::Signal(_));
        if self.t.level == 0 && self.blame != Blame::Runtime && !is_signal {
            return Ok(());
        }
        let in_detail = self.t.level > 1 || self.blame == Blame::Runtime;
        let detail = if in_detail { Detail::System } else { Detail::Program };
        if self.blame != Blame::Panic {
            let mut part = Part { out, started: false, held: false };
            let asker = match self.at {
                At::Nowhere => None, // the whole is reported
                _ => self.own_stack.map(|own| {
                    let sp = self.registers().map_or(0, |r| r.sp);
                    Asker::Last { own, sp }
                }),
            };
            super::graph::Graph::read(asker).write(&mut part)?;
        }
        let Some(mut tool) = stacks::private() else { return Ok(()) };
        let tool = tool.get();
        let mp = crate::m::find_by_tid(crate::sys::gettid());
        let gp = mp.and_then(|mp| mp.curg.get());
        let mut shown = false;
        if let Some(registers) = self.registers() {
            tool.own(registers, 0);
            shown = self.failing(out, tool, mp, gp, registers, detail)?;
        }
        if let At::Unwound(who) = self.at {
            dump::panicked(out, tool, who, detail)?;
        }
        if self.blame == Blame::Panic && !self.t.all {
            return Ok(());
        }
        let own = match self.at {
            At::Unwound(who) => who.gp,
            _ => gp.filter(|_| shown),
        };
        let most = if self.t.all { usize::MAX } else { USUAL };
        dump::others(out, tool, own, detail, most)
    }

    fn registers(&self) -> Option<Registers> {
        match self.at {
            At::Here([pc, sp, bp]) => Some(Registers { pc, sp, bp }),
            At::Signal(r) => Some(r),
            At::Unwound(_) | At::Nowhere => None,
        }
    }

    /// The stack that failed: a goroutine's (true), the scheduler's, or a plain thread's.
    fn failing(
        &self,
        out: &mut Stderr,
        tool: &mut stacks::Tool,
        mp: Option<&'static M>,
        gp: Option<&'static G>,
        registers: Registers,
        detail: Detail,
    ) -> core::result::Result<bool, core::fmt::Error> {
        use crate::stack::names::{StackShape, stack_of};
        let on_g0 = matches!(stack_of(registers.sp), Some(StackShape::G0(_)));
        if let Some(gp) = gp.filter(|_| !on_g0) {
            out.write_str("\n")?;
            dump::own(out, tool, gp, detail)?;
            return Ok(true);
        }
        match mp {
            Some(mp) if detail == Detail::System => {
                let m = mp.id.get();
                writeln!(out, "\ngoroutine 0 gp={:p} m={m} mp={mp:p} [idle]:", &mp.g0)?;
            }
            Some(_) if self.blame != Blame::Runtime => return Ok(false),
            Some(_) => out.write_str("\nruntime stack:\n")?,
            None => out.write_str("\nthread stack:\n")?,
        }
        print::stack(out, tool, if mp.is_some() { Detail::System } else { detail })?;
        Ok(false)
    }
}

/// A part with an empty line in front of it, and without the one that it ends with.
struct Part<'a> {
    out: &'a mut Stderr,
    started: bool,
    /// A line end that is not written yet.
    held: bool,
}

impl Write for Part<'_> {
    fn write_str(&mut self, s: &str) -> Result {
        if s.is_empty() {
            return Ok(());
        }
        if !core::mem::replace(&mut self.started, true) || self.held {
            self.out.write_str("\n")?;
        }
        let body = s.strip_suffix('\n');
        self.held = body.is_some();
        self.out.write_str(body.unwrap_or(s))
    }
}

/// Ends the process: status 2, or SIGABRT with GOTRACEBACK=crash.
pub(crate) fn end() -> ! {
    if traceback().crash {
        crate::sys::signal::die_by(libc::SIGABRT);
    }
    crate::sys::exit_group(2)
}
