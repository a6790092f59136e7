//! Where the process is between boot and exit, and goroutine 1's part in it.
//!
//! Go: the globals `mainStarted`, `islibrary`, and what proc.go `main` decides. boot/main.rs drives
//! it.
//!
//! # Invariants
//! * `MN1`: goroutine 1 runs on the boot thread's block; `run` takes the block back only after
//!   goroutine 1 is off it (gfput).

use super::SCHED;
use crate::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::g::G;
use crate::m::{M, m0, special};
use std::io;

const COLD: u32 = 0;
const BOOTING: u32 = 1;
/// The same, and another thread waits for the end of it.
const AWAITED: u32 = 2;
const RUNNING: u32 = 3;
const MAIN_RETURNED: u32 = 4;

static PHASE: AtomicU32 = AtomicU32::new(COLD);
/// Threads inside `run` that did not boot.
static GUESTS: AtomicUsize = AtomicUsize::new(0);
/// Goroutine 1 belongs to `run`: M 0 has to return when it is dead.
static RUN_MODE: AtomicBool = AtomicBool::new(false);
/// Plain threads waiting in `run`.
pub(crate) fn guests() -> usize {
    GUESTS.load(Ordering::Acquire) // ORDERING: pairs with guest
}

/// Whether the process goes on although goroutine 1 has ended: the scheduler then may be idle.
pub(crate) fn main_returned() -> bool {
    PHASE.load(Ordering::Acquire) == MAIN_RETURNED // ORDERING: pairs with run
}

/// An error where no goroutine can be made: before boot, or on a plain thread after main returned.
pub(crate) fn check_running() -> io::Result<()> {
    if crate::tls::getg().is_some() {
        return Ok(());
    }
    // ORDERING: pairs with the stores in boot and run
    match PHASE.load(Ordering::Acquire) {
        RUNNING => Ok(()),
        MAIN_RETURNED if guests() > 0 => Ok(()),
        MAIN_RETURNED => Err(io::Error::other(
            "rt0: go called after main returned: the runtime runs goroutines until #[rt0::main] or \
             rt0::run ends",
        )),
        _ => Err(io::Error::other(
            "rt0: the runtime is not running: start it with #[rt0::main] on fn main, or rt0::run",
        )),
    }
}

/// First caller boots; false: the runtime is there (or another thread is at it, and we waited).
pub(crate) fn claim_boot() -> bool {
    // ORDERING: pairs with the store of RUNNING
    if PHASE.compare_exchange(COLD, BOOTING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        return true;
    }
    // ORDERING: pairs with the store of RUNNING
    while matches!(PHASE.load(Ordering::Acquire), BOOTING | AWAITED) {
        // ORDERING: only says that somebody waits
        let _ = PHASE.compare_exchange(BOOTING, AWAITED, Ordering::Relaxed, Ordering::Relaxed);
        crate::sys::futex::wait(&PHASE, AWAITED, Some(1_000_000));
    }
    false
}

/// Boot is done: goroutines can be made.
pub(crate) fn set_running() {
    // ORDERING: pairs with check_running
    if PHASE.swap(RUNNING, Ordering::Release) == AWAITED {
        crate::sys::futex::wake(&PHASE, u32::MAX >> 1);
    }
}

/// `run` has ended on the thread that booted.
pub(crate) fn set_main_returned() {
    PHASE.store(MAIN_RETURNED, Ordering::Release); // ORDERING: pairs with check_running
}

/// Goroutine 1 belongs to `run`. Before it is queued.
pub(crate) fn set_run_mode() {
    RUN_MODE.store(true, Ordering::Release); // ORDERING: pairs with returns_from_run
}

/// Whether the process's main function is not the runtime's.
pub(crate) fn is_run_mode() -> bool {
    RUN_MODE.load(Ordering::Acquire) // ORDERING: pairs with set_run_mode
}

/// A plain thread enters `run`, or leaves it.
pub(crate) fn guest(enters: bool) {
    if enters {
        GUESTS.fetch_add(1, Ordering::AcqRel); // ORDERING: pairs with check_running
    } else {
        GUESTS.fetch_sub(1, Ordering::AcqRel); // ORDERING: pairs with check_running
    }
}

/// goexit0 on M 0: its last switch goes to g0, which leaves the scheduler.
pub(crate) fn goroutine_1_ends(mp: &'static M) {
    if run_needs(mp) {
        mp.set_special(special::RETURNING);
    }
}

/// Whether the M's thread is the one that will return from `run`.
pub(crate) fn run_needs(mp: &'static M) -> bool {
    core::ptr::eq(mp, m0()) && returns_from_run()
}

fn returns_from_run() -> bool {
    // ORDERING: set at boot; by goroutine 1
    RUN_MODE.load(Ordering::Acquire) && !SCHED.main_goexited.load(Ordering::Acquire)
}

/// MN1: goroutine 1 is off its stack and block: M 0 leaves the scheduler, wherever it is.
pub(crate) fn goroutine_1_is_dead() {
    if !returns_from_run() {
        return;
    }
    let m0 = m0();
    m0.set_special(special::RETURNING);
    if SCHED.lock.lock().mget_specific(m0) {
        m0.park.wakeup();
    }
    crate::netpoll::break_poller();
}

/// Goroutine 1's slot and block are never used again.
pub(crate) fn is_goroutine_1(gp: &'static G) -> bool {
    gp.goid.get() == 1
}
