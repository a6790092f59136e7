//! What a coroutine costs that waits.

use bench_common::{Memory, Span, Took};
use may::coroutine::{sleep, yield_now};
use may::go;
use may::sync::{SyncFlag, WaitGroup};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn memory(n: u64) -> Took {
    let gate = Arc::new((AtomicU64::new(0), SyncFlag::new()));
    let group = WaitGroup::new();
    let memory = Memory::now();
    let span = Span::start();
    for _ in 0..n {
        let (gate, group) = (Arc::clone(&gate), group.clone());
        go!(move || {
            let (parked, open) = &*gate;
            parked.fetch_add(1, Ordering::Release);
            open.wait();
            drop(group);
        });
    }
    let (parked, open) = &*gate;
    while parked.load(Ordering::Acquire) < n {
        yield_now();
    }
    let took = span.stop(n);
    sleep(Duration::from_millis(100));
    let took = memory.grown(took, n);
    let start = Instant::now();
    open.fire();
    group.wait();
    took.with_each("wake_ns_per_g", start, n)
}
