//! The Ps: how many there are, and the masks over them.
//!
//! Go: proc.go `procresize`, `(*p).init`, `(*p).destroy`; globals `allp`, `idlepMask`,
//! `timerpMask`, `gomaxprocs`.
//!
//! # Invariants
//! * `PR1`: `allp[i]` is there before the P is first used and never changes; only the first
//!   `gomaxprocs` take part.

use super::wake::{acquirep, releasep};
use super::{SCHED, State};
use crate::atomic::Ordering;
use crate::g::G;
use crate::lock::rank::Rank;
use crate::m::M;
use crate::malloc::Table;
use crate::p::{MAX_P, P, PStatus};

static ALLP: Table<P> = Table::new(Rank::Allg);

/// The P with this number, if it takes part.
pub(crate) fn p_at(id: usize) -> Option<&'static P> {
    if id >= SCHED.gomaxprocs() as usize {
        return None;
    }
    ALLP.get(id)
}

/// The Ps that take part.
pub(crate) fn allp() -> impl Iterator<Item = &'static P> {
    (0..SCHED.gomaxprocs() as usize).filter_map(p_at)
}

/// Every P there ever was: their counters still count.
pub(crate) fn allp_ever() -> impl Iterator<Item = &'static P> {
    ALLP.iter()
}

/// Changes the number of Ps. The world is stopped: no M but `mp` holds a P, and `sched` is locked.
/// Returns the Ps that have local work, linked by `link`, each with the M to run it on in `m`.
pub(crate) fn procresize(sched: &mut State, mp: &'static M, nprocs: usize) -> Option<&'static P> {
    let old = SCHED.gomaxprocs() as usize;
    if nprocs == 0 || nprocs > MAX_P {
        crate::throw::throw("procresize: invalid arg");
    }
    for i in 0..nprocs {
        match ALLP.get(i) {
            Some(pp) => init(pp, i, nprocs == 1),
            None => {
                let pp = crate::malloc::immortal(P::new());
                init(pp, i, nprocs == 1);
                ALLP.push(pp);
            }
        }
    }
    // ORDERING: the world is stopped; p_at reads it later
    SCHED.gomaxprocs.store(nprocs as u32, Ordering::Release);
    keep_or_take_first(mp, nprocs);
    for pp in ALLP.iter().take(old).skip(nprocs) {
        destroy(sched, mp, pp);
    }
    let runnable = park_the_rest(sched, mp, nprocs);
    if old != nprocs {
        let now = match old {
            0 => crate::debug::vars::runtime_init_time(),
            _ => crate::sys::nanotime(),
        };
        super::background::gc_cpu_limiter().reset_capacity(now, nprocs as u32);
    }
    runnable
}

/// Go: (*p).init.
fn init(pp: &'static P, id: usize, alone: bool) {
    pp.alone.store(u32::from(alone), Ordering::Relaxed); // ORDERING: the world is stopped
    // ORDERING: published by the store into ALLP
    pp.id.store(id, Ordering::Relaxed);
    pp.set_status(PStatus::Idle);
}

/// The current P goes on if it survives; else the M moves to the first one.
fn keep_or_take_first(mp: &'static M, nprocs: usize) {
    match mp.p.get() {
        Some(pp) if pp.id() < nprocs => {
            pp.set_status(PStatus::Running);
            crate::stack::cache::prepare_for_sweep(pp);
        }
        _ => {
            releasep(mp);
            let Some(first) = ALLP.get(0) else {
                crate::throw::throw("procresize: no P 0");
            };
            first.m.set(None);
            first.set_status(PStatus::Idle);
            acquirep(mp, first);
        }
    }
}

/// Go: (*p).destroy: nothing a dying P holds is lost. Its goroutines go to the head of the global
/// queue in their order, its timers to the current P, its caches to the global lists.
fn destroy(sched: &mut State, mp: &'static M, pp: &'static P) {
    let mut held: [Option<&'static G>; super::runq::RUNQ_LEN + 1] =
        [None; super::runq::RUNQ_LEN + 1];
    let mut n = 0;
    while let Some((gp, _)) = pp.next_entry() {
        held[n] = Some(gp);
        n += 1;
    }
    for gp in held[..n].iter().rev().flatten() {
        sched.globrunqputhead(gp);
    }
    crate::time::move_timers(pp, super::p_of(mp));
    crate::stack::cache::gfpurge(pp);
    pp.blocks.purge();
    pp.set_status(PStatus::Dead);
}

fn park_the_rest(sched: &mut State, mp: &'static M, nprocs: usize) -> Option<&'static P> {
    let mut runnable: Option<&'static P> = None;
    for pp in (0..nprocs).rev().filter_map(|i| ALLP.get(i)) {
        if mp.p.get().is_some_and(|mine| core::ptr::eq(mine, pp)) {
            continue;
        }
        pp.set_status(PStatus::Idle);
        if pp.runq.is_empty() {
            sched.pidleput(pp);
        } else {
            pp.m.set(sched.mget());
            pp.link.set(runnable);
            runnable = Some(pp);
        }
    }
    runnable
}
