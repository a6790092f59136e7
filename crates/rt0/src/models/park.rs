//! g/park_state.rs: a goroutine that parks is resumed exactly once for the wake-ups it was sent.
//!
//! The goroutine is a piece of control flow that moves between the model's threads. One thread runs
//! it until it parks, saves its context and commits. Whoever then learns that it must go on (the
//! thread itself when the commit fails, a notifier that saw PARKED) runs the rest, on its own
//! thread. The context is a [`Token`]: two threads in the goroutine at once, or one that sees it
//! before it is saved, race.
//!
//! Covers: one and two notifiers against consume, commit and resumed, before, between and after
//! them; that what a notifier wrote is seen; tokens that stay for the next park.
//! Abstracts away: run queues (a notifier runs the goroutine at once; models/runq.rs has the way
//! through a queue), statuses, and the reasons for which a park may be spurious.

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::park_state::{Notified, ParkState};
use crate::g::ticket::{ABORTED, FIRST_OP, TIMEOUT, TicketWord};
use loom::thread;

struct Goroutine {
    park: ParkState,
    context: Token,
    /// Written by the notifier before it notifies.
    message: Token,
    /// Notifications sent: Relaxed everywhere, so that only the token orders it.
    sent: AtomicU32,
    /// How often the goroutine came to its end: it is a doubled wake-up if that is not one.
    ended: AtomicU32,
}

fn goroutine() -> &'static Goroutine {
    leak(Goroutine {
        park: ParkState::new(),
        context: Token::new(),
        message: Token::new(),
        sent: AtomicU32::new(0),
        ended: AtomicU32::new(0),
    })
}

impl Goroutine {
    /// Parks. True if the goroutine goes on on this thread, false if it has left it.
    fn park(&self) -> bool {
        if self.park.consume() {
            return true;
        }
        self.context.use_alone(); // saved by the switch
        if self.park.commit() {
            return false;
        }
        self.resume();
        true
    }

    fn resume(&self) {
        self.context.use_alone(); // loaded by the switch
        self.park.resumed();
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Body A: parks once, reads the message.
    fn receive(&self) {
        if self.park() {
            self.received();
        }
    }

    fn received(&self) {
        self.message.use_alone();
        self.end();
    }

    fn send(&self) {
        self.message.use_alone();
        if self.park.notify() {
            self.resume();
            self.received();
        }
    }

    /// Body B: parks until `n` notifications were sent.
    fn wait_for(&self, n: u32) {
        while self.sent.load(Ordering::Relaxed) < n {
            if !self.park() {
                return;
            }
        }
        self.end();
    }

    fn count_one(&self, n: u32) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.park.notify() {
            self.resume();
            self.wait_for(n);
        }
    }

    fn assert_ended_once(&self) {
        assert_eq!(self.ended.load(Ordering::Relaxed), 1, "times the goroutine ended");
    }
}

fn one_notifier() {
    let g = goroutine();
    let notifier = thread::spawn(|| g.send());
    g.receive();
    notifier.join().expect("it does not panic");
    g.assert_ended_once();
}

fn two_notifiers() {
    let g = goroutine();
    let notifiers = [(); 2].map(|()| thread::spawn(|| g.count_one(2)));
    g.wait_for(2);
    for n in notifiers {
        n.join().expect("it does not panic");
    }
    g.assert_ended_once();
}

/// Two parks in a row: the token of the second notification is not eaten by the first park's end.
fn two_in_a_row() {
    let g = goroutine();
    let notifier = thread::spawn(|| {
        g.count_one(2);
        g.count_one(2);
    });
    g.wait_for(2);
    notifier.join().expect("it does not panic");
    g.assert_ended_once();
}

fn notify_first() {
    let g = goroutine();
    g.send();
    g.receive();
    g.assert_ended_once();
}

fn notify_last() {
    let g = goroutine();
    let parker = thread::spawn(|| g.receive());
    parker.join().expect("it does not panic");
    g.send();
    g.assert_ended_once();
}

/// A park with a deadline: two notifiers and the timer; one of them wakes it, and what was sent is
/// seen unless the timer was first.
fn timed() {
    let g = goroutine();
    let word = leak(TicketWord::new());
    let ticket = word.begin();
    let notifier = thread::spawn(move || {
        g.message.use_alone();
        match g.park.notify_any() {
            Notified::Timed(t) => word.claim(t, FIRST_OP),
            Notified::Nobody => false,
            Notified::Parked => panic!("nobody parks without a deadline"),
        }
    });
    let timer = thread::spawn(move || word.claim(ticket, TIMEOUT));
    let waited = g.park.begin_timed(ticket);
    if !waited {
        word.claim(ticket, ABORTED);
        assert!(g.park.consume(), "it did not wait, and there is no token");
        g.message.use_alone();
    }
    let (notified, expired) = (notifier.join().expect("no"), timer.join().expect("no"));
    if waited {
        assert!(notified || expired, "nobody wakes it");
        // The timer alone would have left it asleep for as long as it may sleep.
        assert!(notified || word.op() == TIMEOUT);
        g.park.resumed();
    }
    assert!(!(notified && expired), "woken twice");
    assert!(!g.park.consume(), "the token is left over");
}

/// The same without a timer.
fn timed_for_ever() {
    let g = goroutine();
    let word = leak(TicketWord::new());
    let ticket = word.begin();
    let notifier = thread::spawn(move || {
        g.message.use_alone();
        matches!(g.park.notify_any(), Notified::Timed(t) if word.claim(t, FIRST_OP))
    });
    let waited = g.park.begin_timed(ticket);
    let woken = notifier.join().expect("no panic");
    assert_eq!(waited, woken, "it waits, and nobody wakes it");
}

#[test]
fn a_park_with_a_deadline_is_woken_once() {
    check(timed);
    check(timed_for_ever);
}

#[test]
fn catches_a_timed_park_over_a_token() {
    must_catch("park.timed", timed_for_ever);
}

#[test]
fn one_notifier_resumes_it_once_and_is_seen() {
    check(one_notifier);
    check(notify_first);
    check(notify_last);
}

#[test]
fn two_notifiers_resume_it_until_both_are_seen() {
    check(two_notifiers);
}

#[test]
fn a_second_notification_is_not_eaten() {
    check(two_in_a_row);
}

#[test]
fn catches_a_commit_over_a_token() {
    must_catch("park.commit", one_notifier);
    must_catch("park.commit", two_notifiers);
}

#[test]
fn catches_a_commit_that_does_not_publish() {
    must_catch("park.release", one_notifier);
    must_catch("park.release", two_notifiers);
}
