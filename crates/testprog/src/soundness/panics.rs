//! Panics: std counts them per thread, and unwinding goes on over yields.

use super::harness::{goroutines, hop, hops};
use super::runner::Planned;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::panicking;

const MANY: usize = 150;

/// Yields in its destructor and checks that `panicking` stays what it was.
struct YieldsInDrop;

impl Drop for YieldsInDrop {
    fn drop(&mut self) {
        let before = panicking();
        for _ in 0..5 {
            hop();
            assert_eq!(panicking(), before);
        }
    }
}

/// Half of the goroutines unwind at any moment, with yields inside; each catches its own payload.
pub(crate) fn catch_with_yield_in_drop() {
    goroutines(MANY, |i| {
        for k in 0..4 {
            let caught = catch_unwind(|| {
                let _yields = YieldsInDrop;
                hop();
                if (i + k) % 2 == 0 {
                    panic_any(Planned(i));
                }
            });
            assert!(!panicking());
            let payload = caught.err().map(|p| p.downcast::<Planned>().expect("ours").0);
            assert_eq!(payload, ((i + k) % 2 == 0).then_some(i));
            hop();
        }
    });
}

/// `panicking` is true on the goroutine that unwinds and on no other.
pub(crate) fn panicking_is_own() {
    struct SaysPanicking;
    impl Drop for SaysPanicking {
        fn drop(&mut self) {
            for _ in 0..10 {
                assert!(panicking());
                hop();
            }
        }
    }
    goroutines(MANY, |i| {
        if i % 2 == 0 {
            let caught = catch_unwind(|| {
                let _says = SaysPanicking;
                panic_any(Planned(i));
            });
            assert!(caught.is_err());
        }
        for _ in 0..10 {
            assert!(!panicking(), "another goroutine's panic");
            hop();
        }
    });
}

/// A panic inside a destructor that runs because of a panic, caught inside, three deep.
struct PanicsInDrop {
    depth: usize,
    id: usize,
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        assert!(panicking());
        hop();
        if self.depth == 0 {
            return;
        }
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _inner = PanicsInDrop { depth: self.depth - 1, id: self.id };
            hop();
            panic_any(Planned(self.id * 10 + self.depth));
        }));
        let payload = caught.expect_err("it panics").downcast::<Planned>().expect("ours");
        assert_eq!(payload.0, self.id * 10 + self.depth);
        assert!(panicking(), "the outer panic is still under way");
        hop();
    }
}

/// Nested panics are counted right although others nest theirs at the same time.
pub(crate) fn nested() {
    goroutines(MANY, |i| {
        let caught = catch_unwind(|| {
            let _outer = PanicsInDrop { depth: 3, id: i };
            hop();
            panic_any(Planned(i));
        });
        assert_eq!(caught.expect_err("it panics").downcast::<Planned>().expect("ours").0, i);
        assert!(!panicking());
    });
}

/// A panic ends its goroutine only; the joiner gets the payload, and can let it go on.
pub(crate) fn join_returns_payload() {
    goroutines(MANY / 2, |i| {
        let handle = rt0::go(move || {
            let _yields = YieldsInDrop;
            hop();
            panic_any(Planned(i));
        });
        hop();
        let payload = handle.join().expect_err("it panics");
        let again = catch_unwind(AssertUnwindSafe(|| {
            let _yields = YieldsInDrop;
            resume_unwind(payload);
        }));
        assert_eq!(again.expect_err("resumed").downcast::<Planned>().expect("ours").0, i);
    });
}

/// A Mutex is poisoned by the panic of the goroutine that holds it, not by one beside it.
pub(crate) fn poison_only_by_own_panic() {
    let (clean, shared) = (Mutex::new(0), AtomicUsize::new(0));
    goroutines(30, |i| {
        if i % 2 == 0 {
            for _ in 0..3 {
                let mut held = clean.lock().expect("no holder panics");
                hop();
                *held += 1;
                shared.fetch_add(1, SeqCst);
            }
            return;
        }
        let own = Mutex::new(i);
        let caught = catch_unwind(|| {
            let _held = own.lock();
            let _yields = YieldsInDrop;
            panic_any(Planned(i));
        });
        assert!(caught.is_err());
        assert!(own.is_poisoned());
    });
    let total = *clean.lock().expect("not poisoned");
    assert_eq!(total, shared.load(SeqCst));
}

static EXITED: AtomicUsize = AtomicUsize::new(0);

/// `goexit` runs destructors, which may yield and panic and catch; the joiner learns of it.
pub(crate) fn goexit_unwinds() {
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            hops(3);
            assert!(catch_unwind(|| panic_any(Planned(0))).is_err());
            EXITED.fetch_add(1, SeqCst);
        }
    }
    EXITED.store(0, SeqCst);
    goroutines(50, |_| {
        let exits = rt0::go(|| {
            let _counts = Counts;
            hop();
            rt0::goexit();
        });
        let payload = exits.join().expect_err("it does not return");
        assert!(payload.is::<rt0::Goexit>());
    });
    assert_eq!(EXITED.load(SeqCst), 50);
}
