//! The benchmarks of channels between threads: `bench-threads BENCH N chan=CRATE [workers=W]
//! [key=value ...]`; CRATE is `crossbeam`, `flume` or `kanal`, W is how many CPUs the threads have.

mod chan;
mod select;

use bench_common::{Args, Took, exit_unsupported};
use chan::{Channel, Crossbeam, Flume, Kanal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;

fn main() -> io::Result<()> {
    let args = Args::parse();
    keep_cpus(args.workers())?;
    let peer = args.text("chan").unwrap_or_else(|| exit_unsupported());
    let took = match peer {
        "crossbeam" if args.bench == "select" => select::crossbeam(&args),
        "flume" if args.bench == "select" => select::flume(&args),
        "crossbeam" => bench::<Crossbeam>(&args),
        "flume" => bench::<Flume>(&args),
        "kanal" => bench::<Kanal>(&args),
        _ => exit_unsupported(),
    };
    took.report(&format!("threads+{peer}"), &args);
    Ok(())
}

fn bench<C: Channel>(args: &Args) -> Took {
    match args.bench.as_str() {
        "chan_pingpong" => chan::pingpong::<C>(args),
        "chan_mpmc" => chan::mpmc::<C>(args),
        "chan_prime" => chan::prime::<C>(args),
        _ => exit_unsupported(),
    }
}

/// What workers are to a runtime, CPUs are to threads.
fn keep_cpus(n: usize) -> io::Result<()> {
    let (all, mut kept) = (sched_getaffinity(None)?, CpuSet::new());
    let ours = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).take(n);
    ours.for_each(|cpu| kept.set(cpu));
    Ok(sched_setaffinity(None, &kept)?)
}
