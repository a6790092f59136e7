//! What the signal handler (sched/preempt.rs) decides, without the signal.
//!
//! sysmon asks, then signals. The signal may come at any instruction of the M's thread, and after
//! the goroutine that was meant has left it. So the handler takes the request, once, and looks at
//! what runs now (PE1). A request that comes too late preempts the next goroutine before its time:
//! that costs it a turn, nothing else.
//!
//! A signal would end calls that are not restarted (poll, nanosleep). So none comes while the
//! goroutine is marked as in a call (CC1): either sysmon sees the mark and takes the request back,
//! or the M sees the request and lets the signal come first. It is the protocol of p/owner.rs: the
//! M stores and loads without a fence, and sysmon pays for both with `membarrier` between its own
//! store and load.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, light_fence, mutated};

/// sysmon's wish that the goroutine of an M parks: the id of the thread that the signal goes to, 0:
/// none. Where goroutines are threads the M may have another by the time it comes. Go:
/// m.signalPending and g.preempt.
pub(crate) struct Request(AtomicU32);

impl Request {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Request(AtomicU32::new(0))
        }
    }

    /// sysmon: true if it is to signal thread `tid` now. `may_signal` looks, after the thread has
    /// passed a barrier, whether the goroutine is outside of marked calls.
    pub(crate) fn ask(
        &self,
        tid: u32,
        barrier: impl FnOnce(),
        may_signal: impl FnOnce() -> bool,
    ) -> bool {
        // ORDERING: pairs with take, and with settle by the barrier
        if self.0.swap(tid, Ordering::AcqRel) == tid {
            return false; // a signal is on its way
        }
        barrier();
        let signals = may_signal() || mutated("request.ask");
        if !signals {
            self.take(tid);
        }
        signals
    }

    /// The handler on thread `tid`: whether the signal is sysmon's. A signal answers one request.
    pub(crate) fn take(&self, tid: u32) -> bool {
        // ORDERING: pairs with ask; most are others', and are left unwritten
        self.0.load(Ordering::Relaxed) == tid
            && (mutated("request.take")
                || self.0.compare_exchange(tid, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok())
    }

    /// The M starts on a new thread.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed); // ORDERING: before sysmon sees the thread's id
    }

    /// The M, when its goroutine is marked as in a call: a signal that is on its way comes before
    /// the call. `wait` is told to which thread it goes, and lets some time pass, or says that
    /// there is nothing to wait for.
    #[inline]
    pub(crate) fn settle(&self, mut wait: impl FnMut(u32) -> bool) {
        light_fence();
        loop {
            // ORDERING: after the mark; sysmon's barrier lies between its store and its look
            let tid = self.0.load(Ordering::Relaxed);
            if tid == 0 || mutated("request.settle") || !wait(tid) {
                return;
            }
        }
    }
}

/// What the handler finds on its thread.
pub(crate) struct Found {
    /// `m.locks`.
    pub(crate) locks: u32,
    /// Whether the status of `m.curg` is Running.
    pub(crate) is_running: bool,
    /// Whether the thread is on that goroutine's own block.
    pub(crate) on_own_block: bool,
}

impl Found {
    /// PE1, but for the place in the code and on the stack.
    #[inline]
    pub(crate) fn may_preempt(&self) -> bool {
        (self.locks == 0 || mutated("request.locks"))
            && (self.is_running || mutated("request.status"))
            && self.on_own_block
    }
}
