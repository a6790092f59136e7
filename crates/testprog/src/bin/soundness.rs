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

#[path = "../soundness/mod.rs"]
mod soundness;

use soundness::runner;
use std::process::ExitCode;

/// Debug builds also prove that the scheduler does not allocate.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: rt0::debug::NoAllocOnG0<std::alloc::System> =
    rt0::debug::NoAllocOnG0(std::alloc::System);

#[rt0::main]
fn main() -> ExitCode {
    match runner::Options::parse(std::env::args().skip(1)) {
        Ok(options) => runner::run(&options),
        Err(why) => {
            eprintln!("soundness: {why}\nusage: soundness [--secs N] [--list] [CASE...]");
            ExitCode::from(2)
        }
    }
}
