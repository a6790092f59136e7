//! Time: sleeping without a thread, timers and tickers.
//!
//! Go: time.go `timeSleep`, `resetForSleep`, `checkTimers`, `runtimer`, `moveTimers`. A sleeper is
//! an entry in its P's heap (heap.rs). Timers are run by the P's own M between goroutines, by an M
//! that steals, or by the idle M that waits for the next one (netpoll).

pub(crate) mod batch;
pub(crate) mod fired;
pub(crate) mod first;
pub(crate) mod func;
pub(crate) mod heap;
mod timeout;
mod timer;

pub use std::time::{
    Duration, Instant, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH,
};
pub use timeout::{Elapsed, timeout};
pub use timer::{Ticker, Timer};

use crate::g::WaitReason;
use crate::m::M;
use crate::p::{P, mask::idlep_mask};
use crate::sched::global_queue::go_first;
use crate::sched::wait::{self, Wait, Why};
use crate::sched::{p_of, procresize, wake::wakep};
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
    if crate::tls::getg().is_none() {
        return std::thread::sleep(dur);
    }
    let when = wait::after(dur).unwrap_or(i64::MAX);
    Wait::begin().wait(SLEEP, Some(when));
}

/// The same until `deadline` at least; returns at once if that has passed. std: the unstable
/// `std::thread::sleep_until`.
pub fn sleep_until(deadline: Instant) {
    sleep(deadline.saturating_duration_since(Instant::now()));
}

const SLEEP: Why = Why { reason: WaitReason::Sleep, on: 0 };

/// The same for the runtime's own goroutines.
pub(crate) fn sleep_system(ns: i64) {
    let when = nanotime().saturating_add(ns);
    let (mp, gp) = crate::sched::enter_system();
    crate::sched::leave(Wait::begin_system(gp).wait_on(mp, gp, SLEEP, Some(when)));
}

/// Runs what is due on the M's own P. Go: checkTimers.
#[inline]
pub(crate) fn check_timers(mp: &'static M, pp: &'static P) {
    if pp.timers.next_when() != 0 {
        run_due(mp, pp);
    }
}

/// The same, and what is due on idle Ps: for who keeps an M that would otherwise wait for it.
pub(crate) fn check_timers_of_idle(mp: &'static M, pp: &'static P) {
    check_timers(mp, pp);
    procresize::allp().filter(|from| idlep_mask().get(from.id())).for_each(|from| {
        if from.timers.next_when() != 0 {
            run_due(mp, from);
        }
    });
}

/// Readies every sleeper of `from` that is due, on the P of `mp`, and fires timers.
pub(crate) fn run_due(mp: &'static M, from: &'static P) {
    let mut due: [Option<Wait>; BATCH] = [None; BATCH];
    let (pp, mut all) = (p_of(mp), 0);
    loop {
        let n = from.timers.take_due(from.id(), nanotime(), &mut due);
        let woken = due[..n].iter().flatten().filter(|wait| wait.expire(pp)).count();
        all += woken;
        if woken > 0 && pp.batch.begin(woken) {
            wakep();
        }
        if n < BATCH {
            break;
        }
    }
    if all > 0 {
        crate::netpoll::were_readied(all);
    }
    go_first(pp, all);
}

/// Moves all timers of a P that goes away, but for stale ones. Go: moveTimers.
pub(crate) fn move_timers(from: &'static P, to: &'static P) {
    from.timers.drain(from.id(), |when, wait| {
        to.timers.add(to.id(), when, wait);
    });
}
