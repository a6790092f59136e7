//! sched/seats.rs: no more seats are taken than there are, and each is given back once.
//!
//! Covers: two Ms that want the one seat there is, and leave it; sysmon's sweeps, which take it
//! away from an M that is about to leave it. Abstracts away: what the Ms do with it.

use super::{check, leak, must_catch};
use crate::sched::seats::{Seat, Seats};
use loom::thread;

/// Two Ms want one seat; nobody takes it away.
fn two_ms() {
    let seats = leak(Seats::new());
    let ms = [0, 1].map(|_| {
        thread::spawn(|| {
            let seat = Seat::new();
            if seats.take(&seat, 1) {
                assert_eq!(seats.taken(), 1, "two have the one seat");
                seats.leave(&seat);
            }
        })
    });
    ms.map(|m| m.join().expect("it has ended"));
    assert_eq!(seats.taken(), 0);
}

/// An M may take the seat twice while sysmon sweeps.
fn sweeps() {
    let (seats, seat) = (leak(Seats::new()), leak(Seat::new()));
    let m = thread::spawn(|| {
        for _ in 0..2 {
            if seats.take(seat, 1) {
                seats.leave(seat);
            }
        }
    });
    for _ in 0..3 {
        seats.age(seat);
    }
    m.join().expect("it has ended");
    assert_eq!(seats.taken(), 0, "given back twice, or not at all");
}

#[test]
fn one_seat_is_enough_for_one() {
    check(two_ms);
}

#[test]
fn a_seat_is_given_back_once() {
    check(sweeps);
}

#[test]
fn seat_taken_without_a_look() {
    must_catch("seats.take", two_ms);
}

#[test]
fn seat_given_back_by_both() {
    must_catch("seats.free", sweeps);
}
