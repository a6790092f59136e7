//! A token bucket: bursts of up to five requests, then one every two milliseconds.

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::sync::{Semaphore, WaitGroup};
use rt0::time::{Duration, Instant, sleep};
use std::sync::Arc;

const BURST: usize = 5;
const EVERY: Duration = Duration::from_millis(2);
const REQUESTS: usize = 30;

#[rt0::main]
fn main() {
    let tokens = Arc::new(Semaphore::new(BURST));
    let refill = Arc::clone(&tokens);
    let start = Instant::now();
    // Ends when the bucket is closed.
    let refiller = rt0::go(move || {
        while !refill.is_closed() {
            sleep(EVERY);
            if refill.available_permits() < BURST {
                refill.add_permits(1);
            }
        }
    });

    let requests = Arc::new(WaitGroup::new());
    for _ in 0..REQUESTS {
        let tokens = Arc::clone(&tokens);
        requests.go(move || tokens.acquire().expect("the bucket is open").forget());
    }
    requests.wait();
    let took = start.elapsed();
    tokens.close();
    refiller.join().expect("it does not panic");

    let least = EVERY * (REQUESTS - BURST) as u32;
    println!("{REQUESTS} requests, never faster than allowed: {}", took >= least);
}
