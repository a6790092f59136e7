//! Who comes first and who waits: the part of a join packet that both sides touch at once.
//!
//! ```text
//!   flags:  0 --finish--> FINISHED --detach--> both: `detach` says true, the handle's side reports
//!           0 --detach--> DETACHED --finish--> both: `finish` says true, the goroutine reports
//!   waiter: null --enlist--> the joiner --release--> DONE: the goroutine wakes it
//!           null ------------------------release--> DONE: `enlist` says false, nobody waits
//!           null --enlist_task--> a task --finish or delist_task--> null
//! ```
//! A task is a future's waker, on the heap; the word owns it. `finish` takes it out, for a waker is
//! code of the user's, and `release` comes when the goroutine's thread-locals are gone. TASKED is
//! set after the task is listed, in the same word as FINISHED: either `finish` sees it, or
//! `enlist_task` sees that it came too late.
//!
//! # Memory orderings
//! * Each fetch_or releases what its side wrote (the result) to the one that comes second.
//! * `release` publishes the result to an `enlist` that fails; the wake-up does to a joiner that
//!   waits. `enlist` publishes the joiner to `release`.

use crate::atomic::{AtomicPtr, AtomicU32, Ordering, const_unless_loom, mutated};

const FINISHED: u32 = 1;
const DETACHED: u32 = 2;
const TASKED: u32 = 4;

/// What the goroutine's end found.
pub(crate) struct Finish<W> {
    /// The handle is gone, and this side alone has the result.
    pub(crate) alone: bool,
    /// A future's task, which the caller owns and must wake.
    pub(crate) task: Option<*mut W>,
}

pub(crate) enum Release<W> {
    Nobody,
    /// It waits for the caller's wake-up.
    Joiner(*mut W),
    /// The caller owns it; its future knows already.
    Task(*mut W),
}

/// `W`: what a joiner waits with. It is never read here.
pub(crate) struct JoinState<W> {
    flags: AtomicU32,
    waiter: AtomicPtr<W>,
}

impl<W> JoinState<W> {
    const DONE: *mut W = core::ptr::without_provenance_mut(1);
    /// In the address of a task; a joiner's is a multiple of 4, as a task's own.
    const TASK: usize = 2;

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            JoinState {
                flags: AtomicU32::new(0),
                waiter: AtomicPtr::new(core::ptr::null_mut()),
            }
        }
    }

    /// The goroutine, once, after it wrote the result.
    pub(crate) fn finish(&self) -> Finish<W> {
        let was = self.set(FINISHED);
        let task = if was & TASKED != 0 { self.take_task() } else { None };
        Finish { alone: was & DETACHED != 0, task }
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

    /// The goroutine, once, after `finish`.
    pub(crate) fn release(&self) -> Release<W> {
        if mutated("join.release") {
            let w = self.waiter.load(Ordering::Acquire);
            self.waiter.store(Self::DONE, Ordering::Release);
            return if w.is_null() { Release::Nobody } else { Release::Joiner(w) };
        }
        // ORDERING: pairs with the compare_exchange in enlist
        let w = self.waiter.swap(Self::DONE, Ordering::AcqRel);
        match w.addr() {
            0 => Release::Nobody,
            a if a & Self::TASK != 0 => Release::Task(w.map_addr(|a| a & !Self::TASK)),
            _ => Release::Joiner(w),
        }
    }

    /// A future: leaves its task, which the word owns from then on.
    ///
    /// # Errors
    /// The goroutine has finished. The task comes back, unless `release` has it.
    pub(crate) fn enlist_task(&self, task: *mut W) -> Result<(), Option<*mut W>> {
        if !self.enlist(task.map_addr(|a| a | Self::TASK)) {
            return Err(Some(task));
        }
        let late = self.set(TASKED) & FINISHED != 0 && !mutated("join.task_late");
        if !late { Ok(()) } else { Err(self.take_task()) }
    }

    /// The same future: its task back, unless the goroutine has it.
    pub(crate) fn delist_task(&self) -> Option<*mut W> {
        self.take_task()
    }

    fn take_task(&self) -> Option<*mut W> {
        let null = core::ptr::null_mut();
        let task = self.waiter.load(Ordering::Relaxed); // ORDERING: the exchange acquires
        if task.addr() & Self::TASK == 0 {
            return None;
        }
        let taken = if mutated("join.take_task") {
            self.waiter.store(null, Ordering::Release);
            true
        } else {
            // ORDERING: pairs with enlist
            let (ok, no) = (Ordering::AcqRel, Ordering::Relaxed);
            self.waiter.compare_exchange(task, null, ok, no).is_ok()
        };
        taken.then(|| task.map_addr(|a| a & !Self::TASK))
    }
}
