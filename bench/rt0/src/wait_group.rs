//! A wait group out of an atomic counter and park/unpark.

use rt0::Goroutine;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct WaitGroup {
    left: AtomicU64,
    waiter: Goroutine,
}

impl WaitGroup {
    /// For `n` goroutines; the caller is the one that waits.
    pub(crate) fn new(n: u64) -> Arc<WaitGroup> {
        let waiter = rt0::current().expect("benchmarks run as goroutines");
        Arc::new(WaitGroup { left: AtomicU64::new(n), waiter })
    }

    pub(crate) fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    pub(crate) fn wait(&self) {
        while self.left.load(Ordering::Acquire) != 0 {
            rt0::park();
        }
    }
}
