//! Whose turn it is while a tree of goroutines is walked in depth (sched/tree.rs).

use super::P;
use crate::g::G;
use crate::sys::nanotime;

/// Go's time slice.
const SLICE_NS: u64 = 10_000_000;

impl P {
    /// The ring's oldest, if it may run although there is a goroutine that was readied, as many
    /// others were before it. Owner.
    #[cold]
    pub(super) fn rings_turn(&self) -> Option<&'static G> {
        while let Some(oldest) = self.runq.oldest() {
            let waits = oldest.parts().1 && !oldest.is_stale();
            if waits && self.tree_since.get() != 0 && !self.trees_slice_is_over() {
                return None;
            }
            if let Some(gp) = self.runq.get_ring()?.take() {
                return Some(gp);
            }
        }
        None
    }

    /// The next goroutine that runs out of turn begins another slice then. Owner.
    pub(crate) fn trees_slice_is_over(&self) -> bool {
        let over = (nanotime() as u64).saturating_sub(self.tree_since.get()) >= SLICE_NS;
        if over {
            self.tree_since.set(0);
        }
        over
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sched::runq::{Entry, Place};

    fn g() -> &'static G {
        Box::leak(Box::new(G::new()))
    }

    fn put(pp: &P, entry: Entry<G>) {
        pp.runq.put(entry, Place::Tail, |_| panic!("it is not full"));
    }

    /// Queues a new goroutine, `id`, in `gp`.
    fn start(pp: &P, gp: &'static G, id: usize) {
        gp.fresh.publish(id);
        put(pp, Entry::fresh(gp));
    }

    #[test]
    fn who_has_not_run_waits_until_the_trees_slice_is_over() {
        let (pp, fresh) = (&P::new(), g());
        start(pp, fresh, 1);
        pp.tree_since.set(nanotime() as u64 + SLICE_NS); // however slow this test is
        assert!(pp.rings_turn().is_none());
        pp.tree_since.set(1);
        assert!(pp.rings_turn().is_some_and(|gp| core::ptr::eq(gp, fresh)));
        assert_eq!(pp.tree_since.get(), 0, "the next slice has not begun");
        start(pp, fresh, 2);
        assert!(pp.rings_turn().is_some(), "there is no tree");
    }

    #[test]
    fn who_has_run_waits_for_no_tree() {
        let (pp, swept, woken, fresh) = (&P::new(), g(), g(), g());
        start(pp, swept, 1);
        assert!(swept.fresh.claim(1));
        put(pp, Entry::plain(woken));
        start(pp, fresh, 2);
        pp.tree_since.set(nanotime() as u64 + SLICE_NS);
        assert!(
            pp.rings_turn().is_some_and(|gp| core::ptr::eq(gp, woken)),
            "what is before it too"
        );
        assert!(pp.rings_turn().is_none());
        assert!(pp.runq.get_ring().and_then(Entry::take).is_some(), "the fresh one is still there");
    }
}
