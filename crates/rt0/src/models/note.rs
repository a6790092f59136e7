//! lock/note.rs: no wake-up is lost, and the sleeper sees what the waker wrote.
//!
//! Covers: one sleep against one wake-up in every order; a second round after `clear`, the sleeper
//! telling the waker of itself through a lock, as `stopm` does through `sched.lock`.
//! Abstracts away: the kernel (sys/futex.rs models its contract by a lock and a condition variable,
//! without spurious returns) and timed sleeps, whose clock loom has not.

use super::{Token, check, leak, must_catch};
use crate::lock::note::Note;
use loom::sync::{Condvar, Mutex};
use loom::thread;

struct World {
    note: Note,
    /// What the waker hands over: an M's `nextp`.
    nextp: Token,
}

fn world() -> &'static World {
    leak(World { note: Note::new(), nextp: Token::new() })
}

fn sleep_against_wakeup() {
    let w = world();
    let waker = thread::spawn(|| {
        w.nextp.use_alone();
        w.note.wakeup();
    });
    w.note.sleep();
    w.nextp.use_alone();
    waker.join().expect("the waker does not panic");
}

/// The list of idle Ms: whether the sleeper is on it, and a way for the waker to wait for that.
struct Idle {
    listed: Mutex<bool>,
    changed: Condvar,
}

fn two_rounds() {
    const ROUNDS: usize = 2;
    let w = world();
    let idle = leak(Idle { listed: Mutex::new(false), changed: Condvar::new() });
    let waker = thread::spawn(|| {
        for _ in 0..ROUNDS {
            let mut listed = idle.listed.lock().expect("nobody panics");
            while !*listed {
                listed = idle.changed.wait(listed).expect("nobody panics");
            }
            *listed = false;
            drop(listed);
            w.nextp.use_alone();
            w.note.wakeup();
        }
    });
    for _ in 0..ROUNDS {
        let mut listed = idle.listed.lock().expect("nobody panics");
        w.note.clear();
        *listed = true;
        idle.changed.notify_one();
        drop(listed);
        w.note.sleep();
        w.nextp.use_alone();
    }
    waker.join().expect("the waker does not panic");
}

/// A wake-up may come before the sleep, and is then not slept through.
fn wakeup_first() {
    let w = world();
    w.note.wakeup();
    w.note.sleep();
}

#[test]
fn sleep_sees_the_wakeup_and_its_data() {
    check(sleep_against_wakeup);
    check(wakeup_first);
}

#[test]
fn a_cleared_note_works_again() {
    check(two_rounds);
}

#[test]
fn catches_a_waker_that_only_sets_the_key() {
    must_catch("note.wake", sleep_against_wakeup);
    must_catch("note.wake", two_rounds);
}

#[test]
fn catches_a_wakeup_that_does_not_publish() {
    must_catch("note.release", sleep_against_wakeup);
}
