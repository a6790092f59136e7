//! lock/mutex/word.rs: one holder at a time, who sees what the one before wrote, and nobody sleeps
//! on a free lock.
//!
//! Covers: two and three threads, the short spin, sleeping, a lock that is taken again by a thread
//! that came through the slow path. Abstracts away: the guard and the ranks.

use super::{Token, check, leak, must_catch};
use crate::lock::mutex::word::Word;
use loom::thread;

struct World {
    word: Word,
    data: Token,
}

impl World {
    fn use_locked(&self) {
        self.word.lock();
        self.data.use_alone();
        self.word.unlock();
    }
}

/// Each of `others` threads and the model's own lock it `times` times.
fn contend(others: usize, times: usize) {
    let w = leak(World { word: Word::new(), data: Token::new() });
    let body = move || (0..times).for_each(|_| w.use_locked());
    let others: Vec<_> = (0..others).map(|_| thread::spawn(body)).collect();
    body();
    for other in others {
        other.join().expect("it does not panic");
    }
}

fn two_threads() {
    contend(1, 2);
}

fn three_threads() {
    contend(2, 1);
}

#[test]
fn the_holder_is_alone_and_nobody_sleeps_on() {
    check(two_threads);
    check(three_threads);
}

#[test]
fn catches_a_sleeper_that_leaves_no_mark() {
    must_catch("mutex.mark", two_threads);
}

#[test]
fn catches_an_unlock_that_does_not_wake() {
    must_catch("mutex.wake", two_threads);
}

#[test]
fn catches_an_unlock_that_does_not_publish() {
    must_catch("mutex.release", two_threads);
}
