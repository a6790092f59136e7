//! sched/deadlock/moment.rs: threads that wake each other are never taken for asleep for ever.
//!
//! Covers: two threads that hand a baton to and fro, so that one of them sleeps nearly always and
//! each is asleep at some moment, against the two looks. Abstracts away: the kernel, which is a
//! lock, with what it tells of a thread: whether it sleeps, and how often it was taken off a CPU;
//! goroutines, which cannot move without a thread.

use super::{check_within, leak, must_catch_within};
use crate::sched::deadlock::moment::{Look, held_at_one_moment};
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// One for the first sleep, and one for each thread that runs between two of the checker's steps.
const PREEMPTIONS: usize = 4;
/// How often a thread gets the baton: the first must still have a turn after two looks.
const TURNS: [usize; 2] = [3, 2];

#[derive(Default)]
struct Thread {
    asleep: bool,
    switches: u64,
    baton: bool,
}

struct Kernel {
    threads: [Mutex<Thread>; 2],
    wakes: [Condvar; 2],
    /// Turns taken.
    progress: Mutex<usize>,
}

impl Kernel {
    fn thread(&self, i: usize) -> loom::sync::MutexGuard<'_, Thread> {
        self.threads[i].lock().expect("nobody panics")
    }

    fn sleep(t: &mut Thread) {
        t.asleep = true;
        t.switches += 1;
    }

    fn wait(&self, i: usize) {
        let mut t = self.thread(i);
        while !t.baton {
            Kernel::sleep(&mut t);
            while t.asleep {
                t = self.wakes[i].wait(t).expect("nobody panics");
            }
        }
        t.baton = false;
    }

    fn wake(&self, i: usize) {
        let mut t = self.thread(i);
        t.baton = true;
        t.asleep = false;
        self.wakes[i].notify_one();
    }

    fn progress(&self) -> usize {
        *self.progress.lock().expect("nobody panics")
    }

    /// Thread `i`, which sleeps for ever at the end.
    fn run(&self, i: usize) {
        for _ in 0..TURNS[i] {
            self.wait(i);
            *self.progress.lock().expect("nobody panics") += 1;
            self.wake(1 - i);
        }
        Kernel::sleep(&mut self.thread(i));
    }

    fn look(&self) -> Option<Look> {
        let mut look = Look { threads: 0, switches: 0, ticks: 0 };
        for i in 0..2 {
            let t = self.thread(i);
            if !t.asleep {
                return None;
            }
            look.switches += t.switches;
        }
        Some(look)
    }
}

fn two_threads() {
    let kernel: &'static Kernel = leak(Kernel {
        threads: [Mutex::new(Thread::default()), Mutex::new(Thread::default())],
        wakes: [Condvar::new(), Condvar::new()],
        progress: Mutex::new(0),
    });
    kernel.thread(0).baton = true;
    let threads = [0, 1].map(|i| thread::spawn(move || kernel.run(i)));
    let dead = held_at_one_moment(|| kernel.look(), || true, true, false);
    let progress = kernel.progress();
    for t in threads {
        t.join().expect("it does not panic");
    }
    assert!(!dead || progress == kernel.progress(), "reported dead, and then it went on");
}

#[test]
fn threads_that_go_on_are_not_dead() {
    check_within(PREEMPTIONS, two_threads);
}

#[test]
fn catches_a_single_look() {
    must_catch_within("deadlock.once", PREEMPTIONS, two_threads);
}

#[test]
fn catches_looks_that_are_not_compared() {
    must_catch_within("deadlock.compare", PREEMPTIONS, two_threads);
}
