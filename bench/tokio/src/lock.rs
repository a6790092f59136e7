//! Tasks that contend for one lock.

use bench_common::{Span, Took, each_of};
use std::sync::Arc;
use tokio::{sync::Mutex, task::spawn};

/// Lock, add one, unlock.
pub(crate) async fn mutex(n: u64) -> Took {
    let (each, all) = each_of(n, 8);
    let count = Arc::new(Mutex::new(0));
    let span = Span::start();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let count = Arc::clone(&count);
            spawn(async move {
                for _ in 0..each {
                    *count.lock().await += 1;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
    let took = span.stop(all);
    assert_eq!(*count.lock().await, all);
    took
}
