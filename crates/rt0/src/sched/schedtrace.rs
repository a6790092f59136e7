//! `GODEBUG=schedtrace=N` and `scheddetail=1`: the scheduler's state every N ms.
//!
//! Go: proc.go `schedtrace`. Lines, names and numbers are Go's, so that tools and eyes that know
//! them need not learn others. Printed by sysmon, under `sched.lock`, without allocation.

use super::{SCHED, State, procresize, stop_the_world};
use crate::atomic::Ordering;
use crate::g::{G, Status};
use crate::m::M;
use crate::p::P;
use crate::sys::stderr::Stderr;
use core::fmt::{Result, Write};

/// Prints the line, and with `detailed` a line for each P, M and G.
pub(crate) fn schedtrace(now: i64, detailed: bool) {
    let sched = SCHED.lock.lock();
    let mut out = Stderr::new();
    let _ = summary(&mut out, &sched, now, detailed);
    if detailed {
        for pp in procresize::allp() {
            let _ = p_line(&mut out, pp);
        }
        for mp in crate::m::allm().filter(|mp| mp.procid.get() != 0) {
            let _ = m_line(&mut out, mp);
        }
        for gp in crate::g::allgs() {
            let _ = g_line(&mut out, gp);
        }
    }
}

fn summary(out: &mut Stderr, sched: &State, now: i64, detailed: bool) -> Result {
    let ms = (now - crate::debug::vars::runtime_init_time()) / 1_000_000;
    write!(
        out,
        "SCHED {ms}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} needspinning=0 \
         idlethreads={} runqueue={}",
        SCHED.gomaxprocs(),
        SCHED.spin.npidle(),
        // sysmon counts, as in Go; so does the thread that makes Ms.
        sched.mcount() + 2,
        SCHED.spin.nmspinning(),
        sched.nmidle,
        SCHED.runqsize() + sched.held.len(),
    )?;
    if detailed {
        return writeln!(
            out,
            " gcwaiting={} nmidlelocked={} stopwait=0 sysmonwait={}",
            stop_the_world::gcwaiting(),
            sched.nmidlelocked,
            sched.sysmonwait
        );
    }
    write!(out, " [")?;
    for pp in procresize::allp() {
        write!(out, " {}", pp.runq.len())?;
    }
    write!(out, " ] schedticks=[")?;
    for pp in procresize::allp() {
        write!(out, " {}", pp.schedtick.get())?;
    }
    writeln!(out, " ]")
}

fn p_line(out: &mut Stderr, pp: &'static P) -> Result {
    let holder = pp.owner.holder().and_then(|a| crate::m::allm().find(|m| m.addr() == a));
    write!(
        out,
        "  P{}: status={} schedtick={} syscalltick={} m=",
        pp.id(),
        pp.status.load(Ordering::Relaxed), // ORDERING: a report
        pp.schedtick.get(),
        pp.syscalltick.get()
    )?;
    number_or_nil(out, holder.map(|m| m.id.get()))?;
    writeln!(
        out,
        " runqsize={} gfreecnt={} timerslen={}",
        pp.runq.len(),
        pp.gfree.len(),
        pp.timers.len()
    )
}

fn m_line(out: &mut Stderr, mp: &'static M) -> Result {
    // ORDERING: a report
    let (p, g) = (mp.p.load(Ordering::Relaxed), mp.curg.load(Ordering::Relaxed));
    write!(out, "  M{}: p=", mp.id.get())?;
    number_or_nil(out, p.map(|p| p.id() as u64))?;
    write!(out, " curg=")?;
    number_or_nil(out, g.map(|g| g.goid.get()))?;
    write!(
        out,
        " mallocing=0 throwing=0 preemptoff= locks={} dying=0 spinning={} blocked={} lockedg=",
        mp.locks.load(Ordering::Relaxed), // ORDERING: a report
        mp.is_spinning(),
        p.is_none() && g.is_none(),
    )?;
    // ORDERING: a report
    number_or_nil(out, mp.lockedg.load(Ordering::Relaxed).map(|g| g.goid.get()))?;
    writeln!(out)
}

fn g_line(out: &mut Stderr, gp: &'static G) -> Result {
    let reason = match gp.status() {
        s if s == Status::Waiting as u32 => gp.wait_reason().text(),
        // Go has none here.
        s if s == Status::Syscall as u32 => {
            crate::interpose::call_text(gp.call()).strip_prefix("syscall: ").unwrap_or_default()
        }
        _ => "",
    };
    write!(out, "  G{}: status={}({reason}) m=", gp.goid.get(), gp.status())?;
    number_or_nil(out, gp.m.load(Ordering::Relaxed).map(|m| m.id.get()))?; // ORDERING: a report
    write!(out, " lockedm=")?;
    // ORDERING: a report
    number_or_nil(out, gp.lockedm.load(Ordering::Relaxed).map(|m| m.id.get()))?;
    writeln!(out)
}

fn number_or_nil(out: &mut Stderr, n: Option<u64>) -> Result {
    match n {
        Some(n) => write!(out, "{n}"),
        None => write!(out, "nil"),
    }
}
