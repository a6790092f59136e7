//! g0: where an M's thread starts and what it does between goroutines.
//!
//! Go: proc.go `mstart0`, `mstart1`, `schedule`, `resetspinning`; asm `mstart`.

use super::execute::execute;
use super::lock_os_thread::{move_off, startlockedm, stoplockedm};
use super::mexit::mexit;
use super::wake::{acquirep, stopm};
use super::{SCHED, State, find_runnable, need_p, one_to_one, p_of, procresize};
use crate::atomic::Ordering;
use crate::debug::signals::Host;
use crate::g::{G, Status};
use crate::m::{Action, M};
use crate::p::P;

/// Entry of an M's thread; returns when the M has to leave the scheduler. Go: mstart.
pub(crate) fn mstart(mp: &'static M) {
    mstart0(mp);
}

/// Sets g0's bounds, which for threads of ours are the thread's own stack. Go: mstart0.
fn mstart0(mp: &'static M) {
    if mp.g0.stack_hi.load(Ordering::Relaxed) == 0 {
        // ORDERING: this thread's own
        let here = core::ptr::from_ref(&mp) as usize;
        mp.g0.set_g0_bounds(here);
    }
    mstart1(mp);
}

/// Go: mstart1.
fn mstart1(mp: &'static M) {
    crate::m::minit::minit(mp);
    let m0 = crate::m::m0();
    if core::ptr::eq(mp, m0) {
        mstartm0(mp);
    }
    if let Some(f) = mstartfn(mp) {
        f();
    }
    if !core::ptr::eq(mp, m0) {
        let Some(pp) = mp.nextp.get() else { crate::throw::throw("mstart1: no P to start with") };
        mp.nextp.set(None);
        acquirep(mp, pp);
    }
    mp.scheduling.store(1, Ordering::Relaxed); // ORDERING: owner-only
    schedule(mp);
}

/// On M 0 only: the process's handlers. Go: mstartm0.
fn mstartm0(_m0: &'static M) {
    crate::interpose::init_for_handlers();
    let host = if super::lifecycle::is_run_mode() { Host::Library } else { Host::Program };
    crate::debug::signals::initsig(host);
}

#[allow(unsafe_code, reason = "a function stored as a word in the M")]
fn mstartfn(mp: &'static M) -> Option<fn()> {
    match mp.mstartfn.load(Ordering::Relaxed) {
        // ORDERING: constant once the thread runs
        0 => None,
        // SAFETY: whoever made the M stored a `fn()`.
        f => Some(unsafe { core::mem::transmute::<usize, fn()>(f) }),
    }
}

/// One round after another: find a runnable goroutine and execute it. Go: schedule.
fn schedule(mp: &'static M) {
    loop {
        // ORDERING: owner-only (MP1)
        if mp.locks.load(Ordering::Relaxed) != 1 {
            crate::throw::throw("schedule: holding locks");
        }
        if let Some((gp, preempted)) = left_without_p(mp)
            && p_or_queue(mp, gp, preempted)
        {
            execute(mp, gp);
            continue;
        }
        if let Some(gp) = mp.handover.get() {
            mp.handover.set(None);
            if mp.has_to_move() {
                move_off(mp, gp);
            } else {
                run(mp, gp);
            }
            continue;
        }
        if mp.is_special_on_g0() {
            match special(mp) {
                Special::Leave => return,
                Special::Again => continue,
            }
        }
        if mp.p.get().is_none() {
            stopm(mp);
            continue;
        }
        let Some(gp) = find_runnable::find_runnable(mp) else { continue };
        run(mp, gp);
    }
}

/// Executes a goroutine that was taken off a queue, or hands it to the M it is locked to.
fn run(mp: &'static M, gp: &'static G) {
    if let Some(owner) = gp.lockedm.get() {
        return startlockedm(mp, owner);
    }
    if one_to_one::active() && one_to_one::passed_on(mp, gp) {
        return;
    }
    if mp.is_spinning() {
        resetspinning(mp);
    }
    execute(mp, gp);
}

enum Special {
    /// The thread leaves the scheduler.
    Leave,
    Again,
}

/// What g0 does on an M that may not simply run the next goroutine.
fn special(mp: &'static M) -> Special {
    if mp.is_waited_for() {
        one_to_one::take_for_m0(mp);
        return Special::Again;
    }
    if mp.is_exiting() {
        mexit(mp);
        if !mp.is_returning() {
            return Special::Leave;
        }
    }
    if let Some(gp) = mp.lockedg.get() {
        stoplockedm(mp);
        execute(mp, gp);
        return Special::Again;
    }
    if mp.is_returning() {
        leave_scheduler(mp);
        return Special::Leave;
    }
    Special::Again
}

/// The goroutine that came to g0 because it has no P, if that is why g0 runs, and whether it was
/// preempted.
fn left_without_p(mp: &'static M) -> Option<(&'static G, bool)> {
    let gp = mp.prev.get()?;
    mp.prev.set(None);
    // finish_switch leaves `prev` and `action` for NeedP and NeedPreempt only.
    let preempted = mp.action.swap(Action::None as u32, Ordering::Relaxed) // ORDERING: owner-only
        == Action::NeedPreempt as u32;
    gp.casgstatus(Status::Running, Status::Runnable);
    gp.m.set(None);
    Some((gp, preempted))
}

/// Takes an idle P for `gp`, or queues it globally. Go: exitsyscall0.
fn p_or_queue(mp: &'static M, gp: &'static G, preempted: bool) -> bool {
    let queue = if preempted { State::hogput } else { State::globrunqput };
    let idle = need_p::p_or_queue(
        || SCHED.lock.lock(),
        |sched| sched.pidleget(),
        |sched| queue(sched, gp),
    );
    if let Some(pp) = idle {
        acquirep(mp, pp);
    }
    idle.is_some()
}

/// The spinner found work: the next one is woken if there is more (spinning.rs). Go: resetspinning.
pub(crate) fn resetspinning(mp: &'static M) {
    mp.set_spinning(false);
    SCHED.spin.stop();
    let own = p_of(mp);
    let nothing_for_others =
        |pp: &'static P| pp.runq.is_empty() || core::ptr::eq(pp, own) && pp.batch.is_short();
    if SCHED.runqsize() > 0 || !procresize::allp().all(nothing_for_others) {
        super::wake::wakep();
    }
}

/// M 0 returns from `rt0::run`; its P goes on elsewhere.
fn leave_scheduler(mp: &'static M) {
    mp.scheduling.store(0, Ordering::Relaxed); // ORDERING: owner-only
    if mp.is_spinning() {
        mp.set_spinning(false);
        SCHED.spin.stop();
    }
    if mp.p.get().is_some() {
        let pp = p_of(mp);
        if super::wake::releasep(mp).is_some() {
            super::wake::handoffp(pp);
        }
    }
    // A spinner that left may have been the only one to see a goroutine queued just now.
    super::wake::wakep();
}
