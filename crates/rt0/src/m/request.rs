//! What the signal handler (sched/preempt.rs) decides, without the signal.
//!
//! sysmon asks, then signals. The signal may come at any instruction of the M's thread, and after
//! the goroutine that was meant has left it. So the handler takes the request, once, and looks at
//! what runs now (PE1). A request that comes too late preempts the next goroutine before its time:
//! that costs it a turn, nothing else.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};

/// sysmon's wish that the goroutine of an M parks. Go: m.signalPending and g.preempt.
pub(crate) struct Request(AtomicU32);

impl Request {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Request(AtomicU32::new(0))
        }
    }

    /// sysmon, before the signal.
    pub(crate) fn ask(&self) {
        self.0.store(1, Ordering::Release); // ORDERING: pairs with take
    }

    /// The handler: whether the signal is sysmon's. A signal answers one request.
    pub(crate) fn take(&self) -> bool {
        if mutated("request.take") {
            return self.0.load(Ordering::Acquire) != 0;
        }
        self.0.swap(0, Ordering::AcqRel) != 0 // ORDERING: pairs with ask
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
