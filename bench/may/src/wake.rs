//! How soon a coroutine runs whose waker or starter goes on computing.

use bench_common::{BURST, BUSY, Span, Took, burn_until, percentiles};
use may::{go, sync::mpsc};
use std::time::Instant;

/// may's channels are unbounded; messages gather in this one where they are not read in time.
pub(crate) fn wake_busy(n: u64) -> Took {
    let (tx, rx) = mpsc::channel::<Instant>();
    let woken =
        go!(move || rx.iter().map(|sent| sent.elapsed().as_nanos() as u64).collect::<Vec<_>>());
    let span = Span::start();
    for _ in 0..n {
        let now = Instant::now();
        tx.send(now).expect("it is open");
        burn_until(now + BUSY);
    }
    drop(tx);
    percentiles(woken.join().expect("it does not panic"), span.stop(n))
}

pub(crate) fn spawn_busy(n: u64) -> Took {
    let span = Span::start();
    let mut late = Vec::new();
    for _ in 0..n {
        let now = Instant::now();
        let started = go!(move || now.elapsed().as_nanos() as u64);
        burn_until(now + BUSY);
        late.push(started.join().expect("it does not panic"));
    }
    percentiles(late, span.stop(n))
}

pub(crate) fn steal(n: u64) -> Took {
    let span = Span::start();
    let mut late = Vec::new();
    for _ in 0..n {
        let begin = Instant::now();
        let burst: Vec<_> = (0..BURST)
            .map(|_| {
                let now = Instant::now();
                go!(move || now.elapsed().as_nanos() as u64)
            })
            .collect();
        burn_until(begin + BUSY);
        for started in burst {
            late.push(started.join().expect("it does not panic"));
        }
    }
    percentiles(late, span.stop(n))
}
