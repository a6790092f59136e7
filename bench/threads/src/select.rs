//! A receive from one of four channels, each with a sender of its own. kanal has no select.

use crate::chan::{Channel, Crossbeam, Flume, SIDES, spawn};
use bench_common::{Args, Span, Took, each_of};
use crossbeam_channel::select;
use flume::Selector;

pub(crate) fn crossbeam(args: &Args) -> Took {
    four::<Crossbeam>(args, |[a, b, c, d]| {
        select! {
            recv(a) -> v => v.ok(),
            recv(b) -> v => v.ok(),
            recv(c) -> v => v.ok(),
            recv(d) -> v => v.ok(),
        }
    })
}

pub(crate) fn flume(args: &Args) -> Took {
    four::<Flume>(args, |receivers| {
        let all = receivers.iter();
        all.fold(Selector::new(), |selector, rx| selector.recv(rx, Result::ok)).wait()
    })
}

/// `receive` takes what comes first.
fn four<C: Channel>(
    args: &Args,
    receive: impl Fn(&[C::Receiver; SIDES as usize]) -> Option<u64>,
) -> Took {
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut senders = Vec::new();
    let receivers = [(); SIDES as usize].map(|()| {
        let (tx, rx) = C::bounded(args.cap(0));
        senders.push(spawn(move || {
            (0..each).for_each(|n| assert!(C::send(&tx, n)));
            tx // open until the end: a closed channel would be ready all the time
        }));
        rx
    });
    let sum: u64 = (0..all).map(|_| receive(&receivers).expect("it is open")).sum();
    let took = span.stop(all);
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    senders.into_iter().for_each(|s| drop(s.join().expect("it does not panic")));
    took
}
