//! M: a thread of the operating system that runs goroutines.
//!
//! Go: runtime2.go `m`, proc.go `allm`, `mcommoninit`. Each M has a g0, the stack that scheduler
//! code runs on, and a signal stack. M 0 is the thread that booted.
//!
//! # Invariants
//! * `MP1`: fields under "owner" are written by the M's own thread, or handed over with it: by the
//!   M that takes it off the idle list (under `sched.lock`) before it wakes it.
//! * `MP2`: `locks` > 0 means "do not preempt, do not take the P": the thread is in the runtime.

pub(crate) mod halt;
pub(crate) mod minit;
pub(crate) mod request;
pub(crate) mod still;

use crate::atomic::{AtomicRef, AtomicU32, AtomicUsize, Ordering, Word};
use crate::g::G;
use crate::lock::note::Note;
use crate::p::P;
use crate::sched::census::Standing;
use halt::Halt;
use request::Request;

/// What remains to be done for the goroutine that was just left (sched/park.rs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Action {
    /// Nothing: g0 was left, or the work is g0's.
    None = 0,
    /// Queue it again.
    Yield = 1,
    /// Publish it as parked by calling `unlockf`.
    Park = 2,
    /// It ended: put it on the free list.
    Exit = 3,
    /// It has no P: find one, or queue it globally.
    NeedP = 4,
    /// Queue it globally: it had its time slice.
    Preempt = 5,
    /// The same for one that runs without a P.
    NeedPreempt = 6,
    /// Publish it as parked, to be woken by who claims its ticket.
    Wait = 7,
}

/// Bits of `M::special`.
pub(crate) mod special {
    /// The thread has to leave the scheduler and return from `rt0::run`.
    pub(crate) const RETURNING: u32 = 1;
    /// A goroutine has the thread for itself.
    pub(crate) const LOCKED: u32 = 2;
    /// The thread has to end.
    pub(crate) const EXITING: u32 = 4;
    /// The goroutine just left has to go on on another M.
    pub(crate) const MOVE: u32 = 8;
    /// Every switch goes through g0 (sched/one_to_one.rs).
    pub(crate) const VIA_G0: u32 = 16;
    /// M 0: goroutine 1 waits for it (sched/one_to_one.rs).
    pub(crate) const FOR_M0: u32 = 32;
    /// The next switch goes through g0, which looks at timers and at who is ready (sysmon.rs).
    pub(crate) const LOOK: u32 = 64;
}

impl Action {
    /// Whether the next goroutine is g0's to choose: the M may have no P, or timers may be late.
    pub(crate) fn through_g0(self) -> bool {
        matches!(self, Action::NeedP | Action::Preempt | Action::NeedPreempt)
    }
}

/// A goroutine that stays on its thread, in one call or computing (sched/slow.rs). sysmon's only.
pub(crate) struct Stretch {
    /// The G's address, and 1 if it is in a call; 0: none.
    pub(crate) what: Word,
    /// Its `contexts`.
    pub(crate) contexts: Word,
    /// When sysmon first saw it, ns.
    pub(crate) since: Word,
    /// The number of the note of it; 0: none yet.
    pub(crate) note: Word,
    /// How often that was tried.
    pub(crate) tries: Word,
    /// When to try the next time, ns; `i64::MAX`: it is noted, with its stack if that is wanted.
    pub(crate) again: Word,
}

impl Stretch {
    const fn new() -> Stretch {
        Stretch {
            what: Word::new(0),
            contexts: Word::new(0),
            since: Word::new(0),
            note: Word::new(0),
            tries: Word::new(0),
            again: Word::new(0),
        }
    }
}

#[repr(C, align(64))]
pub(crate) struct M {
    // Owner (MP1). `me` and `locks` are read by asm (arch/x86_64/fsgs.rs).
    pub(crate) me: AtomicUsize,
    pub(crate) locks: AtomicU32,
    /// `Action` for `prev`.
    pub(crate) action: AtomicU32,
    pub(crate) curg: AtomicRef<G>,
    pub(crate) p: AtomicRef<P>,
    pub(crate) prev: AtomicRef<G>,
    /// `fn(&'static G, usize) -> bool` and its argument, for `Action::Park`.
    pub(crate) unlockf: AtomicUsize,
    pub(crate) waitlock: AtomicUsize,
    /// What FS holds now, to skip writing it again.
    pub(crate) fs_now: AtomicUsize,
    /// g0's block (TL2).
    pub(crate) g0_fs: AtomicUsize,
    /// The block glibc made for this kernel thread; g0's too, except on M 0 (tls/mod.rs).
    pub(crate) thread_fs: Word,
    pub(crate) spinning: AtomicU32,
    /// Runtime locks held, a bit per rank (lock/rank.rs).
    pub(crate) ranks: AtomicU32,
    /// State of `cheaprand`. Go: fastrand.
    pub(crate) cheaprand: Word,
    /// Bits of [`special`]: why the next goroutine is not simply the next one of the queue. The
    /// owner's, but for RETURNING, which any thread sets.
    pub(crate) special: AtomicU32,
    /// The goroutine that has this thread for itself (sched/lock_os_thread.rs). Go: lockedg.
    pub(crate) lockedg: AtomicRef<G>,
    /// How many `OsThreadGuard`s it holds. Go: lockedExt.
    pub(crate) locked_ext: AtomicU32,
    /// A goroutine taken off a queue on the direct path that belongs to another M.
    pub(crate) handover: AtomicRef<G>,
    /// sysmon asked the goroutine to park (sched/preempt.rs).
    pub(crate) preempt: Request,
    /// sysmon took the P from a system call that computes (sched/syscall.rs).
    pub(crate) slice_over: AtomicU32,
    /// By what right it runs without a P, if it does.
    pub(crate) standing: Standing,
    /// A dump wants its registers (debug/halted.rs).
    pub(crate) halt: Halt,
    /// 1 between mstart and its return.
    pub(crate) scheduling: AtomicU32,
    /// sysmon's only: since when its goroutine has stayed on it.
    pub(crate) stretch: Stretch,
    pub(crate) g0: G,

    // Handed over (MP1).
    /// The P to start with.
    pub(crate) nextp: AtomicRef<P>,
    pub(crate) park: Note,

    // sysmon only.
    /// The CPU time that its thread had used when it was first seen to run without a P.
    pub(crate) seen_cpu_ns: Word,

    // Under sched.lock.
    pub(crate) schedlink: AtomicRef<M>,
    pub(crate) on_allm: AtomicU32,

    // Constant once the thread runs.
    pub(crate) alllink: AtomicRef<M>,
    pub(crate) id: Word,
    /// Kernel thread id. Go: procid.
    pub(crate) procid: Word,
    /// Runs before `schedule`: `fn()`, or 0. Go: mstartfn.
    pub(crate) mstartfn: AtomicUsize,
    /// Signal mask to run goroutines with. Go: sigmask.
    pub(crate) sigmask: Word,
    /// Signal stack. Go: gsignal.
    pub(crate) gsignal_lo: AtomicUsize,
    pub(crate) gsignal_hi: AtomicUsize,
}

impl M {
    pub(crate) const fn new() -> M {
        M {
            me: AtomicUsize::new(0),
            locks: AtomicU32::new(0),
            action: AtomicU32::new(0),
            curg: AtomicRef::none(),
            p: AtomicRef::none(),
            prev: AtomicRef::none(),
            unlockf: AtomicUsize::new(0),
            waitlock: AtomicUsize::new(0),
            fs_now: AtomicUsize::new(0),
            g0_fs: AtomicUsize::new(0),
            thread_fs: Word::new(0),
            spinning: AtomicU32::new(0),
            ranks: AtomicU32::new(0),
            cheaprand: Word::new(0),
            special: AtomicU32::new(0),
            lockedg: AtomicRef::none(),
            locked_ext: AtomicU32::new(0),
            handover: AtomicRef::none(),
            preempt: Request::new(),
            slice_over: AtomicU32::new(0),
            standing: Standing::new(),
            halt: Halt::new(),
            scheduling: AtomicU32::new(0),
            stretch: Stretch::new(),
            g0: G::new(),
            nextp: AtomicRef::none(),
            park: Note::new(),
            seen_cpu_ns: Word::new(0),
            schedlink: AtomicRef::none(),
            on_allm: AtomicU32::new(0),
            alllink: AtomicRef::none(),
            id: Word::new(0),
            procid: Word::new(0),
            mstartfn: AtomicUsize::new(0),
            sigmask: Word::new(0),
            gsignal_lo: AtomicUsize::new(0),
            gsignal_hi: AtomicUsize::new(0),
        }
    }

    /// The M's address, as p/owner.rs stores it.
    #[inline(always)]
    pub(crate) fn addr(&'static self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    #[inline(always)]
    pub(crate) fn lower_locks(&self) {
        // ORDERING: owner-only; Release keeps the section's stores inside it
        let n = self.locks.load(Ordering::Relaxed);
        // ORDERING: owner-only; Release keeps the section's stores inside it
        self.locks.store(n.wrapping_sub(1), Ordering::Release);
    }

    pub(crate) fn is_spinning(&self) -> bool {
        self.spinning.load(Ordering::Relaxed) != 0 // ORDERING: owner-only
    }

    pub(crate) fn set_spinning(&self, on: bool) {
        self.spinning.store(u32::from(on), Ordering::Relaxed); // ORDERING: owner-only
    }

    /// Whether the thread is in `schedule` or runs goroutines: between mstart and its return.
    pub(crate) fn is_scheduling(&self) -> bool {
        self.scheduling.load(Ordering::Relaxed) != 0 // ORDERING: owner-only
    }

    /// Whether any bit of [`special`] is set: g0 has to look.
    #[inline(always)]
    pub(crate) fn is_special(&self) -> bool {
        self.special.load(Ordering::Relaxed) != 0 // ORDERING: a hint; g0 looks at the bit it needs
    }

    /// Whether g0 has more to do than to find the next goroutine.
    pub(crate) fn is_special_on_g0(&self) -> bool {
        // ORDERING: a hint, as is_special
        self.special.load(Ordering::Relaxed) & !(special::VIA_G0 | special::LOOK) != 0
    }

    /// Whether goroutine 1 waits for this M.
    pub(crate) fn is_waited_for(&self) -> bool {
        // ORDERING: pairs with to_m0 in sched/one_to_one.rs, through sched.lock
        self.special.load(Ordering::Relaxed) & special::FOR_M0 != 0
    }

    /// Whether it has to return from `rt0::run`.
    pub(crate) fn is_returning(&self) -> bool {
        // ORDERING: pairs with set_special in lifecycle.rs
        self.special.load(Ordering::Acquire) & special::RETURNING != 0
    }

    /// Whether its thread has to end.
    pub(crate) fn is_exiting(&self) -> bool {
        self.special.load(Ordering::Relaxed) & special::EXITING != 0 // ORDERING: owner-only bit
    }

    /// Whether the goroutine just left has to go on on another M.
    pub(crate) fn has_to_move(&self) -> bool {
        self.special.load(Ordering::Relaxed) & special::MOVE != 0 // ORDERING: owner-only bit
    }

    /// On g0, which is about to look at timers and at who is ready.
    #[inline]
    pub(crate) fn begins_to_look(&self) {
        // ORDERING: what is set after this asks for another look
        if self.special.load(Ordering::Relaxed) & special::LOOK != 0 {
            self.clear_special(special::LOOK);
        }
    }

    pub(crate) fn set_special(&self, bit: u32) {
        self.special.fetch_or(bit, Ordering::AcqRel); // ORDERING: pairs with is_returning
    }

    pub(crate) fn clear_special(&self, bit: u32) {
        self.special.fetch_and(!bit, Ordering::AcqRel); // ORDERING: owner-only bits
    }

    /// A random number from this M's own generator. Go: cheaprand (wyrand).
    pub(crate) fn cheaprand(&self) -> u32 {
        let s = self.cheaprand.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.cheaprand.set(s);
        let m = u128::from(s) * u128::from(s ^ 0xe703_7ed1_a0b4_28db);
        ((m >> 64) ^ m) as u32
    }
}

static M0: M = M::new();

/// The M of the thread that booted.
pub(crate) fn m0() -> &'static M {
    &M0
}

/// Head of the list of all Ms; a new one is linked before its thread starts. Go: allm.
static ALLM: AtomicRef<M> = AtomicRef::none();

/// Under `sched.lock`. An M whose thread ended has stayed on the list. Go: the end of mcommoninit.
pub(crate) fn allm_add(mp: &'static M) {
    if mp.on_allm.swap(1, Ordering::Relaxed) != 0 {
        return; // ORDERING: under sched.lock
    }
    mp.alllink.set(ALLM.get());
    // ORDERING: pairs with allm
    ALLM.store(Some(mp), Ordering::Release);
}

/// Every M, newest first.
pub(crate) fn allm() -> impl Iterator<Item = &'static M> {
    // ORDERING: pairs with allm_add
    core::iter::successors(ALLM.load(Ordering::Acquire), |m| m.alllink.get())
}

/// The M whose kernel thread is `tid`. For signal handlers, which cannot trust FS.
pub(crate) fn find_by_tid(tid: i32) -> Option<&'static M> {
    allm().find(|m| m.procid.get() == tid as u64)
}
