//! The masks over all Ps.
//!
//! Go: proc.go `pMask`, globals `idlepMask`, `timerpMask`.
//!
//! # Invariants
//! * `PK3`: a bit of `idlep_mask` changes under `sched.lock` with the idle list; a bit of
//!   `timerp_mask` under the P's timer lock with its heap.

use super::MAX_P;
use crate::atomic::{AtomicU64, Ordering};

static IDLEP_MASK: PMask = PMask::new();
static TIMERP_MASK: PMask = PMask::new();

/// A bit for each P. Go: pMask.
pub(crate) struct PMask([AtomicU64; MAX_P / 64]);

impl PMask {
    const fn new() -> Self {
        PMask([const { AtomicU64::new(0) }; MAX_P / 64])
    }

    pub(crate) fn set(&self, id: usize, on: bool) {
        let bit = 1u64 << (id % 64);
        // ORDERING: a hint for other Ms; the list or heap behind it has its lock
        if on {
            self.0[id / 64].fetch_or(bit, Ordering::AcqRel);
        } else {
            self.0[id / 64].fetch_and(!bit, Ordering::AcqRel);
        }
    }

    pub(crate) fn get(&self, id: usize) -> bool {
        // ORDERING: a hint
        self.0[id / 64].load(Ordering::Acquire) >> (id % 64) & 1 != 0
    }
}

/// Ps on the idle list. Go: idlepMask.
pub(crate) fn idlep_mask() -> &'static PMask {
    &IDLEP_MASK
}

/// Ps that may have timers. Go: timerpMask.
pub(crate) fn timerp_mask() -> &'static PMask {
    &TIMERP_MASK
}
