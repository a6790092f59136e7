//! The soundness suite: code cannot tell a goroutine from a thread.
//!
//! `soundness [--secs N] [--list] [CASE...]` runs each case, or those named, with many goroutines
//! that yield between their steps and so move from thread to thread. With `--secs` a case repeats
//! until its share of the N seconds is used up. A line for each case:
//!
//! ```text
//! ok CASE: n goroutines, m migrations
//! skip CASE: why it cannot run here
//! FAIL CASE: why
//! ```
//!
//! The status is 1 when a case failed. Built with the feature `control-shared-tls`, under which a
//! goroutine uses the TLS of whatever thread it is on, the suite must fail in one way or another:
//! by a case, an abort or a signal. That shows that it sees the fault.
//!
//! `soundness mix [--secs N] [--stall N] [--goroutines N] [KIND...]` runs goroutines of every kind,
//! or of those named, at once, three of each if not told otherwise, for N (5) seconds and until
//! each had a turn. A line for each kind, as above. One that gets no turn for `--stall` (60)
//! seconds ends the process by SIGABRT.

#[path = "../mix/mod.rs"]
mod mix;
#[path = "../soundness/mod.rs"]
mod soundness;

use soundness::runner;
use std::process::ExitCode;

/// Debug builds also prove that the scheduler does not allocate.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: rt0::debug::NoAllocOnG0<std::alloc::System> =
    rt0::debug::NoAllocOnG0(std::alloc::System);

const SUITE_USAGE: &str = "[--secs N] [--list] [CASE...]";
const MIX_USAGE: &str = "mix [--secs N] [--stall N] [--goroutines N] [KIND...]";

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = if args.next_if(|arg| arg == "mix").is_some() {
        mix::run::Options::parse(args).map(|options| mix::run::run(&options))
    } else {
        runner::Options::parse(args).map(|options| runner::run(&options))
    };
    done.unwrap_or_else(|why| {
        eprintln!("soundness: {why}\nusage: soundness {SUITE_USAGE}\n       soundness {MIX_USAGE}");
        ExitCode::from(2)
    })
}
