//! Yielding among tasks that are all ready.

use bench_common::{Span, Took, each_of};
use tokio::task::{spawn, yield_now};

pub(crate) async fn yields(n: u64, tasks: u64) -> Took {
    let (each, all) = each_of(n, tasks);
    let span = Span::start();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            spawn(async move {
                for _ in 0..each {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
    span.stop(all)
}
