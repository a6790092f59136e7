//! Who comes first, who waits and who leaves last: the part of a join packet that both sides touch
//! at once.
//!
//! ```text
//!   flags:  0 --finish--> FINISHED --detach--> both: `detach` says true, the handle's side reports
//!           0 --detach--> DETACHED --finish--> both: `finish` says true, the goroutine reports
//!   waiter: null --enlist--> a joiner --release--> DONE: the goroutine wakes it
//!           null ------------------------release--> DONE: `enlist` says false, nobody waits
//!           null --enlist_task--> a task --finish, delist_task or leave--> null or LEFT
//!           null --leave--> LEFT --release--> DONE: the goroutine is the last
//!                           DONE --leave--> DONE: the handle's side is the last
//! ```
//! A task is a future's waker, on the heap; the word owns it. `finish` takes it out, for a waker is
//! code of the user's, and `release` comes when the goroutine's thread-locals are gone. TASKED is
//! set after the task is listed, in the same word as FINISHED: either `finish` sees it, or
//! `enlist_task` sees that it came too late.
//!
//! A joiner that is a goroutine is listed when it has left its stack (sched/park.rs `UnlockFn`), so
//! who finds it may ready it, and it needs no token to be woken by. A thread lists what it sleeps
//! on.
//!
//! # Who has the packet
//! Each side has a last touch, and the packet is freed by the side whose last touch is the later
//! one. The goroutine's is `finish` where that says that it is alone, else `release`. The handle's
//! is `detach` where that says false, else `leave`; a joiner that has been released is the last.
//!
//! # Memory orderings
//! * Setting a flag releases what its side wrote (the result) to the one that comes second.
//! * `release` publishes the result to an `enlist` that fails; the wake-up does to a joiner that
//!   waits. `enlist` publishes the joiner to `release`.
//! * `release` and `leave`: the first to come releases its uses of the packet to the one that
//!   frees it.

use crate::atomic::{AtomicPtr, AtomicU32, Ordering, const_unless_loom, mutated};

const FINISHED: u32 = 1;
const DETACHED: u32 = 2;
const TASKED: u32 = 4;

/// What the goroutine's end found.
pub(crate) struct Finish<W> {
    /// The handle is gone, and this side alone has the packet.
    pub(crate) alone: bool,
    /// A future's task, which the caller owns and must wake.
    pub(crate) task: Option<*mut W>,
}

pub(crate) enum Release<W> {
    Nobody,
    /// It is parked, and the caller's to ready.
    Joiner(*mut W),
    /// A thread that waits for the caller's wake-up.
    Thread(*mut W),
    /// The caller owns it; its future knows already.
    Task(*mut W),
    /// The handle is gone, and the packet is the caller's.
    Alone,
}

pub(crate) enum Leave<W> {
    /// The packet is the caller's.
    Last,
    /// The goroutine frees it. The caller owns the task, if there was one: its future has the
    /// result.
    First(Option<*mut W>),
}

/// `W`: what a joiner waits with. It is never read here.
pub(crate) struct JoinState<W> {
    flags: AtomicU32,
    waiter: AtomicPtr<W>,
}

impl<W> JoinState<W> {
    const DONE: *mut W = core::ptr::without_provenance_mut(1);
    const LEFT: *mut W = core::ptr::without_provenance_mut(8);
    /// In the address of a task, and in that of what a thread sleeps on; all addresses are
    /// multiples of 8.
    const TASK: usize = 2;
    const THREAD: usize = 4;

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            JoinState {
                flags: AtomicU32::new(0),
                waiter: AtomicPtr::new(core::ptr::null_mut()),
            }
        }
    }

    /// The goroutine, once, after it wrote the result.
    #[inline]
    pub(crate) fn finish(&self) -> Finish<W> {
        let was = self.set(FINISHED);
        let task = if was & TASKED != 0 { self.take_task() } else { None };
        Finish { alone: was & DETACHED != 0, task }
    }

    /// The handle's side, once, if it does not join. True: the goroutine is done, and this side
    /// alone has the result; it still has to `leave`. False: it has left.
    #[inline]
    pub(crate) fn detach(&self) -> bool {
        self.set(DETACHED) & FINISHED != 0
    }

    /// Returns the flags as they were. Each is set once: so an addition will do, which is one
    /// instruction also where the old flags are of interest.
    #[inline]
    fn set(&self, flag: u32) -> u32 {
        if mutated("join.flags") {
            let old = self.flags.load(Ordering::Acquire);
            self.flags.store(old | flag, Ordering::Release);
            return old;
        }
        let order = if mutated("join.publish") { Ordering::Acquire } else { Ordering::AcqRel };
        // ORDERING: pairs with the other side's
        self.flags.fetch_add(flag, order)
    }

    /// Whether `finish` was called; what it published is seen if so.
    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: pairs with finish
        self.flags.load(Ordering::Acquire) & FINISHED != 0
    }

    /// Whether `release` was called. Then the goroutine uses the packet no more, and what it did
    /// to it is seen.
    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        let order = if mutated("join.acquire") { Ordering::Relaxed } else { Ordering::Acquire };
        // ORDERING: pairs with the swap in release
        self.waiter.load(order) == Self::DONE
    }

    /// For a joiner that is parked: true if it stays so until it is readied, false if the goroutine
    /// is done.
    #[inline]
    pub(crate) fn enlist(&self, w: *mut W) -> bool {
        let null = core::ptr::null_mut();
        let order = if mutated("join.enlist") { Ordering::Relaxed } else { Ordering::AcqRel };
        // ORDERING: pairs with the swap in release
        self.waiter.compare_exchange(null, w, order, Ordering::Acquire).is_ok()
    }

    /// A thread that joins: true if it must wait for its wake-up, false if the goroutine is done.
    pub(crate) fn enlist_thread(&self, w: *mut W) -> bool {
        self.enlist(w.map_addr(|a| a | Self::THREAD))
    }

    /// The goroutine, once, after a `finish` that did not say that it is alone.
    #[inline]
    pub(crate) fn release(&self) -> Release<W> {
        let w = if mutated("join.release") {
            let w = self.waiter.load(Ordering::Acquire);
            self.waiter.store(Self::DONE, Ordering::Release);
            w
        } else {
            let order = match mutated("join.done") {
                true => Ordering::Acquire,
                false => Ordering::AcqRel,
            };
            // ORDERING: pairs with the compare_exchange in enlist, with is_released and leave
            self.waiter.swap(Self::DONE, order)
        };
        match w.addr() {
            0 => Release::Nobody,
            _ if w == Self::LEFT => Release::Alone,
            a if a & Self::TASK != 0 => Release::Task(w.map_addr(|a| a & !Self::TASK)),
            a if a & Self::THREAD != 0 => Release::Thread(w.map_addr(|a| a & !Self::THREAD)),
            _ => Release::Joiner(w),
        }
    }

    /// The handle's side, once, when it has the result, or had it to report: its last touch.
    #[inline]
    pub(crate) fn leave(&self) -> Leave<W> {
        if self.is_released() {
            return Leave::Last;
        }
        if mutated("join.leave") {
            self.waiter.store(Self::LEFT, Ordering::Release);
            return Leave::First(None);
        }
        let order = if mutated("join.left") { Ordering::Acquire } else { Ordering::AcqRel };
        // ORDERING: pairs with the swap in release
        let w = self.waiter.swap(Self::LEFT, order);
        if w == Self::DONE {
            return Leave::Last;
        }
        Leave::First((!w.is_null()).then(|| w.map_addr(|a| a & !Self::TASK)))
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
