//! Calls that block the thread, and coming back from them.
//!
//! Go: proc.go `entersyscall`, `entersyscallblock`, `exitsyscall`, `exitsyscall0`.
//!
//! A goroutine that goes into a blocking call leaves its P wired to the M, marked so that sysmon
//! may take it (p/owner.rs). Coming back it takes its own P if it is still there, else any idle
//! one, else it queues like a yielded goroutine, or goes on without (hogs.rs). A chain of short
//! calls would so keep its P for ever: sysmon asks its goroutine, by a bit in the owner word that
//! only the slow path of coming back looks at, to let others run.
//!
//! If other work waits already, or a timer is due soon, a call that surely sleeps hands the P over
//! at once ([`Expect::Long`]). One that may return at once leaves that to sysmon, which takes the P
//! within a millisecond while work waits: a hand-off costs two thread switches, a short read 200
//! ns, and of 1000 goroutines that want one lock for an instant each would get a thread. The M that
//! waits for timers and descriptors is sooner: if it finds no idle P for what has come, it takes
//! one whose M sleeps in a call (`sysmon::from_sleeper`).

use super::hogs::{Ended, take_seat};
use super::park::switch_away;
use super::wake::{acquirep, handoffp, releasep};
use super::{SCHED, enter, leave};
use crate::atomic::Ordering;
use crate::g::{G, Place, Status};
use crate::m::{Action, M};
use crate::p::P;
use crate::p::owner::Exit;

/// How long a call is expected to take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It may return at once.
    #[cfg(feature = "interpose")]
    Short,
    /// It sleeps for about a millisecond or longer.
    Long,
}

/// Runs `f`, which may block the thread, without keeping other goroutines from running.
///
/// The goroutine stays on this thread meanwhile. On a thread that is no goroutine it just calls
/// `f`.
pub(crate) fn blocking<T>(f: impl FnOnce() -> T) -> T {
    /// Comes back also when `f` unwinds.
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            exitsyscall();
        }
    }
    let place = crate::arch::here::here();
    if !entersyscall(&place) {
        return f();
    }
    let _back = Back;
    f()
}

/// False on threads that are no goroutines, and inside another blocking call. `from` is a frame
/// that stays while the call lasts.
pub(crate) fn entersyscall(from: &Place) -> bool {
    if crate::tls::getg().is_none_or(|gp| gp.status() == Status::Syscall as u32) {
        return false;
    }
    let Some((mp, gp)) = enter() else { return false };
    gp.set_call(0, from);
    mark(mp, gp, super::p_of(mp), Expect::Long);
    super::preempt::settle(mp);
    leave(mp);
    true
}

/// The M holds the P.
#[inline]
pub(super) fn mark(mp: &'static M, gp: &'static G, pp: &'static P, expect: Expect) {
    gp.casgstatus(Status::Running, Status::Syscall);
    pp.syscalltick.bump();
    if expect == Expect::Long && is_wanted_soon(pp) && is_own_thread(mp) {
        entersyscallblock(mp);
    } else {
        pp.owner.enter_syscall(mp.addr());
        super::pace::call_begins();
    }
}

/// Whether there is something to run on the P in the next millisecond. A timer that is due in the
/// middle of the call would wait for sysmon, which may have gone to sleep just before. If another P
/// idles, an M waits for the timer and takes that one.
fn is_wanted_soon(pp: &'static P) -> bool {
    const LONG_NS: i64 = 1_000_000;
    let has_timers = || SCHED.spin.npidle() == 0 && pp.timers.next_when() != 0;
    !pp.runq.is_empty()
        || SCHED.runqsize() > 0
        || has_timers() && pp.timers.is_due(crate::sys::nanotime() + LONG_NS)
}

/// Whether this is the M's thread and not that of a child of fork or vfork.
pub(crate) fn is_own_thread(mp: &M) -> bool {
    mp.procid.get() == crate::sys::gettid() as u64
}

/// Go: entersyscallblock: the P is known to be wanted.
fn entersyscallblock(mp: &'static M) {
    if let Some(pp) = releasep(mp) {
        handoffp(pp);
    }
}

/// Go: exitsyscall.
pub(crate) fn exitsyscall() {
    let Some(gp) = crate::tls::getg() else { return };
    if gp.status() != Status::Syscall as u32 {
        return; // a call into the runtime ended the section already
    }
    let mp = pinned();
    leave(continue_after_call(mp, gp, unmark(mp, gp), Ended::Else));
}

/// The goroutine is back from its call.
#[inline]
pub(super) fn unmark(mp: &'static M, gp: &'static G) -> Exit {
    let exit = mp.p.get().map_or(Exit::Lost, |pp| pp.owner.exit_syscall(mp.addr()));
    gp.casgstatus(Status::Syscall, Status::Running);
    exit
}

/// Back in the goroutine's own code: the same as [`continue_with_p`], but without a P if it must.
pub(super) fn continue_after_call(
    mp: &'static M,
    gp: &'static G,
    exit: Exit,
    ended: Ended,
) -> &'static M {
    if exit == Exit::Lost && SCHED.spin.npidle() == 0 && take_seat(mp, ended) {
        mp.p.set(None);
        return mp;
    }
    continue_with_p(mp, gp, exit)
}

/// Lets others run if sysmon asked for that, and takes another P if it took the M's.
pub(super) fn continue_with_p(mp: &'static M, gp: &'static G, exit: Exit) -> &'static M {
    match exit {
        Exit::Kept => mp,
        Exit::Asked => switch_away(mp, gp, Action::Preempt),
        Exit::Lost => {
            mp.p.set(None);
            take_another(mp, gp)
        }
    }
}

#[allow(unsafe_code, reason = "the caller is a goroutine")]
#[inline(always)]
pub(super) fn pinned() -> &'static M {
    // SAFETY: FG1: the callers have checked that this is a goroutine.
    unsafe { crate::arch::fsgs::acquirem() }
}

/// A preempted goroutine whose M has no P: it queues like the others. One that is only claimed is
/// taken back first.
pub(crate) fn queue_without_p(mp: &'static M, gp: &'static G) -> &'static M {
    if let Some(pp) = mp.p.get() {
        if pp.owner.reclaim(mp.addr()) {
            return switch_away(mp, gp, Action::Preempt);
        }
        mp.p.set(None);
    }
    end_without_p(mp);
    switch_away(mp, gp, Action::NeedPreempt)
}

/// A running goroutine whose M has no P, or whose P is claimed: takes it back, or another, or waits
/// for one in the queue. Returns the M it continues on, with a P and one count of `m.locks`.
#[cold]
pub(crate) fn regain_p(mp: &'static M, gp: &'static G) -> &'static M {
    if !is_own_thread(mp) {
        return take_in_child(mp, gp);
    }
    if gp.status() == Status::Syscall as u32 {
        // A call into the runtime from within `blocking`: the section ends here.
        return continue_with_p(mp, gp, unmark(mp, gp));
    }
    if let Some(pp) = mp.p.get() {
        if pp.owner.reclaim(mp.addr()) {
            if !super::stop_the_world::wants_p_of(mp) || !super::stop_the_world::give_p(mp) {
                return mp;
            }
            return switch_away(mp, gp, Action::NeedP);
        }
        mp.p.set(None);
    }
    take_another(mp, gp)
}

/// The child of a fork, whose parent was about to lose its P, or had lost it: by sysmon, before the
/// fork or while it lasted. Nobody here would ever run a goroutine that queues, and the M would run
/// the copies of others meanwhile. There is no other thread, so any P will do. It takes no lock:
/// the parent's threads may have held it.
fn take_in_child(mp: &'static M, gp: &'static G) -> &'static M {
    let in_call = gp.status() == Status::Syscall as u32;
    if in_call && unmark(mp, gp) != Exit::Lost {
        return mp;
    }
    let Some(pp) = mp.p.get().or_else(|| super::procresize::allp().next()) else {
        crate::throw::throw("regain_p: there is no P")
    };
    mp.p.set(None);
    acquirep(mp, pp);
    mp
}

/// An M that has no P: it takes an idle one, or its goroutine queues, behind the others if it has
/// had its time slice.
fn take_another(mp: &'static M, gp: &'static G) -> &'static M {
    let slice_over = end_without_p(mp);
    let idle = SCHED.lock.lock().pidleget();
    match idle {
        Some(pp) => {
            acquirep(mp, pp);
            mp
        }
        None => switch_away(mp, gp, if slice_over { Action::NeedPreempt } else { Action::NeedP }),
    }
}

/// The goroutine is about to have a P, or to queue. True if it lost the last one by computing.
fn end_without_p(mp: &'static M) -> bool {
    SCHED.census.end(&mp.standing);
    mp.slice_over.swap(0, Ordering::Relaxed) != 0 // ORDERING: a hint
}
