//! Messages through channels, which hold at least one.

use bench_common::{Args, Span, Took, each_of, sieve_work};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::race;
use smol::spawn;

const SIDES: u64 = 4;

/// A message there and one back, over two channels.
pub(crate) async fn pingpong(args: &Args) -> Took {
    let cap = args.cap(1).max(1);
    let ((ping, pinged), (pong, ponged)) = (bounded(cap), bounded(cap));
    let span = Span::start();
    let echo = spawn(async move {
        while let Ok(v) = pinged.recv().await {
            pong.send(v).await.expect("it is open");
        }
    });
    for n in 0..args.n {
        ping.send(n).await.expect("it is open");
        ponged.recv().await.expect("it is open");
    }
    let took = span.stop(args.n);
    drop(ping);
    echo.await;
    took
}

/// Four producers, four consumers, one channel.
pub(crate) async fn mpmc(args: &Args) -> Took {
    let (tx, rx) = bounded(args.cap(128));
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..SIDES {
        let (tx, rx) = (tx.clone(), rx.clone());
        producers.push(spawn(async move {
            for n in 0..each {
                tx.send(n).await.expect("it is open");
            }
        }));
        consumers.push(spawn(async move {
            let mut sum = 0;
            while let Ok(v) = rx.recv().await {
                sum += v;
            }
            sum
        }));
    }
    drop((tx, rx));
    for producer in producers {
        producer.await;
    }
    let mut sum: u64 = 0;
    for consumer in consumers {
        sum += consumer.await;
    }
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    span.stop(all)
}

/// The first `n` primes by a chain of filters.
pub(crate) async fn prime(args: &Args) -> Took {
    let cap = args.cap(1).max(1);
    let (hops, last) = sieve_work(args.n);
    let span = Span::start();
    let (tx, mut rx) = bounded(cap);
    let source = async move {
        let mut i = 2;
        while i <= last && tx.send(i).await.is_ok() {
            i += 1;
        }
    };
    spawn(source).detach();
    let mut prime = 0;
    for _ in 0..args.n {
        prime = rx.recv().await.expect("there are more");
        let (out, next) = bounded(cap);
        spawn(filter(std::mem::replace(&mut rx, next), out, prime)).detach();
    }
    assert_eq!(prime, last);
    span.stop(hops)
}

/// Ends with its input, or when nobody wants more.
async fn filter(input: Receiver<u64>, out: Sender<u64>, prime: u64) {
    while let Ok(v) = input.recv().await {
        if v % prime != 0 && out.send(v).await.is_err() {
            return;
        }
    }
}

/// A receive from one of four channels, each with a sender of its own.
pub(crate) async fn select(args: &Args) -> Took {
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut senders = Vec::new();
    let [a, b, c, d] = [(); SIDES as usize].map(|()| {
        let (tx, rx) = bounded(args.cap(1).max(1));
        senders.push(spawn(async move {
            for n in 0..each {
                tx.send(n).await.expect("it is open");
            }
            tx // open until the end: a closed channel would be ready all the time
        }));
        rx
    });
    let mut sum = 0;
    for _ in 0..all {
        let first = race(race(a.recv(), b.recv()), race(c.recv(), d.recv()));
        sum += first.await.expect("it is open");
    }
    let took = span.stop(all);
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    for sender in senders {
        drop(sender.await);
    }
    took
}
