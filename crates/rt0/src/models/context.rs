//! chan/alarm.rs with chan/queue.rs and g/ticket.rs: whoever waits under a context is woken by its
//! end, by its partner or by its deadline, by one of them; whoever waits for a timer sees it set.
//!
//! Covers: the end against a wait that begins, against a partner that hands something over, against
//! another end; a second wait of the same waiter; setting against receiving. Abstracts away: the
//! clock, which stands still at [`NOW`]; how a waiter sleeps (a key); the tree of contexts, whose
//! steps each hold one lock.

#![allow(unsafe_code, reason = "entries are leaked, so QU1 holds for ever")]

use super::{Token, check, leak, must_catch};
use crate::chan::alarm::{Alarm, Kind, OFF};
use crate::chan::queue::{Chain, Entry, Ticket};
use crate::g::key::Key;
use crate::g::ticket::{ABORTED, CANCELLED, FIRST_OP, TIMEOUT, TicketWord};
use core::ptr;
use loom::sync::Mutex;
use loom::thread;

const NOW: i64 = 10;

struct Parker {
    word: TicketWord,
    key: Key,
    /// On the waiter's stack: who claimed it writes there.
    slot: Token,
}

#[derive(Clone, Copy)]
struct Wait {
    parker: &'static Parker,
    ticket: usize,
}

impl Ticket for Wait {
    fn claim(self, op: usize) -> bool {
        self.parker.word.claim(self.ticket, op)
    }
    fn is_waiting(self) -> bool {
        self.parker.word.is_waiting(self.ticket)
    }
    fn same(self, other: Self) -> bool {
        ptr::eq(self.parker, other.parker)
    }
}

struct World {
    alarm: Mutex<Alarm<Wait>>,
    /// Where a partner finds the waiter.
    partner: Mutex<Option<Wait>>,
    parker: Parker,
}

impl World {
    fn new(next: i64, kind: Kind) -> &'static World {
        leak(World {
            alarm: Mutex::new(Alarm::new(next, kind)),
            partner: Mutex::new(None),
            parker: Parker { word: TicketWord::new(), key: Key::new(), slot: Token::new() },
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Alarm<Wait>) -> R) -> R {
        f(&mut self.alarm.lock().expect("nobody panics"))
    }

    fn set(&self, next: i64, kind: Kind) {
        let mut chain = Chain::new();
        self.with(|alarm| alarm.set(next, kind, &mut chain));
        chain.wake_each(|w| w.parker.key.wake());
    }

    /// Waits for the partner, under the context; with `late`, beyond a deadline that has come.
    fn wait(&'static self, late: bool) -> usize {
        self.parker.slot.use_alone();
        let wait = Wait { parker: &self.parker, ticket: self.parker.word.begin() };
        *self.partner.lock().expect("nobody panics") = Some(wait);
        let op = self.wait_under(wait, late);
        self.parker.slot.use_alone();
        op
    }

    /// As `Clocked::wait_under`.
    fn wait_under(&self, wait: Wait, late: bool) -> usize {
        let entry = leak(Entry::new(wait, CANCELLED, ptr::null_mut()));
        // SAFETY: QU1: leaked.
        if self.with(|alarm| unsafe { alarm.wait(|| NOW, entry) }).is_none() {
            if wait.claim(CANCELLED) {
                return CANCELLED;
            }
            self.parker.key.wait();
            return self.parker.word.op();
        }
        if !late || !wait.claim(TIMEOUT) {
            self.parker.key.wait();
        }
        let op = self.parker.word.op();
        if op != CANCELLED {
            // SAFETY: it was linked there.
            self.with(|alarm| unsafe { alarm.leave(entry) });
        }
        op
    }

    /// Hands something over; whether there was somebody to take it.
    fn hand_over(&self) -> bool {
        let wait = self.partner.lock().expect("nobody panics").take();
        let Some(wait) = wait.filter(|w| w.claim(FIRST_OP)) else { return false };
        wait.parker.slot.use_alone();
        wait.parker.key.wake();
        true
    }

    /// As `Clocked::recv`.
    fn recv(&'static self) -> i64 {
        loop {
            if let Some(due) = self.with(|alarm| alarm.take(|| NOW)) {
                return due;
            }
            let wait = Wait { parker: &self.parker, ticket: self.parker.word.begin() };
            let entry = leak(Entry::new(wait, FIRST_OP, ptr::null_mut()));
            // SAFETY: QU1: leaked.
            if self.with(|alarm| unsafe { alarm.wait(|| NOW, entry) }).is_none() {
                assert!(wait.claim(ABORTED), "nobody knows it");
                continue;
            }
            self.parker.key.wait();
        }
    }
}

/// The end finds a waiter, or the waiter finds the end.
fn the_end_wakes() {
    let w = World::new(OFF, Kind::Latch);
    let t = thread::spawn(move || w.wait(false));
    w.set(NOW, Kind::Latch);
    assert_eq!(t.join().expect("no panic"), CANCELLED);
    assert!(w.with(|alarm| alarm.is_deserted()));
}

/// A partner, a deadline and the end: one of them; what was handed over was taken.
fn one_outcome(late: bool) {
    let w = World::new(OFF, Kind::Latch);
    let t = thread::spawn(move || (w.wait(late), w.wait(false)));
    let partner = thread::spawn(move || w.hand_over());
    w.set(NOW, Kind::Latch);
    let handed = partner.join().expect("no panic");
    let (first, second) = t.join().expect("no panic");
    assert_eq!(handed, first == FIRST_OP || second == FIRST_OP);
    assert!([CANCELLED, FIRST_OP, TIMEOUT].contains(&first) && (late || first != TIMEOUT));
    assert!(second == CANCELLED || first != FIRST_OP);
    assert!(w.with(|alarm| alarm.is_deserted()));
}

/// A wait that ended otherwise is not found by the end.
fn nothing_is_left_behind() {
    let w = World::new(OFF, Kind::Latch);
    let partner = thread::spawn(move || w.hand_over());
    let op = w.wait(true);
    assert_eq!(partner.join().expect("no panic"), op == FIRST_OP);
    assert!(w.with(|alarm| alarm.is_deserted()), "an entry is left behind");
}

/// Whoever waits for a timer that is set to a moment that has come gets its message.
fn a_timer_is_set() {
    let w = World::new(OFF, Kind::Once);
    let t = thread::spawn(move || w.recv());
    w.set(NOW + 5, Kind::Once);
    w.set(NOW - 5, Kind::Once);
    assert_eq!(t.join().expect("no panic"), NOW - 5);
    assert!(w.with(|alarm| alarm.take(|| NOW).is_none() && alarm.is_deserted()));
}

#[test]
fn every_wait_ends_once() {
    check(the_end_wakes);
    check(|| one_outcome(false));
    check(|| one_outcome(true));
    check(nothing_is_left_behind);
    check(a_timer_is_set);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("alarm.look", the_end_wakes);
    must_catch("alarm.set", the_end_wakes);
    must_catch("alarm.look", a_timer_is_set);
    must_catch("alarm.set", a_timer_is_set);
    must_catch("chan.remove", nothing_is_left_behind);
    must_catch("ticket.claim", || one_outcome(false));
}
