//! What a task costs that waits.

use crate::wait_group::WaitGroup;
use bench_common::{Memory, Span, Took};
use event_listener::Event;
use smol::{Timer, future, spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) async fn memory(n: u64) -> Took {
    let gate = Arc::new((AtomicU64::new(0), Event::new()));
    let group = WaitGroup::new(n);
    let memory = Memory::now();
    let span = Span::start();
    for _ in 0..n {
        let (gate, group) = (Arc::clone(&gate), Arc::clone(&group));
        spawn(async move {
            let (parked, open) = &*gate;
            let opened = open.listen();
            parked.fetch_add(1, Ordering::Release);
            opened.await;
            group.done();
        })
        .detach();
    }
    let (parked, open) = &*gate;
    while parked.load(Ordering::Acquire) < n {
        future::yield_now().await;
    }
    let took = span.stop(n);
    Timer::after(Duration::from_millis(100)).await;
    let took = memory.grown(took, n);
    let start = Instant::now();
    open.notify(usize::MAX);
    group.wait().await;
    took.with_each("wake_ns_per_g", start, n)
}
