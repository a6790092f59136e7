//! `testprog SCENARIO [ARGUMENT]`: programs that end badly, or in a particular way, on purpose.
//!
//! Scenarios have the names of Go's own testprog where it has them. tests/scenarios.rs runs each as
//! a subprocess and checks status and output. Allocation on g0 throws in this program.

mod scenarios;

use scenarios::{Run, find, names};
use std::process::ExitCode;

#[global_allocator]
static A: rt0::debug::NoAllocOnG0<std::alloc::System> = rt0::debug::NoAllocOnG0(std::alloc::System);

/// The scenarios that run as goroutine 1.
mod on_goroutine_1 {
    use super::scenarios::{Run, named};
    use std::process::ExitCode;

    #[rt0::main]
    pub(crate) fn main() -> ExitCode {
        match named() {
            Some(Run::Main(f)) => f(),
            _ => ExitCode::from(64),
        }
    }
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match find(&name) {
        Some(Run::Main(_)) => {
            on_goroutine_1::main();
            ExitCode::from(65)
        }
        Some(Run::Plain(f)) => f(),
        None if name.is_empty() => {
            eprintln!("usage: testprog SCENARIO [ARGUMENT]\n\nscenarios:");
            names().for_each(|name| eprintln!("  {name}"));
            ExitCode::from(64)
        }
        None => {
            eprintln!("unknown function: {name}\ntestprog without a name lists all");
            ExitCode::from(64)
        }
    }
}
