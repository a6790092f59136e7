//! std's locks: they block the thread, and the runtime must give its P to others meanwhile.

use super::harness::{goroutines, hop, hops};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Condvar, Mutex, RwLock};

/// Guards move from thread to thread with the goroutine that holds them, under contention.
pub(crate) fn mutex_guard() {
    let sum = Mutex::new(0);
    goroutines(12, |_| {
        for _ in 0..3 {
            let mut held = sum.lock().expect("nobody panics");
            let before = *held;
            hop();
            *held = before + 1;
        }
    });
    assert_eq!(sum.into_inner().expect("nobody panics"), 36);
}

/// More goroutines block on a Mutex than there are Ps, while its holder waits to run again.
pub(crate) fn mutex_blocks_every_p() {
    let lock = Mutex::new(0);
    let arrived = AtomicUsize::new(0);
    let blocked = rt0::gomaxprocs() + 3;
    goroutines(blocked + 1, |i| {
        if i > 0 {
            while arrived.load(SeqCst) == 0 {
                hop();
            }
            arrived.fetch_add(1, SeqCst);
            *lock.lock().expect("nobody panics") += 1;
            return;
        }
        let held = lock.lock().expect("nobody panics");
        arrived.store(1, SeqCst);
        while arrived.load(SeqCst) < blocked + 1 {
            hop();
        }
        hops(3);
        assert_eq!(*held, 0);
    });
    assert_eq!(lock.into_inner().expect("nobody panics"), blocked);
}

/// Readers and writers, each keeping its guard over yields.
pub(crate) fn rwlock() {
    let pair = RwLock::new((0, 0));
    goroutines(12, |i| {
        for _ in 0..2 {
            if i % 4 == 0 {
                let mut pair = pair.write().expect("nobody panics");
                pair.0 += 1;
                hop();
                pair.1 += 1;
            } else {
                let pair = pair.read().expect("nobody panics");
                let before = *pair;
                hop();
                assert_eq!((before.0, before), (before.1, *pair));
            }
        }
    });
    assert_eq!(*pair.read().expect("nobody panics"), (6, 6));
}

/// Takers wait for what givers give; the guard comes back locked, on whichever thread.
pub(crate) fn condvar() {
    let (stock, filled) = (Mutex::new(0), Condvar::new());
    goroutines(16, |i| {
        if i % 2 == 0 {
            let mut held = stock.lock().expect("nobody panics");
            while *held == 0 {
                held = filled.wait(held).expect("nobody panics");
            }
            hop();
            *held -= 1;
        } else {
            hops(2);
            *stock.lock().expect("nobody panics") += 1;
            filled.notify_one();
        }
    });
    assert_eq!(stock.into_inner().expect("nobody panics"), 0);
}

/// All must be blocked at once before any goes on, twice.
pub(crate) fn barrier() {
    let n = 8;
    let (barrier, leaders) = (Barrier::new(n), AtomicUsize::new(0));
    goroutines(n, |_| {
        for round in 1..=2 {
            hop();
            leaders.fetch_add(usize::from(barrier.wait().is_leader()), SeqCst);
            barrier.wait();
            assert_eq!(leaders.load(SeqCst), round);
            barrier.wait();
        }
    });
}
