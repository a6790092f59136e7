//! `rt0::debug::deadlocks` looks for handles while they go from hand to hand. In a process of its
//! own: nothing in it waits for ever.

use rt0::chan::{Receiver, Sender, bounded};
use rt0::debug::deadlocks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Handles go from hand to hand at full speed, while somebody looks all the time.
fn pass_around(how_long: Duration) {
    const RING: usize = 8;
    type Letter = (Sender<u32>, Receiver<u32>);
    let (ways, ends): (Vec<_>, Vec<_>) = (0..RING).map(|_| bounded::<Letter>(1)).unzip();
    let stop = Arc::new(AtomicBool::new(false));
    let mut onward = ways.clone();
    onward.rotate_left(1);
    let pass = |(on, from): (Sender<Letter>, Receiver<Letter>)| {
        let stop = Arc::clone(&stop);
        rt0::go(move || {
            // Each talks by the channel that came, and passes it on.
            while let Ok((tx, rx)) = from.recv() {
                let helper = {
                    let rx = rx.clone();
                    rt0::go(move || rx.recv().is_ok())
                };
                tx.send(1).expect("somebody receives");
                helper.join().expect("no panic");
                if stop.load(Ordering::Relaxed) || on.send((tx, rx)).is_err() {
                    break;
                }
            }
        })
    };
    let all: Vec<_> = onward.into_iter().zip(ends).map(pass).collect();
    for way in &ways[..3] {
        way.send(bounded(0)).expect("open");
    }
    drop(ways);
    let until = std::time::Instant::now() + how_long;
    let mut looks = 0;
    while std::time::Instant::now() < until || looks < 20 {
        let found = deadlocks();
        assert!(found.is_empty(), "after {looks} looks: {found:?}");
        looks += 1;
        rt0::gosched();
    }
    stop.store(true, Ordering::Relaxed);
    all.into_iter().for_each(|h| h.join().expect("no panic"));
}

#[test]
fn nothing_is_reported_that_goes_on() {
    for procs in [1, 2, 8] {
        rt0::run(move || {
            rt0::set_gomaxprocs(procs);
            pass_around(Duration::from_millis(500));
        });
    }
}
