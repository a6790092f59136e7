//! scope/running.rs with a waiter that is used again and again: a scope returns when the last of
//! its goroutines has ended, not before, and what they borrowed is its own again.
//!
//! Covers: a plain thread as the waiter, on the real key; a goroutine as the waiter, on the real
//! park state; wake-ups left over from a count that fell to 0 while the scope was still starting
//! others; more starts by the scope's goroutines.
//! Abstracts away: run queues (who readies the goroutine runs it at once, as in models/park.rs).

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::key::Key;
use crate::g::park_state::ParkState;
use crate::scope::running::Running;
use loom::thread;

struct Scope {
    running: Running,
    key: Key,
    park: ParkState,
    /// The saved context of the goroutine that waits.
    context: Token,
    /// What each of the scope's goroutines borrows.
    borrowed: [Token; 2],
    returned: AtomicU32,
}

fn scope() -> &'static Scope {
    leak(Scope {
        running: Running::new(),
        key: Key::new(),
        park: ParkState::new(),
        context: Token::new(),
        borrowed: [Token::new(), Token::new()],
        returned: AtomicU32::new(0),
    })
}

impl Scope {
    /// The scope returns: nothing is borrowed any more.
    fn returns(&self) {
        self.borrowed.iter().for_each(Token::use_alone);
        self.returned.fetch_add(1, Ordering::Relaxed);
    }

    /// A goroutine of the scope, waited for by a plain thread.
    fn run(&self, i: usize) {
        self.borrowed[i].use_alone();
        if self.running.end() {
            self.key.wake();
        }
    }

    fn wait(&self) {
        self.running.wait_for_none(|| self.key.wait());
        self.returns();
    }

    /// A goroutine of the scope, waited for by a goroutine; that one goes on here if it was parked.
    fn run_under_goroutine(&self, i: usize) {
        self.borrowed[i].use_alone();
        if self.running.end() && self.park.notify() {
            self.resume();
            self.wait_parked();
        }
    }

    /// sched/waiter.rs `park_with`, as control flow that may leave this thread (models/park.rs).
    fn wait_parked(&self) {
        let left = core::cell::Cell::new(false);
        // The count is looked at again by whoever continues it, so leaving means: wait no more
        // here.
        while !left.get() && self.running.count() != 0 {
            left.set(!self.park_here());
        }
        if !left.get() {
            self.running.wait_for_none(|| panic!("it was 0, and nobody starts more"));
            self.returns();
        }
    }

    /// True if the goroutine goes on on this thread.
    fn park_here(&self) -> bool {
        if self.park.consume() {
            return true;
        }
        self.context.use_alone();
        if self.park.commit() {
            return false;
        }
        self.resume();
        true
    }

    fn resume(&self) {
        self.context.use_alone();
        self.park.resumed();
    }

    fn assert_returned(&self) {
        assert_eq!(self.returned.load(Ordering::Relaxed), 1, "times the scope returned");
    }
}

/// The first may have ended, and left a wake-up, before the second is counted.
fn a_thread_waits() {
    let s = scope();
    let both = [0, 1].map(|i| {
        s.running.begin();
        thread::spawn(move || s.run(i))
    });
    s.wait();
    both.into_iter().for_each(|t| t.join().expect("it does not panic"));
    s.assert_returned();
}

fn a_goroutine_waits() {
    let s = scope();
    let both = [0, 1].map(|i| {
        s.running.begin();
        thread::spawn(move || s.run_under_goroutine(i))
    });
    s.wait_parked();
    both.into_iter().for_each(|t| t.join().expect("it does not panic"));
    s.assert_returned();
}

/// A goroutine of the scope starts another one in it and ends first, or last.
fn a_goroutine_starts_another() {
    let s = scope();
    s.running.begin();
    let first = thread::spawn(move || {
        s.running.begin();
        let second = thread::spawn(move || s.run(1));
        s.run(0);
        second.join().expect("it does not panic");
    });
    s.wait();
    first.join().expect("it does not panic");
    s.assert_returned();
}

#[test]
fn a_scope_outlives_its_goroutines() {
    check(a_thread_waits);
    check(a_goroutine_waits);
    check(a_goroutine_starts_another);
}

#[test]
fn catches_an_end_that_does_not_publish() {
    must_catch("scope.release", a_thread_waits);
    must_catch("scope.release", a_goroutine_waits);
}

#[test]
fn catches_the_wrong_one_waking() {
    must_catch("scope.last", a_thread_waits);
    must_catch("scope.last", a_goroutine_waits);
}

#[test]
fn catches_a_scope_that_trusts_one_wakeup() {
    must_catch("scope.once", a_thread_waits);
}
