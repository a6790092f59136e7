//! A wait group: smol has none.

use event_listener::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct WaitGroup {
    left: AtomicU64,
    zero: Event,
}

impl WaitGroup {
    pub(crate) fn new(n: u64) -> Arc<WaitGroup> {
        Arc::new(WaitGroup { left: AtomicU64::new(n), zero: Event::new() })
    }

    pub(crate) fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.zero.notify(1);
        }
    }

    pub(crate) async fn wait(&self) {
        while self.left.load(Ordering::Acquire) != 0 {
            let listener = self.zero.listen();
            if self.left.load(Ordering::Acquire) != 0 {
                listener.await;
            }
        }
    }
}
