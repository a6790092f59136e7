//! Yielding among goroutines that are all ready.

use bench_common::{Span, Took, each_of};

pub(crate) fn yields(n: u64, tasks: u64) -> Took {
    let (each, all) = each_of(n, tasks);
    let span = Span::start();
    let tasks: Vec<_> =
        (0..tasks).map(|_| rt0::go(move || (0..each).for_each(|_| rt0::gosched()))).collect();
    for task in tasks {
        task.join().expect("it does not panic");
    }
    span.stop(all)
}
