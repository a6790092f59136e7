//! g/ticket.rs: of several wakers one wakes the waiter, and what it hands over is seen.
//!
//! The waiter publishes its ticket in a locked list, as channels do. Wakers claim it; the one that
//! succeeds writes into the waiter's own memory, then wakes it.
//!
//! Covers: two wakers and a waiter that gives up, in any order; an old ticket that is claimed while
//! the next wait is on; a goroutine that parks, twice, against claims before, between and after the
//! steps. Abstracts away: how a thread sleeps (the key's own model), the lists, run queues (who has
//! to queue the goroutine runs it at once, as in models/park.rs).

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::key::Key;
use crate::g::park_state::ParkState;
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

/// A goroutine that waits with tickets: sched/wait.rs.
struct Goroutine {
    word: TicketWord,
    park: ParkState,
    context: Token,
    slot: Token,
    published: Mutex<Option<usize>>,
    /// Relaxed: only the protocol orders it.
    waits: AtomicU32,
    ended: AtomicU32,
}

fn goroutine() -> &'static Goroutine {
    leak(Goroutine {
        word: TicketWord::new(),
        park: ParkState::new(),
        context: Token::new(),
        slot: Token::new(),
        published: Mutex::new(None),
        waits: AtomicU32::new(0),
        ended: AtomicU32::new(0),
    })
}

impl Goroutine {
    /// Waits `n` times, then ends; returns when the goroutine has left this thread.
    fn run(&self, n: u32) {
        while self.waits.load(Ordering::Relaxed) < n {
            self.slot.use_alone();
            let ticket = self.word.begin();
            *self.published.lock().expect("nobody panics") = Some(ticket);
            if !self.park.consume_only() {
                self.context.use_alone(); // saved by the switch
                if self.word.commit() || self.park.commit() {
                    return;
                }
                self.resume();
            }
            self.woken();
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn resume(&self) {
        self.context.use_alone(); // loaded by the switch
        self.park.consume_only();
    }

    fn woken(&self) {
        assert!(self.word.op() >= FIRST_OP);
        self.slot.use_alone();
        self.waits.store(self.waits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Ends one wait, if there is one: hands over, then wakes.
    fn waker(&self, n: u32) {
        let ticket = self.published.lock().expect("nobody panics").take();
        let Some(ticket) = ticket else { return };
        if !self.word.claim(ticket, FIRST_OP) {
            return;
        }
        self.slot.use_alone();
        if self.word.was_parked() || self.park.notify() {
            self.resume();
            self.woken();
            self.run(n);
        }
    }
}

/// Wakers as many as waits; those that come too early are made up for at the end.
fn parks(n: u32) {
    let g = goroutine();
    let wakers: Vec<_> = (0..n).map(|_| thread::spawn(move || g.waker(n))).collect();
    g.run(n);
    for t in wakers {
        t.join().expect("no panic");
    }
    while g.ended.load(Ordering::Relaxed) == 0 {
        assert!(g.published.lock().expect("nobody panics").is_some(), "nobody can wake it");
        g.waker(n);
    }
    assert_eq!(g.ended.load(Ordering::Relaxed), 1, "times the goroutine ended");
}

#[test]
fn a_parked_goroutine_is_resumed_once_for_each_claim() {
    check(|| parks(1));
    check(|| parks(2));
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
    must_catch("ticket.commit", || parks(1));
    must_catch("ticket.publish", || parks(1));
}
