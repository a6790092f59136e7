//! std's one-time initialisation, with initialisers that yield while others block on them.

use super::harness::{goroutines, hop, hops};
use super::runner::Planned;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, OnceLock};

pub(crate) fn lazy_lock() {
    let made = AtomicUsize::new(0);
    let value = LazyLock::new(|| {
        hops(10);
        made.fetch_add(1, SeqCst);
        vec![1, 2, 3]
    });
    goroutines(12, |_| {
        hop();
        assert_eq!(*value, [1, 2, 3]);
    });
    assert_eq!(made.load(SeqCst), 1);
}

pub(crate) fn once_lock() {
    let made = AtomicUsize::new(0);
    let value = OnceLock::new();
    goroutines(12, |i| {
        let first = *value.get_or_init(|| {
            hops(10);
            made.fetch_add(1, SeqCst);
            i
        });
        hop();
        assert_eq!(value.get(), Some(&first));
    });
    assert_eq!(made.load(SeqCst), 1);
}

/// An initialiser that panics leaves the cell empty for the next one, which may be on its way.
pub(crate) fn once_lock_init_panics() {
    let attempts = AtomicUsize::new(0);
    let value = OnceLock::new();
    goroutines(8, |i| {
        let made = catch_unwind(AssertUnwindSafe(|| {
            *value.get_or_init(|| {
                let attempt = attempts.fetch_add(1, SeqCst);
                hops(3);
                if attempt < 3 {
                    panic_any(Planned(i));
                }
                attempt
            })
        }));
        assert!(made.is_err() || made.is_ok_and(|attempt| attempt == 3));
    });
    assert_eq!(value.get(), Some(&3));
}
