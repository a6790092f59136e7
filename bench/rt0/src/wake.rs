//! How soon a goroutine runs whose waker goes on computing, or who can read beside others that do.

use bench_common::{
    BURST, BUSY, COMPUTING, Span, TURN, Took, ask_in_turn, burn_until, percentiles,
};
use rt0::chan::bounded;
use rt0::{go, gosched};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) fn wake_busy(n: u64) -> Took {
    let (tx, rx) = bounded::<Instant>(1);
    let woken =
        go(move || rx.iter().map(|sent| sent.elapsed().as_nanos() as u64).collect::<Vec<_>>());
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
        let started = go(move || now.elapsed().as_nanos() as u64);
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
                go(move || now.elapsed().as_nanos() as u64)
            })
            .collect();
        burn_until(begin + BUSY);
        for started in burst {
            late.push(started.join().expect("it does not panic"));
        }
    }
    percentiles(late, span.stop(n))
}

pub(crate) fn io_busy(n: u64) -> io::Result<Took> {
    let (client, server) = UnixStream::pair()?;
    let mut server = rt0::net::UnixStream::from(server);
    let done = Arc::new(AtomicBool::new(false));
    let span = Span::start();
    for _ in 0..COMPUTING {
        let done = Arc::clone(&done);
        go(move || {
            while !done.load(Ordering::Relaxed) {
                burn_until(Instant::now() + TURN);
                gosched();
            }
        });
    }
    let client = ask_in_turn(client, n);
    let mut byte = [0];
    while server.read(&mut byte)? > 0 {
        server.write_all(&byte)?;
    }
    done.store(true, Ordering::Relaxed);
    Ok(percentiles(client.join().expect("it does not panic"), span.stop(n)))
}
