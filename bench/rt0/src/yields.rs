//! Yielding among goroutines that are all ready.

#[cfg(feature = "bare-switch")]
use bench_common::Args;
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

/// The switch alone, without a scheduler; with `tls=1` each writes the FS base.
#[cfg(feature = "bare-switch")]
pub(crate) fn bare(args: &Args) -> Took {
    let span = Span::start();
    rt0::bare_switches(args.n / 2, args.number("tls", 0) != 0);
    span.stop(args.n)
}
