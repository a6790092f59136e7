//! P: the right to run goroutines.
//!
//! Go: runtime2.go `p`. There are GOMAXPROCS of them; an M needs one to run goroutines. A P has the
//! local run queue, the timer heap, and caches that need no lock because one M holds the P.
//!
//! # Invariants
//! * `PP1`: fields under "owner" are used only by the M that holds the P (p/owner.rs), or under
//!   `sched.lock` while nobody does.

pub(crate) mod mask;
pub(crate) mod owner;
mod seen;
mod turns;

use crate::atomic::{AtomicRef, AtomicU32, AtomicU64, AtomicUsize, Ordering, Word};
use crate::g::G;
use crate::g::parker::Parkers;
use crate::m::M;
use crate::malloc::blocks::Blocks;
use crate::sched::runq::{Entry, RunQueue};
use crate::sched::starters::Starters;
use crate::time::batch::Batch;
use crate::time::first::First;
use crate::time::heap::Timers;
use owner::Owner;
use seen::Seen;

/// Go's `_Pidle` … `_Pdead`, for reports; who holds the P is said by `owner`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum PStatus {
    Idle = 0,
    Running = 1,
    GcStop = 3,
    Dead = 4,
}

/// A hog's slice counts as no more than this: a goroutine that nobody waited for may run for
/// minutes.
const MOST_HOG_NS: u64 = 20_000_000;

/// How many goroutines in a row may come from `runnext` while others wait in the ring.
pub(crate) const MOST_INHERITED: u64 = 128;

/// Most Ps there can be. Go has no bound and a large GOMAXPROCS never returns.
pub(crate) const MAX_P: usize = 4096;

/// Dead goroutines that a P keeps at most.
pub(crate) const GFREE_MOST: usize = 64;

/// The P's dead goroutines, last in first out. Owner (PP1).
pub(crate) struct GFree {
    slots: [AtomicRef<G>; GFREE_MOST],
    n: AtomicUsize,
}

impl GFree {
    const fn new() -> Self {
        GFree { slots: [const { AtomicRef::none() }; GFREE_MOST], n: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.n.load(Ordering::Relaxed) // ORDERING: owner-only, or a report
    }

    /// The caller empties it before it is full.
    pub(crate) fn push(&self, gp: &'static G) {
        let n = self.len();
        self.slots[n].set(Some(gp));
        self.n.store(n + 1, Ordering::Relaxed); // ORDERING: owner-only
    }

    pub(crate) fn pop(&self) -> Option<&'static G> {
        let n = self.len().checked_sub(1)?;
        self.n.store(n, Ordering::Relaxed); // ORDERING: owner-only
        if let Some(next) = n.checked_sub(1).and_then(|i| self.slots[i].get()) {
            crate::g::prefetch_new(next);
        }
        self.slots[n].get()
    }
}

#[repr(C, align(64))]
pub(crate) struct P {
    // Owner (PP1).
    pub(crate) schedtick: Word,
    /// 1: there is no other P, so nobody steals (RQ4). Changes while the world is stopped.
    pub(crate) alone: AtomicU32,
    pub(crate) syscalltick: Word,
    /// When the last preempted goroutine started here, how long it ran, when it ended; ns.
    pub(crate) hog_since: Word,
    pub(crate) hog_ns: Word,
    pub(crate) hog_end: Word,
    /// Goroutines taken from `runnext` in a row.
    pub(crate) inherited: Word,
    /// Since when goroutines run out of turn for those who join them (sched/tree.rs); ns, or 0.
    pub(crate) tree_since: Word,
    /// How many did since the ring was swept.
    pub(crate) out_of_turn: Word,
    /// When an M was last woken for what is in the ring; ns.
    pub(crate) woke_at: Word,
    /// Of those that start many goroutines and let them run (sched/let_run.rs).
    pub(crate) starters: Starters,
    /// 16 goroutine ids at a time (Go: goidcache, goidcacheend).
    pub(crate) goidcache: Word,
    pub(crate) goidcacheend: Word,
    /// Bytes of stacks of live goroutines made here minus those that ended here. Go: what
    /// addScannableStack sums up.
    pub(crate) stack_bytes: Word,
    /// Goroutines made and ended here; the sums give num_goroutine.
    pub(crate) gcreated: Word,
    pub(crate) gdead: Word,
    /// Dead goroutines with stacks of the default class (Go: gFree).
    pub(crate) gfree: GFree,
    /// Memory for what goroutines share with their handles.
    pub(crate) blocks: Blocks,
    /// For timers with a function and for async code.
    pub(crate) parkers: Parkers,
    /// The goroutines that timers readied last.
    pub(crate) batch: Batch,
    pub(crate) first: First,
    pub(crate) status: AtomicU32,
    pub(crate) owner: Owner,

    // Any thread.
    /// Until then what is in the ring is left to the owner, which sets it (sched/let_run.rs); ns.
    /// Who sees that it is over makes it 0.
    kept_until: AtomicU64,
    pub(crate) runq: RunQueue<G>,
    pub(crate) timers: Timers,

    // Under sched.lock.
    /// Link in the idle list, or in procresize's result.
    pub(crate) link: AtomicRef<P>,
    /// The M that procresize chose for it.
    pub(crate) m: AtomicRef<M>,

    /// `schedtick` when the watcher last looked. The watcher's (sched/watch.rs).
    pub(crate) watch_tick: Word,

    // sysmon only (Go: sysmontick).
    pub(crate) sysmon_tick: Word,
    pub(crate) sysmon_when: Word,
    /// The call, or the wait in the kernel, that its goroutine is in.
    pub(crate) sysmon_seen: Seen,
    pub(crate) preempt_tries: Word,

    // Constant.
    pub(crate) id: AtomicUsize,
}

impl Entry<G> {
    /// The goroutine, now the caller's; `None` if it was run out of turn.
    #[inline(always)]
    pub(crate) fn take(self) -> Option<&'static G> {
        match self.parts() {
            (gp, false) => Some(gp),
            (gp, true) => gp.fresh.claim_any().then_some(gp),
        }
    }

    /// A new one, which is published.
    pub(crate) fn fresh(gp: &'static G) -> Self {
        Entry::marked(gp, gp.fresh.id())
    }

    /// Whether its goroutine was run out of turn. If there is a new one in the same G, that has an
    /// entry of its own.
    pub(crate) fn is_stale(self) -> bool {
        matches!(self.parts(), (gp, true) if !self.may_be(gp.fresh.id()))
    }
}

impl P {
    pub(crate) const fn new() -> P {
        P {
            schedtick: Word::new(0),
            alone: AtomicU32::new(0),
            syscalltick: Word::new(0),
            hog_since: Word::new(0),
            hog_ns: Word::new(0),
            hog_end: Word::new(0),
            inherited: Word::new(0),
            tree_since: Word::new(0),
            out_of_turn: Word::new(0),
            woke_at: Word::new(0),
            starters: Starters::new(),
            goidcache: Word::new(0),
            goidcacheend: Word::new(0),
            stack_bytes: Word::new(0),
            gcreated: Word::new(0),
            gdead: Word::new(0),
            gfree: GFree::new(),
            blocks: Blocks::new(),
            parkers: Parkers::new(),
            batch: Batch::new(),
            first: First::new(),
            status: AtomicU32::new(PStatus::Idle as u32),
            owner: Owner::new(),
            kept_until: AtomicU64::new(0),
            runq: RunQueue::new(),
            timers: Timers::new(),
            link: AtomicRef::none(),
            m: AtomicRef::none(),
            watch_tick: Word::new(0),
            sysmon_tick: Word::new(0),
            sysmon_when: Word::new(0),
            sysmon_seen: Seen::new(),
            preempt_tries: Word::new(0),
            id: AtomicUsize::new(0),
        }
    }

    /// Whether there is no other P.
    #[inline(always)]
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed) != 0 // ORDERING: changes while the world is stopped
    }

    pub(crate) fn set_status(&self, s: PStatus) {
        // ORDERING: a report, but for GcStop: `is` of the stopper sees what the M did inside
        self.status.store(s as u32, Ordering::Release);
    }

    pub(crate) fn is(&self, s: PStatus) -> bool {
        // ORDERING: the stopper's own mark, or set under sched.lock
        self.status.load(Ordering::Acquire) == s as u32
    }

    /// A goroutine from the queue of preempted ones starts here. Owner.
    pub(crate) fn hog_starts(&self) {
        self.hog_since.set(crate::sys::nanotime() as u64);
    }

    /// A goroutine was preempted here. Owner.
    pub(crate) fn hog_ends(&self) {
        let now = crate::sys::nanotime() as u64;
        self.hog_ns.set(now - self.hog_since.get().clamp(now - MOST_HOG_NS, now));
        self.hog_end.set(now);
    }

    /// Whether the others have had as much time since the last preempted goroutine as it took.
    /// Owner.
    pub(crate) fn hogs_turn(&self) -> bool {
        crate::sys::nanotime() as u64 >= self.hog_end.get() + self.hog_ns.get()
    }

    /// What is in the ring is left to this P until then. Owner; with 0, it is not: anybody.
    pub(crate) fn keep_until(&self, ns: i64) {
        // ORDERING: a hint. If one store undoes another, others come too early or wait for what
        // is left of KEPT_NS.
        self.kept_until.store(ns as u64, Ordering::Relaxed);
    }

    /// Whether the ring was kept and nobody has seen that it is no longer.
    #[inline(always)]
    pub(crate) fn may_keep(&self) -> bool {
        self.kept_until.load(Ordering::Relaxed) != 0 // ORDERING: a hint
    }

    /// Whether another P may take what is in the ring.
    pub(crate) fn is_kept(&self) -> bool {
        let until = self.kept_until.load(Ordering::Relaxed); // ORDERING: a hint
        if until == 0 {
            return false;
        }
        let kept = crate::sys::nanotime() < until as i64;
        if !kept {
            self.keep_until(0);
        }
        kept
    }

    /// Whether another P should take something of it, apart from `runnext`.
    pub(crate) fn has_for_others(&self) -> bool {
        self.runq.has_stealable() && !self.is_kept()
    }

    /// What [`P::next_local`] would return if that is a goroutine that was readied: most are.
    /// Owner.
    #[inline(always)]
    pub(crate) fn next_readied(&self) -> Option<&'static G> {
        let inherited = self.inherited.get();
        if inherited >= MOST_INHERITED {
            return None;
        }
        let next = match self.is_alone() {
            true => self.runq.get_next_alone(),
            false => self.runq.get_next(true),
        };
        let gp = next?.parts().0;
        self.inherited.set(inherited + 1);
        Some(gp)
    }

    /// The local queue's next goroutine. Owner.
    ///
    /// A goroutine from `runnext` inherits the time slice of the one that readied it: a pair that
    /// readies each other counts as one, and after [`MOST_INHERITED`] of its switches the ring has
    /// its turn. Go bounds that by the clock (sysmon preempts the pair after 10 ms).
    #[inline(never)]
    pub(crate) fn next_local(&self) -> Option<&'static G> {
        if self.inherited.get() >= MOST_INHERITED {
            self.inherited.set(0);
            if let Some(gp) = self.rings_turn() {
                return Some(gp);
            }
        }
        let (gp, inherits) = self.next_entry()?;
        // Where one was left is in its G, which was asked for when the one before it was taken.
        let [next, second] = self.runq.peek();
        if let Some(next) = next {
            crate::g::prefetch_context(next);
        }
        if let Some(second) = second {
            crate::g::prefetch(second);
        }
        if inherits {
            self.inherited.bump();
        } else {
            self.inherited.set(0);
            self.tree_since.set(0);
        }
        Some(gp)
    }

    /// Owner: takes entries until one stands for a goroutine; and whether it was in `runnext`.
    #[inline(always)]
    pub(crate) fn next_entry(&self) -> Option<(&'static G, bool)> {
        loop {
            let (entry, next) = match self.is_alone() {
                true => self.runq.get_alone(),
                false => self.runq.get(),
            }?;
            if let Some(gp) = entry.take() {
                return Some((gp, next));
            }
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> usize {
        // ORDERING: constant
        self.id.load(Ordering::Relaxed)
    }
}
