//! sysmon: the thread without a P that watches those with one.
//!
//! Go: proc.go `sysmon`, `retake`.
//!
//! It takes the P of an M that is in a blocking call, that sleeps in the kernel without having said
//! so (a std Mutex, a page fault, C code), or whose goroutine ran for 10 ms while others wait: such
//! a goroutine goes on without a P, on its thread, under the kernel's scheduler, and takes a P at
//! its next runtime call (p/owner.rs). It never allocates. While every P idles it sleeps.

use super::deadlock::Watch;
use super::hogs::{self, Hogs};
use super::pace::{Found, Load, Pace};
use super::wake::handoffp;
use super::{SCHED, ages, barrier, default_gomaxprocs, faults, procresize, slow, stop_the_world};
use crate::atomic::Ordering;
use crate::lock::mutex::RtMutex;
use crate::lock::note::Note;
use crate::lock::rank::Rank;
use crate::m::{M, special};
use crate::netpoll::Stale;
use crate::p::P;
use crate::sys::{nanotime, proc::ThreadState};
use core::ffi::c_void;

/// Go's: a goroutine may run this long while others wait.
const FORCE_PREEMPT_NS: i64 = 10_000_000;
/// The same when somebody has waited for the time, or for a descriptor, already.
const URGENT_PREEMPT_NS: i64 = 400_000;
/// A thread that was seen without progress this long is asked whether it sleeps. A little less than
/// two rounds are apart, so that the second look is enough.
const LOOK_AT_THREAD_NS: i64 = 400_000;
/// A call that was seen to last so long loses its P although it computes: it copies, or faults.
const COMPUTING_CALL_NS: i64 = 500_000;
/// Whoever holds the P of a timer that is due so soon may block by then.
const SOON_NS: i64 = 1_000_000;
/// A timer that is so late has been forgotten by the P's holder, or by who was to wait for it.
pub(super) const LATE_NS: i64 = 200_000;
/// When nothing has run for so long, it sleeps until a P is taken. Waking it costs more than a few
/// rounds, and a process with timers idles for moments only.
const QUIET_NS: i64 = 20_000_000;

/// How often a goroutine may refuse to be preempted by signal before its P is taken.
const PREEMPT_TRIES: u64 = 10;

static NOTE: Note = Note::new();

/// Under `sched.lock`, after `sysmonwait` was taken down.
pub(crate) fn wakeup() {
    NOTE.wakeup();
}

pub(crate) extern "C" fn sysmon(_: *mut c_void) -> *mut c_void {
    crate::sys::proc::name_thread(format_args!("rt0-sysmon"));
    barrier::init();
    default_gomaxprocs::sysmon_starts();
    let tracing = crate::debug::vars::get().schedtrace.get() > 0;
    let (mut last_trace, mut last_check) = (0, nanotime());
    let mut pace = Pace::new(last_check);
    let mut quiet = Quiet { ticks: 0, since: last_check };
    let mut deadlock = Watch::new();
    let mut hogs = Hogs::new();
    let mut slow = slow::Watch::new();
    let mut ages = ages::Watch::new();
    loop {
        crate::debug::halted::stay_if_frozen();
        let waiting = is_anybody_queued();
        let now = nanotime();
        pace.wait(now, load(now, waiting, tracing));
        if tracing {
            last_trace = trace_if_due(last_trace);
        }
        last_check = default_gomaxprocs::check_if_due(last_check);
        let look = deadlock.look(nanotime()).min(slow.look(nanotime()));
        let look = look.min(ages.look(nanotime()));
        if !tracing && quiet.is_long() && deep_sleep(look) {
            pace.hurry();
            continue;
        }
        let idles = super::find_runnable::timers_overdue() || (waiting && SCHED.spin.npidle() > 0);
        if idles {
            super::wake::wakep();
        }
        let idles = idles && SCHED.spin.npidle() > 0 && is_anybody_queued();
        let stale = crate::netpoll::look_if_stale(nanotime(), pace.was_long());
        hogs.look(nanotime(), waiting);
        faults::ask_to_park();
        let found = retake(nanotime(), &mut hogs);
        let helped = idles || stale == Stale::Needed;
        let found = if helped { found.max(Found::Somebody) } else { found };
        pace.found(found, stale == Stale::Asked, nanotime());
    }
}

fn is_anybody_queued() -> bool {
    SCHED.runqsize() > 0 || procresize::allp().any(|pp| !pp.runq.is_empty())
}

/// What there is to do while sysmon waits for its next round.
fn load(now: i64, waiting: bool, tracing: bool) -> Load {
    let is_full = SCHED.spin.npidle() == 0;
    let soon = || is_full && timer_soon(now + SOON_NS);
    let alone = SCHED.census.hogs() + SCHED.census.seats() == 0 && !SCHED.holds_back();
    Load {
        waits: waiting || SCHED.holds_back() || soon(),
        is_full: is_full && alone && !tracing,
        until: match super::find_runnable::check_timers_no_p() {
            0 => i64::MAX,
            when => when.saturating_add(LATE_NS),
        },
    }
}

/// Whether a timer is due by `when`: whoever holds its P by then may block. While a P idles the M
/// that waits for timers takes that one.
fn timer_soon(when: i64) -> bool {
    procresize::allp().any(|pp| pp.timers.is_due(when))
}

/// How long nothing has run.
struct Quiet {
    /// Of all Ps.
    ticks: u64,
    since: i64,
}

impl Quiet {
    fn is_long(&mut self) -> bool {
        if SCHED.spin.npidle() != SCHED.gomaxprocs() {
            self.since = nanotime();
            return false;
        }
        let ticks = super::deadlock::ticks();
        if ticks != self.ticks {
            (self.ticks, self.since) = (ticks, nanotime());
        }
        nanotime() - self.since >= QUIET_NS
    }
}

/// Prints the scheduler's state if it is time to; returns when it last was.
fn trace_if_due(last: i64) -> i64 {
    let debug = crate::debug::vars::get();
    let now = nanotime();
    if now < last.saturating_add(debug.schedtrace.get().saturating_mul(1_000_000)) {
        return last;
    }
    super::schedtrace::schedtrace(now, debug.scheddetail.get() > 0);
    now
}

/// Sleeps on the kernel thread. Go: usleep.
pub(super) fn usleep(ns: i64) {
    let never = crate::atomic::AtomicU32::new(0);
    crate::sys::futex::wait(&never, 0, Some(crate::sys::futex::less_slack(ns)));
}

/// Sleeps until a P is taken off the idle list, or until `until`. The M that waits for timers needs
/// no sysmon; goroutines that are held back do.
fn deep_sleep(until: i64) -> bool {
    let mut sched = SCHED.lock.lock();
    if SCHED.spin.npidle() != SCHED.gomaxprocs() || SCHED.holds_back() {
        return false;
    }
    NOTE.clear();
    sched.sysmonwait = true;
    drop(sched);
    if !NOTE.sleep_for(until.saturating_sub(nanotime())) {
        let woken = !core::mem::replace(&mut SCHED.lock.lock().sysmonwait, false);
        if woken {
            NOTE.sleep(); // whoever took `sysmonwait` down wakes us
        }
    }
    true
}

/// One look at every P. Go: retake.
fn retake(now: i64, hogs: &mut Hogs) -> Found {
    let look = |pp| match holder(pp) {
        None => Found::Nothing,
        Some(mp) if pp.owner.in_syscall() => retake_syscall(pp, mp, now),
        Some(mp) => retake_running(pp, mp, now, hogs),
    };
    procresize::allp().map(look).max().unwrap_or(Found::Nothing)
}

/// The M whose `p` this is, or was a moment ago: the owner word's CASes decide.
fn holder(pp: &'static P) -> Option<&'static M> {
    let addr = pp.owner.holder()?;
    crate::m::allm().find(|m| m.addr() == addr)
}

/// A call that lasts loses its P while work waits. One that does not may be one of a chain: its
/// goroutine is asked to let others run when it returns, if a timer is due, or if it has had its
/// time slice.
fn retake_syscall(pp: &'static P, mp: &'static M, now: i64) -> Found {
    let slice_over = since_schedtick(pp, now) >= FORCE_PREEMPT_NS && work_waits(pp, now);
    if slice_over || is_urgent(pp, now) {
        pp.owner.ask(mp.addr());
    }
    let seen = pp.sysmon_seen.since(pp.syscalltick.get() | 1 << 63, now);
    let Some(since) = seen else {
        // One that is seen for the first time may be short, but a sleeper has been kept waiting.
        let taken = pp.timers.is_due(now - LATE_NS) && is_asleep(mp) && {
            take_and_hand_off(pp, mp, false, || pp.owner.retake_syscall(mp.addr()))
        };
        return if taken { Found::P } else { Found::Somebody };
    };
    let others_care = SCHED.spin.nmspinning() + SCHED.spin.npidle() > 0;
    if !work_waits(pp, now) && others_care && since < FORCE_PREEMPT_NS {
        return Found::Somebody;
    }
    let computes = thread_state(mp) == ThreadState::Running;
    if computes && since < COMPUTING_CALL_NS {
        return Found::Somebody; // another thread would only compete with it
    }
    let taken = take_and_hand_off(pp, mp, computes, || pp.owner.retake_syscall(mp.addr()));
    if taken { Found::P } else { Found::Somebody }
}

fn thread_state(mp: &M) -> ThreadState {
    crate::sys::proc::thread_state(mp.procid.get() as i32)
}

/// Not for a moment, as in a page fault.
fn is_asleep(mp: &M) -> bool {
    thread_state(mp) == ThreadState::Asleep
}

/// For an M without a P that has work now, be it a timer that is due: the P of an M that sleeps in
/// a marked call. The caller owns it. The M that waits for timers and descriptors comes here when
/// no P idles, and so they do not wait for sysmon.
pub(super) fn from_sleeper() -> Option<&'static P> {
    procresize::allp().find(|pp| {
        pp.owner.in_syscall()
            && holder(pp).is_some_and(|mp| is_asleep(mp) && pp.owner.retake_syscall(mp.addr()))
    })
}

/// Takes the P by `take` and gives it to another M. A goroutine that `computes` has had its turn:
/// when it wants a P again it queues with those that were preempted.
fn take_and_hand_off(
    pp: &'static P,
    mp: &'static M,
    computes: bool,
    take: impl FnOnce() -> bool,
) -> bool {
    // ORDERING: a hint; the take publishes it
    mp.slice_over.store(u32::from(computes), Ordering::Relaxed);
    if !take() {
        mp.slice_over.store(0, Ordering::Relaxed); // ORDERING: a hint
        return false;
    }
    if computes {
        pp.hog_ends();
    }
    handoffp(pp);
    true
}

/// How long sysmon has seen the P run one goroutine.
fn since_schedtick(pp: &'static P, now: i64) -> i64 {
    let t = pp.schedtick.get();
    if pp.sysmon_tick.get() != t {
        pp.sysmon_tick.set(t);
        pp.sysmon_when.set(now as u64);
        pp.preempt_tries.set(0);
    }
    now - pp.sysmon_when.get() as i64
}

/// Work that this P's holder keeps from running.
fn work_waits(pp: &'static P, now: i64) -> bool {
    !pp.runq.is_empty() || SCHED.runqsize() > 0 || pp.timers.is_due(now)
}

/// Whether a sleeper is due, or somebody whom a descriptor woke waits for a P.
fn is_urgent(pp: &'static P, now: i64) -> bool {
    pp.timers.is_due(now) || SCHED.has_ready()
}

/// Asks all Ms that have a P to look at their timers, and at who is ready, at the next switch.
pub(crate) fn ask_to_look() {
    procresize::allp().filter_map(holder).for_each(|mp| mp.set_special(special::LOOK));
}

fn retake_running(pp: &'static P, mp: &'static M, now: i64, hogs: &mut Hogs) -> Found {
    if pp.timers.is_due(now - LATE_NS) {
        mp.set_special(special::LOOK); // it switches, but looks every 16th time only
    }
    let since = since_schedtick(pp, now);
    if since < LOOK_AT_THREAD_NS || in_runtime(mp) {
        return Found::Nothing;
    }
    if since >= FORCE_PREEMPT_NS {
        hogs.slice_is_over(mp, now);
    }
    if !work_waits(pp, now) && !stopper_needs_help() {
        return Found::Somebody;
    }
    let tid = mp.procid.get() as i32;
    let state = crate::sys::proc::thread_state(tid);
    if faults::may_keep(pp, state, now) {
        return Found::Somebody;
    }
    let computes = !state.is_asleep();
    if computes {
        let slice = if is_urgent(pp, now) { URGENT_PREEMPT_NS } else { FORCE_PREEMPT_NS };
        if since < slice {
            return Found::Somebody;
        }
        // First it is asked to park; after some refusals its P is taken. Go, too, looks no sooner
        // again for that.
        if pp.preempt_tries.bump() <= PREEMPT_TRIES && super::preempt::preempt_m(mp) {
            return Found::Somebody;
        }
        if since < hogs::hand_off_after(slice) {
            return Found::Somebody;
        }
        hogs.slice_is_over(mp, now);
    }
    let take = || take_from_running(pp, mp, || barrier::enforce(mp, tid));
    let taken = take_and_hand_off(pp, mp, computes, take);
    if taken {
        faults::taken(mp, state);
    }
    if taken { Found::P } else { Found::Somebody }
}

pub(super) fn in_runtime(mp: &'static M) -> bool {
    // ORDERING: a hint, or after the barrier in take_from_running
    mp.locks.load(Ordering::Acquire) != 0
}

/// For a stopper: the P, if its M is in a system call or outside the runtime at this moment.
pub(crate) fn take_for_stopper(pp: &'static P) -> bool {
    let Some(mp) = holder(pp) else { return false };
    if pp.owner.in_syscall() {
        return pp.owner.retake_syscall(mp.addr());
    }
    let tid = mp.procid.get() as i32;
    if take_from_running(pp, mp, || barrier::pass(mp, tid)) {
        return true;
    }
    // Without the barrier no P is taken here from a thread that computes: its goroutine is asked to
    // park, and the M gives the P up at the end of that. Or sysmon puts the P on the idle list.
    if !barrier::have_membarrier() && !in_runtime(mp) {
        super::preempt::preempt_m(mp);
    }
    false
}

/// One claimer at a time: see [`crate::p::owner::Owner::take_outside`].
static CLAIM: RtMutex<()> = RtMutex::new(Rank::Claim, ());

/// The caller owns the P if this is true. `barrier` is one of barrier.rs.
fn take_from_running(pp: &'static P, mp: &'static M, barrier: impl FnOnce() -> bool) -> bool {
    let _one = CLAIM.lock();
    // The barrier reaches every thread that runs in this memory; a child of vfork is one, and it
    // may use the M while the M's own thread sleeps.
    pp.owner.take_outside(mp.addr(), barrier, || in_runtime(mp))
}

/// Whether there is a stopper that cannot take Ps from threads that compute.
fn stopper_needs_help() -> bool {
    stop_the_world::gcwaiting() && !barrier::have_membarrier()
}
