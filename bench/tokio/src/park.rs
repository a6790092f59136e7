//! What a task costs that waits.

use crate::wait_group::WaitGroup;
use bench_common::{Memory, Span, Took, WAVES, waves};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::{spawn, task, time};

/// Tasks that wait for one event.
struct Parked {
    gate: Arc<(AtomicU64, Notify)>,
    group: Arc<WaitGroup>,
}

impl Parked {
    /// Returns when all wait.
    async fn start(n: u64) -> Parked {
        let gate = Arc::new((AtomicU64::new(0), Notify::new()));
        let group = WaitGroup::new(n);
        for _ in 0..n {
            let (gate, group) = (Arc::clone(&gate), Arc::clone(&group));
            spawn(async move {
                let (parked, open) = &*gate;
                let mut opened = pin!(open.notified());
                opened.as_mut().enable(); // or a notification before the first poll would be missed
                parked.fetch_add(1, Ordering::Release);
                opened.await;
                group.done();
            });
        }
        while gate.0.load(Ordering::Acquire) < n {
            task::yield_now().await;
        }
        Parked { gate, group }
    }

    /// Returns when all have ended.
    async fn wake(self) {
        self.gate.1.notify_waiters();
        self.group.wait().await;
    }
}

pub(crate) async fn memory(n: u64) -> Took {
    let memory = Memory::now();
    let span = Span::start();
    let parked = Parked::start(n).await;
    let took = span.stop(n);
    time::sleep(Duration::from_millis(100)).await;
    let took = memory.grown(took, n);
    let start = Instant::now();
    parked.wake().await;
    took.with_each("wake_ns_per_g", start, n)
}

pub(crate) async fn spawn_waves(n: u64) -> Took {
    let span = Span::start();
    let mut each_ns = Vec::new();
    for _ in 0..WAVES {
        let start = Instant::now();
        let parked = Parked::start(n).await;
        each_ns.push(start.elapsed().as_nanos() as f64 / n as f64);
        parked.wake().await;
    }
    waves(&each_ns, span.stop(n * WAVES))
}
