//! Goroutines that contend for one lock.

use bench_common::{Span, Took, each_of};
use rt0::sync::Mutex;
use std::sync::Arc;

/// Lock, add one, unlock.
pub(crate) fn mutex(n: u64) -> Took {
    let (each, all) = each_of(n, 8);
    let count = Arc::new(Mutex::new(0));
    let span = Span::start();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let count = Arc::clone(&count);
            rt0::go(move || (0..each).for_each(|_| *count.lock().expect("not poisoned") += 1))
        })
        .collect();
    for task in tasks {
        task.join().expect("it does not panic");
    }
    let took = span.stop(all);
    assert_eq!(*count.lock().expect("not poisoned"), all);
    took
}
