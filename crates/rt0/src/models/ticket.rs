//! g/ticket.rs: of several wakers one wakes the waiter, and what it hands over is seen.
//!
//! The waiter publishes its ticket in a locked list, as channels do. Wakers claim it; the one that
//! succeeds writes into the waiter's own memory, then wakes it.
//!
//! Covers: two wakers and a waiter that gives up, in any order; an old ticket that is claimed while
//! the next wait is on. Abstracts away: how the waiter sleeps (models/park.rs, and the key's own
//! model), the lists.

use super::{Token, check, leak, must_catch};
use crate::g::key::Key;
use crate::g::ticket::{ABORTED, FIRST_OP, TicketWord};
use loom::sync::Mutex;
use loom::thread;

struct Waiter {
    word: TicketWord,
    key: Key,
    /// On the waiter's stack: the one who claimed it writes there.
    slot: Token,
    published: Mutex<Option<usize>>,
}

fn waiter() -> &'static Waiter {
    leak(Waiter {
        word: TicketWord::new(),
        key: Key::new(),
        slot: Token::new(),
        published: Mutex::new(None),
    })
}

impl Waiter {
    fn begin(&self) -> usize {
        self.slot.use_alone();
        let ticket = self.word.begin();
        *self.published.lock().expect("nobody panics") = Some(ticket);
        ticket
    }

    fn waker(&self, op: usize) {
        let ticket = *self.published.lock().expect("nobody panics");
        if let Some(ticket) = ticket
            && self.word.claim(ticket, op)
        {
            self.slot.use_alone();
            self.key.wake();
        }
    }
}

/// Two wakers, and a waiter that would rather give up.
fn race() {
    let w = waiter();
    let ticket = w.begin();
    let wakers: Vec<_> = (0..2).map(|i| thread::spawn(move || w.waker(FIRST_OP + i))).collect();
    if w.word.claim(ticket, ABORTED) {
        assert_eq!(w.word.op(), ABORTED);
    } else {
        w.key.wait();
        assert!(w.word.op() >= FIRST_OP);
    }
    w.slot.use_alone();
    for t in wakers {
        t.join().expect("no panic");
    }
}

/// A waker that has the ticket of a wait that is over must not end the next one.
fn stale() {
    let w = waiter();
    let old = w.begin();
    let late = thread::spawn(move || {
        if w.word.claim(old, FIRST_OP) {
            w.slot.use_alone();
            w.key.wake();
        }
    });
    if !w.word.claim(old, ABORTED) {
        w.key.wait();
    }
    w.slot.use_alone();
    let ticket = w.word.begin();
    assert!(w.word.claim(ticket, ABORTED), "woken by an old ticket");
    w.slot.use_alone();
    late.join().expect("no panic");
}

#[test]
fn one_waker_wins() {
    check(race);
    check(stale);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("ticket.claim", race);
    must_catch("ticket.reuse", stale);
}
