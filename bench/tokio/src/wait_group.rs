//! A wait group: tokio has none of its own (`TaskTracker`, of tokio-util, is the nearest).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

pub(crate) struct WaitGroup {
    left: AtomicU64,
    zero: Notify,
}

impl WaitGroup {
    pub(crate) fn new(n: u64) -> Arc<WaitGroup> {
        Arc::new(WaitGroup { left: AtomicU64::new(n), zero: Notify::new() })
    }

    pub(crate) fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.zero.notify_one(); // it keeps, if nobody waits yet
        }
    }

    pub(crate) async fn wait(&self) {
        self.zero.notified().await;
    }
}
