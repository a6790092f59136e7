//! The prime sieve: a chain of goroutines, one for each prime found: `sieve [PRIMES]`.
//!
//! Each filters out the multiples of its prime; what passes goes on to the next through a channel
//! that holds nothing, so all of them work hand in hand.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::chan::{Receiver, bounded};
use std::env;
use std::process::ExitCode;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let primes = match (args.next().map(|n| n.parse()), args.next()) {
        (None, _) => 20_usize,
        (Some(Ok(n)), None) => n,
        _ => {
            eprintln!("usage: sieve [PRIMES]    (default 20)");
            return ExitCode::from(2);
        }
    };
    let mut numbers = count_from(2);
    for _ in 0..primes {
        let Ok(prime) = numbers.recv() else { break };
        println!("{prime}");
        numbers = without_multiples(numbers, prime);
    }
    ExitCode::SUCCESS
}

/// All numbers from `first` on. The goroutine ends when nobody wants more: then sending fails.
fn count_from(first: u64) -> Receiver<u64> {
    let (out, numbers) = bounded(0);
    rt0::go(move || (first..).all(|n| out.send(n).is_ok()));
    numbers
}

/// What of `input` is no multiple of `prime`.
fn without_multiples(input: Receiver<u64>, prime: u64) -> Receiver<u64> {
    let (out, passed) = bounded(0);
    rt0::go(move || input.iter().filter(|n| n % prime != 0).all(|n| out.send(n).is_ok()));
    passed
}
