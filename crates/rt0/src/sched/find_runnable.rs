//! What runs next.
//!
//! Go: proc.go `findRunnable`, `checkTimers`, `checkRunqsNoP`, `checkTimersNoP`. The order is Go's:
//! own timers; every 61st time the global queue; the local queue; a batch of the global queue; the
//! descriptors that are ready; four rounds of stealing; then the P goes idle, everything is looked
//! at once more, and the M waits for the next timer and for descriptors, or sleeps.

use super::global_queue::take_ready;
use super::park::GLOBAL_LOOK;
use super::tree::goes_on;
use super::wake::{acquirep, releasep, stopm, wakep};
use super::watch::watch;
use super::{SCHED, p_of, procresize, steal, sysmon};
use crate::atomic::Ordering;
use crate::g::G;
use crate::m::M;
use crate::netpoll;
use crate::p::P;
use crate::sys::{epoll::Events, nanotime};

/// Finds a goroutine for an M with a P; blocks until there is one. `None`: the M has to return, or
/// lost its P on the way; the caller looks again.
pub(crate) fn find_runnable(mp: &'static M) -> Option<&'static G> {
    loop {
        if super::stop_the_world::gcwaiting() && super::stop_the_world::give_p(mp) {
            return None;
        }
        let pp = p_of(mp);
        mp.begins_to_look();
        crate::time::check_timers(mp, pp);
        if SCHED.has_ready() {
            take_ready(pp);
        }
        if netpoll::is_asked() {
            netpoll::look_if_asked(mp, pp);
        }
        if let Some(gp) = from_queues(pp) {
            return Some(gp);
        }
        pp.batch.end();
        if netpoll::is_worth_a_look() && netpoll::look(mp) {
            continue;
        }
        if let Some(gp) = steal_if_allowed(mp) {
            return Some(gp);
        }
        match give_up_p(mp, pp) {
            Next::Run(gp) => return Some(gp),
            Next::LookAgain => continue,
            Next::Watch if watch(mp) => {
                mp.p.get()?;
                if mp.handover.get().is_some() {
                    return None;
                }
                continue;
            }
            Next::Wait | Next::Watch => {}
        }
        if mp.is_special_on_g0() {
            return None;
        }
        if wait_for_events(mp) {
            continue;
        }
        stopm(mp);
        mp.p.get()?;
        if mp.handover.get().is_some() {
            return None; // woken to run that one
        }
    }
}

enum Next {
    Run(&'static G),
    LookAgain,
    Wait,
    /// The M is the watcher.
    Watch,
}

fn from_queues(pp: &'static P) -> Option<&'static G> {
    // Now and then the global queue first, or two goroutines that ready each other would starve it.
    let looks = pp.schedtick.get().is_multiple_of(GLOBAL_LOOK);
    if looks && SCHED.runqsize() > 0 && !goes_on(pp) {
        let gp = SCHED.lock.lock().globrunqget(pp);
        if gp.is_some() {
            return gp;
        }
    }
    if let Some(gp) = pp.next_local() {
        return Some(gp);
    }
    if SCHED.runqsize() != 0 {
        return SCHED.lock.lock().globrunqgetbatch(pp);
    }
    None
}

/// Spins: four rounds over the other Ps, unless enough Ms do so already.
fn steal_if_allowed(mp: &'static M) -> Option<&'static G> {
    if !mp.is_spinning() {
        if !SCHED.spin.may_spin(SCHED.gomaxprocs()) {
            return None;
        }
        mp.set_spinning(true);
        SCHED.spin.start();
    }
    steal::steal_work(mp)
}

/// Gives the P back, then looks everywhere once more (spinning.rs, step 2).
fn give_up_p(mp: &'static M, pp: &'static P) -> Next {
    {
        let mut sched = SCHED.lock.lock();
        if SCHED.runqsize() != 0 {
            return match sched.globrunqgetbatch(pp) {
                Some(gp) => Next::Run(gp),
                None => Next::LookAgain,
            };
        }
        if releasep(mp).is_none() {
            crate::throw::throw("findrunnable: the P of an M inside the runtime was taken");
        }
        sched.pidleput(pp);
    }
    // Spinning or not: a submitter may have relied on a spinner that found other work, and the wake
    // which that one owed saw no idle P (Go: sched.needspinning).
    if mp.is_spinning() {
        mp.set_spinning(false);
        SCHED.spin.stop();
    } else {
        SCHED.spin.recheck_fence();
    }
    {
        let mut sched = SCHED.lock.lock();
        if SCHED.runqsize() != 0
            && let Some(pp) = sched.pidleget()
        {
            let gp = sched.globrunqgetbatch(pp);
            drop(sched);
            spin_again(mp, pp);
            return gp.map_or(Next::LookAgain, Next::Run);
        }
    }
    // What is in a `runnext` only will run next there, mostly, and the watcher sees to it.
    // But it does not look at descriptors.
    let may_watch = !netpoll::is_worth_a_look();
    let queued = check_runqs_no_p();
    if queued && (!may_watch || procresize::allp().any(P::has_for_others)) {
        let pp = SCHED.lock.lock().pidleget();
        if let Some(pp) = pp {
            spin_again(mp, pp);
            return Next::LookAgain;
        }
    }
    let watches = may_watch && (queued || SCHED.spin.was_for_next()) && SCHED.spin.begin_watch();
    if watches { Next::Watch } else { Next::Wait }
}

pub(super) fn spin_again(mp: &'static M, pp: &'static P) {
    acquirep(mp, pp);
    mp.set_spinning(true);
    SCHED.spin.start();
}

/// Whether a P that is not idle has something to steal.
pub(crate) fn check_runqs_no_p() -> bool {
    procresize::allp().any(|pp| !pp.runq.is_empty())
}

/// When the first timer of any P is due; 0: there is none.
pub(crate) fn check_timers_no_p() -> i64 {
    procresize::allp().map(|pp| pp.timers.next_when()).filter(|w| *w != 0).min().unwrap_or(0)
}

/// One idle M waits for the next timer of all Ps and for descriptors. True: look for work again,
/// with a P.
fn wait_for_events(mp: &'static M) -> bool {
    let mut events = Events::new();
    if !netpoll::wait(mp, check_timers_no_p, &mut events) {
        return false;
    }
    if mp.is_special_on_g0() {
        netpoll::run_globally(&events);
        wakep(); // somebody else has to wait for the rest
        return false;
    }
    let pp = SCHED.lock.lock().pidleget();
    match pp.or_else(|| for_work(&events)) {
        Some(pp) => {
            spin_again(mp, pp);
            netpoll::run_on(pp, &events);
            true
        }
        // Every P is busy; those look at their timers, and sysmon at those that do not.
        None => {
            netpoll::run_globally(&events);
            false
        }
    }
}

/// No P idles: that of an M which sleeps in a call, if there is work for one.
fn for_work(events: &Events) -> Option<&'static P> {
    if netpoll::is_any(events) || is_timer_due(0) { sysmon::from_sleeper() } else { None }
}

/// Whether one has been due for so long.
fn is_timer_due(late_ns: i64) -> bool {
    let when = check_timers_no_p();
    when != 0 && when.saturating_add(late_ns) <= nanotime()
}

/// A timer is due that no M waits for, although a P idles: sysmon asks for one. The M that waits
/// may be late by a little, to run several at once: another one would take them to its own CPU.
pub(crate) fn timers_overdue() -> bool {
    SCHED.spin.npidle() > 0 && is_timer_due(sysmon::LATE_NS) && {
        // ORDERING: a hint
        SCHED.threads_started.load(Ordering::Relaxed)
    }
}
