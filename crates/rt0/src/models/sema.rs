//! sema/lot.rs with a queue under loom's mutex and g/ticket.rs: what the models of locks wait with.
//!
//! Covers: a waiter that gives up while a waker takes it. Abstracts away: the buckets (one for
//! all), the clock, which says what the model wants, and how the waiter sleeps (a key).

use super::{Token, check, leak, must_catch};
use crate::g::key::Key;
use crate::g::ticket::{TIMEOUT, TicketWord};
use crate::sema::lot::{Env, Outcome, Request, park_after, unpark};
use crate::sema::queue::{Place, Queue};
use loom::sync::Mutex;
use loom::thread;
use std::cell::Cell;

/// A waiter's ticket, and the key it sleeps on.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    word: &'static TicketWord,
    key: &'static Key,
    ticket: usize,
}

/// The table of a model, leaked with it.
pub(super) struct Table {
    queue: Mutex<Queue<Wait>>,
    /// How long every wait has lasted, as the clock has it.
    waited_ns: i64,
}

impl Table {
    pub(super) fn new(waited_ns: i64) -> &'static Table {
        leak(Table { queue: Mutex::new(Queue::new()), waited_ns })
    }
}

std::thread_local! {
    static CLOCK: Cell<i64> = const { Cell::new(0) };
}

impl Env for &'static Table {
    type Wait = Wait;
    type Why = ();

    fn begin(&self) -> Wait {
        let (word, key) = (leak(TicketWord::new()), leak(Key::new()));
        Wait { word, key, ticket: word.begin() }
    }
    fn claim(&self, wait: Wait, op: usize) -> bool {
        wait.word.claim(wait.ticket, op)
    }
    fn is_waiting(&self, wait: Wait) -> bool {
        wait.word.is_waiting(wait.ticket)
    }
    /// A deadline is one that has come: the waiter gives up unless a waker is faster.
    fn wait(&self, wait: Wait, (): (), deadline_ns: Option<i64>) -> usize {
        if deadline_ns.is_none() || !self.claim(wait, TIMEOUT) {
            wait.key.wait();
        }
        wait.word.op()
    }
    fn wake(&self, wait: Wait) {
        wait.key.wake();
    }
    fn hash(&self, key: usize) -> u64 {
        key as u64
    }
    fn locked<R>(&self, _hash: u64, f: impl FnOnce(&mut Queue<Wait>) -> R) -> R {
        f(&mut self.queue.lock().expect("nobody panics"))
    }
    fn now_ns(&self) -> i64 {
        CLOCK.set(CLOCK.get() + self.waited_ns);
        CLOCK.get()
    }
    fn can_spin(&self, i: u32) -> bool {
        i < 1
    }
    fn spin(&self) {}
    fn yield_now(&self) {}
}

/// A waiter whose deadline has come, and a waker. The waiter's memory is its own again when `park`
/// is over; both agree on who woke it.
fn give_up() {
    let table = Table::new(0);
    let slot = leak(Token::new());
    let waker = thread::spawn(move || {
        unpark(&table, 8, |w| {
            let taken = w.take(7).is_some();
            if taken {
                slot.use_alone();
            }
            taken
        })
    });
    let request = |deadline_ns| Request {
        key: 8,
        data: 0,
        place: Place::Back,
        since_ns: 0,
        why: (),
        deadline_ns,
    };
    let outcome = park_after(&table, request(Some(0)), || true, || (), |_| ());
    slot.use_alone();
    let woken = waker.join().expect("no panic");
    assert_eq!(outcome, if woken { Outcome::Woken(7) } else { Outcome::GaveUp });
    assert!(unpark(&table, 8, |w| w.is_empty()), "a node stayed behind");
}

#[test]
fn who_gives_up_leaves_nothing_behind() {
    check(give_up);
    must_catch("lot.leave", give_up);
}
