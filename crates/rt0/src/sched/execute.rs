//! Making a goroutine the one that runs.
//!
//! Go: proc.go `execute`; asm_amd64.s `gogo` is park.rs `switch`.

use super::park::{finish_switch, next_fs, switch};
use crate::atomic::Ordering;
use crate::g::{G, Status};
use crate::m::M;
use crate::p::P;

/// What `execute` does before the switch; the direct path does it too.
#[inline(always)]
pub(crate) fn prepare(mp: &'static M, pp: &'static P, gp: &'static G) {
    gp.casgstatus(Status::Runnable, Status::Running);
    gp.next_context(); // after the status: who sees the number sees that it runs
    // ORDERING: GS2: this M owns the goroutine now
    gp.m.store(Some(mp), Ordering::Relaxed);
    mp.curg.set(Some(gp));
    pp.schedtick.bump();
}

/// Runs `gp` on this M until it leaves to g0 again. On g0 only.
pub(crate) fn execute(mp: &'static M, gp: &'static G) {
    let Some(pp) = mp.p.get() else { crate::throw::throw("execute: no P") };
    prepare(mp, pp, gp);
    gogo(mp, gp);
}

/// Continues the context of `gp`; returns when something switches back to g0. Go: gogo.
pub(crate) fn gogo(mp: &'static M, gp: &'static G) {
    switch(mp, &mp.g0, gp, next_fs(mp, gp));
    finish_switch(mp);
}
