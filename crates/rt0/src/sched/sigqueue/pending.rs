//! Signals between the handler that caught them and the goroutine that delivers them.
//!
//! Go: sigqueue.go `sig.wanted`, `sig.mask`, `sigsend`. A caught signal is a bit; a second one of
//! the same number, before the first was taken, is the same, as with the kernel's own.
//!
//! ```text
//!   handler (put)                     who gives a signal up (refuse, take)
//!    1 wanted? no: it is not ours      1 the action in the kernel is another
//!    2 set the bit                     2 it is wanted no more
//!    3 still wanted? yes: wake         3 take what is pending, and deliver that
//!      no: take the bit back;
//!      it was there: it is not ours
//! ```
//! A handler may be late: it was entered before the action changed. If it comes to its second look
//! after step 2, one of the two takes the bit, else step 3 finds it: so no signal is lost. One that
//! is not ours any more is raised again, and meets the action that is there now.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

/// Sets of signals; bit `n - 1` stands for signal `n`.
pub(crate) struct Pending {
    wanted: AtomicUsize,
    pending: AtomicUsize,
}

impl Pending {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Pending { wanted: AtomicUsize::new(0), pending: AtomicUsize::new(0) }
        }
    }

    /// The handler: true if somebody delivers it. Async-signal-safe.
    pub(crate) fn put(&self, bit: usize) -> bool {
        // ORDERING: SeqCst, all four: of set and look on one side and clear and take on the other
        // one pair comes first
        if self.wanted.load(Ordering::SeqCst) & bit == 0 {
            return false;
        }
        self.pending.fetch_or(bit, Ordering::SeqCst);
        if mutated("sigqueue.one_look") || self.wanted.load(Ordering::SeqCst) & bit != 0 {
            return true;
        }
        if mutated("sigqueue.not_back") {
            return false;
        }
        // Who took it delivers it, or raises it again.
        self.pending.fetch_and(!bit, Ordering::SeqCst) & bit == 0
    }

    /// Before the action changes.
    pub(crate) fn want(&self, bits: usize) {
        self.wanted.fetch_or(bits, Ordering::SeqCst); // ORDERING: as in put
    }

    /// After the action has changed; then take.
    pub(crate) fn refuse(&self, bits: usize) {
        self.wanted.fetch_and(!bits, Ordering::SeqCst); // ORDERING: as in put
    }

    pub(crate) fn wanted(&self) -> usize {
        self.wanted.load(Ordering::SeqCst) // ORDERING: as in put
    }

    /// What is to be delivered, by the caller.
    pub(crate) fn take(&self) -> usize {
        self.pending.swap(0, Ordering::SeqCst) // ORDERING: as in put
    }
}
