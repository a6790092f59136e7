//! sysmon takes the P of a goroutine that computes or blocks; the goroutine goes on and comes back.
//!
//! It takes its own P back from an unfinished claim, or any idle one, or queues. The danger is a P
//! that goes idle just then.
//!
//! Covers: claim, take and handoffp against enter, regain_p, exitsyscall and p_or_queue; the P
//! with an M that looks for work, idle, or with its old M again; another M that runs out of work
//! meanwhile; other goroutines queued. Each goroutine ends once, on one M at a time, and at the end
//! every P is idle once (models/machine.rs).
//! Abstracts away: why sysmon takes a P, signals (models/preempt.rs).

use super::machine::{Call, goroutine, machine};
use super::{check, check_within, must_catch};
use loom::thread;

/// The hog's P and the other M's.
const HOG: usize = 0;
const OTHER: usize = 1;

fn play(calls: &'static [Call], ps: usize, submits: bool) {
    let w = machine(ps);
    let hog = goroutine(calls);
    let mut all = vec![hog];
    let mut m = w.m(HOG);
    let mut threads = Vec::new();
    if ps > 1 {
        let mut other = w.m(OTHER);
        threads.push(thread::spawn(move || other.schedule()));
    }
    if submits {
        let g = goroutine(&[Call::End]);
        all.push(g);
        threads.push(thread::spawn(move || w.ready_outside(g)));
    }
    threads.push(thread::spawn(move || w.retake(HOG)));
    m.execute(hog);
    m.schedule();
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    all.iter().for_each(|g| g.assert_ended_once());
    w.assert_all_idle();
}

fn hog() {
    play(&[Call::Nop, Call::End], 1, false);
}

fn hog_beside_an_m_that_goes_idle() {
    play(&[Call::End], 2, false);
}

fn hog_while_one_is_queued() {
    play(&[Call::End], 1, true);
}

fn blocked() {
    play(&[Call::Block, Call::End], 1, false);
}

fn blocked_beside_an_m_that_goes_idle() {
    play(&[Call::Block, Call::End], 2, false);
}

#[test]
fn a_hog_that_lost_its_p_comes_back() {
    check(hog);
    check(hog_beside_an_m_that_goes_idle);
    check_within(2, hog_while_one_is_queued);
}

#[test]
fn a_blocked_goroutine_that_lost_its_p_comes_back() {
    check(blocked);
    check_within(2, blocked_beside_an_m_that_goes_idle);
}

#[test]
fn catches_a_look_for_an_idle_p_outside_the_lock() {
    must_catch("need_p.unlocked", hog);
    must_catch("need_p.unlocked", blocked);
}

#[test]
fn catches_a_handoff_that_does_not_look_at_the_queue() {
    must_catch("handoff.no_look", hog);
}
