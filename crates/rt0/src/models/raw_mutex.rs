//! sync/raw/mutex.rs on sema/lot.rs: one holder at a time, who sees what the one before wrote, and
//! nobody is left waiting for a free lock.
//!
//! Covers: both modes (the clock makes every waiter starve, or none), spinning with WOKEN, waiters
//! that give up, three contenders. Abstracts away: how long things take.

use super::sema::Table;
use super::{Token, check, leak, must_catch};
use crate::sync::raw::mutex::MutexWord;
use loom::thread;

struct World {
    word: MutexWord,
    data: Token,
    table: &'static Table,
}

impl World {
    fn new(waited_ns: i64) -> &'static World {
        leak(World { word: MutexWord::new(), data: Token::new(), table: Table::new(waited_ns) })
    }

    fn use_locked(&self, deadline: Option<i64>) {
        if self.word.try_fast() || self.word.lock_slow(&self.table, (), deadline) {
            self.data.use_alone();
            self.word.unlock(&self.table);
        }
    }
}

/// Each of the others and the model's own thread locks it as often as said.
fn contend(waited_ns: i64, others: &[(usize, Option<i64>)], own: usize) {
    let w = World::new(waited_ns);
    let threads: Vec<_> = others
        .iter()
        .map(|&(times, deadline)| {
            thread::spawn(move || (0..times).for_each(|_| w.use_locked(deadline)))
        })
        .collect();
    (0..own).for_each(|_| w.use_locked(None));
    for t in threads {
        t.join().expect("it does not panic");
    }
    assert!(!w.word.is_locked());
}

fn two() {
    contend(0, &[(2, None)], 2);
}

fn three() {
    contend(0, &[(1, None), (1, None)], 1);
}

fn starving() {
    contend(2_000_000, &[(1, None), (1, None)], 1);
}

fn giving_up() {
    contend(2_000_000, &[(1, Some(0)), (1, None)], 1);
}

#[test]
fn the_holder_is_alone_and_nobody_is_left() {
    check(two);
    check(three);
}

#[test]
fn a_starving_one_is_handed_over() {
    check(starving);
}

#[test]
fn a_waiter_may_give_up() {
    check(giving_up);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("lot.wake", two);
    must_catch("rawmutex.release", two);
    must_catch("rawmutex.recheck", two);
    must_catch("rawmutex.woken", three);
}
