//! What a goroutine costs that waits.

use bench_common::{Memory, Span, Took};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Gate {
    parked: AtomicU64,
    open: AtomicBool,
}

impl Gate {
    fn pass(&self) {
        self.parked.fetch_add(1, Ordering::Release);
        while !self.open.load(Ordering::Acquire) {
            rt0::park();
        }
    }
}

/// The handles count as memory of the goroutines: they are what wakes them.
pub(crate) fn memory(n: u64) -> Took {
    let gate = Arc::new(Gate::default());
    let memory = Memory::now();
    let span = Span::start();
    let sleepers: Vec<_> = (0..n)
        .map(|_| {
            let gate = Arc::clone(&gate);
            rt0::go(move || gate.pass())
        })
        .collect();
    while gate.parked.load(Ordering::Acquire) < n {
        rt0::gosched();
    }
    let took = span.stop(n);
    rt0::time::sleep(Duration::from_millis(100));
    let took = memory.grown(took, n);
    let start = Instant::now();
    gate.open.store(true, Ordering::Release);
    for sleeper in &sleepers {
        sleeper.goroutine().unpark();
    }
    for sleeper in sleepers {
        sleeper.join().expect("it does not panic");
    }
    took.with_each("wake_ns_per_g", start, n)
}
