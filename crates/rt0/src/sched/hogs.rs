//! Goroutines that run without a P.
//!
//! A goroutine that computes when its P is taken goes on, on its thread, until its next call into
//! the runtime. Where it can be preempted by signal that is soon: sysmon asks again and again. In
//! static programs, with `asyncpreemptoff=1` and where goroutines are threads it may be never, and
//! the kernel shares the processors among all such hogs and the Ms that have a P. The more hogs,
//! the less the Ps are worth: beside 50 hogs a P gets 2% of what the hogs get, and all goroutines
//! that call the runtime, or C functions in which their P is lost, share that.
//!
//! # Going on without a P after a call
//! So a goroutine that comes back from a call and finds no P may go on without one too, if it gets
//! a seat (seats.rs) until its next call. There are as many as hogs: the kernel then shares among
//! those who compute and those who call. Without hogs there are none, but for one case: a goroutine
//! that another one woke from a futex, for which there are as many as Ps.
//!
//! That one is there for locks that are not fair, as std's are. Its owner leaves its P in the
//! middle of a call that it makes under the lock, or wherever its time slice ends, most often under
//! the lock as well. Who is woken when the lock is given back would queue for a P, get it when the
//! owner has lost it again, and find the lock taken: always. At the speed of the kernel it finds
//! the lock free now and then, as threads do, and then has it without waiting for anything else.
//!
//! sysmon takes the seats of those who compute for longer (hogs they are, then).
//!
//! # Rejected
//! * To queue in front of the others after a futex: the lock is still taken at every moment at
//!   which there is a P to be had.
//! * Less weight for hogs in the kernel (nice, SCHED_IDLE): an unprivileged thread does not get it
//!   back, and other programs would starve it.

use super::{SCHED, sysmon};
use crate::atomic::Ordering;
use crate::m::M;
use crate::sys::proc::{ThreadState, thread_state};

/// How often they are counted at most.
const SWEEP_NS: i64 = 10_000_000;

/// How a goroutine's call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Another thread woke it.
    #[cfg(feature = "interpose")]
    Woken,
    /// In any other way.
    Else,
}

/// On the way out of a call, without a P and with none idle: true if the goroutine may go on.
pub(super) fn take_seat(mp: &'static M, ended: Ended) -> bool {
    let most = match ended {
        #[cfg(feature = "interpose")]
        Ended::Woken => SCHED.nhogs() + SCHED.gomaxprocs(),
        Ended::Else => SCHED.nhogs(),
    };
    most > 0 && SCHED.seats.take(&mp.seat, most)
}

/// A hog is back in the runtime.
pub(super) fn comes_back() {
    // ORDERING: a count, which the next sweep corrects
    let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
    let _ = SCHED.nhogs.fetch_update(set, fetch, |n| n.checked_sub(1));
}

/// sysmon: a goroutine that computes is about to lose its P.
pub(super) fn one_more() {
    SCHED.nhogs.fetch_add(1, Ordering::Relaxed); // ORDERING: a count, which a sweep corrects
}

/// sysmon's sweeps.
pub(super) struct Sweeps {
    last: i64,
}

impl Sweeps {
    pub(super) fn new() -> Sweeps {
        Sweeps { last: 0 }
    }

    /// Counts the hogs, if it is time to, and asks them to park while others wait: where they do,
    /// their number, and so that of threads, stays bounded.
    pub(super) fn sweep(&mut self, now: i64) {
        let known = SCHED.nhogs() + SCHED.seats.taken();
        // To look at one takes some microseconds: all of it shall not take sysmon a tenth.
        let pause = SWEEP_NS.max(i64::from(known) * SWEEP_NS / 64);
        let others_wait = SCHED.runqsize() > 0;
        if now - self.last < pause || !others_wait && known == 0 {
            return;
        }
        self.last = now;
        let mut hogs = 0;
        for mp in crate::m::allm() {
            let seated = SCHED.seats.age(&mp.seat);
            if seated || !runs_without_p(mp) {
                continue;
            }
            hogs += 1;
            let _asked = others_wait && super::preempt::preempt_m(mp);
        }
        SCHED.nhogs.store(hogs, Ordering::Relaxed); // ORDERING: a count
    }
}

/// A thread asleep in the kernel does not, nor is it signalled: calls that are not restarted would
/// end.
fn runs_without_p(mp: &'static M) -> bool {
    let runs = mp.curg.load(Ordering::Relaxed).is_some_and(|gp| {
        // ORDERING: hints; the handler decides
        gp.status() == crate::g::Status::Running as u32
    });
    let has_p = mp.p.load(Ordering::Relaxed).is_some_and(|pp| pp.owner.is(mp.addr()));
    runs && !has_p
        && !sysmon::in_runtime(mp)
        && thread_state(mp.procid.get() as i32) == ThreadState::Running
}
