//! Ms and Ps that idle, and how they are put to work.
//!
//! Go: proc.go `wakep`, `startm`, `stopm`, `handoffp`, `acquirep`, `releasep`, `mget`, `mput`,
//! `pidleput`, `pidleget`.

use super::mexit::{IDLE_M_NS, retire_idle};
use super::runq::Put;
use super::{SCHED, State, sysmon};
use crate::atomic::Ordering;
use crate::g::G;
use crate::m::M;
use crate::p::{P, PStatus};

impl State {
    /// Go: mput.
    pub(super) fn mput(&mut self, mp: &'static M) {
        mp.schedlink.set(self.midle);
        self.midle = Some(mp);
        self.nmidle += 1;
    }

    /// Go: mget.
    pub(crate) fn mget(&mut self) -> Option<&'static M> {
        let mp = self.midle?;
        self.midle = mp.schedlink.get();
        self.nmidle -= 1;
        Some(mp)
    }

    /// Takes one particular M off the idle list.
    pub(crate) fn mget_specific(&mut self, want: &'static M) -> bool {
        let mut prev: Option<&'static M> = None;
        let mut at = self.midle;
        while let Some(mp) = at {
            if core::ptr::eq(mp, want) {
                match prev {
                    Some(p) => p.schedlink.set(mp.schedlink.get()),
                    None => self.midle = mp.schedlink.get(),
                }
                self.nmidle -= 1;
                return true;
            }
            prev = at;
            at = mp.schedlink.get();
        }
        false
    }

    /// Go: pidleput.
    pub(crate) fn pidleput(&mut self, pp: &'static P) {
        pp.set_status(PStatus::Idle);
        pp.link.set(self.pidle);
        self.pidle = Some(pp);
        crate::p::mask::idlep_mask().set(pp.id(), true);
        SCHED.spin.p_became_idle();
    }

    /// Go: pidleget. sysmon sleeps while every P idles, so this wakes it.
    pub(crate) fn pidleget(&mut self) -> Option<&'static P> {
        let pp = self.pidle?;
        self.pidle = pp.link.get();
        crate::p::mask::idlep_mask().set(pp.id(), false);
        SCHED.spin.p_left_idle();
        if self.sysmonwait {
            self.sysmonwait = false;
            sysmon::wakeup();
        }
        Some(pp)
    }
}

/// The M takes the P, which the caller owns. Go: acquirep.
pub(crate) fn acquirep(mp: &'static M, pp: &'static P) {
    if mp.p.get().is_some() {
        crate::throw::throw("acquirep: already in go");
    }
    mp.p.set(Some(pp));
    pp.set_status(PStatus::Running);
    pp.owner.acquire(mp.addr());
}

/// The M gives its P up; `None` if sysmon took it first. Go: releasep.
pub(crate) fn releasep(mp: &'static M) -> Option<&'static P> {
    let pp = mp.p.get()?;
    mp.p.set(None);
    pp.owner.release(mp.addr()).then_some(pp)
}

/// Wakes an M if a P idles and nobody looks for work already. Call after queueing. Go: wakep.
#[inline]
pub(crate) fn wakep() {
    // ORDERING: set once in runtime.main, and by the first goroutine beyond main
    if SCHED.threads_started.load(Ordering::Relaxed) && SCHED.spin.reserve() {
        wakep_slow();
    }
}

/// Fewer in the ring are left to the watcher (watch.rs).
const FEW: usize = 16;
/// A P that wakes an M twice within this time is in a burst.
const BURST_NS: u64 = 50_000;

/// The same on an M with a P, which has queued a goroutine as `put` says.
#[inline]
pub(crate) fn wakep_after(pp: &'static P, put: Put) {
    // The only P is the caller's: none idles.
    if SCHED.gomaxprocs() == 1 {
        return;
    }
    let reserved = || match put {
        Put::Next => SCHED.spin.reserve_next(),
        Put::Ring => SCHED.spin.reserve_ring(pp.runq.ring_len() < FEW || pp.may_keep()),
    };
    // ORDERING: as in wakep
    if SCHED.threads_started.load(Ordering::Relaxed) && reserved() {
        if put == Put::Ring {
            note_burst(pp);
        }
        wakep_slow();
    }
}

#[cold]
fn note_burst(pp: &'static P) {
    let now = crate::sys::nanotime() as u64;
    if now.saturating_sub(pp.woke_at.get()) < BURST_NS {
        SCHED.spin.is_in_burst();
    }
    pp.woke_at.set(now);
}

/// As [`wakep`], from a thread that is no M. Before the first goroutine beyond main there is M 0
/// only, and no other may run goroutine 1: it is woken wherever it sleeps.
pub(crate) fn wake_from_outside() {
    // ORDERING: set before the first goroutine beyond main is queued
    if SCHED.threads_started.load(Ordering::Acquire) {
        return wakep();
    }
    loop {
        let mut sched = SCHED.lock.lock();
        // Taken already, or M 0 is awake: it looks at the queue before it gives its P up.
        if SCHED.runqsize() == 0 || SCHED.spin.npidle() == 0 {
            return;
        }
        if let Some(m0) = sched.mget() {
            let pp = sched.pidleget();
            drop(sched);
            if let Some(pp) = pp {
                hand(m0, pp, Spin::No);
            }
            m0.park.wakeup();
            return;
        }
        drop(sched);
        // Between giving the P up and going to sleep, or waiting for a timer.
        crate::netpoll::break_poller();
        std::thread::yield_now();
    }
}

#[cold]
fn wakep_slow() {
    let mut sched = SCHED.lock.lock();
    let Some(pp) = sched.pidleget() else {
        // Undone under the lock: were it later, a P could go idle and a goroutine be queued in
        // between, whose submitter would rely on a spinner that never comes.
        SCHED.spin.undo_reserve();
        return;
    };
    drop(sched);
    startm(pp, Spin::Yes);
}

/// Whether an M starts as a spinning one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spin {
    Yes,
    No,
}

/// Runs `pp`, which the caller owns, on an idle M or a new one. With `Spin::Yes` the caller has
/// reserved the spinning count. Go: startm.
pub(crate) fn startm(pp: &'static P, spin: Spin) {
    let mut sched = SCHED.lock.lock();
    let Some(mp) = sched.mget() else {
        super::newm::newm(sched, pp, spin);
        return;
    };
    drop(sched);
    hand(mp, pp, spin);
    mp.park.wakeup();
}

/// Runs `gp`, which is on no queue, with `pp` on an idle M or a new one.
pub(super) fn start_with(pp: &'static P, gp: &'static G) {
    let mut sched = SCHED.lock.lock();
    let Some(mp) = sched.mget() else {
        super::newm::newm_with(sched, pp, gp);
        return;
    };
    drop(sched);
    mp.handover.set(Some(gp));
    hand(mp, pp, Spin::No);
    mp.park.wakeup();
}

/// MP1: the caller took `mp` off the idle list (or just made it).
pub(crate) fn hand(mp: &'static M, pp: &'static P, spin: Spin) {
    if mp.is_spinning() {
        crate::throw::throw("startm: m is spinning");
    }
    mp.set_spinning(spin == Spin::Yes);
    mp.nextp.set(Some(pp));
}

/// Sleeps until somebody hands this M a P, or its thread has to return or end. Go: stopm.
pub(crate) fn stopm(mp: &'static M) {
    if mp.p.get().is_some() {
        crate::throw::throw("stopm holding p");
    }
    if mp.is_spinning() {
        crate::throw::throw("stopm spinning");
    }
    let mut sched = SCHED.lock.lock();
    if mp.is_returning() || mp.is_waited_for() {
        return;
    }
    sched.mput(mp);
    let surplus = sched.has_surplus_m(mp);
    drop(sched);
    if surplus && !mp.park.sleep_for(IDLE_M_NS) && retire_idle(mp) {
        return;
    }
    take_handed(mp);
}

/// An M that has put itself on the idle list sleeps until it is taken off, and takes what it was
/// handed.
pub(super) fn take_handed(mp: &'static M) {
    // ORDERING: if they have just been started, sysmon looks as well
    if SCHED.threads_started.load(Ordering::Relaxed) {
        mp.park.sleep_and_clear();
    } else {
        super::deadlock::sleep_watching(&mp.park);
    }
    if let Some(pp) = mp.nextp.get() {
        mp.nextp.set(None);
        acquirep(mp, pp);
    }
}

/// Finds work for a P that its M gave up or lost. Go: handoffp.
pub(crate) fn handoffp(pp: &'static P) {
    let now_due = || pp.timers.is_due(crate::sys::nanotime());
    // ORDERING: until the first goroutine beyond main there is nobody to hand it to
    let can_start = SCHED.threads_started.load(Ordering::Relaxed);
    if can_start && (!pp.runq.is_empty() || SCHED.runqsize() != 0 || now_due()) {
        return startm(pp, Spin::No);
    }
    // Nobody spins and no P idles: one M has to look for work that comes.
    if can_start
        && SCHED.spin.npidle() == 0
        && SCHED.spin.nmspinning() == 0
        && SCHED.spin.reserve_idle()
    {
        return startm(pp, Spin::Yes);
    }
    let mut sched = SCHED.lock.lock();
    if can_start && SCHED.runqsize() != 0 {
        drop(sched);
        return startm(pp, Spin::No);
    }
    let when = pp.timers.next_when();
    sched.pidleput(pp);
    drop(sched);
    // A spinner may have found work since it was counted above, and seen no idle P to wake for.
    SCHED.spin.recheck_fence();
    if can_start && super::find_runnable::check_runqs_no_p() {
        wakep();
    }
    if when != 0 {
        crate::netpoll::wake_net_poller(when);
    }
}
