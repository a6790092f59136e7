//! The M that found nothing to do beside goroutines that ready each other.
//!
//! A goroutine that readies one other and then parks needs no second thread: the one it readied is
//! in `runnext` and runs next. Whether it will park nobody knows, so while a P idles each such
//! wake-up would start a thread, which looks, waits its courtesy time, finds that the goroutine has
//! been run, and sleeps again: for nothing, and some microseconds of both threads. Go does that.
//!
//! Here a spinner that was started for a `runnext` and comes home with nothing becomes the watcher:
//! it naps, and while it does, queueing into an empty `runnext` wakes nobody (`reserve_next` in
//! spinning.rs). After each nap it looks whether a P has something in `runnext` and has not
//! switched since the last look; that it takes. So a goroutine whose waker goes on computing beside
//! an idle P waits for two naps at most. Everything else that is queued wakes an M at once, as
//! ever: the watcher itself, which is on the idle list.
//!
//! A burst is likewise: a goroutine that starts or readies a hundred others in 50 µs wakes an M for
//! the first of them, which runs it in a microsecond, looks, and sleeps again, a hundred times. So
//! while the watcher is there the first few in a ring are left to it, and it takes half of what has
//! come. From `FEW` on an M is woken as ever (wake.rs), unless the P keeps them (let_run.rs).
//!
//! It stops after some naps. Who queued in the meantime relied on it, so it looks once more after
//! it has said so.
//!
//! # Invariants
//! * `WA1`: one M at a time is the watcher. Between `begin_watch`, which said yes, and `end_watch`
//!   it holds no P; after `end_watch` it, or an M that it wakes, looks at all queues.
//!
//! # Rejected
//! Leaving `runnext` to the P altogether, as tokio does with its slot: a goroutine whose waker goes
//! on computing would wait for sysmon. Waking at most every so many microseconds: nobody would look
//! after the last time.

use super::SCHED;
use super::find_runnable::{check_runqs_no_p, check_timers_no_p, spin_again};
use super::procresize::allp;
use super::wake::{take_handed, wakep};
use crate::m::M;
use crate::netpoll;
use crate::sys::nanotime;

/// One nap; with the kernel's timer slack about twice that.
const NAP_NS: i64 = 50_000;
const NAPS: u32 = 10;

/// By the M for which `begin_watch` said yes. True: it has been handed a P or has taken one, so the
/// caller looks again. False: nothing is left to watch.
pub(super) fn watch(mp: &'static M) -> bool {
    loop {
        if let Some(has_p) = naps(mp) {
            return has_p;
        }
        SCHED.spin.end_watch();
        if !is_queued() {
            return false;
        }
        if is_stuck() || netpoll::is_worth_a_look() {
            return take_p(mp);
        }
        if !SCHED.spin.begin_watch() {
            return false;
        }
    }
}

/// To look for work as a spinner. If no P idles, those that run look before they do.
fn take_p(mp: &'static M) -> bool {
    let pp = SCHED.lock.lock().pidleget();
    if let Some(pp) = pp {
        spin_again(mp, pp);
    }
    pp.is_some()
}

/// `None`: nothing came, and the M is still the watcher.
fn naps(mp: &'static M) -> Option<bool> {
    for _ in 0..NAPS {
        if SCHED.spin.npidle() >= SCHED.gomaxprocs() {
            return None; // nobody runs, so nobody relies on this M
        }
        if netpoll::is_worth_a_look() {
            return None; // some idle M has to wait for descriptors
        }
        remember();
        let when = check_timers_no_p();
        match nap(mp, when) {
            Nap::Over => {}
            Nap::Woken => {
                SCHED.spin.end_watch();
                if !mp.is_spinning() && is_queued() {
                    wakep();
                }
                return Some(true);
            }
            Nap::Leave => {
                SCHED.spin.end_watch();
                if is_queued() {
                    wakep();
                }
                return Some(false);
            }
        }
        if is_stuck() || when != 0 && when <= nanotime() {
            let took = take_p(mp);
            SCHED.spin.end_watch();
            return Some(took);
        }
    }
    None
}

fn is_queued() -> bool {
    SCHED.runqsize() != 0 || check_runqs_no_p()
}

/// Where each P is.
fn remember() {
    allp().for_each(|pp| pp.watch_tick.set(pp.schedtick.get()));
}

/// Whether something is queued that does not run by itself soon.
fn is_stuck() -> bool {
    SCHED.runqsize() != 0
        || allp().any(|pp| {
            let same = pp.schedtick.get() == pp.watch_tick.get();
            if same {
                pp.keep_until(0); // what runs there is not brief
            }
            pp.has_for_others() || same && !pp.runq.is_empty()
        })
}

enum Nap {
    Over,
    /// Somebody took the M off the idle list.
    Woken,
    /// The thread has something else to do.
    Leave,
}

/// Sleeps on the idle list, until a timer is due at most.
fn nap(mp: &'static M, when: i64) -> Nap {
    {
        let mut sched = SCHED.lock.lock();
        if mp.is_returning() || mp.is_waited_for() {
            return Nap::Leave;
        }
        sched.mput(mp);
    }
    let ns = if when == 0 { NAP_NS } else { NAP_NS.min(when - nanotime()) };
    if !mp.park.sleep_for(ns) && SCHED.lock.lock().mget_specific(mp) {
        return Nap::Over;
    }
    take_handed(mp);
    Nap::Woken
}
