//! Yielding among coroutines that are all ready.

use bench_common::{Span, Took, each_of};
use may::{coroutine::yield_now, go};

pub(crate) fn yields(n: u64, tasks: u64) -> Took {
    let (each, all) = each_of(n, tasks);
    let span = Span::start();
    let tasks: Vec<_> =
        (0..tasks).map(|_| go!(move || (0..each).for_each(|_| yield_now()))).collect();
    for task in tasks {
        task.join().expect("it does not panic");
    }
    span.stop(all)
}
