//! What a goroutine costs that waits.

use bench_common::{Memory, Span, Took, WAVES, waves};
use rt0::JoinHandle;
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

/// Goroutines that wait at a gate. The handles count as their memory: they are what wakes them.
struct Parked {
    gate: Arc<Gate>,
    sleepers: Vec<JoinHandle<()>>,
}

impl Parked {
    /// Returns when all wait.
    fn start(n: u64) -> Parked {
        let gate = Arc::new(Gate::default());
        let sleepers = (0..n)
            .map(|_| {
                let gate = Arc::clone(&gate);
                rt0::go(move || gate.pass())
            })
            .collect();
        while gate.parked.load(Ordering::Acquire) < n {
            rt0::gosched();
        }
        Parked { gate, sleepers }
    }

    /// Returns when all have ended.
    fn wake(self) {
        self.gate.open.store(true, Ordering::Release);
        for sleeper in &self.sleepers {
            sleeper.goroutine().unpark();
        }
        for sleeper in self.sleepers {
            sleeper.join().expect("it does not panic");
        }
    }
}

pub(crate) fn memory(n: u64) -> Took {
    let memory = Memory::now();
    let span = Span::start();
    let parked = Parked::start(n);
    let took = span.stop(n);
    rt0::time::sleep(Duration::from_millis(100));
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
