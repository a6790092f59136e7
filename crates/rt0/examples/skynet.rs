//! Skynet: a tree of goroutines, ten children to a node, that sums its leaves: `skynet [LEAVES]`.
//!
//! Each inner node starts its children and joins them; a leaf returns its own number.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use std::env;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let leaves = match (args.next().map(|n| n.parse()), args.next()) {
        (None, _) => 1_000_000,
        (Some(Ok(n)), None) if (1..=u64::from(u32::MAX)).contains(&n) => n,
        _ => {
            eprintln!("usage: skynet [LEAVES]    (1 to {}; default 1000000)", u32::MAX);
            return ExitCode::from(2);
        }
    };

    let start = Instant::now();
    let sum = skynet(0..leaves);
    let took = start.elapsed();
    println!("sum {sum} in {took:.3?}, {} ns a leaf", took.as_nanos() / u128::from(leaves));
    ExitCode::SUCCESS
}

/// The sum of `leaves`: a tenth of them is each child's.
fn skynet(leaves: Range<u64>) -> u64 {
    let count = leaves.end - leaves.start;
    if count == 1 {
        return leaves.start;
    }
    let share = usize::try_from(count.div_ceil(10)).expect("usize has 64 bits");
    let children: Vec<_> = leaves
        .clone()
        .step_by(share)
        .map(|first| {
            let share = first..leaves.end.min(first + share as u64);
            rt0::go(move || skynet(share))
        })
        .collect();
    children.into_iter().map(|child| child.join().expect("a node does not panic")).sum()
}
