//! Goroutines in words.
//!
//! Go: traceback.go `goroutineheader`, `printcreatedby`, `printAncestorTraceback`,
//! `tracebackothers`. No allocation and no locks: this runs on g0, in signal handlers and under
//! runtime locks, with other threads held wherever they were.

use super::labels::Copied;
use super::print::{self, Detail, Lossy};
use super::stacks::{Outcome, Patience, Tool};
use super::uncaught::Uncaught;
use crate::g::extras::{Ancestor, MAX_ANCESTORS};
use crate::g::{G, Status};
use crate::sys::stderr::Line;
use core::fmt::{Result, Write};
use core::panic::Location;

/// What a header says of a goroutine, of one moment.
#[derive(Clone, Copy)]
pub(super) struct Snapshot {
    pub(super) id: u64,
    pub(super) gp: &'static G,
    pub(super) state: &'static str,
    /// For how long it waits, if that is known.
    pub(super) minutes: Option<u64>,
    pub(super) is_locked: bool,
    pub(super) labels: Copied,
    pub(super) has_name: bool,
    name: Line<128>,
    m: Option<&'static crate::m::M>,
    pub(super) parent: u64,
    pub(super) created: Option<&'static Location<'static>>,
    pub(super) ancestors: [Option<Ancestor>; MAX_ANCESTORS],
}

impl Snapshot {
    pub(super) fn of(gp: &'static G, status: u32) -> Snapshot {
        let mut snapshot = Snapshot {
            id: gp.goid.get(),
            gp,
            state: state_text(gp, status),
            minutes: crate::sched::ages::minutes(gp, status, crate::sys::nanotime()),
            labels: Copied::none(),
            is_locked: gp.lockedm.get().is_some() || crate::sched::lock_os_thread::in_init(gp),
            has_name: false,
            name: Line::new(),
            m: gp.m.get(),
            parent: gp.parent_goid.get(),
            created: gp.gopc().filter(|_| gp.goid.get() != 1),
            ancestors: [None; MAX_ANCESTORS],
        };
        gp.read_extras(|e| {
            if let Some(name) = &e.name {
                snapshot.has_name = true;
                let _ = snapshot.name.write_str(name); // the rest of a long one is cut off
            }
            if let Some(labels) = &e.labels {
                snapshot.labels = Copied::of(labels);
            }
            snapshot.ancestors = e.ancestors;
        });
        snapshot
    }

    /// The goroutine that this code runs on.
    pub(super) fn running(gp: &'static G) -> Snapshot {
        Snapshot::of(gp, Status::Running as u32)
    }

    pub(super) fn name(&self) -> Lossy<'_> {
        Lossy(self.name.bytes())
    }

    /// Go: goroutineheader.
    pub(super) fn header(&self, out: &mut dyn Write, detail: Detail) -> Result {
        write!(out, "goroutine {}", self.id)?;
        if detail == Detail::System {
            write!(out, " gp={:p}", self.gp)?;
            match self.m {
                Some(mp) => write!(out, " m={} mp={:p}", mp.id.get(), mp)?,
                None => write!(out, " m=nil")?,
            }
        }
        write!(out, " [{}", self.state)?;
        if let Some(minutes) = self.minutes.filter(|n| *n > 0) {
            write!(out, ", {minutes} minutes")?;
        }
        if self.is_locked {
            out.write_str(", locked to thread")?;
        }
        write!(out, "]{}", self.labels)?;
        if self.has_name {
            write!(out, " {:?}", Quoted(self.name()))?;
        }
        out.write_str(":\n")
    }

    /// Go: printcreatedby, then the ancestors that tracebackancestors recorded.
    pub(super) fn created_by(&self, out: &mut dyn Write) -> Result {
        if let Some(at) = self.created {
            match self.parent {
                0 => out.write_str("created by a thread that is no goroutine\n")?,
                id => writeln!(out, "created by rt0::go in goroutine {id}")?,
            }
            writeln!(out, "\t{}:{}", at.file(), at.line())?;
        }
        for a in self.ancestors.iter().flatten() {
            writeln!(out, "[originating from goroutine {}]:", a.goid)?;
            writeln!(out, "\t{}:{}", a.gopc.file(), a.gopc.line())?;
        }
        Ok(())
    }
}

/// A text in quotes, escaped as Rust does.
pub(super) struct Quoted<'a>(pub(super) Lossy<'a>);

impl core::fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> Result {
        f.write_char('"')?;
        for chunk in self.0.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\'' => f.write_char(c)?,
                    c => write!(f, "{}", c.escape_debug())?,
                }
            }
        }
        f.write_char('"')
    }
}

fn state_text(gp: &'static G, status: u32) -> &'static str {
    match status {
        1 => "runnable",
        2 => "running",
        3 => crate::interpose::call_text(gp.call()),
        4 => gp.wait_reason().text(),
        _ => "???",
    }
}

/// One goroutine as text; nothing if it has ended meanwhile. True if it was shown.
pub(super) fn goroutine(
    out: &mut dyn Write,
    tool: &mut Tool,
    gp: &'static G,
    detail: Detail,
    patience: &mut Patience,
) -> core::result::Result<bool, core::fmt::Error> {
    let (mut snapshot, mut wait) = (None, None);
    let outcome = tool.goroutine(gp, patience, |gp, status| {
        snapshot = Some(Snapshot::of(gp, status));
        wait = super::waits::Seen::of_g(gp).filter(|_| status == Status::Waiting as u32);
    });
    let Some(snapshot) = snapshot.filter(|_| outcome != Outcome::Gone) else { return Ok(false) };
    snapshot.header(out, detail)?;
    if outcome == Outcome::Unknown {
        out.write_str("\tgoroutine running on other thread; stack unavailable\n")?;
    } else {
        print::stack(out, tool, detail)?;
    }
    snapshot.created_by(out)?;
    super::waits::line(&mut &mut *out, wait)?;
    Ok(true)
}

/// The goroutine that this code runs on, whose stack the tool holds already.
pub(super) fn own(out: &mut dyn Write, tool: &mut Tool, gp: &'static G, detail: Detail) -> Result {
    // Another state than "running" is that of one that a signal found in a call.
    let snapshot = Snapshot::of(gp, gp.status());
    snapshot.header(out, detail)?;
    print::stack(out, tool, detail)?;
    snapshot.created_by(out)
}

/// Every goroutine but `but`; `most` at most, and a line that says how many are left out. Go:
/// tracebackothers.
pub(super) fn others(
    out: &mut dyn Write,
    tool: &mut Tool,
    but: Option<&'static G>,
    detail: Detail,
    most: usize,
) -> Result {
    let is_own = |gp: &&'static G| but.is_some_and(|but| core::ptr::eq(but, *gp));
    let all = || shown(detail).filter(|gp| !is_own(gp));
    let (mut patience, mut n) = (Patience::new(), 0);
    for gp in all() {
        if n == most {
            let more = all().count().saturating_sub(most);
            return writeln!(out, "\n...additional goroutines elided: {more}");
        }
        let mut apart = Apart { out, started: false };
        n += usize::from(goroutine(&mut apart, tool, gp, detail, &mut patience)?);
    }
    Ok(())
}

/// The goroutines that a dump shows: the runtime's own only in detail.
pub(super) fn shown(detail: Detail) -> impl Iterator<Item = &'static G> {
    let live = crate::g::allgs()
        .filter(|gp| gp.status() != Status::Dead as u32 && gp.status() != Status::Idle as u32);
    live.filter(move |gp| detail == Detail::System || !gp.is_system())
}

/// Puts an empty line in front of what is written, if anything is.
struct Apart<'a> {
    out: &'a mut dyn Write,
    started: bool,
}

impl Write for Apart<'_> {
    fn write_str(&mut self, s: &str) -> Result {
        if !self.started {
            self.started = true;
            self.out.write_str("\n")?;
        }
        self.out.write_str(s)
    }
}

/// Who a panic report is about: a goroutine that may have ended, its G if that is still its own,
/// and where it panicked.
pub(crate) struct Panicked<'a> {
    pub(crate) id: u64,
    pub(crate) name: Option<&'a str>,
    pub(crate) gp: Option<&'static G>,
    pub(crate) stack: Option<&'a Uncaught>,
}

/// The goroutine of a panic report, whose stack is unwound already.
pub(super) fn panicked(
    out: &mut dyn Write,
    tool: &mut Tool,
    who: &Panicked<'_>,
    detail: Detail,
) -> Result {
    write!(out, "\ngoroutine {} [running]", who.id)?;
    if let Some(gp) = who.gp {
        write!(out, "{}", Snapshot::running(gp).labels)?;
    }
    if let Some(name) = who.name {
        write!(out, " {name:?}")?;
    }
    writeln!(out, ":")?;
    if let Some(stack) = who.stack {
        stack.write(out, tool, detail)?;
    }
    match who.gp {
        Some(gp) => Snapshot::of(gp, gp.status()).created_by(out),
        None => Ok(()),
    }
}
