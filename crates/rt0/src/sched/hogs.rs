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
//! a seat (census.rs) until its next call. There are as many as hogs: the kernel then shares among
//! those who compute and those who call. Without hogs there are none, but for one case: a goroutine
//! that another one woke from a futex, for which there are as many as Ps.
//!
//! That one is there for locks that are not fair, as std's are. Its owner leaves its P in the
//! middle of a call that it makes under the lock, or wherever its time slice ends, most often under
//! the lock as well. Who is woken when the lock is given back would queue for a P, get it when the
//! owner has lost it again, and find the lock taken: always. At the speed of the kernel it finds
//! the lock free now and then, as threads do, and then has it without waiting for anything else.
//!
//! Who computes on it from one sweep of sysmon's to the next is a hog, and has no seat any more.
//!
//! # Thousands of hogs
//! Each is a thread. Of those that end it would do to start as many at a time as there are
//! processors; of those that never end each wants its share, and goroutines that are no hogs shall
//! not wait for any of them. Nobody knows which is which before it has run. So:
//!
//! 1. Up to four for each P are free: P after P is taken from them and runs the next goroutine.
//! 2. Beyond that, once another goroutine has used a slice up, for the first time, *new* goroutines
//!    are held back (held.rs). What has run before goes on as ever, and is not in their way:
//!    tickers, servers and whoever waits for a hog's result. Who joins one of the new goroutines
//!    starts it.
//! 3. After a while two are tried: the oldest, so that each has its turn, and the newest, so that
//!    work which comes in beside a heap of hogs does not queue behind all of them. Each hog found
//!    may make the while longer: it doubles with every 16 hogs (8 for each P, where that is more).
//!    If nobody else uses a slice up during a while, all may start.
//! 4. Goroutines that are not new may turn into hogs as well, in any number. Once the while has
//!    doubled eight times, a P stays longer with a goroutine that computes, too.
//!
//! If `t` is how long hogs have been coming without an end, a new goroutine waits for less than a
//! tenth of `t`, and the number of hogs grows with the logarithm of `t`: on two Ps about 70 in ten
//! seconds, 400 in a day. Those that end make room for new ones at once.
//!
//! # Rejected
//! * To queue in front of the others after a futex: the lock is still taken at every moment at
//!   which there is a P to be had.
//! * Less weight for hogs in the kernel (nice, SCHED_IDLE): an unprivileged thread does not get it
//!   back, and other programs would starve it.
//! * A limit on hogs, or growing slices alone: then the hogs of the day before have all the Ps, and
//!   a ticker waits for minutes.

use super::census::Seen;
use super::{SCHED, held, sysmon};
use crate::atomic::Ordering;
use crate::g::Status;
use crate::m::M;
use crate::sys::proc::{ThreadState, thread_state};
use crate::sys::raw::thread_cpu_ns;

/// How often all Ms are looked at, and how long one waits for the next of many, at least.
const SLICE_NS: i64 = 10_000_000;
/// Who uses so much CPU between two sweeps computes; others may wait for a processor.
const COMPUTES_NS: u64 = 1_000_000;
/// 10 ms become four months.
const MOST_DOUBLINGS: u32 = 30;
/// So many before a P is left to its goroutine for longer than a slice.
const FREE_DOUBLINGS: u32 = 8;

/// How many of those that use slices up again and again are remembered.
const KNOWN: usize = 256;

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
        Ended::Woken => SCHED.census.hogs() + SCHED.gomaxprocs(),
        Ended::Else => SCHED.census.hogs(),
    };
    most > 0 && SCHED.census.take_seat(&mp.standing, most)
}

/// How many hogs there may be before anything is done about it.
fn free() -> u32 {
    4 * SCHED.gomaxprocs()
}

/// How often the number of hogs beyond that has grown by what makes patience twice as long.
fn doublings() -> u32 {
    let step = (8 * SCHED.gomaxprocs()).clamp(16, 256);
    SCHED.census.hogs().saturating_sub(free()) / step
}

/// How long one waits for the next of many hogs.
fn patience() -> i64 {
    SLICE_NS << doublings().min(MOST_DOUBLINGS)
}

/// How long a goroutine that cannot be preempted keeps its P while others wait, if its slice is
/// `slice`.
pub(super) fn hand_off_after(slice: i64) -> i64 {
    slice << doublings().saturating_sub(FREE_DOUBLINGS).min(MOST_DOUBLINGS)
}

/// sysmon's view of them.
pub(super) struct Hogs {
    /// When all Ms were last looked at.
    swept: i64,
    /// When a goroutine last used its first slice up beside many.
    another: i64,
    /// When the next of those that are held back may start.
    next: i64,
    /// Goroutines that have used a slice up, by the lowest bits of their ids.
    known: [u64; KNOWN],
}

impl Hogs {
    pub(super) const fn new() -> Hogs {
        Hogs { swept: 0, another: 0, next: 0, known: [0; KNOWN] }
    }

    /// In each round. `waiting`: there are goroutines in queues.
    pub(super) fn look(&mut self, now: i64, waiting: bool) {
        self.sweep(now, waiting);
        if SCHED.holds_back() {
            self.let_some_go(now);
        }
    }

    /// Looks for hogs, if it is time to, and asks them to park while others wait: where they do,
    /// their number, and so that of threads, stays bounded.
    fn sweep(&mut self, now: i64, waiting: bool) {
        let known = SCHED.census.hogs() + SCHED.census.seats();
        // To look at one takes some microseconds: all of it shall not take sysmon a tenth.
        let pause = SLICE_NS.max(i64::from(known) * SLICE_NS / 64);
        if now - self.swept < pause || !waiting && known == 0 {
            return;
        }
        self.swept = now;
        let others_wait = SCHED.runqsize() > 0 || SCHED.holds_back();
        for mp in crate::m::allm() {
            if !lacks_p(mp) || !computes(mp) {
                SCHED.census.not_seen(&mp.standing);
                continue;
            }
            let seen = SCHED.census.seen(&mp.standing);
            let on_seat = matches!(seen, Seen::FirstOnSeat | Seen::AgainOnSeat);
            let cpu_ns = thread_cpu_ns(mp.procid.get() as i32).unwrap_or(now as u64);
            if matches!(seen, Seen::First | Seen::FirstOnSeat) {
                mp.seen_cpu_ns.set(cpu_ns);
            } else if cpu_ns.wrapping_sub(mp.seen_cpu_ns.get()) >= COMPUTES_NS {
                SCHED.census.is_hog(&mp.standing);
            }
            if others_wait && !on_seat {
                super::preempt::preempt_m(mp);
            }
        }
    }

    /// The goroutine that runs on the M has used its slice up: it is a hog, whether others wait
    /// now or not. It counts once: what did so before makes the hogs no more than they were.
    pub(super) fn slice_is_over(&mut self, mp: &'static M, now: i64) {
        // ORDERING: a hint
        let Some(gp) = mp.curg.load(Ordering::Relaxed) else { return };
        let id = gp.goid.get();
        let known = &mut self.known[id as usize % KNOWN];
        if SCHED.census.hogs() < free() || *known == id {
            return;
        }
        *known = id;
        self.another = now;
        if !SCHED.holds_back() {
            self.next = now + patience();
            held::hold_back();
        }
    }

    fn let_some_go(&mut self, now: i64) {
        let patience = patience();
        if now - self.another >= patience {
            held::release_all();
        } else if now >= self.next {
            self.next = now + patience;
            held::release(2);
        } else if SCHED.census.hogs() < free() && SCHED.runqsize() == 0 {
            held::release(SCHED.gomaxprocs());
        } else {
            return;
        }
        super::wake::wakep();
    }
}

/// Whether its goroutine runs, and has no P.
pub(super) fn lacks_p(mp: &'static M) -> bool {
    // ORDERING: hints; the signal's handler decides
    let (gp, pp) = (mp.curg.load(Ordering::Relaxed), mp.p.load(Ordering::Relaxed));
    gp.is_some_and(|gp| gp.status() == Status::Running as u32)
        && !pp.is_some_and(|pp| pp.owner.is(mp.addr()))
}

/// Whether it is at work outside the runtime. A thread asleep in the kernel is not, nor is it to be
/// signalled: calls that are not restarted would end.
pub(super) fn computes(mp: &'static M) -> bool {
    !sysmon::in_runtime(mp) && thread_state(mp.procid.get() as i32) == ThreadState::Running
}
