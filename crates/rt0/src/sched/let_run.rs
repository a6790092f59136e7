//! Who starts many goroutines lets some of them run.
//!
//! Ten thousand goroutines that are started one after the other, and run after that, are twenty
//! thousand pages that no cache knows when they are come to. If those that are there run whenever
//! the local queue is nearly full, their stacks are in the caches still, the next ones get the same
//! stacks again, and no goroutine goes through the global queue. Go's starter goes on until its
//! slice is over, and then waits behind all of them.
//!
//! It must not cost the starter more than a slice would. They may compute, or sleep in a lock of
//! the C library's that it holds. So it first lets them run one by one, and if that takes long it
//! goes on for a hundred times as long without.

use super::p_of;
use super::park::{let_all_run, let_one_run};
use super::{one_to_one, runq::RUNQ_LEN};
use crate::atomic::Ordering;
use crate::g::G;
use crate::m::M;
use crate::sys::nanotime;

/// So many in the ring are enough: the starter still finds room at its end.
const ENOUGH: usize = RUNQ_LEN - 32;
/// How many run one by one, and what they may take together.
const PROBES: u32 = 4;
const SHORT_NS: i64 = 100_000;
/// Who has started so many in a row starts many.
const BURST: usize = 32;
/// What all may take: half a slice.
const MOST_NS: i64 = 5_000_000;
/// Else the starter goes on for so many times what it was kept.
const LEFT_ALONE: i64 = 100;

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
    let begin = nanotime();
    let too_early = begin < p_of(mp).let_run_after.get() as i64;
    if inside || too_early || mp.lockedg.get().is_some() || one_to_one::active() {
        return mp;
    }
    let mut mp = mp;
    for _ in 0..PROBES {
        mp = let_one_run(mp, gp);
    }
    let mut took = nanotime() - begin;
    if took <= SHORT_NS {
        mp = let_all_run(mp, gp);
        took = nanotime() - begin;
        if took <= MOST_NS {
            return mp;
        }
    }
    p_of(mp).let_run_after.set((begin + took + LEFT_ALONE * took) as u64);
    mp
}

/// Whether `gp` has started one after the other, and not each node of a tree a few (tree.rs).
fn is_burst(mp: &'static M, gp: &'static G) -> bool {
    let own = |newg: &'static G| newg.parent_goid.get() == gp.goid.get();
    p_of(mp).runq.newest_are(BURST, own)
}
