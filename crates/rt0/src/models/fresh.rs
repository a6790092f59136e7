//! g/fresh.rs: a new goroutine is run once, by its joiner or by who takes its entry.
//!
//! The maker publishes the goroutine and queues its marked entry; a thief takes the entry, the
//! maker joins. A goroutine's context is a [`Token`] used by its maker before and by its runner
//! after.
//!
//! Covers: joiner against thief; an old entry that stands for the next goroutine of the same G.
//! Abstracts away: the queue (models/runq.rs): the thief has the entry from the start.

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::fresh::Fresh;
use loom::thread;

struct Goroutine {
    fresh: Fresh,
    context: Token,
    runs: AtomicU32,
}

fn goroutine() -> &'static Goroutine {
    leak(Goroutine { fresh: Fresh::new(), context: Token::new(), runs: AtomicU32::new(0) })
}

impl Goroutine {
    fn make(&self, id: usize) {
        self.context.use_alone();
        self.fresh.publish(id);
    }

    fn run(&self) {
        self.context.use_alone();
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

fn join_against_thief() {
    let g = goroutine();
    let thief = thread::spawn(|| {
        if g.fresh.claim_any() {
            g.run();
        }
    });
    g.make(1);
    let mine = g.fresh.claim(1);
    if mine {
        g.run();
    }
    thief.join().expect("no panic");
    assert_eq!(g.runs.load(Ordering::Relaxed), 1, "run once");
}

/// The G's first goroutine is run by its joiner and ends; the thief still has its entry when the
/// next one is published, whose own entry comes up last.
fn old_entry() {
    let g = goroutine();
    g.make(1);
    let thief = thread::spawn(|| {
        if g.fresh.claim_any() {
            g.run();
        }
    });
    if g.fresh.claim(1) {
        g.run();
        g.make(2);
        if g.fresh.claim_any() {
            g.run();
        }
        thief.join().expect("no panic");
        assert_eq!(g.runs.load(Ordering::Relaxed), 2, "each run once");
    } else {
        thief.join().expect("no panic");
        assert_eq!(g.runs.load(Ordering::Relaxed), 1, "run once");
    }
}

#[test]
fn a_new_goroutine_is_run_once() {
    check(join_against_thief);
    check(old_entry);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("fresh.claim", join_against_thief);
    must_catch("fresh.publish", join_against_thief);
}
