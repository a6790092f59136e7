//! sched/spinning.rs: a goroutine that is queued while the last spinner gives up is not forgotten.
//!
//! The worst case is modelled: the submitter never comes back to its queue (its goroutine
//! computes), so what it queued must be taken by another M. Each model ends with all queues empty,
//! or a goroutine was left although a P idled.
//!
//! Covers: `wakep` (submit), the spinning M's stealing, its giving up (P to the idle list, `stop`,
//! second look) and starting again, `resetspinning` with the wake-up of the next; the second look
//! of an M that gave up without spinning; a watcher, which what is queued in `runnext` or in a
//! burst relies on, and its last look; a ring that is left to its owner meanwhile; the real run
//! queue as what is looked at.
//! Abstracts away: notes (an M that is woken is run by the thread that woke it; models/note.rs has
//! the sleep), the global queue (its length is read again under `sched.lock`, which orders it),
//! timers, and `may_spin`, a heuristic.

use super::{Token, check, check_within, leak, must_catch, mutated};
use crate::sched::runq::{Entry, Place, Put, RunQueue};
use crate::sched::spinning::Spinning;
use loom::sync::Mutex;
use loom::thread;

struct Goroutine {
    context: Token,
}

type Queue = RunQueue<Goroutine>;

struct World {
    spin: Spinning,
    /// `sched.lock` and the length of the idle P list.
    pidle: Mutex<u32>,
    /// The queues of the Ps that compute.
    queues: Vec<Queue>,
    /// Goroutines never end.
    hogs: bool,
    /// An M that found nothing becomes the watcher.
    watches: bool,
    /// Rings are left to their owners until the watcher has waited.
    kept: bool,
}

fn world(queues: usize) -> &'static World {
    leak(world_of(queues))
}

fn watched(queues: usize) -> &'static World {
    leak(World { watches: true, ..world_of(queues) })
}

fn kept(queues: usize) -> &'static World {
    leak(World { watches: true, kept: true, ..world_of(queues) })
}

fn hogs(queues: usize) -> &'static World {
    leak(World { hogs: true, ..world_of(queues) })
}

fn world_of(queues: usize) -> World {
    World {
        spin: Spinning::new(),
        pidle: Mutex::new(0),
        queues: (0..queues).map(|_| Queue::new()).collect(),
        hogs: false,
        watches: false,
        kept: false,
    }
}

impl World {
    fn pidleput(&self) {
        let mut pidle = self.pidle.lock().expect("nobody panics");
        *pidle += 1;
        self.spin.p_became_idle();
    }

    fn pidleget(&self) -> bool {
        self.pidleget_locked(&mut self.pidle.lock().expect("nobody panics"))
    }

    fn pidleget_locked(&self, pidle: &mut u32) -> bool {
        if *pidle == 0 {
            return false;
        }
        *pidle -= 1;
        self.spin.p_left_idle();
        true
    }

    /// newproc on the P that owns queue `i`.
    fn submit(&self, i: usize) {
        let g = leak(Goroutine { context: Token::new() });
        g.context.use_alone();
        self.queues[i].put(Entry::plain(g), Place::Tail, |_| panic!("the queue does not fill"));
        self.wakep();
    }

    /// newproc in a burst of them: a watcher is as good as a spinner.
    fn submit_few(&self, i: usize) {
        let g = leak(Goroutine { context: Token::new() });
        g.context.use_alone();
        self.queues[i].put(Entry::plain(g), Place::Tail, |_| panic!("the queue does not fill"));
        if self.spin.reserve_ring(true) {
            self.start_reserved();
        }
    }

    /// A goroutine on the P that owns queue `i` readies another, and goes on computing.
    fn submit_next(&self, i: usize) {
        let g = leak(Goroutine { context: Token::new() });
        g.context.use_alone();
        let put = self.queues[i].put(Entry::plain(g), Place::Next, |_| panic!("it is not full"));
        assert_eq!(put, Put::Next);
        if self.spin.reserve_next() {
            self.start_reserved();
        }
    }

    /// wake.rs `wakep`: the M it starts runs here.
    ///
    /// A reservation for which no P is left is undone under the lock. A submitter may have relied
    /// on it, and then the M that has the P must find what that one queued: it gives the P back
    /// under the same lock, so either its second look comes after the undoing, or the submitter's
    /// fence comes before its.
    fn wakep(&self) {
        if self.spin.reserve() {
            self.start_reserved();
        }
    }

    fn start_reserved(&self) {
        let mut pidle = self.pidle.lock().expect("nobody panics");
        let got = self.pidleget_locked(&mut pidle);
        if !got && !mutated("spinning.undo_unlocked") {
            self.spin.undo_reserve();
            return;
        }
        drop(pidle);
        if got {
            self.spinner();
        } else {
            self.spin.undo_reserve();
        }
    }

    /// An M with a P and its spinning flag set, until it sleeps.
    fn spinner(&self) {
        let mut spinning = true;
        // `runnext`, and a ring that is kept, are left to their P until the watcher has waited.
        let mut watched = false;
        loop {
            if let Some(g) = self.steal(watched) {
                if spinning {
                    spinning = false;
                    self.resetspinning();
                }
                g.context.use_alone();
                if self.hogs {
                    return;
                }
                continue;
            }
            if !self.give_up_p(spinning) {
                watched = self.watch();
                if !watched {
                    return;
                }
            }
            spinning = true;
        }
    }

    /// schedule.rs `resetspinning`.
    fn resetspinning(&self) {
        self.spin.stop();
        let more = self.queues.iter().any(|q| !q.is_empty());
        if more && !mutated("spinning.found_no_look") {
            self.wakep();
        }
    }

    fn steal(&self, next: bool) -> Option<&'static Goroutine> {
        if self.kept && !next {
            return None;
        }
        let mine = Queue::new();
        self.queues.iter().find_map(|q| mine.steal_into(q, next)).map(|e| e.parts().0)
    }

    /// watch.rs, with one nap. It is the worst one: the watcher sees nothing stuck before it ends.
    /// True: the M has its P again and spins.
    fn watch(&self) -> bool {
        if !self.watches || !self.spin.begin_watch() {
            return false;
        }
        thread::yield_now(); // the nap
        self.spin.end_watch();
        let queued = self.queues.iter().any(|q| !q.is_empty());
        if queued && !mutated("spinning.watch_blind") && self.pidleget() {
            self.spin.start();
            return true;
        }
        false
    }

    /// find_runnable.rs `give_up_p`. True: the M has its P again and spins.
    fn give_up_p(&self, spinning: bool) -> bool {
        self.pidleput();
        if spinning {
            self.spin.stop();
        } else if mutated("spinning.no_second_look") {
            return false;
        } else {
            self.spin.recheck_fence();
        }
        if !self.kept && self.queues.iter().any(Queue::has_stealable) && self.pidleget() {
            self.spin.start();
            return true;
        }
        false
    }

    fn assert_nothing_left(&self) {
        assert!(self.queues.iter().all(Queue::is_empty), "queued, and every other M sleeps");
        assert_eq!(self.spin.nmspinning(), 0, "spinners left in the count");
        assert_eq!(self.spin.npidle(), *self.pidle.lock().expect("nobody panics"));
    }
}

/// The one spinner gives up while something is submitted to each queue.
fn against_spinner(w: &'static World, submit: fn(&World, usize)) {
    w.spin.start();
    let spinner = thread::spawn(|| w.spinner());
    let others: Vec<_> = (1..w.queues.len()).map(|i| thread::spawn(move || submit(w, i))).collect();
    submit(w, 0);
    spinner.join().expect("no panic");
    others.into_iter().for_each(|other| other.join().expect("no panic"));
}

/// One spinner gives up while one submitter queues.
fn submit_against_stop() {
    let w = world(1);
    against_spinner(w, World::submit);
    w.assert_nothing_left();
}

/// Two submitters: the one that sees a spinner relies on it also after that found other work.
fn two_submitters() {
    let w = world(2);
    against_spinner(w, World::submit);
    w.assert_nothing_left();
}

/// Two submitters, and goroutines that never end: whoever finds one keeps its P. There is a P for
/// each, so both must run.
fn submit_behind_a_hog() {
    let w = hogs(2);
    w.pidleput();
    against_spinner(w, World::submit);
    assert!(w.queues.iter().all(Queue::is_empty), "queued beside an idle P");
}

/// An M that did not spin gives its P up while one submitter queues: the submitter saw no idle P.
fn submit_against_idle() {
    let w = world(1);
    let idler = thread::spawn(|| {
        if w.give_up_p(false) {
            w.spinner();
        }
    });
    w.submit(0);
    idler.join().expect("no panic");
    w.assert_nothing_left();
}

/// What is readied while the spinner becomes the watcher, or stops being it.
fn next_against_watcher() {
    let w = watched(1);
    against_spinner(w, World::submit_next);
    w.assert_nothing_left();
}

/// The same of a burst.
fn few_against_watcher() {
    let w = watched(1);
    against_spinner(w, World::submit_few);
    w.assert_nothing_left();
}

/// The same of one that is there already.
fn few_against_nap() {
    let w = watched(1);
    w.pidleput();
    let watcher = thread::spawn(|| {
        if w.watch() {
            w.spinner();
        }
    });
    w.submit_few(0);
    watcher.join().expect("no panic");
    w.assert_nothing_left();
}

/// What is queued in a ring that is kept, while the spinner becomes the watcher, or stops being it.
fn kept_against_watcher() {
    let w = kept(1);
    against_spinner(w, World::submit_few);
    w.assert_nothing_left();
}

/// The same on two Ps, with one watcher.
fn two_kept() {
    let w = kept(2);
    against_spinner(w, World::submit_few);
    w.assert_nothing_left();
}

/// Two Ps on which something is readied, one watcher.
fn two_next() {
    let w = watched(2);
    against_spinner(w, World::submit_next);
    w.assert_nothing_left();
}

/// Everyone sleeps already: the submitter wakes one.
fn submit_to_sleepers() {
    let w = world(1);
    w.pidleput();
    w.submit(0);
    w.assert_nothing_left();
}

#[test]
fn a_submit_and_the_last_spinner_do_not_miss_each_other() {
    check(submit_against_stop);
    check(submit_to_sleepers);
}

#[test]
fn two_submits_and_the_last_spinner_do_not_miss_each_other() {
    check(two_submitters);
}

#[test]
fn a_submit_and_an_m_that_did_not_spin_do_not_miss_each_other() {
    check(submit_against_idle);
}

#[test]
fn work_beside_an_idle_p_is_found_although_the_spinner_stays_with_other() {
    check(submit_behind_a_hog);
}

#[test]
fn what_is_readied_is_not_left_by_the_watcher() {
    check(next_against_watcher);
    check(few_against_watcher);
    check(few_against_nap);
    check_within(2, two_next); // three take minutes
}

#[test]
fn what_is_kept_is_not_left_by_the_watcher() {
    check(kept_against_watcher);
    check_within(2, two_kept);
}

#[test]
fn catches_a_watcher_without_its_fences() {
    must_catch("spinning.next_fence", next_against_watcher);
    must_catch("spinning.watch_fence", next_against_watcher);
    must_catch("spinning.submit_fence", few_against_nap);
    must_catch("spinning.watch_fence", few_against_nap);
    must_catch("spinning.watch_fence", kept_against_watcher);
}

#[test]
fn catches_a_watcher_that_does_not_look_once_more() {
    must_catch("spinning.watch_blind", next_against_watcher);
    must_catch("spinning.watch_blind", few_against_nap);
    must_catch("spinning.watch_blind", kept_against_watcher);
}

#[test]
fn catches_a_spinner_that_finds_work_and_looks_no_further() {
    must_catch("spinning.found_no_look", submit_behind_a_hog);
}

#[test]
fn catches_a_submit_without_its_fence() {
    must_catch("spinning.submit_fence", submit_against_stop);
}

#[test]
fn catches_a_stop_without_its_fence() {
    must_catch("spinning.stop_fence", submit_against_stop);
}

#[test]
fn catches_an_m_that_sleeps_without_a_second_look() {
    must_catch("spinning.no_second_look", submit_against_idle);
}

#[test]
fn catches_a_reservation_undone_after_the_lock() {
    must_catch("spinning.undo_unlocked", two_submitters);
}
