//! m/still.rs: who looks finds threads only that are held, and lets none go before it has looked.
//!
//! Covers: two rounds, each given up at any moment, against the
//! handlers of two threads, early and late. Abstracts away: the signal
//! (a thread here), and the sleep on the round: who has to stay does so for good.

use super::{Token, check_within, leak, must_catch};
use crate::m::still::{Arrival, Still};
use loom::thread;

struct World {
    still: Still,
    /// What a thread works with, and who looks reads.
    memory: [Token; 2],
}

/// The handler of a thread, and the thread going on.
fn handler(w: &'static World, tid: u32) {
    let mark = tid as usize;
    if let Some(round) = w.still.arrive(tid, Arrival { sp: mark, frame: mark }) {
        if w.still.stays(round) {
            return; // held for the rest of this execution
        }
        w.still.leave();
    }
    w.memory[mark - 1].use_alone();
}

fn look(w: &'static World) {
    if !w.still.begin() {
        return;
    }
    for tid in [1, 2] {
        if let Some(Arrival { sp, frame }) = w.still.has(tid) {
            assert!(sp == tid as usize && frame == sp, "another's place: {sp} {frame}");
            w.memory[sp - 1].use_alone();
        }
    }
    w.still.end();
}

fn rounds() {
    let memory = [Token::new(), Token::new()];
    let w: &'static World = leak(World { still: Still::new(), memory });
    let threads = [1, 2].map(|tid| thread::spawn(move || handler(w, tid)));
    look(w);
    look(w);
    for held in threads {
        held.join().expect("it does not panic");
    }
}

#[test]
fn who_is_looked_at_is_held() {
    check_within(2, rounds);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("still.inside", rounds);
    must_catch("still.stays", rounds);
}
