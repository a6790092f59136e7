//! Messages through channels.

use bench_common::{Args, Span, Took, each_of, sieve_work};
use rt0::chan::{Receiver, Sender, bounded};
use rt0::{go, select};

const SIDES: u64 = 4;

/// A message there and one back, over two channels.
pub(crate) fn pingpong(args: &Args) -> Took {
    let cap = args.cap(0);
    let ((ping, pinged), (pong, ponged)) = (bounded(cap), bounded(cap));
    let span = Span::start();
    let echo = go(move || pinged.iter().for_each(|v: u64| pong.send(v).expect("it is open")));
    for n in 0..args.n {
        ping.send(n).expect("it is open");
        ponged.recv().expect("it is open");
    }
    let took = span.stop(args.n);
    drop(ping);
    echo.join().expect("it does not panic");
    took
}

/// Four producers, four consumers, one channel.
pub(crate) fn mpmc(args: &Args) -> Took {
    let (tx, rx) = bounded(args.cap(128));
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..SIDES {
        let (tx, rx) = (tx.clone(), rx.clone());
        producers.push(go(move || (0..each).for_each(|n| tx.send(n).expect("it is open"))));
        consumers.push(go(move || rx.iter().sum::<u64>()));
    }
    drop((tx, rx));
    producers.into_iter().for_each(|p| p.join().expect("it does not panic"));
    let sum: u64 = consumers.into_iter().map(|c| c.join().expect("it does not panic")).sum();
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    span.stop(all)
}

/// The first `n` primes by a chain of filters.
pub(crate) fn prime(args: &Args) -> Took {
    let cap = args.cap(0);
    let (hops, last) = sieve_work(args.n);
    let span = Span::start();
    let (tx, mut rx) = bounded(cap);
    go(move || (2..=last).all(|i| tx.send(i).is_ok()));
    let mut prime = 0;
    for _ in 0..args.n {
        prime = rx.recv().expect("there are more");
        let (out, next) = bounded(cap);
        let input = std::mem::replace(&mut rx, next);
        go(move || filter(&input, &out, prime));
    }
    assert_eq!(prime, last);
    span.stop(hops)
}

/// Ends with its input, or when nobody wants more.
fn filter(input: &Receiver<u64>, out: &Sender<u64>, prime: u64) {
    input.iter().filter(|v| v % prime != 0).all(|v| out.send(v).is_ok());
}

/// A receive from one of four channels, each with a sender of its own.
pub(crate) fn select(args: &Args) -> Took {
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut senders = Vec::new();
    let [a, b, c, d] = [(); SIDES as usize].map(|()| {
        let (tx, rx) = bounded(args.cap(0));
        senders.push(go(move || {
            (0..each).for_each(|n| tx.send(n).expect("it is open"));
            tx // open until the end: a closed channel would be ready all the time
        }));
        rx
    });
    let mut sum = 0;
    for _ in 0..all {
        let got = select! {
            recv(a) -> v => v,
            recv(b) -> v => v,
            recv(c) -> v => v,
            recv(d) -> v => v,
        };
        sum += got.expect("it is open");
    }
    let took = span.stop(all);
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    senders.into_iter().for_each(|s| drop(s.join().expect("it does not panic")));
    took
}
