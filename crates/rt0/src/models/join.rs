//! join/state.rs: a joiner always wakes and sees the result; a panic is reported by exactly one
//! side.
//!
//! The result is a [`Token`]: the goroutine writes it, and whoever owns it then reads it. The
//! joiner waits as a plain thread does, on the real key (g/key.rs).
//!
//! Covers: finish and release against join (enlist, wait, take), detach, `is_finished`, futures,
//! and who frees the packet. A joiner that is a goroutine lists itself when it has left its stack,
//! and is run by who finds it: here it is what the one who readies it goes on with.

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::key::Key;
use crate::join::state::{JoinState, Leave, Release};
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
    /// The packet as memory: who frees it comes after all uses.
    memory: [Token; 2],
    freed: AtomicU32,
    reports: AtomicU32,
    /// A future's task was woken; a future was ready when it was polled.
    woken: AtomicU32,
    ready: AtomicU32,
}

fn packet() -> &'static Packet {
    leak(Packet {
        state: JoinState::new(),
        result: Token::new(),
        memory: [Token::new(), Token::new()],
        freed: AtomicU32::new(0),
        reports: AtomicU32::new(0),
        woken: AtomicU32::new(0),
        ready: AtomicU32::new(0),
    })
}

/// Whose touches of the packet's memory.
const GOROUTINE: usize = 0;
const HANDLE: usize = 1;

impl Packet {
    /// JN6: nobody touches it any more.
    fn free(&self) {
        self.memory.iter().for_each(Token::use_alone);
        self.freed.fetch_add(1, Ordering::Relaxed);
    }

    /// The goroutine's end; it panicked.
    #[allow(unsafe_code, reason = "models leak what they share")]
    fn finish(&self) {
        self.result.use_alone();
        self.memory[GOROUTINE].use_alone();
        let end = self.state.finish();
        if let Some(task) = end.task {
            Self::own(task);
            self.woken.store(1, Ordering::Relaxed);
        }
        if end.alone {
            self.report();
            return self.free();
        }
        self.memory[GOROUTINE].use_alone();
        match self.state.release() {
            Release::Nobody => {}
            Release::Joiner(waiter) => {
                // SAFETY: `joiner` leaked it.
                let waiter = unsafe { &*waiter };
                waiter.fields.use_alone();
                self.joined();
            }
            Release::Thread(waiter) => {
                // SAFETY: `join` leaked it.
                let waiter = unsafe { &*waiter };
                waiter.fields.use_alone();
                waiter.key.wake();
            }
            Release::Task(task) => Self::own(task),
            Release::Alone => self.free(),
        }
    }

    /// What a joiner does that has been waited for: takes the result, and leaves.
    fn joined(&self) {
        self.result.use_alone();
        self.leave();
    }

    fn leave(&self) {
        self.memory[HANDLE].use_alone();
        match self.state.leave() {
            Leave::Last => self.free(),
            Leave::First(Some(task)) => Self::own(task),
            Leave::First(None) => {}
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

    /// A future that is polled once, and dropped if `drops` or if it is ready; then its handle is
    /// gone, too.
    fn future(&self, drops: bool) -> &'static Waiter {
        let task =
            leak(Waiter { fields: Token::new(), key: Key::new(), owners: AtomicU32::new(0) });
        task.fields.use_alone();
        match self.state.enlist_task(core::ptr::from_ref(task).cast_mut()) {
            Ok(()) if drops => {
                if let Some(task) = self.state.delist_task() {
                    Self::own(task);
                }
                self.detach();
            }
            Ok(()) => {}
            Err(back) => {
                self.ready.store(1, Ordering::Relaxed);
                if let Some(task) = back {
                    Self::own(task);
                }
                self.joined();
            }
        }
        task
    }

    /// A future that is polled twice: the second time it may find the result before its task was
    /// taken out.
    fn future_polled_again(&self) -> &'static Waiter {
        let task = self.future(false);
        let ready = self.ready.load(Ordering::Relaxed) != 0;
        if !ready && self.state.is_finished() {
            self.joined();
        } else if !ready {
            if let Some(task) = self.state.delist_task() {
                Self::own(task);
            }
            self.detach();
        }
        task
    }

    /// A thread that joins.
    fn join(&self) {
        if !self.state.is_released() {
            let waiter = Self::waiter();
            if self.state.enlist_thread(core::ptr::from_ref(waiter).cast_mut()) {
                waiter.key.wait();
            }
        }
        self.joined();
    }

    /// A goroutine that joins: off its stack, it lists itself, and goes on here if that fails.
    fn join_parked(&self) {
        let waiter = Self::waiter();
        self.memory[HANDLE].use_alone();
        if !self.state.enlist(core::ptr::from_ref(waiter).cast_mut()) {
            self.joined();
        }
    }

    fn waiter() -> &'static Waiter {
        let owners = AtomicU32::new(0);
        let waiter = leak(Waiter { fields: Token::new(), key: Key::new(), owners });
        waiter.fields.use_alone();
        waiter
    }

    fn detach(&self) {
        self.memory[HANDLE].use_alone();
        if self.state.detach() {
            self.report();
            self.leave();
        }
    }

    fn report(&self) {
        self.result.use_alone();
        self.reports.fetch_add(1, Ordering::Relaxed);
    }
}

/// The handle's side and the goroutine's; then the packet was freed, once.
fn against_finish(handle: impl FnOnce(&'static Packet)) -> &'static Packet {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    handle(p);
    goroutine.join().expect("it does not panic");
    assert_eq!(p.freed.load(Ordering::Relaxed), 1, "how often it was freed");
    p
}

fn join_against_finish() {
    against_finish(Packet::join);
}

fn parked_join_against_finish() {
    against_finish(Packet::join_parked);
}

fn detach_against_finish() {
    let p = against_finish(Packet::detach);
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
    assert_eq!(p.freed.load(Ordering::Relaxed), 1, "how often it was freed");
}

/// One that finds the result while the goroutine takes its task out.
fn ready_future_against_finish() {
    let p = packet();
    let goroutine = thread::spawn(|| p.finish());
    let task = p.future_polled_again();
    goroutine.join().expect("it does not panic");
    assert_eq!(task.owners.load(Ordering::Relaxed), 1, "owners of the task");
    assert_eq!(p.freed.load(Ordering::Relaxed), 1, "how often it was freed");
}

#[test]
fn the_last_to_leave_frees_the_packet() {
    check(join_against_finish);
    check(parked_join_against_finish);
    check(detach_against_finish);
    check(ready_future_against_finish);
}

#[test]
fn catches_sides_that_do_not_see_each_other_leave() {
    must_catch("join.leave", detach_against_finish);
    must_catch("join.left", detach_against_finish);
    must_catch("join.acquire", detach_against_finish);
    must_catch("join.done", detach_against_finish);
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
    check(parked_join_against_finish);
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
    must_catch("join.release", parked_join_against_finish);
}

#[test]
fn catches_a_joiner_that_is_not_published() {
    must_catch("join.enlist", join_against_finish);
    must_catch("join.enlist", parked_join_against_finish);
}

#[test]
fn catches_a_wakeup_that_is_lost_or_does_not_publish() {
    must_catch("waiter.wake", join_against_finish);
    must_catch("waiter.release", join_against_finish);
}
