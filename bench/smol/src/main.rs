//! The benchmarks on smol: `bench-smol BENCH N [workers=W] [key=value ...]`.

mod chan;
mod http;
mod lock;
mod park;
mod spawn;
mod time;
mod wait_group;
mod wake;
mod yields;

use bench_common::{Args, Took, exit_unsupported, offender};
use std::io;
use std::sync::Arc;

fn main() -> io::Result<()> {
    let args = Arc::new(Args::parse());
    args.require_env("SMOL_THREADS", &args.workers().to_string())?;
    // On a worker, as everything in a program would be.
    let on_worker = Arc::clone(&args);
    let took = smol::block_on(smol::spawn(async move { bench(&on_worker).await }));
    took.report("smol", &args);
    Ok(())
}

async fn bench(args: &Args) -> Took {
    match args.bench.as_str() {
        "spawn_join" => spawn::join(args.n).await,
        "spawn_serial" => spawn::serial(args.n).await,
        "spawn_tree" => spawn::tree(args.n).await,
        "fib" => spawn::fib(args.n).await,
        "yield_pair" => yields::yields(args.n, 2).await,
        "yield_many" => yields::yields(args.n, 1000).await,
        "chan_pingpong" => chan::pingpong(args).await,
        "chan_mpmc" => chan::mpmc(args).await,
        "chan_prime" => chan::prime(args).await,
        "select" => chan::select(args).await,
        "mutex" => lock::mutex(args.n).await,
        "http_raw" => http::raw().await.expect("the loopback device works"),
        "parked_mem" => park::memory(args.n).await,
        "spawn_waves" => park::spawn_waves(args.n).await,
        "timers" => time::timers(args.n).await,
        "wake_busy" => wake::wake_busy(args.n).await,
        "spawn_busy" => wake::spawn_busy(args.n).await,
        "steal" => wake::steal(args.n).await,
        "sleep_100us" => time::sleeps(args.n).await,
        "timer_stop" => time::timer_stop(args.n).await,
        "mix_none" => time::mix_none(args).await,
        "mix_cpu" => time::mix_cpu(args).await,
        "mix_cpu_offload" => time::mix_cpu_offload(args).await,
        "mix_block" => time::mix_block(args).await,
        "mix_block_offload" => time::mix_block_offload(args).await,
        bench => match offender(bench) {
            Some(other) => time::mix_other(args, other).await,
            None => exit_unsupported(),
        },
    }
}
