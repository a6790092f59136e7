//! Messages through channels, which are unbounded. Its `select!` is no benchmark of the same: it
//! starts a coroutine for each arm and cancels those that lose, with what they had received.

use bench_common::{Args, Span, Took, each_of, sieve_work};
use may::go;
use may::sync::{Semphore, mpmc as many, mpsc};
use std::sync::Arc;

const SIDES: u64 = 4;

/// A message there and one back, over two channels: never more than one is on its way.
pub(crate) fn pingpong(args: &Args) -> Took {
    let ((ping, pinged), (pong, ponged)) = (mpsc::channel(), mpsc::channel());
    let span = Span::start();
    let echo = go!(move || pinged.iter().for_each(|v: u64| pong.send(v).expect("it is open")));
    for n in 0..args.n {
        ping.send(n).expect("it is open");
        ponged.recv().expect("it is open");
    }
    let took = span.stop(args.n);
    drop(ping);
    echo.join().expect("it does not panic");
    took
}

/// Four producers, four consumers, one channel; a semaphore counts the free places.
pub(crate) fn mpmc(args: &Args) -> Took {
    let (tx, rx) = many::channel();
    let free = Arc::new(Semphore::new(args.cap(128)));
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..SIDES {
        let (tx, places) = (tx.clone(), Arc::clone(&free));
        producers.push(go!(move || {
            for n in 0..each {
                places.wait();
                tx.send(n).expect("it is open");
            }
        }));
        let (rx, places) = (rx.clone(), Arc::clone(&free));
        consumers.push(go!(move || rx.iter().inspect(|_| places.post()).sum::<u64>()));
    }
    drop((tx, rx));
    producers.into_iter().for_each(|p| p.join().expect("it does not panic"));
    let sum: u64 = consumers.into_iter().map(|c| c.join().expect("it does not panic")).sum();
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    span.stop(all)
}

/// The first `n` primes by a chain of filters. Nothing holds the source back.
pub(crate) fn prime(args: &Args) -> Took {
    let (hops, last) = sieve_work(args.n);
    let span = Span::start();
    let (tx, mut rx) = mpsc::channel();
    go!(move || (2..=last).all(|i| tx.send(i).is_ok()));
    let mut prime = 0;
    for _ in 0..args.n {
        prime = rx.recv().expect("there are more");
        let (out, next) = mpsc::channel();
        let input = std::mem::replace(&mut rx, next);
        go!(move || filter(&input, &out, prime));
    }
    assert_eq!(prime, last);
    span.stop(hops)
}

/// Ends with its input, or when nobody wants more.
fn filter(input: &mpsc::Receiver<u64>, out: &mpsc::Sender<u64>, prime: u64) {
    input.iter().filter(|v| v % prime != 0).all(|v| out.send(v).is_ok());
}
