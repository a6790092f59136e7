//! Messages through channels.

use bench_common::{Args, Span, Took, each_of, sieve_work};
use std::thread::{Builder, JoinHandle};

pub(crate) const SIDES: u64 = 4;

/// A crate's channels.
pub(crate) trait Channel {
    type Sender: Clone + Send + 'static;
    type Receiver: Clone + Send + 'static;
    fn bounded(cap: usize) -> (Self::Sender, Self::Receiver);
    /// False if nobody receives any more.
    fn send(to: &Self::Sender, value: u64) -> bool;
    /// `None` if nobody sends any more.
    fn receive(from: &Self::Receiver) -> Option<u64>;
}

macro_rules! channel {
    ($name:ident, $krate:ident) => {
        pub(crate) struct $name;

        impl Channel for $name {
            type Sender = $krate::Sender<u64>;
            type Receiver = $krate::Receiver<u64>;

            fn bounded(cap: usize) -> (Self::Sender, Self::Receiver) {
                $krate::bounded(cap)
            }

            fn send(to: &Self::Sender, value: u64) -> bool {
                to.send(value).is_ok()
            }

            fn receive(from: &Self::Receiver) -> Option<u64> {
                from.recv().ok()
            }
        }
    };
}

channel!(Crossbeam, crossbeam_channel);
channel!(Flume, flume);
channel!(Kanal, kanal);

/// Small stacks, for the sieve has a thousand.
pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(64 << 10).spawn(f).expect("a thread")
}

/// A message there and one back, over two channels.
pub(crate) fn pingpong<C: Channel>(args: &Args) -> Took {
    let cap = args.cap(0);
    let ((ping, pinged), (pong, ponged)) = (C::bounded(cap), C::bounded(cap));
    let span = Span::start();
    let echo = spawn(move || while C::receive(&pinged).is_some_and(|v| C::send(&pong, v)) {});
    for n in 0..args.n {
        assert!(C::send(&ping, n), "it is open");
        C::receive(&ponged).expect("it is open");
    }
    let took = span.stop(args.n);
    drop(ping);
    echo.join().expect("it does not panic");
    took
}

/// Four producers, four consumers, one channel.
pub(crate) fn mpmc<C: Channel>(args: &Args) -> Took {
    let (tx, rx) = C::bounded(args.cap(128));
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..SIDES {
        let (tx, rx) = (tx.clone(), rx.clone());
        producers.push(spawn(move || (0..each).for_each(|n| assert!(C::send(&tx, n)))));
        consumers.push(spawn(move || std::iter::from_fn(|| C::receive(&rx)).sum::<u64>()));
    }
    drop((tx, rx));
    producers.into_iter().for_each(|p| p.join().expect("it does not panic"));
    let sum: u64 = consumers.into_iter().map(|c| c.join().expect("it does not panic")).sum();
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    span.stop(all)
}

/// The first `n` primes by a chain of filters.
pub(crate) fn prime<C: Channel>(args: &Args) -> Took {
    let cap = args.cap(0);
    let (hops, last) = sieve_work(args.n);
    let span = Span::start();
    let (tx, mut rx) = C::bounded(cap);
    spawn(move || (2..=last).all(|i| C::send(&tx, i)));
    let mut prime = 0;
    for _ in 0..args.n {
        prime = C::receive(&rx).expect("there are more");
        let (out, next) = C::bounded(cap);
        let input = std::mem::replace(&mut rx, next);
        spawn(move || filter::<C>(&input, &out, prime));
    }
    assert_eq!(prime, last);
    span.stop(hops)
}

/// Ends with its input, or when nobody wants more.
fn filter<C: Channel>(input: &C::Receiver, out: &C::Sender, prime: u64) {
    while let Some(v) = C::receive(input) {
        if v % prime != 0 && !C::send(out, v) {
            return;
        }
    }
}
