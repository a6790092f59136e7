//! The main thread, threads beside it, and its stack.

use super::{Ending, done};
use std::hint::black_box;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn name() -> Ending {
    let this = thread::current();
    println!("{:?} {}", this.name(), this.id() == thread::current().id());
    let other = thread::Builder::new().name("other".to_owned()).spawn(|| {
        println!("{:?}", thread::current().name());
        thread::current().id()
    });
    let other = other.map_err(|e| e.to_string())?.join().map_err(|_| "it panicked")?;
    println!("{}", other == this.id());
    done()
}

pub(crate) fn threads() -> Ending {
    let (sum, barrier) = (Arc::new(Mutex::new(0)), Arc::new(Barrier::new(5)));
    let threads: Vec<_> = (0..4)
        .map(|i| {
            let (sum, barrier) = (Arc::clone(&sum), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                *sum.lock().expect("nobody panics") += i;
                i * i
            })
        })
        .collect();
    barrier.wait();
    let squares: Vec<_> = threads.into_iter().map(|t| t.join().expect("no panic")).collect();
    println!("{squares:?} {}", sum.lock().expect("nobody panics"));
    let mut borrowed = [1, 2, 3];
    thread::scope(|scope| {
        borrowed.iter_mut().for_each(|n| {
            scope.spawn(move || *n *= 2);
        });
    });
    println!("{borrowed:?}");
    done()
}

/// Main is woken by another thread; the token does not get lost when it comes first.
pub(crate) fn park() -> Ending {
    let main = thread::current();
    let waker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        main.unpark();
    });
    thread::park();
    waker.join().map_err(|_| "it panicked")?;
    thread::current().unpark();
    thread::park();
    thread::park_timeout(Duration::from_millis(1));
    println!("woken twice");
    done()
}

pub(crate) fn sleep() -> Ending {
    let start = Instant::now();
    thread::sleep(Duration::from_millis(30));
    thread::yield_now();
    let slept = start.elapsed();
    println!("{}", slept >= Duration::from_millis(30) && slept < Duration::from_secs(20));
    println!("{}", thread::available_parallelism().is_ok());
    done()
}

/// Uses 7 of the 8 MiB that main usually has.
pub(crate) fn deep() -> Ending {
    let top = std::ptr::from_ref(&black_box(0)).addr();
    println!("{}", descend(top - (7 << 20)) > 0);
    done()
}

/// Recursive calls until a frame lies below `limit`; how many.
#[inline(never)]
fn descend(limit: usize) -> usize {
    let frame = black_box([0_u8; 900]);
    if frame.as_ptr().addr() < limit {
        return 0;
    }
    black_box(descend(limit)) + 1 + usize::from(frame[0])
}
