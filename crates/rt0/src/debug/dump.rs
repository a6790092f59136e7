//! Goroutines in words.
//!
//! Go: traceback.go `goroutineheader`, `printcreatedby`, `printAncestorTraceback`,
//! `tracebackothers`. No allocation and no locks: this runs on g0, in signal handlers and under
//! runtime locks.

use crate::atomic::{AtomicPtr, Ordering, Word};
use crate::g::{G, Status};
use crate::sys::stderr::{Stderr, rtprint};
use core::fmt::Write;

/// How many goroutines a dump shows; the rest is counted.
const MOST: usize = 1000;

/// `goroutine N gp=… m=… ["name"] [state]:`, then where it was made.
pub(crate) fn goroutine(gp: &'static G, state: &str) {
    if super::vars::dumps_suppressed() {
        return;
    }
    let mut out = Stderr::new();
    let _ = header(&mut out, gp, state);
    let _ = created_by(&mut out, gp);
    let _ = super::waits::line(&mut out, gp);
}

/// Who a panic report is about: a goroutine that may have ended, and its G if that is still its
/// own.
pub(crate) struct Panicked<'a> {
    pub(crate) id: u64,
    pub(crate) name: Option<&'a str>,
    pub(crate) gp: Option<&'static G>,
}

/// The goroutine of a panic report, in Go's short form.
pub(crate) fn panicked(who: &Panicked<'_>) {
    let mut out = Stderr::new();
    let _ = write!(out, "goroutine {}", who.id);
    if let Some(name) = who.name {
        let _ = write!(out, " {name:?}");
    }
    let _ = writeln!(out, " [running]:");
    if let Some(gp) = who.gp {
        let _ = created_by(&mut out, gp);
    }
}

/// The program's goroutines, as Go shows them for an error of the program's.
pub(crate) fn user_goroutines() {
    if super::vars::dumps_suppressed() {
        return;
    }
    for gp in crate::g::allgs().filter(live).filter(|gp| !gp.is_system()).take(MOST) {
        let mut out = Stderr::new();
        let _ = write!(out, "goroutine {}", gp.goid.get());
        if let Some(name) = gp.name() {
            let _ = write!(out, " {name:?}");
        }
        let _ = writeln!(out, " [{}{}]:", state_text(gp), locked_text(gp));
        let _ = created_by(&mut out, gp);
        let _ = super::waits::line(&mut out, gp);
        let _ = writeln!(out);
    }
    elided();
}

fn live(gp: &&'static G) -> bool {
    gp.status() != Status::Dead as u32 && gp.status() != Status::Idle as u32
}

/// Every goroutine that is not dead, the runtime's own included. Go: tracebackothers.
pub(crate) fn all_goroutines() {
    if super::vars::dumps_suppressed() {
        return;
    }
    runtime_line();
    let _ = super::graph::Graph::read().write(&mut Stderr::new());
    for gp in crate::g::allgs().filter(live).take(MOST) {
        goroutine(gp, state_text(gp));
        rtprint!("\n");
    }
    elided();
}

fn elided() {
    let more = crate::g::allgs().filter(live).count().saturating_sub(MOST);
    if more > 0 {
        rtprint!("...additional goroutines elided: {more}\n");
    }
}

/// What boot found out about the process.
pub(crate) struct Process {
    program: AtomicPtr<u8>,
    program_len: Word,
    pub(crate) arguments: Word,
    pub(crate) variables: Word,
    /// Images loaded when the runtime started.
    pub(crate) images: Word,
    /// Go: maxstacksize.
    pub(crate) main_stack_bytes: Word,
}

pub(crate) static PROCESS: Process = Process {
    program: AtomicPtr::new(core::ptr::null_mut()),
    program_len: Word::new(0),
    arguments: Word::new(0),
    variables: Word::new(0),
    images: Word::new(0),
    main_stack_bytes: Word::new(0),
};

impl Process {
    pub(crate) fn set_program(&self, name: &'static [u8]) {
        self.program_len.set(name.len() as u64);
        // ORDERING: after the length
        self.program.store(name.as_ptr().cast_mut(), Ordering::Release);
    }

    #[allow(unsafe_code, reason = "a `'static` slice stored as two words")]
    fn program(&self) -> &'static str {
        let p = self.program.load(Ordering::Acquire); // ORDERING: pairs with set_program
        if p.is_null() {
            return "?";
        }
        // SAFETY: set_program stored the parts of a `'static` slice, the pointer last.
        let name = unsafe { core::slice::from_raw_parts(p, self.program_len.get() as usize) };
        core::str::from_utf8(name).unwrap_or("?")
    }
}

/// The address space of live goroutines' stacks.
fn live_stack_bytes() -> u64 {
    // ORDERING: a report
    let outside = crate::sched::SCHED.stack_bytes_outside.load(Ordering::Relaxed);
    let ps = crate::sched::procresize::allp_ever();
    ps.fold(outside, |sum, pp| sum.wrapping_add(pp.stack_bytes.get()))
}

/// What a reader of the dump must know of the process.
fn runtime_line() {
    rtprint!(
        "runtime: rt0 {}, program {} ({} arguments, {} variables, {} images), gomaxprocs={}, \
         goroutine TLS: {}, clock: {}, main stack limit: {} bytes, \
         live stacks: {} bytes reserved\n\n",
        env!("CARGO_PKG_VERSION"),
        PROCESS.program(),
        PROCESS.arguments.get(),
        PROCESS.variables.get(),
        PROCESS.images.get(),
        crate::sched::SCHED.gomaxprocs(),
        crate::tls::mode_name(),
        if crate::sys::clock::in_vdso() { "vdso" } else { "system call" },
        PROCESS.main_stack_bytes.get(),
        live_stack_bytes(),
    );
}

fn state_text(gp: &'static G) -> &'static str {
    match gp.status() {
        1 => "runnable",
        2 => "running",
        3 => crate::interpose::call_text(gp.call()),
        4 => gp.wait_reason().text(),
        _ => "???",
    }
}

fn locked_text(gp: &'static G) -> &'static str {
    let locked = gp.lockedm.get().is_some() || crate::sched::lock_os_thread::in_init(gp);
    if locked { ", locked to thread" } else { "" }
}

/// Go: goroutineheader.
fn header(out: &mut Stderr, gp: &'static G, state: &str) -> core::fmt::Result {
    write!(out, "goroutine {} gp={:p}", gp.goid.get(), gp)?;
    match gp.m.get() {
        Some(mp) => write!(out, " m={} mp={:p}", mp.id.get(), mp)?,
        None => write!(out, " m=nil")?,
    }
    if let Some(name) = gp.name() {
        write!(out, " {name:?}")?;
    }
    writeln!(out, " [{state}{}]:", locked_text(gp))
}

/// Go: printcreatedby, then the ancestors that tracebackancestors recorded.
fn created_by(out: &mut Stderr, gp: &'static G) -> core::fmt::Result {
    if let Some(at) = gp.gopc().filter(|_| gp.goid.get() != 1) {
        match gp.parent_goid.get() {
            0 => writeln!(out, "created by a thread that is no goroutine")?,
            id => writeln!(out, "created by rt0::go in goroutine {id}")?,
        }
        writeln!(out, "\t{}:{}", at.file(), at.line())?;
    }
    let Some(extras) = gp.extras() else { return Ok(()) };
    for a in extras.ancestors.iter().flatten() {
        writeln!(out, "[originating from goroutine {}]:", a.goid)?;
        writeln!(out, "\t{}:{}", a.gopc.file(), a.gopc.line())?;
    }
    Ok(())
}
