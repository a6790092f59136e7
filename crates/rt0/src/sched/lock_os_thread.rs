//! A goroutine that has its thread for itself.
//!
//! Go: proc.go `LockOSThread`, `UnlockOSThread`, `dolockOSThread`, `stoplockedm`, `startlockedm`.
//!
//! Some of what a kernel thread has no TLS block can carry along: namespaces, credentials set by a
//! raw system call, CPU affinity, a GL context. A goroutine that needs such a thing locks itself to
//! the thread it is on. From then on it runs on that M only, and that M runs nothing else:
//!
//! 1. The goroutine leaves (parks, yields, is preempted): its M goes to g0 ([`special::LOCKED`]),
//!    which gives the P away and sleeps ([`stoplockedm`]).
//! 2. It becomes runnable and waits in a queue like any other. The M that takes it off sees
//!    `lockedm`, hands that M its own P and wakes it ([`startlockedm`]), and goes idle.
//! 3. The locked M runs the goroutine with the P it was handed.
//!
//! The goroutine can be published, picked and handed over before its M has gone to sleep: the
//! note remembers the wake-up, and `nmidlelocked` is below its true value for that moment.
//!
//! A goroutine that ends locked ends its thread (mexit.rs), for nobody can say in what state it
//! left it; M 0, whose thread is the process's first, stays and never runs anything again. Under
//! `rt0::run` M 0's thread is the caller's and has to return when goroutine 1 ends, so no other
//! goroutine locks itself to it: it is moved to another M first ([`move_off`]).
//!
//! # Invariants
//! * `LT1`: `gp.lockedm == mp` and `mp.lockedg == gp` together; the goroutine writes both while it
//!   runs there.
//! * `LT2`: each time the goroutine is queued, one M picks it and wakes the locked M once; the
//!   locked M sleeps once each time it has left the goroutine.

use super::newm::start_threads;
use super::park::park_on;
use super::wake::{acquirep, handoffp, releasep, start_with, stopm};
use super::{SCHED, enter, leave};
use crate::atomic::{AtomicBool, Ordering};
use crate::g::{G, Status, WaitReason};
use crate::m::{M, special};
use core::marker::PhantomData;

/// Keeps the goroutine on its thread, and other goroutines off it, while it lives.
///
/// Made by [`lock_os_thread`]. Guards nest: the goroutine is free again when the last is dropped. A
/// goroutine that ends with one alive ([`std::mem::forget`]) takes its thread with it. Go: the
/// `UnlockOSThread` that a `LockOSThread` must be paired with.
#[must_use = "the goroutine is unlocked when the guard is dropped"]
#[derive(Debug)]
pub struct OsThreadGuard(PhantomData<*mut ()>);

impl Drop for OsThreadGuard {
    fn drop(&mut self) {
        unlock();
    }
}

/// Ties the calling goroutine to the thread it runs on until the guard is dropped: it runs on no
/// other, and no other goroutine runs there.
///
/// For code that depends on what a kernel thread has beyond thread-locals: namespaces, per-thread
/// credentials or affinity, graphics contexts. Everything else works without it. While locked, each
/// time the goroutine parks and goes on costs two changes of thread. Never blocks. New threads do
/// not inherit what a locked goroutine did to its own. Go: `runtime.LockOSThread`.
///
/// # Panics
/// On a thread that is no goroutine.
pub fn lock_os_thread() -> OsThreadGuard {
    if crate::tls::getg().is_none() {
        panic!(
            "rt0: lock_os_thread called on thread {:?}, which is not a goroutine; start it with \
             rt0::go inside #[rt0::main]",
            std::thread::current().name().unwrap_or("<unnamed>")
        );
    }
    // Others need an M to run on while this one sleeps. Where no goroutine beyond main can be made
    // (tls/mod.rs) there is one thread, and nothing to keep off it.
    if super::one_to_one::prepare().is_ok() {
        start_threads();
        lock();
    }
    OsThreadGuard(PhantomData)
}

/// Init tasks run: goroutine 1 stays on the first thread. While that is the only one there is
/// nothing to do for it, so the lock is taken when goroutine 1 starts others.
static IN_INIT: AtomicBool = AtomicBool::new(false);

/// Goroutine 1, before the program's init tasks.
pub(crate) fn init_begins() {
    IN_INIT.store(true, Ordering::Relaxed); // ORDERING: goroutine 1's own
}

/// Whether `gp` is goroutine 1 and runs them.
pub(crate) fn in_init(gp: &'static G) -> bool {
    IN_INIT.load(Ordering::Relaxed) && super::lifecycle::is_goroutine_1(gp) // ORDERING: a report
}

/// Goroutine 1, after them.
pub(crate) fn init_ends() {
    IN_INIT.store(false, Ordering::Relaxed); // ORDERING: goroutine 1's own
    if SCHED.threads_started.load(Ordering::Relaxed) {
        unlock(); // ORDERING: goroutine 1 started them, or holds no lock
    }
}

/// The threads of the runtime are about to start.
pub(super) fn more_threads() {
    let in_init = IN_INIT.load(Ordering::Relaxed); // ORDERING: goroutine 1's own
    if in_init && crate::tls::getg().is_some_and(super::lifecycle::is_goroutine_1) {
        lock();
    }
}

/// Go: dolockOSThread.
fn lock() {
    let Some((mut mp, gp)) = enter() else { return };
    while super::lifecycle::run_needs(mp) && !super::lifecycle::is_goroutine_1(gp) {
        mp.set_special(special::MOVE);
        mp = park_on(mp, gp, WaitReason::None, leave_to_g0, 0);
    }
    // ORDERING: LT1: this goroutine's own M
    if mp.locked_ext.fetch_add(1, Ordering::Relaxed) == 0 {
        mp.lockedg.set(Some(gp));
        gp.lockedm.set(Some(mp));
        mp.set_special(special::LOCKED);
    }
    leave(mp);
}

/// Go: dounlockOSThread.
fn unlock() {
    let Some((mp, gp)) = enter() else { return };
    // Not if there was nobody to keep off (lock_os_thread).
    if mp.lockedg.get().is_some_and(|locked| core::ptr::eq(locked, gp)) {
        // ORDERING: LT1: this goroutine's own M
        if mp.locked_ext.fetch_sub(1, Ordering::Relaxed) == 1 {
            clear(mp, gp);
        }
    }
    leave(mp);
}

/// LT1.
fn clear(mp: &'static M, gp: &'static G) {
    mp.locked_ext.store(0, Ordering::Relaxed); // ORDERING: LT1
    gp.lockedm.set(None);
    mp.lockedg.set(None);
    mp.clear_special(special::LOCKED);
}

/// The goroutine ends: if it is locked, its thread ends too. Go: goexit0's look at lockedExt.
pub(super) fn goroutine_ends(mp: &'static M, gp: &'static G) {
    if mp.lockedg.get().is_some() {
        clear(mp, gp);
        mp.set_special(special::EXITING);
    }
}

/// On g0: the goroutine that was left is to go on on another M.
fn leave_to_g0(mp: &'static M, gp: &'static G, _: usize) -> bool {
    gp.casgstatus(Status::Waiting, Status::Runnable);
    mp.handover.set(Some(gp));
    true
}

/// On g0: gives `gp` and the P to another M.
pub(super) fn move_off(mp: &'static M, gp: &'static G) {
    if mp.is_spinning() {
        super::schedule::resetspinning(mp);
    }
    mp.clear_special(special::MOVE);
    let Some(pp) = releasep(mp) else { crate::throw::throw("move_off: no p") };
    start_with(pp, gp);
    stopm(mp);
}

/// On g0 of an M whose locked goroutine is not running: gives the P away and sleeps until it is
/// handed one together with the goroutine. Go: stoplockedm.
pub(super) fn stoplockedm(mp: &'static M) {
    if let Some(pp) = releasep(mp) {
        handoffp(pp);
    }
    sleep_locked(mp);
}

/// Sleeps as an M that only who picks its goroutine may wake.
pub(super) fn sleep_locked(mp: &'static M) {
    let mut sched = SCHED.lock.lock();
    sched.nmidlelocked += 1; // startlockedm takes it, or has taken it
    drop(sched);
    mp.park.sleep_and_clear();
    if let Some(pp) = mp.nextp.get() {
        mp.nextp.set(None);
        acquirep(mp, pp);
    }
}

/// The M has taken `gp`, which belongs to `owner`, off a queue: hands its P over and goes idle. Go:
/// startlockedm.
pub(super) fn startlockedm(mp: &'static M, owner: &'static M) {
    if mp.is_spinning() {
        super::schedule::resetspinning(mp);
    }
    let mut sched = SCHED.lock.lock();
    if core::ptr::eq(owner, mp) {
        crate::throw::throw("startlockedm: locked to me");
    }
    if owner.nextp.get().is_some() {
        crate::throw::throw("startlockedm: m has p");
    }
    let Some(pp) = releasep(mp) else { crate::throw::throw("startlockedm: no p") };
    sched.nmidlelocked -= 1; // it sleeps, or is on its way
    owner.nextp.set(Some(pp));
    drop(sched);
    owner.park.wakeup();
    stopm(mp);
}
