//! sched/lock_os_thread.rs: the P goes to the locked M with the goroutine, once each time.
//!
//! The locked M is a thread with a real note. Other Ms run on the thread that starts them until
//! they go idle (models/machine.rs); what they take is always the locked goroutine, which they hand
//! over.
//!
//! Covers: the goroutine picked before its M has given its P away, before it sleeps and while it
//! sleeps; by an M that the locked one started itself, one that was awake, and one that whoever
//! readied it woke; several rounds on one note; the count of sleepers that deadlock detection
//! reads.
//! Abstracts away: sysmon (a claim never succeeds on g0), nesting (a count of the goroutine's own),
//! other goroutines.

use super::{Token, check, check_within, leak, must_catch, mutated};
use crate::g::park_state::ParkState;
use crate::lock::note::Note;
use loom::sync::{Mutex, MutexGuard};
use loom::thread;

struct State {
    idle: Vec<usize>,
    /// How often the goroutine is queued: never twice.
    queued: u32,
    nmidlelocked: i64,
}

struct World {
    lock: Mutex<State>,
    /// The inside of each P.
    ps: [Token; 2],
    /// Of the locked M. `nextp` changes under the lock, and its M takes it after the wake-up.
    note: Note,
    nextp: std::sync::Mutex<Option<usize>>,
    nextp_use: Token,
    context: Token,
    park: ParkState,
}

/// P 0 is the locked M's, P 1 another M's or idle.
fn world(idle: &[usize]) -> &'static World {
    leak(World {
        lock: Mutex::new(State { idle: idle.to_vec(), queued: 0, nmidlelocked: 0 }),
        ps: [Token::new(), Token::new()],
        note: Note::new(),
        nextp: std::sync::Mutex::new(None),
        nextp_use: Token::new(),
        context: Token::new(),
        park: ParkState::new(),
    })
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.lock.lock().expect("nobody panics")
    }

    /// finish_switch of a yield, `goready`: published with its context saved.
    fn queue(&self) {
        let mut sched = self.lock();
        sched.queued += 1;
        assert_eq!(sched.queued, 1, "queued twice");
    }

    /// Another M, until it goes idle.
    fn other_m(&self, pp: usize) {
        self.ps[pp].use_alone();
        let mut sched = self.lock();
        if sched.queued == 0 {
            sched.idle.push(pp);
            return;
        }
        sched.queued -= 1;
        drop(sched);
        self.startlockedm(pp);
    }

    fn startlockedm(&self, pp: usize) {
        let mut sched = self.lock();
        sched.nmidlelocked -= 1;
        if mutated("locked.keeps_p") {
            sched.idle.push(pp);
        }
        if mutated("locked.wakes_first") {
            drop(sched);
            self.note.wakeup();
            self.set_nextp(pp);
            return;
        }
        self.set_nextp(pp);
        drop(sched);
        self.note.wakeup();
    }

    fn set_nextp(&self, pp: usize) {
        self.nextp_use.use_alone();
        let old = self.nextp.lock().expect("no panic inside").replace(pp);
        assert!(old.is_none(), "startlockedm: m has p");
    }

    /// wake.rs `handoffp`: the look at the queue and the idle list are one step.
    fn handoffp(&self, pp: usize) {
        self.other_m(pp);
    }

    fn wakep(&self) {
        let idle = self.lock().idle.pop();
        if let Some(pp) = idle {
            self.other_m(pp);
        }
    }

    /// The locked M, on g0, with the goroutine published or parked. The P it is handed.
    fn stoplockedm(&self, pp: usize) -> usize {
        if !mutated("locked.sleeps_with_p") {
            self.handoffp(pp);
        }
        if !mutated("locked.count") || self.nextp.lock().expect("no panic inside").is_none() {
            self.lock().nmidlelocked += 1;
        }
        self.note.sleep_and_clear();
        self.nextp_use.use_alone();
        let pp = self.nextp.lock().expect("no panic inside").take();
        pp.expect("the locked M wakes with a P")
    }

    /// The goroutine runs, on its M.
    fn run(&self, pp: usize) {
        self.ps[pp].use_alone();
        self.context.use_alone();
    }

    /// The goroutine yields. The P it goes on with.
    fn yields(&self, pp: usize) -> usize {
        self.context.use_alone();
        self.queue();
        let pp = self.stoplockedm(pp);
        self.run(pp);
        pp
    }

    /// The goroutine parks until it is notified.
    fn parks(&self, pp: usize) -> usize {
        if self.park.consume() {
            return pp;
        }
        self.context.use_alone();
        if !self.park.commit() {
            self.queue();
        }
        let pp = self.stoplockedm(pp);
        self.park.resumed();
        self.run(pp);
        pp
    }

    fn notifies(&self) {
        if self.park.notify() {
            self.queue();
            self.wakep();
        }
    }

    fn assert_quiet(&self, pp: usize) {
        let mut sched = self.lock();
        sched.idle.push(pp);
        sched.idle.sort_unstable();
        assert_eq!(sched.idle, [0, 1], "each P once");
        assert_eq!((sched.queued, sched.nmidlelocked), (0, 0), "queued, and locked sleepers");
    }
}

/// It yields twice while another M looks for work.
fn yield_against_an_m() {
    let w = world(&[]);
    let other = thread::spawn(|| w.other_m(1));
    let mut pp = 0;
    w.run(pp);
    for _ in 0..2 {
        pp = w.yields(pp);
    }
    other.join().expect("no panic");
    w.assert_quiet(pp);
}

/// It parks, is readied by another thread, yields, and parks again.
fn park_against_ready() {
    let w = world(&[1]);
    let notifier = thread::spawn(|| w.notifies());
    let pp = w.parks(0);
    let pp = w.yields(pp);
    notifier.join().expect("no panic");
    w.assert_quiet(pp);
}

/// The same beside an M that looks for work.
fn park_against_ready_and_an_m() {
    let w = world(&[]);
    let threads = [thread::spawn(|| w.notifies()), thread::spawn(|| w.other_m(1))];
    let pp = w.parks(0);
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    w.assert_quiet(pp);
}

#[test]
fn a_locked_goroutine_that_yields_comes_back_with_a_p() {
    check(yield_against_an_m);
}

#[test]
fn a_locked_goroutine_that_is_readied_as_its_m_goes_to_sleep_comes_back() {
    check(park_against_ready);
    check_within(2, park_against_ready_and_an_m);
}

#[test]
fn catches_a_note_that_is_cleared_before_the_sleep() {
    must_catch("note.clear_first", yield_against_an_m);
    must_catch("note.clear_first", park_against_ready);
}

#[test]
fn catches_an_m_that_keeps_the_p_it_hands_over() {
    must_catch("locked.keeps_p", yield_against_an_m);
}

#[test]
fn catches_a_wake_up_before_the_p() {
    must_catch("locked.wakes_first", park_against_ready);
}

#[test]
fn catches_a_locked_m_that_sleeps_with_its_p() {
    must_catch("locked.sleeps_with_p", yield_against_an_m);
}

#[test]
fn catches_a_sleeper_that_does_not_count_itself_when_it_was_woken_first() {
    must_catch("locked.count", yield_against_an_m);
}
