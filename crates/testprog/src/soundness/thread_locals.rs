//! `thread_local!`: every goroutine has its own values, from its first use to their destructors.

use super::harness::{goroutines, hop, hops, wait_until};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const MANY: usize = 200;

thread_local! {
    static NUMBERS: RefCell<Vec<usize>> = RefCell::new(Vec::with_capacity(4));
    static FRESH: Cell<u32> = const { Cell::new(7) };
    static ZEROED: Cell<[u64; 8]> = const { Cell::new([0; 8]) };
    static SLOW_TO_MAKE: usize = {
        let mine = MADE.fetch_add(1, SeqCst);
        hops(3);
        mine
    };
    static FIRST: First = const { First(Cell::new(0)) };
    static LATE: Late = const { Late };
}

static MADE: AtomicUsize = AtomicUsize::new(0);
static FIRST_DROPS: AtomicUsize = AtomicUsize::new(0);
static FIRST_SUM: AtomicUsize = AtomicUsize::new(0);
static LATE_DROPS: AtomicUsize = AtomicUsize::new(0);

/// A RefCell stays borrowed over yields; with shared TLS the next goroutine finds it borrowed.
pub(crate) fn refcell() {
    goroutines(MANY, |i| {
        NUMBERS.with(|numbers| {
            assert!(numbers.borrow().is_empty(), "another goroutine's thread-local");
            let mut numbers = numbers.borrow_mut();
            for k in 0..20 {
                numbers.push(i * 1000 + k);
                hop();
            }
        });
        let expected: Vec<_> = (0..20).map(|k| i * 1000 + k).collect();
        assert_eq!(NUMBERS.take(), expected);
    });
}

/// Its destructor yields, uses a value that is still there, and makes one that has a destructor.
struct First(Cell<usize>);

impl Drop for First {
    fn drop(&mut self) {
        hops(2);
        FRESH.with(|fresh| assert_eq!(fresh.get(), self.0.get() as u32));
        LATE.with(|_| hop());
        FIRST_SUM.fetch_add(self.0.get(), SeqCst);
        FIRST_DROPS.fetch_add(1, SeqCst);
    }
}

struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        hop();
        LATE_DROPS.fetch_add(1, SeqCst);
    }
}

/// Destructors run once each, on the goroutine whose value it is, when it ends.
pub(crate) fn drop() {
    for counter in [&FIRST_DROPS, &FIRST_SUM, &LATE_DROPS] {
        counter.store(0, SeqCst);
    }
    goroutines(MANY, |i| {
        FIRST.with(|first| {
            assert_eq!(first.0.replace(i), 0, "another goroutine's thread-local");
            hop();
        });
        FRESH.set(i as u32);
        hop();
    });
    // As with a scope of std's, the destructors may run after the goroutine was joined.
    wait_until("every thread-local is dropped", || {
        FIRST_DROPS.load(SeqCst) >= MANY && LATE_DROPS.load(SeqCst) >= MANY
    });
    hops(10);
    assert_eq!(FIRST_DROPS.load(SeqCst), MANY);
    assert_eq!(LATE_DROPS.load(SeqCst), MANY);
    assert_eq!(FIRST_SUM.load(SeqCst), (0..MANY).sum());
}

/// Goroutines that reuse the memory of dead ones start with initial values all the same.
pub(crate) fn const_fresh() {
    for _wave in 0..3 {
        goroutines(MANY / 2, |i| {
            assert_eq!(FRESH.get(), 7);
            assert_eq!(ZEROED.get(), [0; 8]);
            FRESH.set(i as u32);
            ZEROED.set([i as u64; 8]);
            hops(3);
            assert_eq!(FRESH.get(), i as u32);
            assert_eq!(ZEROED.get(), [i as u64; 8]);
        });
    }
}

/// Each goroutine initialises its own, although the initialisers overlap.
pub(crate) fn lazy_init_yields() {
    let seen = Mutex::new(HashSet::new());
    goroutines(MANY, |_| {
        let mine = SLOW_TO_MAKE.with(|n| *n);
        hops(2);
        assert_eq!(SLOW_TO_MAKE.with(|n| *n), mine);
        assert!(seen.lock().expect("no panic under it").insert(mine), "initialised once for two");
    });
}

/// A thread-local does not move while its goroutine moves, and is nobody else's.
pub(crate) fn address() {
    let live = Mutex::new(HashSet::new());
    goroutines(MANY, |_| {
        let address = || FRESH.with(|fresh| ptr::from_ref(fresh).addr());
        let mine = address();
        assert!(live.lock().expect("no panic under it").insert(mine), "two goroutines, one cell");
        for _ in 0..20 {
            hop();
            assert_eq!(address(), mine);
        }
        live.lock().expect("no panic under it").remove(&mine);
    });
}
