//! The benchmarks on rt0: `bench-rt0 BENCH N [workers=W] [key=value ...]`.

mod chan;
mod http;
mod lock;
mod net;
mod park;
mod spawn;
mod time;
mod wake;
mod yields;

use bench_common::{Args, Took, exit_unsupported, offender};
use std::io;

fn main() -> io::Result<()> {
    let args = Args::parse();
    // The number of Ps is fixed when the runtime starts.
    args.require_env("GOMAXPROCS", &args.workers().to_string())?;
    rt0::run(|| bench(&args)).report("rt0", &args);
    Ok(())
}

fn bench(args: &Args) -> Took {
    match args.bench.as_str() {
        "spawn_join" => spawn::join(args.n),
        "spawn_serial" => spawn::serial(args.n),
        "spawn_tree" => spawn::tree(args.n),
        "fib" => spawn::fib(args.n),
        "yield_pair" => yields::yields(args.n, 2),
        #[cfg(feature = "bare-switch")]
        "switch_bare" => yields::bare(args),
        "yield_many" => yields::yields(args.n, 1000),
        "chan_pingpong" => chan::pingpong(args),
        "chan_mpmc" => chan::mpmc(args),
        "chan_prime" => chan::prime(args),
        "select" => chan::select(args),
        "mutex" => lock::mutex(args.n),
        "tcp_echo" => net::tcp_echo(args.n).expect("the loopback device works"),
        "http_raw" => http::raw().expect("the loopback device works"),
        "http_lib" => http::library().expect("the loopback device works"),
        "parked_mem" => park::memory(args.n),
        "spawn_waves" => park::spawn_waves(args.n),
        "timers" => time::timers(args.n),
        "wake_busy" => wake::wake_busy(args.n),
        "spawn_busy" => wake::spawn_busy(args.n),
        "steal" => wake::steal(args.n),
        "io_busy" => wake::io_busy(args.n).expect("sockets work"),
        "sleep_100us" => time::sleeps(args.n),
        "timer_stop" => time::timer_stop(args.n),
        "timer_func_stop" => time::timer_func_stop(args.n),
        "mix_none" => time::mix_none(args),
        "mix_cpu" => time::mix_cpu(args),
        "mix_cpu_offload" => time::mix_cpu_offload(args),
        "mix_block" => time::mix_block(args),
        "mix_block_offload" => time::mix_block_offload(args),
        bench => match offender(bench) {
            Some(other) => time::mix_other(args, other),
            None => exit_unsupported(),
        },
    }
}
