//! The right to be the first to run a new goroutine.
//!
//! Who joins a goroutine that has not run yet need not wait until its turn comes: it takes it out
//! of turn and runs it at once, on a stack that is warm, with a cache that has what it needs. In a
//! tree of goroutines that are started and joined that turns the breadth of the queue into depth.
//! But the queue cannot be searched, and nothing can be taken out of its middle. So the entry of a
//! new goroutine is marked there (runq.rs `Entry`), and whoever takes a marked entry, or joins,
//! must claim the goroutine first:
//!
//! ```text
//!   publish(id): id ---claim(id), by the joiner; claim_any, by who takes the entry---> 0
//! ```
//! An entry whose goroutine was claimed is dropped when it comes up. Should the G be in use for the
//! next goroutine by then, and that one new too, the old entry stands for it as well as its own. A
//! long queue is rid of such entries before (tree.rs): the id of a goroutine is in its own.
//!
//! # Memory orderings
//! * `publish` releases the goroutine's first context to the claim.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

pub(crate) struct Fresh(AtomicUsize);

impl Fresh {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Fresh(AtomicUsize::new(0))
        }
    }

    /// The goroutine is ready to run; its entry is queued afterwards. `id` is not 0.
    pub(crate) fn publish(&self, id: usize) {
        let order = if mutated("fresh.publish") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with take
        self.0.store(id, order);
    }

    /// The joiner of goroutine `id`: true if it is the caller's now.
    pub(crate) fn claim(&self, id: usize) -> bool {
        // ORDERING: a no is final
        self.0.load(Ordering::Relaxed) == id && self.take(id)
    }

    /// Who took an entry off a queue: true if the goroutine is the caller's now.
    pub(crate) fn claim_any(&self) -> bool {
        // ORDERING: at worst it is claimed for its next goroutine meanwhile, and take fails
        let id = self.0.load(Ordering::Relaxed);
        id != 0 && self.take(id)
    }

    /// The goroutine's id, or 0 if it was claimed: a hint, exact for who has just published it.
    #[cfg(not(loom))]
    pub(crate) fn id(&self) -> usize {
        self.0.load(Ordering::Relaxed) // ORDERING: a hint
    }

    /// Whether nobody has claimed it: a hint.
    #[cfg(not(loom))]
    pub(crate) fn is_there(&self) -> bool {
        self.id() != 0
    }

    fn take(&self, id: usize) -> bool {
        if mutated("fresh.claim") {
            let there = self.0.load(Ordering::Acquire) == id;
            self.0.store(0, Ordering::Release);
            return there;
        }
        // ORDERING: pairs with publish
        self.0.compare_exchange(id, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
