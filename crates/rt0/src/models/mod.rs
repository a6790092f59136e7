//! Models of the runtime's lock-free protocols: every interleaving, every allowed stale read.
//!
//! The protocol files import their atomics from `crate::atomic`; under `cfg(loom)` those are
//! loom's, and the tests here run the shipped code under loom's scheduler:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release -p rt0 --lib
//! ```
//!
//! A model that cannot fail proves nothing. So each protocol file carries planted faults, one per
//! `mutated` call, and [`must_catch`] runs a model with one of them switched on and expects loom to
//! object. [`coverage`] compares the faults in the sources with those that some test catches.
//!
//! # How a model is written
//! * [`check`] bounds the preemptions of an execution to [`PREEMPTIONS`]; switches at a blocking
//!   operation or at a thread's end are free. `LOOM_MAX_PREEMPTIONS` overrides it.
//! * [`Token`] stands for data that one owner at a time uses without a lock: the inside of a P, the
//!   saved context of a goroutine. Using it races in loom's eyes unless the protocol orders the
//!   uses.
//! * What a model shares is leaked: the protocols want `'static`, and loom's objects must not be
//!   dropped by a thread that is not ordered after their last use. It is some hundred bytes for an
//!   execution, in a test binary.

#![cfg_attr(not(test), allow(dead_code, unused_imports, reason = "models are tests only"))]

mod census;
mod chan;
mod condvar;
mod context;
mod coverage;
mod deadlock;
mod fresh;
mod gate;
mod halt;
mod handoff;
mod join;
mod locked;
mod machine;
mod mutex;
mod nap;
mod netpoll;
mod note;
mod once;
mod owner;
mod park;
mod preempt;
mod raw_mutex;
mod runq;
mod rwlock;
mod scope;
mod sema;
mod sigqueue;
mod spinning;
mod still;
mod stop;
mod task;
mod ticket;
mod waits;

use loom::cell::UnsafeCell;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Involuntary switches explored in one execution. Two find every planted fault; three take some
/// two seconds for the whole set, four ten times that, and found nothing more.
const PREEMPTIONS: usize = 3;

/// Ends a model that loops: no execution here has that many operations.
const BRANCHES: usize = 10_000;

std::thread_local! {
    /// The planted fault. loom runs all threads of a model as coroutines of the thread that called
    /// `check`, so tests that run in parallel do not see each other's.
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// Whether the running model passed by it.
    static REACHED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the running model planted the fault called `name`.
pub(crate) fn mutated(name: &str) -> bool {
    let yes = PLANTED.get() == Some(name);
    if yes {
        REACHED.set(true);
    }
    yes
}

/// Explores `model`; panics if an execution panics, deadlocks or races.
fn check(model: impl Fn() + Send + Sync + 'static) {
    check_within(PREEMPTIONS, model);
}

/// The same with a bound of its own, for a model that is too large for the usual one.
fn check_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = BRANCHES;
    builder.check(model);
}

/// Explores `model` with the fault `name`, and panics unless the exploration fails.
fn must_catch(name: &'static str, model: impl Fn() + Send + Sync + 'static) {
    must_catch_within(name, PREEMPTIONS, model);
}

/// The same with a bound of its own.
fn must_catch_within(
    name: &'static str,
    preemptions: usize,
    model: impl Fn() + Send + Sync + 'static,
) {
    PLANTED.set(Some(name));
    REACHED.set(false);
    let outcome = catch_unwind(AssertUnwindSafe(|| check_within(preemptions, model)));
    PLANTED.set(None);
    assert!(REACHED.get(), "the model does not come by the fault {name}");
    let Err(why) = outcome else { panic!("the model does not catch {name}") };
    let why = why
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| why.downcast_ref::<&str>().copied())
        .unwrap_or("");
    assert!(!why.contains("exceeded maximum"), "{name} ended by a limit of the model: {why}");
}

/// Shares a value among the threads of one execution.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Data without a lock: loom panics when two uses are not ordered by the protocol.
struct Token(UnsafeCell<()>);

impl Token {
    fn new() -> Self {
        Token(UnsafeCell::new(()))
    }

    /// A use that nothing else may overlap: a write.
    fn use_alone(&self) {
        self.0.with_mut(|_| ());
    }
}

/// The harness itself: a race, a deadlock and a failed assertion each come back from the model as a
/// panic, and a model that is explored afterwards is not disturbed.
mod harness {
    use super::{Token, check, leak, must_catch, mutated};
    use loom::sync::{Condvar, Mutex};
    use loom::thread;

    fn racing() {
        let token = leak(Token::new());
        let other = thread::spawn(|| token.use_alone());
        if !mutated("harness.race") {
            other.join().expect("it only touches the token");
            token.use_alone();
        } else {
            token.use_alone();
        }
    }

    fn sleeping() {
        let pair = leak((Mutex::new(false), Condvar::new()));
        let other = thread::spawn(|| {
            *pair.0.lock().expect("nobody panics") = true;
            if !mutated("harness.deadlock") {
                pair.1.notify_one();
            }
        });
        let mut guard = pair.0.lock().expect("nobody panics");
        while !*guard {
            guard = pair.1.wait(guard).expect("nobody panics");
        }
        drop(guard);
        other.join().expect("nobody panics");
    }

    fn asserting() {
        let other = thread::spawn(|| assert!(!mutated("harness.assert")));
        other.join().expect("the assertion holds");
    }

    #[test]
    fn a_fault_of_each_kind_is_seen_and_leaves_nothing_behind() {
        for _ in 0..2 {
            must_catch("harness.race", racing);
            check(racing);
            must_catch("harness.deadlock", sleeping);
            check(sleeping);
            must_catch("harness.assert", asserting);
            check(asserting);
        }
    }
}
