//! G: a goroutine.
//!
//! Go: runtime2.go `g`, proc.go `casgstatus`. A G, its thread control block and its stack share a
//! slot (stack/mod.rs); none is ever freed, a dead one is used again.
//!
//! ```text
//!   idle 0 --malg--> dead 6 --newproc1--> runnable 1 --execute--> running 2 --goexit0--> dead 6
//!                                             ^                   |  |  ^
//!                                             +-----gosched-------+  |  +--exitsyscall-- syscall 3
//!                                             ^                      +--entersyscall-->
//!                                             +--goready-- waiting 4 <--gopark-- running
//! ```
//! Numbers are Go's, so that scheddetail reads alike.
//!
//! # Invariants
//! * `GS1`: a G is on exactly one queue, or is some M's `curg`, or parked (its waker owns it), or
//!   dead (a free list owns it).
//! * `GS2`: who owns a G by GS1 writes its fields; others read status, ids and sites for reports.

pub(crate) mod baton;
pub(crate) mod extras;
pub(crate) mod fresh;
pub(crate) mod key;
pub(crate) mod park_state;
pub(crate) mod parker;
pub(crate) mod ticket;

use crate::atomic::{AtomicRef, AtomicU32, AtomicUsize, Ordering, Word};
use crate::m::M;
use baton::Baton;
use core::panic::Location;
use fresh::Fresh;
use park_state::ParkState;
use parker::Parker;

/// Go's status numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Status {
    /// Just allocated.
    Idle = 0,
    /// On a run queue.
    Runnable = 1,
    /// Some M's `curg`, executing user code.
    Running = 2,
    /// In a blocking call; its M may have lost the P.
    Syscall = 3,
    /// Parked; the object it waits for holds it.
    Waiting = 4,
    /// Finished, on a free list.
    Dead = 6,
}

/// Why a goroutine waits, in Go's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum WaitReason {
    None = 0,
    Sleep = 1,
    Join = 2,
    Park = 3,
    Scope = 4,
    SweepWait = 5,
    ScavengeWait = 6,
    PanicWait = 7,
    UpdateGomaxprocsIdle = 8,
    MutexLock = 9,
    RwLockRead = 10,
    RwLockWrite = 11,
    CondWait = 12,
    WaitGroupWait = 13,
    SemAcquire = 14,
    OnceDo = 15,
    NotifyWait = 16,
    OneshotReceive = 17,
    BroadcastReceive = 18,
    WatchWait = 19,
    BarrierWait = 20,
    ChanReceive = 21,
    ChanSend = 22,
    Select = 23,
    ChanReceiveNilChan = 24,
    SelectNoCases = 25,
    TimerWait = 26,
    IoWait = 27,
    FutureWait = 28,
}

impl WaitReason {
    pub(crate) fn text(self) -> &'static str {
        match self {
            WaitReason::None => "",
            WaitReason::Sleep => "sleep",
            WaitReason::Join => "join",
            WaitReason::Park => "park",
            WaitReason::Scope => "scope wait",
            WaitReason::SweepWait => "GC sweep wait",
            WaitReason::ScavengeWait => "GC scavenge wait",
            WaitReason::PanicWait => "panicwait",
            WaitReason::UpdateGomaxprocsIdle => "GOMAXPROCS updater (idle)",
            WaitReason::MutexLock => "sync.Mutex.Lock",
            WaitReason::RwLockRead => "sync.RWMutex.RLock",
            WaitReason::RwLockWrite => "sync.RWMutex.Lock",
            WaitReason::CondWait => "sync.Cond.Wait",
            WaitReason::WaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::SemAcquire => "semacquire",
            WaitReason::OnceDo => "sync.Once.Do",
            WaitReason::NotifyWait => "notify wait",
            WaitReason::OneshotReceive => "oneshot receive",
            WaitReason::BroadcastReceive => "broadcast receive",
            WaitReason::WatchWait => "watch wait",
            WaitReason::BarrierWait => "barrier wait",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::Select => "select",
            WaitReason::ChanReceiveNilChan => "chan receive (nil chan)",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::TimerWait => "timer wait",
            WaitReason::IoWait => "IO wait",
            WaitReason::FutureWait => "future",
        }
    }
    /// Whether what is waited for comes from outside the process.
    pub(crate) fn is_external(self) -> bool {
        matches!(self, WaitReason::IoWait)
    }

    pub(crate) fn from_u32(v: u32) -> WaitReason {
        use WaitReason as W;
        const ALL: [WaitReason; 29] = [
            W::None,
            W::Sleep,
            W::Join,
            W::Park,
            W::Scope,
            W::SweepWait,
            W::ScavengeWait,
            W::PanicWait,
            W::UpdateGomaxprocsIdle,
            W::MutexLock,
            W::RwLockRead,
            W::RwLockWrite,
            W::CondWait,
            W::WaitGroupWait,
            W::SemAcquire,
            W::OnceDo,
            W::NotifyWait,
            W::OneshotReceive,
            W::BroadcastReceive,
            W::WatchWait,
            W::BarrierWait,
            W::ChanReceive,
            W::ChanSend,
            W::Select,
            W::ChanReceiveNilChan,
            W::SelectNoCases,
            W::TimerWait,
            W::IoWait,
            W::FutureWait,
        ];
        ALL.get(v as usize).copied().unwrap_or(W::None)
    }
}

/// pc, sp and bp in a function: what a walk of its stack starts from.
pub(crate) type Place = [usize; 3];

/// Tag of a `waitreason` that is the number of a call.
const CALL: u32 = 1 << 31;

#[repr(C, align(64))]
pub(crate) struct G {
    // Hot: the switch. Owner by GS1.
    /// The saved context: a stack pointer (Go: sched.sp; pc and bp lie on the stack). In a blocking
    /// call, and while a thread of its own sleeps: the address of a [`Place`].
    pub(crate) sched: AtomicUsize,
    /// The block FS points to while this runs; 0: the M's own (system goroutines, g0).
    pub(crate) fs: AtomicUsize,
    /// The M that runs it.
    pub(crate) m: AtomicRef<M>,
    pub(crate) atomicstatus: AtomicU32,
    /// A `WaitReason` while parked, a call's number while in a blocking call.
    pub(crate) waitreason: AtomicU32,
    pub(crate) goid: Word,
    /// Counts the contexts it was in: bumped when it is continued, and on the way into a call. A
    /// dump that saw the same number before and after saw one context (debug/stacks.rs).
    pub(crate) contexts: AtomicU32,
    /// Of the stack's top, where newproc put the closure: unused once it runs.
    pub(crate) top_bytes: AtomicU32,
    /// Token of `rt0::park` (park_state.rs).
    pub(crate) park: ParkState,
    /// Set for the runtime's own goroutines.
    pub(crate) system: AtomicU32,
    /// Under sched.lock: not 0 if a marked entry of it is held back (sched/held.rs `HB2`).
    pub(crate) held: AtomicU32,
    /// The M that alone may run it (sched/lock_os_thread.rs). Go: lockedm.
    pub(crate) lockedm: AtomicRef<M>,
    /// Not run yet: may be run out of turn.
    pub(crate) fresh: Fresh,

    /// What it waits with (sched/wait.rs).
    pub(crate) parker: Parker,

    // Written by newproc1 while it owns the dead G.
    /// Runs the closure that newproc put on the stack: `fn(*mut u8)`. Once it runs, this word and
    /// the next are [`reads`](G::reads).
    pub(crate) startpc: AtomicUsize,
    pub(crate) start_arg: AtomicUsize,
    pub(crate) parent_goid: Word,
    /// Where `go` was called: `&'static Location`.
    gopc: AtomicUsize,
    /// `Option<&'static Extras>`, made only when something uncommon is recorded.
    extras: AtomicUsize,
    /// The scope that waits for it (scope.rs), as its waits name it; 0: none.
    pub(crate) scope: Word,

    // Constant once the slot is made.
    pub(crate) stack_lo: AtomicUsize,
    pub(crate) stack_hi: AtomicUsize,
    /// Go's overflow bound; here the upper end of the guard.
    pub(crate) stackguard0: AtomicUsize,
    pub(crate) stackguard1: AtomicUsize,
    /// The size class: stack/mod.rs.
    pub(crate) stack_class: AtomicU32,
    /// Whether libc's ctype pointers must be set before user code runs (tls/tcb.rs).
    pub(crate) tcb_fresh: AtomicU32,
    /// For the mode in which goroutines are threads (sched/one_to_one.rs).
    pub(crate) baton: Baton,

    /// sysmon's: since when it waits (sched/ages.rs).
    pub(crate) waits_since: Word,
}

impl G {
    pub(crate) const fn new() -> G {
        G {
            sched: AtomicUsize::new(0),
            fs: AtomicUsize::new(0),
            m: AtomicRef::none(),
            atomicstatus: AtomicU32::new(Status::Idle as u32),
            waitreason: AtomicU32::new(0),
            goid: Word::new(0),
            contexts: AtomicU32::new(0),
            top_bytes: AtomicU32::new(0),
            park: ParkState::new(),
            system: AtomicU32::new(0),
            held: AtomicU32::new(0),
            lockedm: AtomicRef::none(),
            fresh: Fresh::new(),
            parker: Parker::new(),
            startpc: AtomicUsize::new(0),
            start_arg: AtomicUsize::new(0),
            parent_goid: Word::new(0),
            gopc: AtomicUsize::new(0),
            extras: AtomicUsize::new(0),
            scope: Word::new(0),
            stack_lo: AtomicUsize::new(0),
            stack_hi: AtomicUsize::new(0),
            stackguard0: AtomicUsize::new(0),
            stackguard1: AtomicUsize::new(0),
            stack_class: AtomicU32::new(0),
            baton: Baton::new(),
            tcb_fresh: AtomicU32::new(0),
            waits_since: Word::new(0),
        }
    }

    /// Bounds of a g0 whose thread's stack pointer is about `here`: Go's 64 KiB below it.
    pub(crate) fn set_g0_bounds(&self, here: usize) {
        const G0_BYTES: usize = 64 << 10;
        for (word, at) in [
            (&self.stack_hi, here),
            (&self.stack_lo, here - G0_BYTES),
            (&self.stackguard0, here - G0_BYTES),
            (&self.stackguard1, here - G0_BYTES),
        ] {
            word.store(at, Ordering::Relaxed); // ORDERING: this thread's own
        }
    }

    /// Go: readgstatus.
    #[inline(always)]
    pub(crate) fn status(&self) -> u32 {
        // ORDERING: the owner's own word, or a report
        self.atomicstatus.load(Ordering::Relaxed)
    }

    /// Go: casgstatus. GS1: only the owner moves the status, so a store is enough; a debug build
    /// checks that the automaton was where the caller thinks.
    #[inline(always)]
    pub(crate) fn casgstatus(&self, from: Status, to: Status) {
        if cfg!(debug_assertions) && self.status() != from as u32 {
            crate::throw::throw("casgstatus: bad incoming status");
        }
        // ORDERING: what the owner publishes with the G goes through a queue or a wake-up
        self.atomicstatus.store(to as u32, Ordering::Relaxed);
    }

    /// The owner: the context that a dump may be reading is about to change.
    #[inline(always)]
    pub(crate) fn next_context(&self) {
        // ORDERING: owner-only; pairs with the look in debug/stacks.rs: after the status before it,
        // and before whatever the goroutine writes next
        let n = self.contexts.load(Ordering::Relaxed).wrapping_add(1);
        self.contexts.store(n, Ordering::Release); // ORDERING: the same
        crate::atomic::fence(Ordering::Release);
    }

    #[inline]
    pub(crate) fn set_wait(&self, reason: WaitReason) {
        // ORDERING: a report
        self.waitreason.store(reason as u32, Ordering::Relaxed);
    }

    pub(crate) fn wait_reason(&self) -> WaitReason {
        // ORDERING: a report
        WaitReason::from_u32(self.waitreason.load(Ordering::Relaxed))
    }

    /// The goroutine goes into a call of the C library: its number in interpose/table.rs, or 0, and
    /// where from. Before its status says so.
    #[inline(always)]
    pub(crate) fn set_call(&self, call: u32, from: &Place) {
        self.set_place(from);
        // ORDERING: a report
        self.waitreason.store(CALL | call, Ordering::Relaxed);
    }

    /// The goroutine stays at `at` for a while, a local of the function that stays there.
    #[inline(always)]
    pub(crate) fn set_place(&self, at: &Place) {
        self.next_context();
        // ORDERING: owner-only; exposed, so that the place is kept
        self.sched.store((&raw const *at).expose_provenance(), Ordering::Relaxed);
    }

    /// The locks that it reads (sync/readers.rs), once it runs.
    #[inline(always)]
    pub(crate) fn reads(&self) -> [&AtomicUsize; 2] {
        [&self.startpc, &self.start_arg]
    }

    /// The number of the call it is in, while its status is Syscall.
    pub(crate) fn call(&self) -> u32 {
        let word = self.waitreason.load(Ordering::Relaxed); // ORDERING: a report
        if word & CALL != 0 { word & !CALL } else { 0 }
    }

    #[inline]
    pub(crate) fn is_system(&self) -> bool {
        // ORDERING: set before the goroutine is queued
        self.system.load(Ordering::Relaxed) != 0
    }

    /// Whether it is one of those of the runtime's that have no block: no code of the program's
    /// ever runs there.
    pub(crate) fn is_background(&self) -> bool {
        // ORDERING: constant, from before it was queued
        self.is_system() && self.fs.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn set_gopc(&self, at: &'static Location<'static>) {
        // ORDERING: GS2
        self.gopc.store(core::ptr::from_ref(at) as usize, Ordering::Relaxed);
    }

    /// Where `go` was called.
    #[allow(unsafe_code, reason = "a `'static` location stored as a word")]
    pub(crate) fn gopc(&self) -> Option<&'static Location<'static>> {
        // ORDERING: GS2
        let p = self.gopc.load(Ordering::Relaxed) as *const Location<'static>;
        // SAFETY: null, or stored by set_gopc from a `'static` reference.
        unsafe { p.as_ref() }
    }
}

static ALLG: crate::malloc::Table<G> = crate::malloc::Table::new(crate::lock::rank::Rank::Allg);

/// Adds a new G to the table of all. Go: `allgadd`.
pub(crate) fn allgadd(gp: &'static G) {
    ALLG.push(gp);
}

/// The G with this number in the order of making, the first being 0.
pub(crate) fn numbered(i: usize) -> Option<&'static G> {
    ALLG.get(i)
}

/// Every G ever made, dead ones included. Go: `forEachG`.
pub(crate) fn allgs() -> impl Iterator<Item = &'static G> {
    ALLG.iter()
}

/// Brings the lines that a first switch to `gp` touches into the cache: its G, and what lies at
/// fixed distances below it, the word of its block that leads back to it and the top of its stack.
#[inline(always)]
pub(crate) fn prefetch_new(gp: &'static G) {
    prefetch(gp);
    let at = core::ptr::from_ref(gp).cast::<u8>();
    // ORDERING: a hint; 0 without a template
    let top = PREFETCH[1].load(Ordering::Relaxed);
    crate::sys::prefetch(at.wrapping_sub(top));
    crate::sys::prefetch(at.wrapping_sub(top + 64));
    crate::sys::prefetch(at.wrapping_sub(top + 128));
}

/// The same without the stack: where that was left is in the G ([`prefetch_context`]).
#[inline(always)]
pub(crate) fn prefetch(gp: &'static G) {
    let at = core::ptr::from_ref(gp).cast::<u8>();
    crate::sys::prefetch(at);
    crate::sys::prefetch(at.wrapping_add(64));
    // ORDERING: a hint; 0 without a template
    crate::sys::prefetch(at.wrapping_sub(PREFETCH[0].load(Ordering::Relaxed)));
}

/// The same for one that is parked and will run soon: its block, and where on the stack it was
/// left. Its G is at hand.
#[inline(always)]
pub(crate) fn prefetch_context(gp: &'static G) {
    let at = core::ptr::from_ref(gp).cast::<u8>();
    // ORDERING: a hint
    crate::sys::prefetch(at.wrapping_sub(PREFETCH[0].load(Ordering::Relaxed)));
    // ORDERING: owned by the caller
    let sp = core::ptr::without_provenance::<u8>(gp.sched.load(Ordering::Relaxed));
    for line in 0..6 {
        crate::sys::prefetch(sp.wrapping_add(64 * line));
    }
}

/// Distances of the block's word and of the stack below a G, of the last slot made: all but the
/// smallest part of slots have the same.
static PREFETCH: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// The slot just made has that word of its block and its stack's top this far below its G.
pub(crate) fn set_prefetch(block: usize, top: usize) {
    PREFETCH[0].store(block, Ordering::Relaxed); // ORDERING: a hint
    PREFETCH[1].store(top, Ordering::Relaxed); // ORDERING: a hint
}
