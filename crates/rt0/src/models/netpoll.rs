//! netpoll/poller.rs: no M sleeps beyond a timer that was added meanwhile, and not all of them
//! sleep.
//!
//! The adder never comes back to its P (its goroutine computes), so the timer that it adds, due at
//! once, must be run by another M: one that waits as the poller, one that the adder wakes, or one
//! that is just going idle. A timer far away may be there from the start; loom has no clock, so who
//! waits for it waits until it is broken. Whoever runs the added timer ends the world: it sets
//! `stop` and breaks the poller, which must then return.
//!
//! In other worlds an M's goroutine waits for a descriptor that is ready, the first of the process:
//! some M must wait for it in the kernel's set, not only for timers.
//!
//! Covers: begin, the look at all timers, block, end, break, the adder's choice between the poller
//! and wakep; an M that goes idle beside a poller; what an earlier session of the poller left
//! behind; the poller's being called off; sleeping on a futex and on the kernel's set, and the
//! change from one to the other. With sched/spinning.rs as it ships.
//! Abstracts away: notes (an M that is woken is run by the thread that woke it), heaps, run queues.

use super::{check, check_within, leak, must_catch};
use crate::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use crate::netpoll::poller::{FOREVER, Net, Poller};
use crate::sched::spinning::Spinning;
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// The time, in a world whose clock stands still.
const NOW: i64 = 10;
const DUE: i64 = 7;
const FAR: i64 = 1_000;

struct World {
    poller: Poller,
    spin: Spinning,
    /// `sched.lock` and the length of the idle P list.
    pidle: Mutex<u32>,
    /// The first deadline of a P whose timers nobody adds to; 0: none.
    far: i64,
    /// The first deadline of the adder's P.
    added: AtomicI64,
    stop: AtomicU32,
    set: Set,
    /// Goroutines that wait for descriptors.
    waiters: AtomicU32,
}

/// The kernel's set, with its eventfd.
struct Set {
    open: AtomicBool,
    state: Mutex<Found>,
    changed: Condvar,
}

#[derive(Default)]
struct Found {
    /// The eventfd is readable.
    broken: bool,
    /// A descriptor is.
    ready: bool,
}

impl Set {
    fn put(&self, f: impl Fn(&mut Found)) {
        f(&mut self.state.lock().expect("nobody panics"));
        self.changed.notify_all();
    }

    /// epoll_wait, and taking the wake-ups of the eventfd.
    fn poll(&self) -> bool {
        let mut found = self.state.lock().expect("nobody panics");
        while !found.broken && !found.ready {
            found = self.changed.wait(found).expect("nobody panics");
        }
        found.broken = false;
        core::mem::take(&mut found.ready)
    }
}

impl Net for Set {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn wake(&self) {
        self.put(|found| found.broken = true);
    }
}

fn world(far: i64) -> &'static World {
    let w = leak(World {
        poller: Poller::new(),
        spin: Spinning::new(),
        pidle: Mutex::new(0),
        far,
        added: AtomicI64::new(0),
        stop: AtomicU32::new(0),
        set: Set {
            open: AtomicBool::new(false),
            state: Mutex::new(Found::default()),
            changed: Condvar::new(),
        },
        waiters: AtomicU32::new(0),
    });
    // An earlier session, for a deadline before DUE: the poller's memory of it must do no harm.
    assert!(w.poller.wait(&w.set, |_| false, || DUE - 1, || false, || NOW));
    w
}

fn open_world(far: i64) -> &'static World {
    let w = world(far);
    w.set.open.store(true, Ordering::Relaxed);
    w
}

impl World {
    fn first(&self) -> i64 {
        let waiters = self.waiters.load(Ordering::Relaxed) > 0;
        match self.added.load(Ordering::Relaxed) {
            0 if self.far == 0 && waiters => FOREVER,
            0 => self.far,
            added => added,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) != 0
    }

    fn pidleget(&self) -> bool {
        let mut pidle = self.pidle.lock().expect("nobody panics");
        if *pidle == 0 {
            return false;
        }
        *pidle -= 1;
        self.spin.p_left_idle();
        true
    }

    /// time/mod.rs `start_timer`.
    fn add(&self) {
        self.added.store(DUE, Ordering::Release);
        if !self.poller.wakes_for(&self.set, DUE) && self.spin.reserve() {
            if self.pidleget() {
                self.m(true);
            } else {
                self.spin.undo_reserve();
            }
        }
    }

    /// An M with a P: runs what is due, or goes idle, waits, and looks again (find_runnable.rs).
    fn m(&self, mut spinning: bool) {
        loop {
            if self.run_due() || self.stopped() {
                return;
            }
            {
                let mut pidle = self.pidle.lock().expect("nobody panics");
                *pidle += 1;
                self.spin.p_became_idle();
            }
            if spinning {
                self.spin.stop();
            } else {
                self.spin.recheck_fence();
            }
            let mut ready = false;
            let poll = |_| {
                ready = self.set.poll();
                ready
            };
            let (first, stop) = (|| self.first(), || self.stopped());
            let waited = self.poller.wait(&self.set, poll, first, stop, || NOW);
            if ready {
                self.waiters.store(0, Ordering::Relaxed);
                self.end();
            }
            if !waited || self.stopped() || !self.pidleget() {
                return;
            }
            self.spin.start();
            spinning = true;
        }
    }

    fn run_due(&self) -> bool {
        let took = self.added.load(Ordering::Relaxed) == DUE
            && self.added.compare_exchange(DUE, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if took {
            self.end();
        }
        took
    }

    fn end(&self) {
        self.stop.store(1, Ordering::Release);
        self.poller.break_poller(&self.set);
    }

    /// netpoll/wait_io.rs: the first descriptor that somebody waits for. It is ready.
    fn wait_for_descriptor(&self) {
        self.set.open.store(true, Ordering::Release);
        self.poller.opened(&self.set);
        self.waiters.fetch_add(1, Ordering::Relaxed);
        self.set.put(|found| found.ready = true);
    }

    fn assert_found(&self) {
        assert_eq!(self.waiters.load(Ordering::Relaxed), 0, "it is ready, and every M sleeps");
    }

    fn assert_ran(&self) {
        assert_eq!(self.added.load(Ordering::Relaxed), 0, "the timer is due, and every M sleeps");
    }
}

/// `ms` Ms go idle while one timer is added.
fn add_against(far: i64, ms: usize) {
    add_to(world(far), ms);
}

fn add_to(w: &'static World, ms: usize) {
    let ms: Vec<_> = (0..ms).map(|_| thread::spawn(|| w.m(false))).collect();
    w.add();
    for m in ms {
        m.join().expect("it does not panic");
    }
    w.assert_ran();
}

fn against_a_poller() {
    add_against(FAR, 1);
}

fn against_an_m_without_timers() {
    add_against(0, 1);
}

fn against_two_ms() {
    add_against(0, 2);
}

fn against_two_ms_and_a_timer() {
    add_against(FAR, 2);
}

fn against_a_poller_on_the_set() {
    add_to(open_world(FAR), 1);
}

/// One M goes idle while another opens the set, and then goes idle too.
fn open_against(far: i64) {
    let w = world(far);
    let m = thread::spawn(|| w.m(false));
    w.wait_for_descriptor();
    w.m(false);
    m.join().expect("it does not panic");
    w.assert_found();
}

fn open_against_a_timer() {
    open_against(FAR);
}

fn open_against_nothing() {
    open_against(0);
}

/// The poller is called off, and nothing else happens.
fn called_off() {
    call_off(world(FAR));
}

fn called_off_on_the_set() {
    call_off(open_world(FAR));
}

fn call_off(w: &'static World) {
    let m = thread::spawn(|| w.m(false));
    w.end();
    m.join().expect("it does not panic");
}

#[test]
fn an_added_timer_is_not_slept_through() {
    check(against_a_poller);
    check(against_an_m_without_timers);
    check(against_a_poller_on_the_set);
}

#[test]
fn the_first_descriptor_is_waited_for() {
    check(open_against_a_timer);
    check(open_against_nothing);
}

#[test]
fn two_ms_that_go_idle_do_not_rely_on_each_other() {
    // Three preemptions take half a minute, and find nothing more.
    check_within(2, against_two_ms);
    check_within(2, against_two_ms_and_a_timer);
}

#[test]
fn a_poller_can_be_called_off() {
    check(called_off);
    check(called_off_on_the_set);
}

#[test]
fn catches_a_poller_without_its_fence() {
    must_catch("netpoll.poller_fence", against_a_poller);
}

#[test]
fn catches_an_adder_without_its_fence() {
    must_catch("netpoll.adder_fence", against_a_poller);
}

#[test]
fn catches_a_break_that_does_not_wake() {
    must_catch("netpoll.wake", against_a_poller);
    must_catch("netpoll.wake", called_off);
    must_catch("netpoll.wake", called_off_on_the_set);
}

#[test]
fn catches_an_opener_that_leaves_the_poller_on_its_futex() {
    must_catch("netpoll.opened", open_against_a_timer);
}

#[test]
fn catches_an_opener_without_its_fence() {
    must_catch("netpoll.open_fence", open_against_a_timer);
}

#[test]
fn catches_an_end_that_forgets_the_break() {
    must_catch("netpoll.end", against_an_m_without_timers);
}

#[test]
fn catches_an_adder_that_relies_on_a_poller_that_is_gone() {
    must_catch("netpoll.gone", against_an_m_without_timers);
}
