//! The scheduler's state, and the way in and out of the runtime.
//!
//! Go: proc.go, runtime2.go `schedt`. Each file here holds one piece of proc.go under Go's names.
//!
//! # Entering
//! User code on a goroutine calls [`enter`]: it raises `m.locks`, so that the P is not taken and
//! the goroutine not moved, and makes sure that the M has a P: one that was taken meanwhile
//! (sysmon) is replaced first. [`leave`] lowers the count. Between the two no user code runs.
//!
//! # Switching
//! A switch happens with `m.locks == 1` and both sides keep it so: whoever continues a context left
//! by a switch owns one count of the M it finds itself on.
//!
//! # Invariants
//! * `SC1`: lists in `State` change under `SCHED.lock`; the atomics beside it mirror their lengths
//!   for a look without the lock.
//! * `SC2`: an M that sleeps in `stopm` is on the idle list; who takes it off sets `nextp` and
//!   wakes it.

pub(crate) mod ages;
pub(crate) mod background;
#[cfg(feature = "bare-switch")]
pub(crate) mod bare;
mod barrier;
#[cfg(feature = "interpose")]
pub(crate) mod c_call;
pub(crate) mod census;
pub(crate) mod deadlock;
pub(crate) mod default_gomaxprocs;
pub(crate) mod execute;
mod faults;
pub(crate) mod find_runnable;
pub(crate) mod global_queue;
pub(crate) mod goexit;
pub(crate) mod held;
pub(crate) mod hogs;
mod let_run;
pub(crate) mod lifecycle;
pub(crate) mod lock_os_thread;
pub(crate) mod mexit;
pub(crate) mod need_p;
pub(crate) mod newm;
pub(crate) mod newproc;
pub(crate) mod one_to_one;
mod pace;
pub(crate) mod park;
pub(crate) mod preempt;
pub(crate) mod procresize;
pub(crate) mod runq;
pub(crate) mod schedtrace;
pub(crate) mod schedule;
pub(crate) mod signal_unix;
pub(crate) mod sigqueue;
mod slow;
pub(crate) mod spinning;
pub(crate) mod starters;
pub(crate) mod steal;
pub(crate) mod stop_the_world;
pub(crate) mod syscall;
pub(crate) mod sysmon;
pub(crate) mod thread_parker;
pub(crate) mod tree;
pub(crate) mod wait;
pub(crate) mod waiter;
pub(crate) mod wake;
pub(crate) mod watch;

use crate::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::g::G;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::m::M;
use crate::p::P;
use census::Census;
use global_queue::GQueue;
use held::Held;
use spinning::Spinning;

/// What `SCHED.lock` protects (SC1).
pub(crate) struct State {
    pub(crate) runq: GQueue,
    /// Goroutines that were preempted (global_queue.rs).
    pub(crate) hogs: GQueue,
    /// Goroutines that a descriptor woke (global_queue.rs).
    pub(crate) ready: GQueue,
    /// Whether the last batch was of those who are ready.
    pub(crate) was_ready: bool,
    /// New goroutines that nobody starts yet (held.rs).
    pub(crate) held: Held,
    pub(crate) midle: Option<&'static M>,
    pub(crate) nmidle: u32,
    /// Ms that wait for their locked goroutine; below 0 for a moment. Go: nmidlelocked.
    pub(crate) nmidlelocked: i64,
    /// Ms whose thread has ended, to be used again. Go: freem.
    pub(crate) mfree: Option<&'static M>,
    pub(crate) nmfreed: u64,
    pub(crate) pidle: Option<&'static P>,
    /// Next M id; the number of Ms made. Go: mnext.
    pub(crate) mnext: u64,
    pub(crate) maxmcount: u64,
    /// Ms that newm has not started yet, linked by schedlink.
    pub(crate) newm: Option<&'static M>,
    pub(crate) sysmonwait: bool,
    /// Goroutine 1, and a P for it, on the way to M 0 (one_to_one.rs).
    pub(crate) for_m0: Option<(&'static G, &'static P)>,
    /// M 0 has returned from `rt0::run`.
    pub(crate) m0_left: bool,
}

pub(crate) struct Sched {
    pub(crate) lock: RtMutex<State>,
    /// Mirror of the lengths of `runq`, `hogs` and `ready`.
    pub(crate) runqsize: AtomicU32,
    /// The same of `ready` alone.
    pub(crate) nready: AtomicU32,
    /// Nobody is in the global queues but in `runq`, whose oldest has not run yet.
    pub(crate) new_first: AtomicBool,
    pub(crate) spin: Spinning,
    /// Of those who run without a P.
    pub(crate) census: Census,
    /// New goroutines are held back (held.rs). Changes under the lock.
    pub(crate) holds_back: AtomicBool,
    pub(crate) goidgen: AtomicU64,
    pub(crate) gomaxprocs: AtomicU32,
    /// Stacks of those, in bytes.
    pub(crate) stack_bytes_outside: AtomicU64,
    /// Goroutines made by threads without a P.
    pub(crate) created_outside: AtomicU64,
    /// Set in runtime.main: newproc may start Ms. Go: mainStarted.
    pub(crate) main_started: AtomicBool,
    /// sysmon and the thread that makes Ms exist.
    pub(crate) threads_started: AtomicBool,
    /// Goroutines that report an unrecovered panic. Go: runningPanicDefers.
    pub(crate) running_panic_defers: AtomicU32,
    /// Goroutine 1 ended by goexit.
    pub(crate) main_goexited: AtomicBool,
}

pub(crate) static SCHED: Sched = Sched {
    lock: RtMutex::new(
        Rank::Sched,
        State {
            runq: GQueue::new(),
            hogs: GQueue::new(),
            ready: GQueue::new(),
            was_ready: false,
            held: Held::new(),
            midle: None,
            nmidle: 0,
            nmidlelocked: 0,
            mfree: None,
            nmfreed: 0,
            pidle: None,
            mnext: 0,
            maxmcount: 10_000,
            newm: None,
            sysmonwait: false,
            for_m0: None,
            m0_left: false,
        },
    ),
    runqsize: AtomicU32::new(0),
    nready: AtomicU32::new(0),
    new_first: AtomicBool::new(false),
    spin: Spinning::new(),
    census: Census::new(),
    holds_back: AtomicBool::new(false),
    goidgen: AtomicU64::new(0),
    gomaxprocs: AtomicU32::new(0),
    stack_bytes_outside: AtomicU64::new(0),
    created_outside: AtomicU64::new(0),
    main_started: AtomicBool::new(false),
    threads_started: AtomicBool::new(false),
    running_panic_defers: AtomicU32::new(0),
    main_goexited: AtomicBool::new(false),
};

impl State {
    /// Ms that exist: made and not ended. Go: mcount.
    pub(crate) fn mcount(&self) -> u64 {
        self.mnext - self.nmfreed
    }
}

impl Sched {
    pub(crate) fn gomaxprocs(&self) -> u32 {
        // ORDERING: changes only while the world is stopped
        self.gomaxprocs.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn holds_back(&self) -> bool {
        self.holds_back.load(Ordering::Relaxed) // ORDERING: a hint, exact under the lock
    }

    /// Whether somebody whom a descriptor woke waits for a P.
    #[inline(always)]
    pub(crate) fn has_ready(&self) -> bool {
        self.nready.load(Ordering::Relaxed) > 0 // ORDERING: a hint; the lock decides
    }

    #[inline(always)]
    pub(crate) fn runqsize(&self) -> u32 {
        // ORDERING: a hint; the lock decides
        self.runqsize.load(Ordering::Relaxed)
    }
}

/// Enters the runtime from a goroutine: `m.locks` is raised and the M has a P. `None` on threads
/// that are no goroutines.
#[allow(unsafe_code, reason = "TL4: a goroutine's block is in use on an M only")]
#[inline(always)]
pub(crate) fn enter() -> Option<(&'static M, &'static G)> {
    let gp = crate::tls::getg()?;
    // SAFETY: FG1: this is a goroutine, so the thread is an M.
    let mp = unsafe { crate::arch::fsgs::acquirem() };
    match mp.p.get() {
        Some(pp) if pp.owner.is(mp.addr()) => Some((mp, gp)),
        _ => Some((syscall::regain_p(mp, gp), gp)),
    }
}

/// The same for the runtime's own goroutines, which have no block and so no `getg`.
#[allow(unsafe_code, reason = "system goroutines run on Ms only")]
pub(crate) fn enter_system() -> (&'static M, &'static G) {
    // SAFETY: FG1: only goroutines that newproc queued run this.
    let mp = unsafe { crate::arch::fsgs::acquirem() };
    let Some(gp) = mp.curg.get() else { crate::throw::throw("enter_system: not a goroutine") };
    match mp.p.get() {
        Some(pp) if pp.owner.is(mp.addr()) => (mp, gp),
        _ => (syscall::regain_p(mp, gp), gp),
    }
}

/// Ends the section that [`enter`] began. Go: releasem.
#[inline(always)]
pub(crate) fn leave(mp: &'static M) {
    mp.lower_locks();
}

/// The P of an M that is known to have one. Go: `getg().m.p.ptr()`.
#[inline(always)]
pub(crate) fn p_of(mp: &'static M) -> &'static P {
    match mp.p.get() {
        Some(pp) => pp,
        None => crate::throw::throw("schedule: an M without a P runs scheduler code"),
    }
}
