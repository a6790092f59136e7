//! Counts the instructions of the runtime's hot paths: a measure that no clock and no neighbour
//! disturbs.
//!
//! A child process runs one operation again and again on one P, and stops itself; the parent steps
//! it instruction by instruction (step.rs) and counts between two passes of `mark`. The figure of
//! an operation is the lower quartile of its rounds: some have a tick of sysmon in them, or read
//! the clock again because it was set just then, and on a busy machine that may be half of them. A
//! system call counts as one instruction. `counts.txt` has the figures that are expected.

pub(crate) mod ops;
pub(crate) mod step;
pub(crate) mod table;

use std::process::ExitCode;

const USAGE: &str = "usage: counts [check|bless] [--plant]
  no argument   prints the instructions of each operation
  check         fails if one is more than 5% above counts.txt, or is not in it
  bless         writes counts.txt
  --plant       each operation does some more, which check must notice";

pub(crate) fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, op, plant] = &args[..]
        && word == "run"
    {
        ops::run(op, plant == "plant");
        return ExitCode::SUCCESS;
    }
    let plant = args.iter().any(|a| a == "--plant");
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|a| *a != "--plant").collect();
    let done = match words[..] {
        [] => counted(plant).map(|counts| print!("{}", table::text(&counts))),
        ["bless"] => counted(plant).and_then(|counts| table::bless(&counts)),
        ["check"] => counted(plant).and_then(|counts| table::check(&counts)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn counted(plant: bool) -> Result<Vec<(&'static str, u64)>, String> {
    ops::NAMES.iter().map(|&op| Ok((op, step::lower_quartile(op, plant)?))).collect()
}
