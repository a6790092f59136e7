//! netpoll/gate.rs: who waits for a descriptor tries again after every change of it.
//!
//! A change is data that has come, a new deadline, or the close: something that the try looks at
//! and that is not ordered by anything but the gate. The reader must not sleep beyond it, whoever
//! else claims its ticket meanwhile, and its place among the waiters is empty when it leaves.
//!
//! In another world the data and the end of a stream come while it is read, and reads that would
//! find nothing are not made: the end must be found all the same.
//!
//! Covers: seen, join, change; used_up and what lies behind the data; the waiters' list; giving up
//! by a deadline, with g/ticket.rs as it ships. Abstracts away: epoll, which is one thread that
//! makes a change; parking, which is a key.

use super::{check, leak, must_catch};
use crate::atomic::{AtomicBool, Ordering};
use crate::g::key::Key;
use crate::g::ticket::{ABORTED, FIRST_OP, TIMEOUT, TicketWord};
use crate::netpoll::gate::{Behind, Gate, Waiters};
use loom::sync::{Condvar, Mutex};
use loom::thread;

const CHANGED: usize = FIRST_OP;

/// A reader, and its ticket.
type Wait = (usize, usize);

struct World {
    gate: Gate,
    waiters: Mutex<Waiters<Wait>>,
    data: AtomicBool,
    closed: AtomicBool,
    tickets: [TicketWord; 2],
    keys: [Key; 2],
}

fn world() -> &'static World {
    leak(World {
        gate: Gate::new(),
        waiters: Mutex::new(Waiters::new()),
        data: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        tickets: [TicketWord::new(), TicketWord::new()],
        keys: [Key::new(), Key::new()],
    })
}

impl World {
    /// Returns when there is something to read, or it is too late.
    fn read(&self, me: usize) {
        loop {
            let seen = self.gate.seen();
            if self.closed.load(Ordering::Relaxed) || self.data.load(Ordering::Relaxed) {
                return;
            }
            let ticket = self.tickets[me].begin();
            let joined = {
                let mut waiters = self.waiters.lock().expect("nobody panics");
                self.gate.join(seen, &mut waiters, (me, ticket))
            };
            if joined {
                self.keys[me].wait();
                self.waiters.lock().expect("nobody panics").remove((me, ticket));
                if self.tickets[me].op() == TIMEOUT {
                    return;
                }
            } else if !self.tickets[me].claim(ticket, ABORTED) {
                self.keys[me].wait(); // woken already, by the deadline
                return;
            }
        }
    }

    fn change(&self, what: &AtomicBool) {
        what.store(true, Ordering::Relaxed);
        let mut waiters = self.waiters.lock().expect("nobody panics");
        self.gate.change(Behind::Nothing);
        while let Some((who, ticket)) = waiters.pop() {
            self.wake((who, ticket), CHANGED);
        }
    }

    fn wake(&self, (who, ticket): Wait, op: usize) {
        if self.tickets[who].claim(ticket, op) {
            self.keys[who].wake();
        }
    }

    /// The deadline of reader 0 passes, whatever its ticket is.
    fn expire(&self) {
        self.wake((0, 1), TIMEOUT);
        self.wake((0, 2), TIMEOUT);
    }

    fn assert_empty(&self) {
        let left = self.waiters.lock().expect("nobody panics").pop();
        assert_eq!(left, None, "somebody left, and is still among the waiters");
    }
}

fn data_comes() {
    let w = world();
    let reader = thread::spawn(|| w.read(0));
    w.change(&w.data);
    reader.join().expect("it does not panic");
    w.assert_empty();
}

fn two_readers() {
    let w = world();
    let readers = [0, 1].map(|me| thread::spawn(move || w.read(me)));
    w.change(&w.closed);
    for r in readers {
        r.join().expect("it does not panic");
    }
    w.assert_empty();
}

fn data_against_close() {
    let w = world();
    let reader = thread::spawn(|| w.read(0));
    let closer = thread::spawn(|| w.change(&w.closed));
    w.change(&w.data);
    closer.join().expect("it does not panic");
    reader.join().expect("it does not panic");
    w.assert_empty();
}

fn data_against_deadline() {
    let w = world();
    let reader = thread::spawn(|| w.read(0));
    let timer = thread::spawn(|| w.expire());
    w.change(&w.data);
    timer.join().expect("it does not panic");
    reader.join().expect("it does not panic");
    w.assert_empty();
}

/// A socket of the kernel's, and its place in the poll set.
#[derive(Default)]
struct Socket {
    data: bool,
    end: bool,
    /// There is an event that was not reported.
    edge: bool,
}

struct Stream {
    w: &'static World,
    socket: Mutex<Socket>,
    edge: Condvar,
}

impl Stream {
    fn arrives(&self, what: impl Fn(&mut Socket)) {
        let mut socket = self.socket.lock().expect("nobody panics");
        what(&mut socket);
        socket.edge = true;
        self.edge.notify_all();
    }

    /// The poller, until it has reported the end.
    fn poll(&self) {
        loop {
            let mut socket = self.socket.lock().expect("nobody panics");
            while !socket.edge {
                socket = self.edge.wait(socket).expect("nobody panics");
            }
            socket.edge = false;
            let behind = if socket.end { Behind::Maybe } else { Behind::Nothing };
            drop(socket);
            let mut waiters = self.w.waiters.lock().expect("nobody panics");
            self.w.gate.change(behind);
            while let Some(wait) = waiters.pop() {
                self.w.wake(wait, CHANGED);
            }
            if behind == Behind::Maybe {
                return;
            }
        }
    }

    /// io/pollable.rs `run`, until the end of the stream.
    fn read_all(&self) {
        let w = self.w;
        loop {
            let seen = w.gate.seen();
            if !w.gate.is_used_up(seen) {
                let mut socket = self.socket.lock().expect("nobody panics");
                if core::mem::take(&mut socket.data) {
                    w.gate.use_up(seen);
                    continue;
                } else if socket.end {
                    return;
                }
            }
            let ticket = w.tickets[0].begin();
            let joined = {
                let mut waiters = w.waiters.lock().expect("nobody panics");
                w.gate.join(seen, &mut waiters, (0, ticket))
            };
            if joined {
                w.keys[0].wait();
            } else {
                assert!(w.tickets[0].claim(ticket, ABORTED), "nobody knows the ticket");
            }
        }
    }
}

/// Data and the end come, together or one after the other, while a stream is read.
fn read_to_the_end() {
    let socket = Mutex::new(Socket::default());
    let s = leak(Stream { w: world(), socket, edge: Condvar::new() });
    let poller = thread::spawn(|| s.poll());
    let reader = thread::spawn(|| s.read_all());
    s.arrives(|socket| socket.data = true);
    s.arrives(|socket| socket.end = true);
    poller.join().expect("it does not panic");
    reader.join().expect("it does not panic");
}

#[test]
fn the_end_of_a_stream_is_found_behind_its_data() {
    check(read_to_the_end);
}

#[test]
fn catches_reads_that_are_not_made_at_the_end() {
    must_catch("gate.behind", read_to_the_end);
}

#[test]
fn no_change_is_slept_through() {
    check(data_comes);
    check(two_readers);
    check(data_against_close);
}

#[test]
fn a_deadline_and_data_wake_once() {
    check(data_against_deadline);
}

#[test]
fn catches_a_waiter_that_does_not_look_at_the_count() {
    must_catch("gate.join", data_comes);
}

#[test]
fn catches_a_change_that_is_not_counted() {
    must_catch("gate.change", data_comes);
}

#[test]
fn catches_a_count_that_does_not_bring_its_change() {
    must_catch("gate.seen", data_comes);
    must_catch("gate.release", data_comes);
}
