//! How soon a task runs whose waker goes on computing, or who can read beside others that do.

use bench_common::{
    BURST, BUSY, COMPUTING, Span, TURN, Took, ask_in_turn, burn_until, percentiles,
};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;
use tokio::task::yield_now;

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

pub(crate) async fn io_busy(n: u64) -> io::Result<Took> {
    let (client, server) = UnixStream::pair()?;
    server.set_nonblocking(true)?;
    let mut server = tokio::net::UnixStream::from_std(server)?;
    let done = Arc::new(AtomicBool::new(false));
    let span = Span::start();
    for _ in 0..COMPUTING {
        let done = Arc::clone(&done);
        spawn(async move {
            while !done.load(Ordering::Relaxed) {
                burn_until(Instant::now() + TURN);
                yield_now().await;
            }
        });
    }
    let client = ask_in_turn(client, n);
    let mut byte = [0];
    while server.read(&mut byte).await? > 0 {
        server.write_all(&byte).await?;
    }
    done.store(true, Ordering::Relaxed);
    Ok(percentiles(client.join().expect("it does not panic"), span.stop(n)))
}
