//! How soon a task runs whose waker goes on computing.

use bench_common::{BURST, BUSY, Span, Took, burn_until, percentiles};
use std::time::Instant;
use tokio::spawn;

pub(crate) async fn wake_busy(n: u64) -> Took {
    let (tx, mut rx) = tokio::sync::mpsc::channel::<Instant>(1);
    let woken = spawn(async move {
        let mut late = Vec::new();
        while let Some(sent) = rx.recv().await {
            late.push(sent.elapsed().as_nanos() as u64);
        }
        late
    });
    let span = Span::start();
    for _ in 0..n {
        let now = Instant::now();
        tx.send(now).await.expect("it is open");
        burn_until(now + BUSY);
    }
    drop(tx);
    percentiles(woken.await.expect("it does not panic"), span.stop(n))
}

pub(crate) async fn spawn_busy(n: u64) -> Took {
    let span = Span::start();
    let mut late = Vec::new();
    for _ in 0..n {
        let now = Instant::now();
        let started = spawn(async move { now.elapsed().as_nanos() as u64 });
        burn_until(now + BUSY);
        late.push(started.await.expect("it does not panic"));
    }
    percentiles(late, span.stop(n))
}

pub(crate) async fn steal(n: u64) -> Took {
    let span = Span::start();
    let mut late = Vec::new();
    for _ in 0..n {
        let begin = Instant::now();
        let burst: Vec<_> = (0..BURST)
            .map(|_| {
                let now = Instant::now();
                spawn(async move { now.elapsed().as_nanos() as u64 })
            })
            .collect();
        burn_until(begin + BUSY);
        for started in burst {
            late.push(started.await.expect("it does not panic"));
        }
    }
    percentiles(late, span.stop(n))
}
