//! What a coroutine costs that waits.

use bench_common::{Memory, Span, Took, WAVES, waves};
use may::coroutine::{sleep, yield_now};
use may::go;
use may::sync::{SyncFlag, WaitGroup};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Coroutines that wait for one event.
struct Parked {
    gate: Arc<(AtomicU64, SyncFlag)>,
    group: WaitGroup,
}

impl Parked {
    /// Returns when all wait.
    fn start(n: u64) -> Parked {
        let gate = Arc::new((AtomicU64::new(0), SyncFlag::new()));
        let group = WaitGroup::new();
        for _ in 0..n {
            let (gate, group) = (Arc::clone(&gate), group.clone());
            go!(move || {
                let (parked, open) = &*gate;
                parked.fetch_add(1, Ordering::Release);
                open.wait();
                drop(group);
            });
        }
        while gate.0.load(Ordering::Acquire) < n {
            yield_now();
        }
        Parked { gate, group }
    }

    /// Returns when all have ended.
    fn wake(self) {
        self.gate.1.fire();
        self.group.wait();
    }
}

pub(crate) fn memory(n: u64) -> Took {
    let memory = Memory::now();
    let span = Span::start();
    let parked = Parked::start(n);
    let took = span.stop(n);
    sleep(Duration::from_millis(100));
    let took = memory.grown(took, n);
    let start = Instant::now();
    parked.wake();
    took.with_each("wake_ns_per_g", start, n)
}

pub(crate) fn spawn_waves(n: u64) -> Took {
    let span = Span::start();
    let mut each_ns = Vec::new();
    for _ in 0..WAVES {
        let start = Instant::now();
        let parked = Parked::start(n);
        each_ns.push(start.elapsed().as_nanos() as f64 / n as f64);
        parked.wake();
    }
    waves(&each_ns, span.stop(n * WAVES))
}
