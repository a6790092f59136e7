//! join/state.rs: a joiner always wakes and sees the result; a panic is reported by exactly one
//! side.
//!
//! The result is a [`Token`]: the goroutine writes it, and whoever owns it then reads it. The
//! joiner waits as a plain thread does, on the real key (g/key.rs).
//!
//! Covers: finish and release against join (enlist, wait, take), detach, and `is_finished`.
//! Abstracts away: a joiner that is a goroutine (models/park.rs has its park).

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::key::Key;
use crate::join::state::JoinState;
use loom::thread;

/// sched/waiter.rs `Waiter` of a plain thread.
struct Waiter {
    /// Its plain fields: written by the joiner, read by the waker.
    fields: Token,
    key: Key,
}

struct Packet {
    state: JoinState<Waiter>,
    result: Token,
    reports: AtomicU32,
}

fn packet() -> &'static Packet {
    leak(Packet { state: JoinState::new(), result: Token::new(), reports: AtomicU32::new(0) })
}

impl Packet {
    /// The goroutine's end; it panicked.
    #[allow(unsafe_code, reason = "models leak what they share")]
    fn finish(&self) {
        self.result.use_alone();
        if self.state.finish() {
            self.report();
        }
        if let Some(waiter) = self.state.release() {
            // SAFETY: `join` leaked it.
            let waiter = unsafe { &*waiter };
            waiter.fields.use_alone();
            waiter.key.wake();
        }
    }

    fn join(&self) {
        let waiter = leak(Waiter { fields: Token::new(), key: Key::new() });
        waiter.fields.use_alone();
        if self.state.enlist(core::ptr::from_ref(waiter).cast_mut()) {
            waiter.key.wait();
        }
        self.result.use_alone();
    }

    fn detach(&self) {
        if self.state.detach() {
            self.report();
        }
    }

    fn report(&self) {
        self.result.use_alone();
        self.reports.fetch_add(1, Ordering::Relaxed);
    }
}

fn join_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    p.join();
    goroutine.join().expect("it does not panic");
}

fn detach_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    p.detach();
    goroutine.join().expect("it does not panic");
    assert_eq!(p.reports.load(Ordering::Relaxed), 1, "reports of the panic");
}

/// `is_finished` alone orders the result.
fn poll_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    if p.state.is_finished() {
        p.result.use_alone();
    }
    goroutine.join().expect("it does not panic");
}

#[test]
fn a_joiner_wakes_and_sees_the_result() {
    check(join_against_finish);
    check(poll_against_finish);
}

#[test]
fn exactly_one_side_reports_a_panic() {
    check(detach_against_finish);
}

#[test]
fn catches_flags_that_are_not_set_in_one_step() {
    must_catch("join.flags", detach_against_finish);
}

#[test]
fn catches_flags_that_do_not_publish() {
    must_catch("join.publish", detach_against_finish);
    must_catch("join.publish", poll_against_finish);
}

#[test]
fn catches_a_joiner_that_is_overlooked() {
    must_catch("join.release", join_against_finish);
}

#[test]
fn catches_a_joiner_that_is_not_published() {
    must_catch("join.enlist", join_against_finish);
}

#[test]
fn catches_a_wakeup_that_is_lost_or_does_not_publish() {
    must_catch("waiter.wake", join_against_finish);
    must_catch("waiter.release", join_against_finish);
}
