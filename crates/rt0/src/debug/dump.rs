//! Goroutines in words.
//!
//! Go: traceback.go `goroutineheader`, `printcreatedby`, `printAncestorTraceback`, `tracebackothers`.
//! No allocation and no locks: this runs on g0, in signal handlers and under runtime locks.

use crate::g::{G, Status};
use crate::goroutine::Goroutine;
use crate::sys::stderr::{Stderr, rtprint};
use core::fmt::Write;

/// How many goroutines a dump shows; the rest is counted.
const MOST: usize = 1000;

/// `goroutine N gp=… m=… ["name"] [state]:`, then where it was made.
pub(crate) fn goroutine(gp: &'static G, state: &str) {
    if crate::boot::env::dumps_suppressed() {
        return;
    }
    let mut out = Stderr::new();
    let _ = header(&mut out, gp, state);
    let _ = created_by(&mut out, gp);
}

/// The goroutine of a panic report, in Go's short form; it may have ended.
pub(crate) fn panicked(g: &Goroutine) {
    let mut out = Stderr::new();
    let _ = write!(out, "goroutine {}", g.id());
    if let Some(name) = g.name() {
        let _ = write!(out, " {name:?}");
    }
    let _ = writeln!(out, " [running]:");
    if let Some(gp) = g.g_if_not_reused() {
        let _ = created_by(&mut out, gp);
    }
}

/// The program's goroutines, as Go shows them for an error of the program's.
pub(crate) fn user_goroutines() {
    if crate::boot::env::dumps_suppressed() {
        return;
    }
    for gp in crate::g::allgs().filter(live).filter(|gp| !gp.is_system()).take(MOST) {
        let mut out = Stderr::new();
        let _ = write!(out, "goroutine {}", gp.goid.get());
        if let Some(name) = gp.name() {
            let _ = write!(out, " {name:?}");
        }
        let _ = writeln!(out, " [{}]:", state_text(gp));
        let _ = created_by(&mut out, gp);
        let _ = writeln!(out);
    }
    elided();
}

fn live(gp: &&'static G) -> bool {
    gp.status() != Status::Dead as u32 && gp.status() != Status::Idle as u32
}

/// Every goroutine that is not dead, the runtime's own included. Go: tracebackothers.
pub(crate) fn all_goroutines() {
    if crate::boot::env::dumps_suppressed() {
        return;
    }
    runtime_line();
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

/// What a reader of the dump must know of the process.
fn runtime_line() {
    let mut images = 0;
    crate::boot::modules::modules(|m| images += usize::from(m.text.0 != 0));
    let (argc, envc) = crate::boot::env::counts();
    rtprint!(
        "runtime: rt0 {}, program {} ({argc} arguments, {envc} variables, {images} images), \
         gomaxprocs={}, goroutine TLS: {}, clock: {}, main stack limit: {} bytes\n\n",
        env!("CARGO_PKG_VERSION"),
        core::str::from_utf8(crate::boot::env::program()).unwrap_or("?"),
        crate::sched::SCHED.gomaxprocs(),
        crate::tls::mode_name(),
        if crate::boot::vdso::in_use() { "vdso" } else { "system call" },
        crate::boot::main::maxstacksize(),
    );
}

fn state_text(gp: &'static G) -> &'static str {
    match gp.status() {
        1 => "runnable",
        2 => "running",
        3 => "syscall",
        4 => gp.wait_reason().text(),
        _ => "???",
    }
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
    writeln!(out, " [{state}]:")
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
