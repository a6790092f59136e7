//! Starting tasks and waiting for them.

use crate::wait_group::WaitGroup;
use bench_common::{Span, Took, batches, fib_spawns, skynet_sum};
use smol::spawn;
use std::array;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;

pub(crate) async fn join(n: u64) -> Took {
    let span = Span::start();
    for batch in batches(n) {
        let group = WaitGroup::new(batch);
        for _ in 0..batch {
            let group = Arc::clone(&group);
            spawn(async move { group.done() }).detach();
        }
        group.wait().await;
    }
    span.stop(n)
}

pub(crate) async fn serial(n: u64) -> Took {
    let span = Span::start();
    for _ in 0..n {
        spawn(async {}).await;
    }
    span.stop(n)
}

pub(crate) async fn tree(leaves: u64) -> Took {
    let span = Span::start();
    let sum = spawn(skynet(0, leaves)).await;
    assert_eq!(sum, skynet_sum(leaves));
    span.stop(leaves)
}

/// Recursion of async functions needs a box for each call.
type Boxed = Pin<Box<dyn Future<Output = u64> + Send>>;

fn skynet(first: u64, leaves: u64) -> Boxed {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let share = leaves / 10;
        let children: [_; 10] = array::from_fn(|i| spawn(skynet(first + i as u64 * share, share)));
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        sum
    })
}

pub(crate) async fn fib(n: u64) -> Took {
    let span = Span::start();
    black_box(fib_of(n).await);
    span.stop(fib_spawns(n))
}

fn fib_of(n: u64) -> Boxed {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let other = spawn(fib_of(n - 1));
        let own = fib_of(n - 2).await;
        own + other.await
    })
}
