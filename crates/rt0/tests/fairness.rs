//! No goroutine waits for ever behind others that keep each other running.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a test counts with std's atomics and talks to its parent by stdout"
)]

mod again;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Two goroutines that unpark each other take `runnext` every time; a third one in the ring of the
/// same P still has its turn. In a subprocess, because it needs GOMAXPROCS=1.
#[test]
fn a_ping_pong_pair_does_not_starve_the_ring() {
    const NAME: &str = "a_ping_pong_pair_does_not_starve_the_ring";
    if again::is_again(NAME) {
        return rt0::run(ping_pong_beside_a_third);
    }
    let text = again::again(NAME, &[("GOMAXPROCS", "1")]);
    let trips = text.lines().find_map(|l| l.strip_prefix("trips before the third: "));
    let trips: u64 = trips.and_then(|n| n.parse().ok()).expect("the child counts trips");
    assert!(trips < 10_000, "the third goroutine waited for {trips} round trips");
}

fn ping_pong_beside_a_third() {
    let ran = Arc::new(AtomicBool::new(false));
    let trips = Arc::new(AtomicU64::new(0));
    let ping = rt0::current().expect("run's closure is a goroutine");
    let pong = {
        let ran = Arc::clone(&ran);
        rt0::go(move || {
            while !ran.load(Ordering::SeqCst) {
                rt0::park();
                ping.unpark();
            }
        })
    };
    rt0::gosched();
    let third = {
        let ran = Arc::clone(&ran);
        let trips = Arc::clone(&trips);
        rt0::go(move || {
            println!("trips before the third: {}", trips.load(Ordering::SeqCst));
            ran.store(true, Ordering::SeqCst);
        })
    };
    while !ran.load(Ordering::SeqCst) && trips.load(Ordering::SeqCst) < 1_000_000 {
        pong.goroutine().unpark();
        rt0::park();
        trips.fetch_add(1, Ordering::SeqCst);
    }
    ran.store(true, Ordering::SeqCst);
    pong.goroutine().unpark();
    pong.join().expect("pong ends");
    third.join().expect("the third ends");
}
