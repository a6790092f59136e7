//! A million goroutines, all parked at once, then all woken: `million [N]`.
//!
//! Prints what one costs: resident bytes while parked, and the time to start it and to wake it.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

static PARKED: AtomicUsize = AtomicUsize::new(0);
static WAKE: AtomicBool = AtomicBool::new(false);

#[rt0::main]
fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let n = match (args.next().map(|n| n.parse()), args.next()) {
        (None, _) => 1_000_000,
        (Some(Ok(n)), None) if n > 0 => n,
        _ => {
            eprintln!("usage: million [N]    (N goroutines, at least 1; default 1000000)");
            return ExitCode::from(2);
        }
    };

    let rss_before = resident_bytes();
    let start = Instant::now();
    let sleepers: Vec<_> = (0..n).map(|_| rt0::go(sleeper)).collect();
    while PARKED.load(Ordering::Acquire) < n {
        rt0::gosched();
    }
    let spawned = start.elapsed();
    let bytes = resident_bytes().saturating_sub(rss_before) / n;
    println!("{n} goroutines parked: {bytes} bytes and {} ns each", each(spawned, n));

    let start = Instant::now();
    WAKE.store(true, Ordering::Release);
    for sleeper in &sleepers {
        sleeper.goroutine().unpark();
    }
    for sleeper in sleepers {
        sleeper.join().expect("a sleeper does not panic");
    }
    println!("{n} goroutines woken and joined: {} ns each", each(start.elapsed(), n));
    ExitCode::SUCCESS
}

fn sleeper() {
    PARKED.fetch_add(1, Ordering::Release);
    // As with threads, `park` may return early: what is waited for is the flag.
    while !WAKE.load(Ordering::Acquire) {
        rt0::park();
    }
}

/// What of this process is in memory now (`man 5 proc`: the second number of statm, in pages).
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: usize = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096
}

fn each(total: Duration, n: usize) -> u128 {
    total.as_nanos() / n as u128
}
