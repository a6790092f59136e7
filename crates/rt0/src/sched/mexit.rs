//! The end of an M's thread.
//!
//! Go: proc.go `mexit`, `mdestroy`. Go's threads end with a goroutine that ended locked to one.
//! Here idle ones end too: a burst of blocking calls leaves as many threads as it had calls, and
//! those above GOMAXPROCS that nobody needed for a second go away.
//!
//! An `M` is never freed, and stays on `allm`: others may look at it at any time. It goes on a list
//! of its own, and `newm` gives it to the next thread. So the last thing that the thread does with
//! it is to put it there, and before that it becomes a plain thread: its signal stack belongs to
//! the M, and its kernel id may soon be another thread's.

use super::lock_os_thread::sleep_locked;
use super::wake::{handoffp, releasep};
use super::{SCHED, State};
use crate::atomic::Ordering;
use crate::m::{M, m0, special};

/// An idle M above the number that stays sleeps this long before its thread ends.
pub(super) const IDLE_M_NS: i64 = 1_000_000_000;

impl State {
    /// Whether so many Ms idle that one could end. M 0's thread never does.
    pub(super) fn has_surplus_m(&self, mp: &'static M) -> bool {
        self.nmidle > SCHED.gomaxprocs() && !core::ptr::eq(mp, m0())
    }
}

/// An idle M was not needed for a while: true if its thread ends now.
pub(super) fn retire_idle(mp: &'static M) -> bool {
    let mut sched = SCHED.lock.lock();
    let retires = sched.has_surplus_m(mp) && sched.mget_specific(mp);
    if retires {
        mp.set_special(special::EXITING);
    }
    retires
}

/// On g0, at the end of the scheduler's loop: the thread leaves. M 0 stays for ever, for the
/// process's first thread is not ours to end, unless it has to return from `run` now. Go: mexit.
pub(super) fn mexit(mp: &'static M) {
    mp.clear_special(special::EXITING);
    if let Some(pp) = releasep(mp) {
        handoffp(pp);
    }
    if core::ptr::eq(mp, m0()) {
        while !mp.is_returning() {
            sleep_locked(mp);
        }
        return;
    }
    crate::m::minit::unminit(mp);
    let mut sched = SCHED.lock.lock();
    sched.nmfreed += 1;
    mp.procid.set(0);
    mp.scheduling.store(0, Ordering::Relaxed); // ORDERING: owner-only, until it is on the list
    mp.schedlink.set(sched.mfree);
    mp.g0.stack_hi.store(0, Ordering::Relaxed); // ORDERING: under sched.lock; read by mstart0
    sched.mfree = Some(mp);
}
