//! sync/raw/once.rs: one does it, all see it done.
//!
//! Covers: two that want to do it and one that waits; a failure that the next one makes good.
//! Abstracts away: as models/sema.rs.

use super::sema::Table;
use super::{check, leak, must_catch};
use crate::sync::raw::once::{Begin, COMPLETE, OnceWord, POISONED, Poison};
use loom::cell::UnsafeCell;
use loom::thread;

struct World {
    word: OnceWord,
    value: UnsafeCell<()>,
    table: &'static Table,
}

impl World {
    fn new() -> &'static World {
        leak(World { word: OnceWord::new(), value: UnsafeCell::new(()), table: Table::new(0) })
    }

    fn call(&self, outcome: u32) {
        if let Begin::Run { .. } = self.word.begin(&self.table, (), Poison::Ignores) {
            self.value.with_mut(|_| ());
            self.word.finish(&self.table, outcome);
        }
        if outcome == COMPLETE {
            self.value.with(|_| ());
        }
    }
}

fn two_callers() {
    let w = World::new();
    let t = thread::spawn(move || w.call(COMPLETE));
    w.call(COMPLETE);
    t.join().expect("no panic");
}

fn a_waiter() {
    let w = World::new();
    let t = thread::spawn(move || w.call(COMPLETE));
    assert!(w.word.wait(&w.table, (), Poison::Minds));
    w.value.with(|_| ());
    t.join().expect("no panic");
}

fn a_failure() {
    let w = World::new();
    let t = thread::spawn(move || w.call(POISONED));
    w.call(COMPLETE);
    t.join().expect("no panic");
    assert!(w.word.is_complete());
}

#[test]
fn all_see_it_done() {
    check(two_callers);
    check(a_waiter);
    check(a_failure);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("once.recheck", a_waiter);
    must_catch("once.release", two_callers);
}
