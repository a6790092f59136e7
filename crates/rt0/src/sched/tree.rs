//! Trees of goroutines that are started and joined are walked in depth.
//!
//! A node that has started its children joins them one by one. If they took their turns, a tree of
//! a million would be as broad as the queue, and then as the global one: thousands of goroutines
//! would wait for each other, each with a stack that no cache knows any more when it is come to. So
//! who joins a goroutine that has not run yet runs it out of turn (g/fresh.rs), as if it had called
//! it: its stack is the last that was used, and few others are in use.
//!
//! Two things would undo that. A child that ran out of turn leaves its entry in the queue, and a
//! queue that is full hands its oldest over, and has others run (let_run.rs): so such entries are
//! swept out of it. And the ring's oldest goroutine has its turn after every
//! [`MOST_INHERITED`](crate::p::MOST_INHERITED) that were readied, and the global queue's after
//! every 61, be it the root of the next subtree: then two of them are walked at once, and soon
//! hundreds. So one that has not run yet waits until the tree has had a time slice, as it would in
//! Go. One that has run goes on waiting for as few as ever.

use super::global_queue::runqput;
use super::runq::{Entry, Place};
use super::{SCHED, p_of};
use crate::atomic::Ordering;
use crate::g::G;
use crate::m::M;
use crate::p::P;
use crate::sys::nanotime;

/// From this many goroutines in the local queue on, who joins one runs it out of turn.
const WIDE: usize = 32;
/// So many that ran out of turn are worth it to look at the whole ring.
const WORTH_A_SWEEP: u64 = 64;

/// The joiner, which runs, is about to wait for the end of `id`, whose G is `gp`: if it has not run
/// yet and the queue is long, it runs next. Short queues keep Go's order, and so does what
/// goroutine 1 starts: it is the nodes of trees that are worth it. One that is held back (held.rs)
/// takes the place of the one that waits.
pub(crate) fn run_first(mp: &'static M, joiner: &'static G, gp: &'static G, id: u64) {
    let pp = p_of(mp);
    let is_node = pp.runq.len() >= WIDE && !super::lifecycle::is_goroutine_1(joiner);
    if (SCHED.holds_back() || is_node) && !pp.runq.next_is(gp) && gp.fresh.claim(id as usize) {
        if is_node && pp.tree_since.get() == 0 {
            pp.tree_since.set(nanotime() as u64);
        }
        pp.out_of_turn.bump();
        runqput(pp, gp, Place::Next);
    }
}

/// Whether the global queue's turn is put off: its next one has not run yet. Owner.
#[inline]
pub(crate) fn goes_on(pp: &P) -> bool {
    // ORDERING: a hint
    pp.tree_since.get() != 0 && SCHED.new_first.load(Ordering::Relaxed) && !pp.trees_slice_is_over()
}

/// The ring is nearly full: drops what stands for nobody, if there is enough of it. Owner.
pub(super) fn sweep(pp: &'static P) {
    if pp.out_of_turn.get() >= WORTH_A_SWEEP {
        pp.out_of_turn.set(0);
        pp.runq.sweep(Entry::is_stale);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn p() -> &'static P {
        Box::leak(Box::new(P::new()))
    }

    fn g() -> &'static G {
        Box::leak(Box::new(G::new()))
    }

    fn put(pp: &'static P, entry: Entry<G>) {
        pp.runq.put(entry, Place::Tail, |_| panic!("it is not full"));
    }

    /// Queues a new goroutine, `id`, in `gp`.
    fn start(pp: &'static P, gp: &'static G, id: usize) {
        gp.fresh.publish(id);
        put(pp, Entry::fresh(gp));
    }

    fn rest(pp: &'static P) -> Vec<*const G> {
        let taken = core::iter::from_fn(|| pp.runq.get_ring()).filter_map(Entry::take);
        taken.map(core::ptr::from_ref).collect()
    }

    #[test]
    fn a_sweep_leaves_one_entry_of_each_that_has_not_run() {
        let (pp, again, woken, fresh) = (p(), g(), g(), g());
        put(pp, Entry::plain(woken));
        for id in 1..=100 {
            start(pp, again, id);
            assert!(again.fresh.claim(id), "its joiner runs it");
        }
        start(pp, fresh, 101);
        start(pp, again, 102);
        pp.out_of_turn.set(WORTH_A_SWEEP - 1);
        sweep(pp);
        assert_eq!(pp.runq.ring_len(), 103, "too few for a sweep");
        pp.out_of_turn.set(WORTH_A_SWEEP);
        sweep(pp);
        assert_eq!(pp.runq.ring_len(), 3);
        assert_eq!(pp.out_of_turn.get(), 0);
        assert_eq!(rest(pp), [woken, fresh, again].map(core::ptr::from_ref));
    }

    #[test]
    fn a_sweep_keeps_the_order_of_a_ring_that_has_gone_round() {
        let (pp, gs) = (p(), [(); 200].map(|()| g()));
        for round in 0..5 {
            for (i, gp) in gs.iter().enumerate() {
                start(pp, gp, round * 1000 + i + 1);
            }
            for (i, gp) in gs.iter().enumerate().filter(|(i, _)| i % 3 != 0) {
                assert!(gp.fresh.claim(round * 1000 + i + 1));
            }
            pp.out_of_turn.set(WORTH_A_SWEEP);
            sweep(pp);
            let left: Vec<_> = gs.iter().step_by(3).map(|gp| core::ptr::from_ref(*gp)).collect();
            assert_eq!(pp.runq.ring_len(), left.len());
            assert_eq!(rest(pp), left);
        }
    }
}
