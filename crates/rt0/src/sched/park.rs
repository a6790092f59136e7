//! Leaving a goroutine: park, yield, end; and what the other side does for the one left.
//!
//! Go: proc.go `gopark`, `goready`, `park_m`, `gosched_m`, `goschedImpl`, `mcall`.
//!
//! Go leaves through g0: two switches a park. Here, when the next goroutine is at hand in the local
//! queue, the switch goes straight to it, and what g0 would do for the old one is done by the new
//! one's first instructions ([`finish_switch`]).
//!
//! # Invariants
//! * `PK1`: a goroutine is published (queued, marked parked, freed) only by finish_switch, which
//!   runs on another stack: from then on another M may run it.
//! * `PK2`: every path out of a switch calls finish_switch first: resumed goroutines in
//!   `switch_away`, new ones in goexit.rs `goroutine_start`, g0 in schedule.rs.

use super::global_queue::runqput;
use super::runq::{Entry, Place};
use super::tree::goes_on;
use super::{SCHED, enter, leave, p_of};
use crate::atomic::Ordering;
use crate::g::{G, Status, WaitReason};
use crate::m::{Action, M};
use crate::p::P;

/// Decides, on the new side, whether the goroutine stays parked. It may not block, allocate or
/// touch TLS.
pub(crate) type UnlockFn = fn(&'static M, &'static G, usize) -> bool;

/// How many switches may pass between two looks at this P's timers on the direct path.
const TIMER_LOOK: u64 = 16;
/// Every how many switches the global queue goes first. Go's 61.
pub(crate) const GLOBAL_LOOK: u64 = 61;

/// The goroutine to switch to directly, if one is at hand and nothing else is due.
#[inline(always)]
fn next_at_hand(mp: &'static M, pp: &'static P) -> Option<&'static G> {
    if cfg!(feature = "control-through-g0") {
        return None;
    }
    let tick = pp.schedtick.get();
    if tick.is_multiple_of(GLOBAL_LOOK) && SCHED.runqsize() > 0 && !goes_on(pp) {
        return None;
    }
    if tick.is_multiple_of(TIMER_LOOK) && pp.timers.next_when() != 0 {
        return None;
    }
    if mp.is_special() {
        return None;
    }
    let gp = match pp.next_readied() {
        Some(gp) => gp,
        None => pp.next_local()?,
    };
    if gp.lockedm.get().is_some() {
        mp.handover.set(Some(gp)); // another M's: g0 hands the P over with it
        return None;
    }
    Some(gp)
}

/// Leaves `gp` for the next goroutine or for g0, and returns on whatever M continues it.
/// Called and returns with one count of `m.locks`.
#[inline(always)]
pub(crate) fn switch_away(mp: &'static M, gp: &'static G, action: Action) -> &'static M {
    // ORDERING: owner-only (MP1)
    if cfg!(debug_assertions) && mp.locks.load(Ordering::Relaxed) != 1 {
        crate::throw::throw("switch_away: a section of the runtime within another");
    }
    // ORDERING: owner-only (MP1)
    mp.action.store(action as u32, Ordering::Relaxed);
    mp.prev.set(Some(gp));
    let next = match mp.p.get() {
        Some(pp) if !action.through_g0() => next_at_hand(mp, pp).map(|n| (n, pp)),
        _ => None,
    };
    match next {
        Some((next, _)) if core::ptr::eq(next, gp) => {
            // Readied before it was even left: only a goroutine that is on no queue comes here.
            crate::throw::throw("switch_away: a running goroutine is queued");
        }
        Some((next, pp)) => {
            super::execute::prepare(mp, pp, next);
            switch(mp, gp, next, next_fs(mp, next));
        }
        None => {
            mp.curg.set(None);
            // ORDERING: owner-only; written by tls::init for M 0
            let fs = mp.g0_fs.load(Ordering::Acquire);
            switch(mp, gp, &mp.g0, fs);
        }
    }
    let mp = current_m();
    finish_switch(mp);
    mp
}

/// The block `next` runs on: its own, or the M's for system goroutines.
#[inline(always)]
pub(crate) fn next_fs(mp: &'static M, next: &'static G) -> usize {
    // ORDERING: constant while the goroutine is queued
    match next.fs.load(Ordering::Relaxed) {
        0 => mp.g0_fs.load(Ordering::Acquire), // ORDERING: pairs with tls::init
        fs => fs,
    }
}

#[allow(unsafe_code, reason = "only contexts left by a switch, or prepared, come here (SW1)")]
#[inline(always)]
pub(crate) fn switch(mp: &'static M, from: &'static G, to: &'static G, fs: usize) {
    let mode = crate::tls::mode();
    let fs = match mode {
        crate::tls::Mode::Single => 0,
        crate::tls::Mode::OneToOne if super::one_to_one::switch(mp, from, to) => return,
        crate::tls::Mode::OneToOne => 0,
        #[cfg(feature = "control-shared-tls")]
        crate::tls::Mode::Shared => 0,
        // ORDERING: owner-only (MP1)
        _ if mp.fs_now.load(Ordering::Relaxed) == fs => 0,
        _ => {
            mp.fs_now.store(fs, Ordering::Relaxed); // ORDERING: owner-only (MP1)
            fs
        }
    };
    // ORDERING: the context was published with the goroutine
    let load = to.sched.load(Ordering::Relaxed);
    let how = mode.access();
    // SAFETY: SW1: `to` is g0 of this M or a goroutine this M took off a queue.
    unsafe { crate::arch::switch::switch(from.sched.as_ptr(), load, fs, how) };
}

/// The M of this thread, on scheduler paths that know it is one.
#[allow(unsafe_code, reason = "called on goroutines and g0 only")]
#[inline(always)]
pub(crate) fn current_m() -> &'static M {
    // SAFETY: FG1: goroutine or g0.
    unsafe { crate::arch::fsgs::getm() }
}

/// PK1: completes what the goroutine left behind asked for.
#[inline(always)]
pub(crate) fn finish_switch(mp: &'static M) {
    // ORDERING: owner-only (MP1)
    let action = mp.action.load(Ordering::Relaxed);
    if action == Action::Wait as u32 {
        if let Some(gp) = take_prev(mp) {
            finish_wait(mp, gp);
        }
    } else if action == Action::Yield as u32 {
        if let Some(gp) = take_prev(mp) {
            gp.casgstatus(Status::Running, Status::Runnable);
            runqput(p_of(mp), gp, Place::Tail);
        }
    } else if action == Action::Exit as u32 {
        if let Some(gp) = take_prev(mp) {
            super::goexit::gfput(mp, gp);
        }
    } else if action == Action::Park as u32 {
        if let Some(gp) = take_prev(mp) {
            finish_park(mp, gp);
        }
    } else if action != Action::None as u32 {
        finish_preempted(mp, action);
    }
}

/// The goroutine left behind; nothing is to be done for it any more but what the caller does.
#[inline(always)]
fn take_prev(mp: &'static M) -> Option<&'static G> {
    mp.action.store(Action::None as u32, Ordering::Relaxed); // ORDERING: owner-only (MP1)
    let gp = mp.prev.get();
    mp.prev.set(None);
    gp
}

/// For NeedP and NeedPreempt nothing is done: schedule() takes the goroutine from `mp.prev`.
#[cold]
fn finish_preempted(mp: &'static M, action: u32) {
    if action == Action::Preempt as u32
        && let Some(gp) = take_prev(mp)
    {
        gp.casgstatus(Status::Running, Status::Runnable);
        gp.m.set(None);
        p_of(mp).hog_ends();
        SCHED.lock.lock().hogput(gp);
    }
}

/// The same for one that waits with a ticket, which may have been claimed by now.
#[inline(always)]
fn finish_wait(mp: &'static M, gp: &'static G) {
    gp.casgstatus(Status::Running, Status::Waiting);
    gp.m.set(None);
    if !gp.parker.commit() {
        gp.casgstatus(Status::Waiting, Status::Runnable);
        runqput(p_of(mp), gp, Place::Next);
    }
}

/// Go: park_m.
fn finish_park(mp: &'static M, gp: &'static G) {
    gp.casgstatus(Status::Running, Status::Waiting);
    gp.m.set(None);
    let (f, arg) = take_unlockf(mp);
    if !f(mp, gp, arg) {
        gp.casgstatus(Status::Waiting, Status::Runnable);
        runqput(p_of(mp), gp, Place::Next);
    }
}

#[allow(unsafe_code, reason = "a function stored as a word in the M")]
fn take_unlockf(mp: &'static M) -> (UnlockFn, usize) {
    // ORDERING: owner-only (MP1)
    let f = mp.unlockf.load(Ordering::Relaxed);
    // SAFETY: park_on stored an `UnlockFn` with the action that brought us here.
    let f = unsafe { core::mem::transmute::<usize, UnlockFn>(f) };
    (f, mp.waitlock.load(Ordering::Relaxed)) // ORDERING: owner-only (MP1)
}

/// Parks a goroutine that has entered the runtime; the caller still holds the count afterwards.
pub(crate) fn park_on(
    mp: &'static M,
    gp: &'static G,
    reason: WaitReason,
    unlockf: UnlockFn,
    arg: usize,
) -> &'static M {
    gp.set_wait(reason);
    mp.unlockf.store(unlockf as usize, Ordering::Relaxed); // ORDERING: owner-only (MP1)
    mp.waitlock.store(arg, Ordering::Relaxed); // ORDERING: owner-only (MP1)
    let mp = switch_away(mp, gp, Action::Park);
    gp.set_wait(WaitReason::None);
    mp
}

/// The same for one that waits with the ticket of its parker.
#[inline(always)]
pub(crate) fn wait_ticket(mp: &'static M, gp: &'static G, reason: WaitReason) -> &'static M {
    gp.set_wait(reason);
    let mp = switch_away(mp, gp, Action::Wait);
    gp.set_wait(WaitReason::None);
    mp
}

/// Parks the running goroutine. False on a thread that is no goroutine. Go: gopark.
pub(crate) fn gopark(reason: WaitReason, unlockf: UnlockFn, arg: usize) -> bool {
    let Some((mp, gp)) = enter() else { return false };
    leave(park_on(mp, gp, reason, unlockf, arg));
    true
}

/// Makes a parked goroutine runnable; from any thread. Go: goready.
pub(crate) fn goready(gp: &'static G) {
    match enter() {
        Some((mp, _)) => {
            ready(mp, gp);
            leave(mp);
        }
        None => ready_outside(gp),
    }
}

/// With an M that has a P. Go: ready.
#[inline]
pub(crate) fn ready(mp: &'static M, gp: &'static G) {
    gp.casgstatus(Status::Waiting, Status::Runnable);
    let pp = p_of(mp);
    // The only P is the caller's: none idles.
    if !(pp.is_alone() && pp.runq.put_next_alone(Entry::plain(gp))) {
        ready_for_others(pp, gp);
    }
}

#[inline(never)]
fn ready_for_others(pp: &'static P, gp: &'static G) {
    let put = runqput(pp, gp, Place::Next);
    super::wake::wakep_after(pp, put);
}

/// From a thread without a P.
pub(crate) fn ready_outside(gp: &'static G) {
    gp.casgstatus(Status::Waiting, Status::Runnable);
    SCHED.lock.lock().globrunqput(gp);
    super::wake::wake_from_outside();
}

/// Lets other goroutines run. On a thread that is no goroutine it does nothing. Go: Gosched.
pub(crate) fn gosched() {
    let Some((mp, gp)) = enter() else { return };
    leave(gosched_on(mp, gp));
}

/// Go: goschedImpl; but the goroutine goes to the local queue's tail, for the global one costs a
/// lock, and the 61st-tick rule keeps that fair.
pub(crate) fn gosched_on(mp: &'static M, gp: &'static G) -> &'static M {
    let pp = p_of(mp);
    let alone = pp.runq.is_empty() && SCHED.runqsize() == 0;
    if alone && !pp.schedtick.bump().is_multiple_of(GLOBAL_LOOK) && !mp.is_returning() {
        return mp; // nobody to yield to; g0 looks further every 61st time
    }
    switch_away(mp, gp, Action::Yield)
}

/// Lets the next goroutine run until it parks or ends: then `gp` is the next.
#[inline(never)]
pub(super) fn let_one_run(mp: &'static M, gp: &'static G) -> &'static M {
    park_on(mp, gp, WaitReason::None, |_, _, _| false, 0)
}

/// Lets all run that are queued: then `gp` is the next. Not by `gosched_on`, which would no longer
/// be inlined where programs yield.
#[inline(never)]
pub(super) fn let_all_run(mp: &'static M, gp: &'static G) -> &'static M {
    switch_away(mp, gp, Action::Yield)
}
