//! sched/census.rs: no more seats are taken than there are, and each count comes back to 0.
//!
//! Covers: two Ms that want the one seat there is, and leave it; sysmon's sweeps, of an M that
//! takes a seat, or has none, and ends its time without a P twice. Abstracts away: what the Ms do.

use super::{check, leak, must_catch};
use crate::sched::census::{Census, Seen, Standing};
use loom::thread;

/// Two Ms want one seat; sysmon sleeps.
fn two_ms() {
    let census = leak(Census::new());
    let ms = [0, 1].map(|_| {
        thread::spawn(|| {
            let m = Standing::new();
            if census.take_seat(&m, 1) {
                assert_eq!(census.seats(), 1, "two have the one seat");
                census.end(&m);
            }
        })
    });
    ms.into_iter().for_each(|m| m.join().expect("it has ended"));
    assert_eq!(census.seats(), 0);
}

/// sysmon sees the M compute in some sweeps, then asleep in as many.
fn swept(seats: u32, sweeps: u32) {
    let (census, m) = (leak(Census::new()), leak(Standing::new()));
    let thread = thread::spawn(move || {
        for _ in 0..2 {
            let _ = census.take_seat(m, seats);
            census.end(m);
        }
    });
    for _ in 0..sweeps {
        if matches!(census.seen(m), Seen::Again | Seen::AgainOnSeat) {
            census.is_hog(m);
        }
    }
    for _ in 0..sweeps {
        census.not_seen(m);
    }
    thread.join().expect("it has ended");
    census.end(m);
    assert_eq!((census.seats(), census.hogs()), (0, 0), "counted twice, or not at all");
}

#[test]
fn one_seat_is_enough_for_one() {
    check(two_ms);
}

#[test]
fn who_has_a_seat_is_counted_once() {
    check(|| swept(1, 2));
}

#[test]
fn who_has_none_is_counted_once() {
    check(|| swept(0, 3));
}

#[test]
fn seat_taken_without_a_look() {
    must_catch("census.take_seat", two_ms);
}

#[test]
fn step_that_the_m_was_faster_than() {
    must_catch("census.step", || swept(1, 2));
}
