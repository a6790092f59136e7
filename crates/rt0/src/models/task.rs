//! future/armed.rs: async code that waits is woken by every change, through the last waker.
//!
//! A task polls something that data comes to, and that has a deadline: io/polled.rs `Half::wait`.
//! Its waker is the last one that it left, no event of a wait is slept through, the task's place
//! among the waiters is empty when it leaves, and each wait lets go once of the reference that it
//! took.
//!
//! Covers: arm, disarm, fire and retire as they ship, with g/ticket.rs and netpoll/gate.rs; data
//! and deadline at any moment; a poll by a new waker; two at once. Abstracts away: the runner,
//! which is whoever has claimed; the heap of timers, which is a list; wakers, which are keys.

use super::{check, check_within, leak, must_catch, must_catch_within};
use crate::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::future::armed::{Parts, State, disarm, fire, retire};
use crate::g::key::Key;
use crate::g::ticket::{ABORTED, FIRST_OP, TIMEOUT, TicketWord};
use crate::netpoll::gate::{Behind, Gate, Waiters};
use loom::sync::Mutex;
use loom::thread;

const CHANGED: usize = FIRST_OP;

/// The clock: whether the deadline has passed, and the tickets to be claimed then.
#[derive(Default)]
struct Timers {
    has_passed: bool,
    tickets: Vec<usize>,
}

struct World {
    gate: Gate,
    waiters: Mutex<Waiters<usize>>,
    data: AtomicBool,
    timers: Mutex<Timers>,
    ticket: TicketWord,
    state: Mutex<State<usize, usize>>,
    keys: [Key; 2],
    /// Who is woken wakes the other, too: two parts of one future.
    both: AtomicBool,
    references: AtomicUsize,
    waits: AtomicUsize,
}

fn world(both: bool) -> &'static World {
    leak(World {
        gate: Gate::new(),
        waiters: Mutex::new(Waiters::new()),
        data: AtomicBool::new(false),
        timers: Mutex::default(),
        ticket: TicketWord::new(),
        state: Mutex::new(State::new()),
        keys: [Key::new(), Key::new()],
        both: AtomicBool::new(both),
        references: AtomicUsize::new(0),
        waits: AtomicUsize::new(0),
    })
}

impl Parts for World {
    type Armed = usize;
    type Waker = usize;

    fn with<R>(&self, f: impl FnOnce(&mut State<usize, usize>) -> R) -> R {
        f(&mut self.state.lock().expect("nobody panics"))
    }

    fn abort(&self, ticket: usize) -> bool {
        self.ticket.claim(ticket, ABORTED)
    }

    fn has_timed_out(&self) -> bool {
        self.ticket.op() == TIMEOUT
    }

    fn part(&self, ticket: usize) {
        self.waiters.lock().expect("nobody panics").remove(ticket);
    }

    fn is_stale(&self, _: usize) {}

    fn ended(&self) {
        let was = self.waits.fetch_sub(1, Ordering::Relaxed);
        assert!(was > 0, "a wait that ends twice");
    }

    fn release(&self) {
        let was = self.references.fetch_sub(1, Ordering::Relaxed);
        assert!(was > 0, "a reference that is let go twice");
    }
}

impl World {
    /// Half::wait, and the try before it. True: ready.
    fn poll(&self, waker: usize) -> bool {
        loop {
            let seen = self.gate.seen();
            if self.data.load(Ordering::Relaxed) || self.has_passed() {
                return true;
            }
            self.waits.fetch_add(1, Ordering::Relaxed);
            let mut is_late = false;
            let armed = self.with(|state| {
                state.arm(&mut Some(waker), || {
                    self.references.fetch_add(1, Ordering::Relaxed);
                    let ticket = self.ticket.begin();
                    let mut timers = self.timers.lock().expect("nobody panics");
                    is_late = timers.has_passed;
                    timers.tickets.push(ticket);
                    ticket
                })
            });
            let Some(ticket) = armed else {
                self.waits.fetch_sub(1, Ordering::Relaxed);
                return false;
            };
            let joined = {
                let mut waiters = self.waiters.lock().expect("nobody panics");
                self.gate.join(seen, &mut waiters, ticket)
            };
            if joined && !self.ticket.is_waiting(ticket) {
                self.part(ticket);
            }
            if is_late {
                self.event(ticket, TIMEOUT);
            }
            if joined {
                return false;
            }
            if let Ok(Some(other)) = disarm(self, ticket)
                && other != waker
            {
                self.wake(other);
            }
        }
    }

    /// Polls until it is ready, then leaves.
    fn run(&self, waker: usize) {
        while !self.poll(waker) {
            self.keys[waker].wait();
        }
    }

    fn wake(&self, waker: usize) {
        self.keys[waker].wake();
        if self.both.load(Ordering::Relaxed) {
            self.keys[1 - waker].wake();
        }
    }

    fn event(&self, ticket: usize, op: usize) {
        if self.ticket.claim(ticket, op) {
            let waker = fire(self);
            if let Some(waker) = waker {
                self.wake(waker);
            }
            self.release();
        }
    }

    fn data_comes(&self) {
        self.data.store(true, Ordering::Relaxed);
        self.change();
    }

    fn change(&self) {
        let mut all = Vec::new();
        {
            let mut waiters = self.waiters.lock().expect("nobody panics");
            self.gate.change(Behind::Nothing);
            while let Some(ticket) = waiters.pop() {
                all.push(ticket);
            }
        }
        all.into_iter().for_each(|ticket| self.event(ticket, CHANGED));
    }

    fn has_passed(&self) -> bool {
        self.timers.lock().expect("nobody panics").has_passed
    }

    fn deadline_passes(&self) {
        let tickets = {
            let mut timers = self.timers.lock().expect("nobody panics");
            timers.has_passed = true;
            core::mem::take(&mut timers.tickets)
        };
        tickets.into_iter().for_each(|ticket| self.event(ticket, TIMEOUT));
    }

    /// When all threads have ended, and the task was retired.
    fn assert_nothing_is_left(&self) {
        let left = self.waiters.lock().expect("nobody panics").pop();
        assert_eq!(left, None, "the task has left, and is still among the waiters");
        assert_eq!(self.references.load(Ordering::Relaxed), 0, "references");
        assert_eq!(self.waits.load(Ordering::Relaxed), 0, "waits");
    }
}

/// One task, with data.
fn data() {
    let w = world(false);
    let task = thread::spawn(|| {
        w.run(0);
        retire(w);
    });
    w.data_comes();
    task.join().expect("it does not panic");
    w.assert_nothing_is_left();
}

/// It is woken for nothing first, and waits again.
fn twice() {
    let w = world(false);
    let task = thread::spawn(|| {
        w.run(0);
        retire(w);
    });
    w.change();
    w.data_comes();
    task.join().expect("it does not panic");
    w.assert_nothing_is_left();
}

/// The future moves to another task while it waits.
fn moves() {
    let w = world(false);
    let tasks = thread::spawn(|| {
        if !w.poll(0) {
            w.run(1);
        }
        retire(w);
    });
    w.data_comes();
    tasks.join().expect("it does not panic");
    w.assert_nothing_is_left();
}

/// Two tasks poll, and wake each other.
fn two() {
    let w = world(true);
    let one = thread::spawn(|| w.poll(0));
    let other = thread::spawn(|| w.run(1));
    w.data_comes();
    one.join().expect("it does not panic");
    other.join().expect("it does not panic");
    retire(w);
    w.assert_nothing_is_left();
}

fn deadline() {
    let w = world(false);
    let tasks = thread::spawn(|| {
        if !w.poll(0) {
            w.run(1);
        }
        retire(w);
    });
    w.deadline_passes();
    tasks.join().expect("it does not panic");
    w.assert_nothing_is_left();
}

fn data_against_deadline() {
    let w = world(false);
    let task = thread::spawn(|| {
        w.run(0);
        retire(w);
    });
    let clock = thread::spawn(|| w.deadline_passes());
    w.data_comes();
    clock.join().expect("it does not panic");
    task.join().expect("it does not panic");
    w.assert_nothing_is_left();
}

/// The future is dropped while it waits.
fn gives_up() {
    let w = world(false);
    let task = thread::spawn(|| {
        w.poll(0);
        retire(w);
        // What it was left at is used for something else from here on.
        w.waiters.lock().expect("nobody panics").pop()
    });
    w.deadline_passes();
    let left = task.join().expect("it does not panic");
    assert_eq!(left, None, "the task has left, and is still among the waiters");
    w.assert_nothing_is_left();
}

#[test]
fn no_event_is_slept_through() {
    check(data);
    check(twice);
    check(moves);
    check(deadline);
    check_within(2, two);
    check_within(2, data_against_deadline);
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    check(gives_up);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("task.first_waker", moves);
    must_catch("task.stays_armed", twice);
    must_catch("task.retire", gives_up);
    must_catch_within("task.others_waker", 2, two);
}
