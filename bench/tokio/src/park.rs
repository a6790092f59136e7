//! What a task costs that waits.

use crate::wait_group::WaitGroup;
use bench_common::{Memory, Span, Took};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::{spawn, task, time};

pub(crate) async fn memory(n: u64) -> Took {
    let gate = Arc::new((AtomicU64::new(0), Notify::new()));
    let group = WaitGroup::new(n);
    let memory = Memory::now();
    let span = Span::start();
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
    let (parked, open) = &*gate;
    while parked.load(Ordering::Acquire) < n {
        task::yield_now().await;
    }
    let took = span.stop(n);
    time::sleep(Duration::from_millis(100)).await;
    let took = memory.grown(took, n);
    let start = Instant::now();
    open.notify_waiters();
    group.wait().await;
    took.with_each("wake_ns_per_g", start, n)
}
