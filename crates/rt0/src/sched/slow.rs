//! Slow, not dead: goroutines that stay on their thread for long.
//!
//! Go has nothing like it; its execution trace shows the same afterwards. A stretch is the time
//! that a goroutine spends in one call, or between two of its switches and marked calls: computing,
//! or asleep in the kernel without having said so. Whether it keeps its P meanwhile does not
//! matter: sysmon takes that in time, but a thread is kept, and what waits for the goroutine waits.
//! One that is preempted begins a new stretch, for others run in between.
//!
//! sysmon remembers in each M what it saw last and since when; what it sees is a goroutine, its
//! status and its number of contexts (`G::contexts`). So goroutines pay nothing, and a stretch is
//! noted up to a quarter of the threshold late. What is noted is kept in debug/slow.rs.

use crate::atomic::Ordering;
use crate::debug::slow::{self, Limit, Noted, Seen};
use crate::g::Status;
use crate::m::M;

/// Most time between two looks, and least for each M there is: looking shall not take sysmon more
/// than a hundredth.
const PAUSE_NS: i64 = 5_000_000;
const PAUSE_PER_M_NS: i64 = 5_000;
/// Looks in which a thread that shall be held may fail to answer although it has a CPU. What lacks
/// its stack after that is noted all the same, and again when the stack can be had.
const TRIES: u64 = 8;
/// A quarter of how long the stretch has lasted, and at most this, passes between two such looks. A
/// look at a thread that does not answer takes a millisecond: one of all Ms takes one of them.
const TRY_AGAIN_NS: i64 = 100_000_000;

/// sysmon's.
pub(super) struct Watch {
    next: i64,
    /// When a stretch that goes on will be long, ns; `i64::MAX`: there is none.
    due: i64,
}

impl Watch {
    pub(super) const fn new() -> Watch {
        Watch { next: 0, due: i64::MAX }
    }

    /// Looks if it is time to. Returns until when sysmon may sleep while nothing runs.
    pub(super) fn look(&mut self, now: i64) -> i64 {
        let limit = slow::limit();
        if now < self.next || limit.ns <= 0 {
            return self.due;
        }
        self.due = i64::MAX;
        let (mut ms, mut may_try) = (0, true);
        for mp in crate::m::allm() {
            ms += 1;
            if let Some(due) = look_at(mp, now, limit, &mut may_try) {
                self.due = self.due.min(due);
            }
        }
        self.next = now + (limit.ns / 4).min(PAUSE_NS).max(ms * PAUSE_PER_M_NS);
        self.due
    }
}

/// One look at an M: when its stretch will be long, or is to be looked at again. `may_try`: no
/// other thread has failed to answer in this look.
fn look_at(mp: &'static M, now: i64, limit: Limit, may_try: &mut bool) -> Option<i64> {
    let stretch = &mp.stretch;
    // ORDERING: hints; the second look in `note` decides
    let gp = mp.curg.load(Ordering::Relaxed).filter(|gp| !gp.is_system());
    let status = gp.map_or(Status::Idle as u32, crate::g::G::status);
    let is_call = status == Status::Syscall as u32;
    let Some(gp) = gp.filter(|_| is_call || status == Status::Running as u32) else {
        over(mp, now);
        stretch.what.set(0);
        return None;
    };
    let what = core::ptr::from_ref(gp).addr() as u64 | u64::from(is_call);
    let contexts = gp.contexts.load(Ordering::Relaxed); // ORDERING: the same
    if stretch.what.get() != what || stretch.contexts.get() != u64::from(contexts) {
        over(mp, now);
        stretch.what.set(what);
        stretch.contexts.set(u64::from(contexts));
        stretch.since.set(now as u64);
        stretch.tries.set(0);
        stretch.again.set(0);
        return Some(now + limit.ns);
    }
    let since = stretch.since.get() as i64;
    let due = (since + limit.ns).max(stretch.again.get() as i64);
    if now < due || !*may_try {
        return Some(due);
    }
    let is_last_try = stretch.tries.get() >= TRIES;
    let noted = stretch.note.get();
    let stacks = limit.stacks;
    let seen = Seen { gp, mp, status, contexts, since, stacks, noted, is_last_try };
    let later = now + ((now - since) / 4).min(TRY_AGAIN_NS);
    let outcome = slow::note(&seen);
    *may_try = matches!(outcome, Noted::Whole(_));
    let (note, again) = match outcome {
        Noted::Whole(n) => (n, i64::MAX),
        Noted::WithoutStack(n) => (n, later),
        Noted::Refused | Noted::NoCpu if noted != 0 => (noted, later),
        Noted::Refused => {
            stretch.tries.bump();
            (0, now)
        }
        Noted::NoCpu => (0, later),
    };
    stretch.note.set(note);
    stretch.again.set(again as u64);
    Some(again)
}

/// The stretch that was seen last has ended.
fn over(mp: &'static M, now: i64) {
    match mp.stretch.note.get() {
        0 => {}
        n => slow::over(n, now),
    }
    mp.stretch.note.set(0);
}
