//! Who comes first and who waits: the part of a join packet that both sides touch at once.
//!
//! ```text
//!   flags:  0 --finish--> FINISHED --detach--> both: `detach` says true, the handle's side reports
//!           0 --detach--> DETACHED --finish--> both: `finish` says true, the goroutine reports
//!   waiter: null --enlist--> the joiner --release--> DONE: the goroutine wakes it
//!           null ------------------------release--> DONE: `enlist` says false, nobody waits
//! ```
//!
//! # Memory orderings
//! * Each fetch_or releases what its side wrote (the result) to the one that comes second.
//! * `release` publishes the result to an `enlist` that fails; the wake-up does to a joiner that
//!   waits. `enlist` publishes the joiner to `release`.

use crate::atomic::{AtomicPtr, AtomicU32, Ordering, const_unless_loom, mutated};

const FINISHED: u32 = 1;
const DETACHED: u32 = 2;

/// `W`: what a joiner waits with. It is never read here.
pub(crate) struct JoinState<W> {
    flags: AtomicU32,
    waiter: AtomicPtr<W>,
}

impl<W> JoinState<W> {
    const DONE: *mut W = core::ptr::without_provenance_mut(1);

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            JoinState {
                flags: AtomicU32::new(0),
                waiter: AtomicPtr::new(core::ptr::null_mut()),
            }
        }
    }

    /// The goroutine, once, after it wrote the result. True: the handle is gone, and this side
    /// alone has the result.
    pub(crate) fn finish(&self) -> bool {
        self.set(FINISHED) & DETACHED != 0
    }

    /// The handle's side, once. True: the goroutine is done, and this side alone has the result.
    pub(crate) fn detach(&self) -> bool {
        self.set(DETACHED) & FINISHED != 0
    }

    /// Returns the flags as they were.
    fn set(&self, flag: u32) -> u32 {
        if mutated("join.flags") {
            let old = self.flags.load(Ordering::Acquire);
            self.flags.store(old | flag, Ordering::Release);
            return old;
        }
        let order = if mutated("join.publish") { Ordering::Acquire } else { Ordering::AcqRel };
        // ORDERING: pairs with the other side's
        self.flags.fetch_or(flag, order)
    }

    /// Whether `finish` was called; what it published is seen if so.
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: pairs with finish
        self.flags.load(Ordering::Acquire) & FINISHED != 0
    }

    /// The joiner: true if it must wait for its wake-up, false if the goroutine is done.
    pub(crate) fn enlist(&self, w: *mut W) -> bool {
        let null = core::ptr::null_mut();
        let order = if mutated("join.enlist") { Ordering::Relaxed } else { Ordering::AcqRel };
        // ORDERING: pairs with the swap in release
        self.waiter.compare_exchange(null, w, order, Ordering::Acquire).is_ok()
    }

    /// The goroutine, once, after `finish`: the joiner that the caller must wake.
    pub(crate) fn release(&self) -> Option<*mut W> {
        if mutated("join.release") {
            let w = self.waiter.load(Ordering::Acquire);
            self.waiter.store(Self::DONE, Ordering::Release);
            return (!w.is_null()).then_some(w);
        }
        // ORDERING: pairs with the compare_exchange in enlist
        let w = self.waiter.swap(Self::DONE, Ordering::AcqRel);
        (!w.is_null()).then_some(w)
    }
}
