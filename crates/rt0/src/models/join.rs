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
use crate::join::gone::Gone;
use crate::join::state::{JoinState, Release};
use loom::thread;

/// sched/waiter.rs `Waiter` of a plain thread.
struct Waiter {
    /// Its plain fields: written by the joiner, read by the waker.
    fields: Token,
    key: Key,
    /// Of a task: how often it was taken out to be freed.
    owners: AtomicU32,
}

struct Packet {
    state: JoinState<Waiter>,
    result: Token,
    reports: AtomicU32,
    /// A future's task was woken; a future was ready when it was polled.
    woken: AtomicU32,
    ready: AtomicU32,
}

fn packet() -> &'static Packet {
    leak(Packet {
        state: JoinState::new(),
        result: Token::new(),
        reports: AtomicU32::new(0),
        woken: AtomicU32::new(0),
        ready: AtomicU32::new(0),
    })
}

impl Packet {
    /// The goroutine's end; it panicked.
    #[allow(unsafe_code, reason = "models leak what they share")]
    fn finish(&self) {
        self.result.use_alone();
        let end = self.state.finish();
        if let Some(task) = end.task {
            Self::own(task);
            self.woken.store(1, Ordering::Relaxed);
        }
        if end.alone {
            self.report();
        }
        match self.state.release() {
            Release::Nobody => {}
            Release::Joiner(waiter) => {
                // SAFETY: `join` leaked it.
                let waiter = unsafe { &*waiter };
                waiter.fields.use_alone();
                waiter.key.wake();
            }
            Release::Task(task) => Self::own(task),
        }
    }

    /// A task that was taken out: frees it, so to speak.
    #[allow(unsafe_code, reason = "models leak what they share")]
    fn own(task: *mut Waiter) {
        // SAFETY: `future` leaked it.
        let task = unsafe { &*task };
        task.fields.use_alone();
        task.owners.fetch_add(1, Ordering::Relaxed);
    }

    /// A future that is polled once, and dropped if `drops` or if it is ready.
    fn future(&self, drops: bool) -> &'static Waiter {
        let task =
            leak(Waiter { fields: Token::new(), key: Key::new(), owners: AtomicU32::new(0) });
        task.fields.use_alone();
        match self.state.enlist_task(core::ptr::from_ref(task).cast_mut()) {
            Ok(()) if drops => {
                if let Some(task) = self.state.delist_task() {
                    Self::own(task);
                }
            }
            Ok(()) => {}
            Err(back) => {
                self.ready.store(1, Ordering::Relaxed);
                self.result.use_alone();
                if let Some(task) = back {
                    Self::own(task);
                }
            }
        }
        task
    }

    fn join(&self) {
        let owners = AtomicU32::new(0);
        let waiter = leak(Waiter { fields: Token::new(), key: Key::new(), owners });
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

/// A future is ready or woken, and its task has one owner.
fn future_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    let task = p.future(false);
    goroutine.join().expect("it does not panic");
    let (ready, woken) = (p.ready.load(Ordering::Relaxed), p.woken.load(Ordering::Relaxed));
    assert_eq!(ready + woken, 1, "ready {ready}, woken {woken}");
    assert_eq!(task.owners.load(Ordering::Relaxed), 1, "owners of the task");
}

/// One that is dropped while the goroutine ends.
fn dropped_future_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    let task = p.future(true);
    goroutine.join().expect("it does not panic");
    assert_eq!(task.owners.load(Ordering::Relaxed), 1, "owners of the task");
}

/// Two owners use a value and leave: one frees it, after the other's last use.
fn owners_leave() {
    let (gone, value, freed) = (leak(Gone::new()), leak(Token::new()), leak(AtomicU32::new(0)));
    let other = |used: bool| {
        if used {
            value.use_alone();
        }
        if gone.leave() {
            value.use_alone();
            freed.fetch_add(1, Ordering::Relaxed);
        }
    };
    let goroutine = thread::spawn(move || other(true));
    other(false);
    goroutine.join().expect("it does not panic");
    assert_eq!(freed.load(Ordering::Relaxed), 1, "how often it was freed");
}

#[test]
fn the_last_owner_frees_what_is_shared() {
    check(owners_leave);
}

#[test]
fn catches_owners_that_do_not_see_each_other_leave() {
    must_catch("gone.swap", owners_leave);
    must_catch("gone.release", owners_leave);
    must_catch("gone.acquire", owners_leave);
}

#[test]
fn a_future_is_ready_or_woken() {
    check(future_against_finish);
    check(dropped_future_against_finish);
}

#[test]
fn catches_a_future_that_overlooks_the_end() {
    must_catch("join.task_late", future_against_finish);
}

#[test]
fn catches_a_task_with_two_owners() {
    must_catch("join.take_task", dropped_future_against_finish);
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
