//! The benchmarks on may: `bench-may BENCH N [workers=W] [pool=N] [key=value ...]`; `pool` is how
//! many idle coroutines are kept (may's default is 1000).

mod chan;
mod http;
mod lock;
mod park;
mod spawn;
mod time;
mod wake;
mod yields;

use bench_common::{Args, Took, exit_unsupported, offender};
use may::{config, coroutine, go};
use std::io;
use std::sync::Arc;

/// 1 MiB, in words as may counts: its default of 32 KiB is little for the benchmark itself.
const MAIN_STACK_WORDS: usize = (1 << 20) / size_of::<usize>();

fn main() -> io::Result<()> {
    let args = Arc::new(Args::parse());
    let pool = args.number("pool", 1000).try_into().expect("usize has 64 bits");
    config().set_workers(args.workers()).set_pool_capacity(pool);
    let on_worker = Arc::clone(&args);
    let main = coroutine::Builder::new().stack_size(MAIN_STACK_WORDS);
    let took = go!(main, move || bench(&on_worker))?.join().expect("it does not panic");
    took.report("may", &args);
    Ok(())
}

fn bench(args: &Args) -> Took {
    match args.bench.as_str() {
        "spawn_join" => spawn::join(args.n),
        "spawn_serial" => spawn::serial(args.n),
        "spawn_tree" => spawn::tree(args.n),
        "fib" => spawn::fib(args.n),
        "yield_pair" => yields::yields(args.n, 2),
        "yield_many" => yields::yields(args.n, 1000),
        "chan_pingpong" => chan::pingpong(args),
        "chan_mpmc" => chan::mpmc(args),
        "chan_prime" => chan::prime(args),
        "mutex" => lock::mutex(args.n),
        "http_raw" => http::raw().expect("the loopback device works"),
        "http_lib" => http::library().expect("the loopback device works"),
        "parked_mem" => park::memory(args.n),
        "spawn_waves" => park::spawn_waves(args.n),
        "timers" => time::timers(args.n),
        "wake_busy" => wake::wake_busy(args.n),
        "spawn_busy" => wake::spawn_busy(args.n),
        "steal" => wake::steal(args.n),
        "sleep_100us" => time::sleeps(args.n),
        "mix_none" => time::mix_none(args),
        "mix_cpu" => time::mix_cpu(args),
        "mix_block" => time::mix_block(args),
        // It has no pool for blocking calls.
        bench => match offender(bench) {
            Some(other) => time::mix_other(args, other),
            None => exit_unsupported(),
        },
    }
}
