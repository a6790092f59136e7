//! Who starts many goroutines lets some of them run.
//!
//! Ten thousand goroutines that are started one after the other, and run after that, are twenty
//! thousand pages that no cache knows when they are come to. If those that are there run whenever
//! the local queue is nearly full, their stacks are in the caches still, the next ones get the same
//! stacks again, and no goroutine goes through the global queue. Go's starter goes on until its
//! slice is over, and then waits behind all of them.
//!
//! It must not cost the starter more than a slice would. They may compute, or sleep in a lock of
//! the C library's that it holds. So it first lets them run one by one, and if that takes long time
//! and again, it goes on for a hundred times as long without (starters.rs).
//!
//! If those do next to nothing, and end, the ring is kept: other Ps leave it alone for as long as
//! it takes. They would need as long to fetch a goroutine's lines as this P needs to run it, its
//! stack would be warm on the other side, and whatever all of them count in would go to and fro.
//! What is kept is seen to by the watcher (watch.rs): if this P does not switch between two of its
//! looks, or the time is over, others may come. The starter wakes nobody meanwhile.

use super::p_of;
use super::park::{let_all_run, let_one_run};
use super::starters::Round;
use super::{one_to_one, runq::RUNQ_LEN};
use crate::atomic::Ordering;
use crate::g::G;
use crate::m::M;
use crate::sys::nanotime;

/// So many in the ring are enough: the starter still finds room at its end.
const ENOUGH: usize = RUNQ_LEN - 32;
/// Who has started so many in a row starts many.
const BURST: usize = 32;
/// How long other Ps leave the ring alone after a round's first ones were brief: some rounds.
const KEPT_NS: i64 = 200_000;

/// `gp`, which runs, has queued a new goroutine. With the only count of `m.locks`, which it has on
/// return as well.
#[inline(always)]
pub(super) fn let_run(mp: &'static M, gp: &'static G) -> &'static M {
    if p_of(mp).runq.ring_len() < ENOUGH { mp } else { let_run_now(mp, gp) }
}

/// Not where goroutines are threads, and not from a thread of its own: each switch would be one of
/// threads. Not inside the runtime.
#[cold]
fn let_run_now(mp: &'static M, gp: &'static G) -> &'static M {
    // ORDERING: owner-only
    let inside = mp.locks.load(Ordering::Relaxed) != 1 || gp.is_system();
    super::tree::sweep(p_of(mp));
    if p_of(mp).runq.ring_len() < ENOUGH || !is_burst(mp, gp) {
        return mp;
    }
    if inside || mp.lockedg.get().is_some() || one_to_one::active() {
        return mp;
    }
    let Some(mut round) = p_of(mp).starters.begin(nanotime()) else { return mp };
    let (mp, fast) = run_round(mp, gp, &mut round);
    let starters = &p_of(mp).starters;
    if fast {
        starters.was_fast()
    } else {
        starters.was_slow(&round)
    }
    mp
}

/// False: it was slow. The starter may come out of it on another P.
fn run_round(mp: &'static M, gp: &'static G, round: &mut Round) -> (&'static M, bool) {
    let pp = p_of(mp);
    let ended = pp.gdead.get();
    let mut mp = mp;
    for _ in 0..pp.starters.probes() {
        let ticks = pp.schedtick.get();
        mp = let_one_run(mp, gp);
        let moved = !core::ptr::eq(pp, p_of(mp));
        let switches = if moved { 2 } else { pp.schedtick.get() - ticks };
        let fast = round.one_ran(nanotime(), switches);
        if moved || !fast {
            return (mp, fast);
        }
    }
    // Those that ended have left warm stacks here for the next ones. If they do not this time, it
    // may be for another thread that had the CPU: what is kept is so until its time is over.
    if round.ended_soon(pp.gdead.get() - ended) {
        pp.keep_until(round.now() + KEPT_NS);
    }
    mp = let_all_run(mp, gp);
    (mp, round.all_ran(nanotime()))
}

/// Whether `gp` has started one after the other, and not each node of a tree a few (tree.rs).
fn is_burst(mp: &'static M, gp: &'static G) -> bool {
    let own = |newg: &'static G| newg.parent_goid.get() == gp.goid.get();
    p_of(mp).runq.newest_are(BURST, own)
}
