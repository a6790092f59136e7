//! Starting goroutines and waiting for them.

use bench_common::{Span, Took, batches, fib_spawns, skynet_sum};
use rt0::sync::WaitGroup;
use std::array;
use std::hint::black_box;
use std::sync::Arc;

pub(crate) fn join(n: u64) -> Took {
    let span = Span::start();
    for batch in batches(n) {
        let group = Arc::new(WaitGroup::new());
        group.add(batch as i32);
        for _ in 0..batch {
            let group = Arc::clone(&group);
            rt0::go(move || group.done());
        }
        group.wait();
    }
    span.stop(n)
}

pub(crate) fn serial(n: u64) -> Took {
    let span = Span::start();
    for _ in 0..n {
        rt0::go(|| ()).join().expect("it does not panic");
    }
    span.stop(n)
}

pub(crate) fn tree(leaves: u64) -> Took {
    let span = Span::start();
    let sum = rt0::go(move || skynet(0, leaves)).join().expect("a node does not panic");
    assert_eq!(sum, skynet_sum(leaves));
    span.stop(leaves)
}

fn skynet(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let share = leaves / 10;
    let children: [_; 10] = array::from_fn(|i| {
        let first = first + i as u64 * share;
        rt0::go(move || skynet(first, share))
    });
    children.into_iter().map(|child| child.join().expect("a node does not panic")).sum()
}

pub(crate) fn fib(n: u64) -> Took {
    let span = Span::start();
    black_box(fib_of(n));
    span.stop(fib_spawns(n))
}

fn fib_of(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let other = rt0::go(move || fib_of(n - 1));
    let own = fib_of(n - 2);
    own + other.join().expect("it does not panic")
}
