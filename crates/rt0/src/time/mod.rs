//! Time: sleeping without a thread.
//!
//! Go: time.go `timeSleep`, `resetForSleep`, `checkTimers`, `runtimer`, `moveTimers`. A sleeper is
//! an entry in its P's heap (heap.rs). Timers are run by the P's own M between goroutines, by an M
//! that steals, or by the idle M that waits for the next one (netpoll).

pub(crate) mod heap;

pub use std::time::{Duration, Instant};

use crate::g::{G, WaitReason};
use crate::m::M;
use crate::p::P;
use crate::sched::park::gopark;
use crate::sched::{global_queue::runqput, p_of, runq::Place, wake::wakep};
use crate::sys::nanotime;

/// Due timers taken from a heap at a time.
const BATCH: usize = 32;

/// Suspends the goroutine for at least `dur`; other goroutines run meanwhile.
///
/// On a thread that is no goroutine it is [`std::thread::sleep`]. A zero duration returns at once;
/// the longest possible one sleeps for about 292 years. Go: `time.Sleep`; std:
/// `std::thread::sleep`.
pub fn sleep(dur: Duration) {
    if dur.is_zero() {
        return;
    }
    let ns = i64::try_from(dur.as_nanos()).unwrap_or(i64::MAX);
    let when = nanotime().saturating_add(ns);
    if !gopark(WaitReason::Sleep, start_timer, when as usize) {
        std::thread::sleep(dur);
    }
}

/// The same for the runtime's own goroutines.
pub(crate) fn sleep_system(ns: i64) {
    let when = nanotime().saturating_add(ns);
    crate::sched::newproc::park_system(WaitReason::Sleep, start_timer, when as usize);
}

/// The goroutine is off its stack: from here on the timer may wake it. Go: resetForSleep.
fn start_timer(mp: &'static M, gp: &'static G, when: usize) -> bool {
    let pp = p_of(mp);
    let when = when as i64;
    if pp.timers.add(pp.id(), when, gp) {
        crate::netpoll::wake_net_poller(when);
    }
    true
}

/// Runs what is due on the M's own P. Go: checkTimers.
#[inline]
pub(crate) fn check_timers(mp: &'static M, pp: &'static P) {
    if pp.timers.next_when() != 0 {
        run_due(mp, pp);
    }
}

/// Readies every sleeper of `from` that is due, on the P of `mp`.
pub(crate) fn run_due(mp: &'static M, from: &'static P) {
    let mut due: [Option<&'static G>; BATCH] = [None; BATCH];
    loop {
        let n = from.timers.take_due(from.id(), nanotime(), &mut due);
        for gp in due[..n].iter().flatten() {
            gp.casgstatus(crate::g::Status::Waiting, crate::g::Status::Runnable);
            runqput(p_of(mp), gp, Place::Tail);
        }
        if n > 1 {
            wakep();
        }
        if n < BATCH {
            return;
        }
    }
}

/// Moves all timers of a P that goes away. Go: moveTimers.
pub(crate) fn move_timers(from: &'static P, to: &'static P) {
    from.timers.drain(from.id(), |when, gp| {
        to.timers.add(to.id(), when, gp);
    });
}
