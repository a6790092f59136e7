//! What is left of panics in a program built with `panic = "abort"`: the hook's message, and every
//! goroutine. tests/entry.rs of testprog builds and runs it.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::chan::bounded;
use rt0::time::{Duration, sleep};

#[rt0::main]
fn main() {
    let (tx, rx) = bounded(0);
    let worker = rt0::go(move || rx.iter().sum::<u64>());
    (1..=10).for_each(|n| tx.send(n).expect("the worker listens"));
    drop(tx);
    println!("{}", worker.join().expect("a panic would have ended the process"));
    match std::env::args().nth(1).as_deref() {
        Some("panic") => drop(rt0::go(|| panic!("seen"))),
        Some("goexit") => drop(rt0::go(|| rt0::goexit())),
        _ => return,
    }
    sleep(Duration::from_secs(20));
}
