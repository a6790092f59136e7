//! The benchmarks on tokio: `bench-tokio BENCH N [workers=W] [chan=CRATE] [key=value ...]`. CRATE
//! has the channels that the tasks use, `flume` or `kanal`; tokio's own if not given.

mod chan;
mod http;
mod lock;
mod net;
mod park;
mod spawn;
mod time;
mod wait_group;
mod wake;
mod yields;

use bench_common::{Args, Took, exit_unsupported, offender};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Arc::new(Args::parse());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers())
        .enable_all()
        .build()?;
    // On a worker, as everything in a program would be.
    let on_worker = Arc::clone(&args);
    let took = runtime.block_on(runtime.spawn(async move { bench(&on_worker).await }))?;
    let peer = args.text("chan").map_or("tokio".to_owned(), |chan| format!("tokio+{chan}"));
    took.report(&peer, &args);
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
        bench if bench.starts_with("chan_") || bench == "select" => chan::bench(args).await,
        "mutex" => lock::mutex(args.n).await,
        "tcp_echo" => net::tcp_echo(args.n).await.expect("the loopback device works"),
        "http_raw" | "http_lib" => http::serve(args).await.expect("the loopback device works"),
        "parked_mem" => park::memory(args.n).await,
        "spawn_waves" => park::spawn_waves(args.n).await,
        "timers" => time::timers(args.n).await,
        "wake_busy" => wake::wake_busy(args.n).await,
        "spawn_busy" => wake::spawn_busy(args.n).await,
        "steal" => wake::steal(args.n).await,
        "io_busy" => wake::io_busy(args.n).await.expect("sockets work"),
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
