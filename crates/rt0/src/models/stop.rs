//! sched/stop_the_world.rs against everything that takes, loses and hands over Ps.
//!
//! One M stops the world and lets it go on. Meanwhile another one calls the runtime, blocks, goes
//! idle or is woken, sysmon takes Ps on its own, and goroutines are queued.
//!
//! Covers: a P given up at the door, found idle, in a system call, claimed outside the runtime, and
//! on its way from one M to the next; sysmon's claims beside the stopper's; work in the queue of a
//! P that was collected; a goroutine that is queued during the stop and must run after it; two
//! stoppers. After `stop` nobody holds a P but the stopper; at the end every P is idle once and
//! every goroutine has ended once (models/machine.rs).
//! Abstracts away: what is done in a stopped world (procresize), pauses, sysmon's patience.

use super::machine::{Call, goroutine, machine};
use super::{check, check_within, must_catch, must_catch_within};
use loom::thread;

/// The stopper's P and the other M's.
const STOPPER: usize = 0;
const OTHER: usize = 1;

/// What happens to the other M.
#[derive(Clone, Copy)]
struct Scene {
    /// Its goroutine; none: it goes idle.
    calls: &'static [Call],
    /// Whether sysmon looks at its P.
    sysmon: bool,
    /// Whether a thread without a P queues a goroutine.
    submits: bool,
}

fn play(scene: Scene, child: bool) {
    let w = machine(2);
    let stopper = goroutine(&[Call::Begin, Call::Stop, Call::Compute, Call::End]);
    let mut all = vec![stopper];
    let (mut m0, mut m1) = (w.m(STOPPER), w.m(OTHER));
    let mut calls = scene.calls.to_vec();
    if child {
        let g = goroutine(&[Call::End]);
        all.push(g);
        calls.insert(0, Call::Go(g));
    }
    let g1 = (!calls.is_empty()).then(|| goroutine(&calls));
    all.extend(g1);
    let mut threads = vec![thread::spawn(move || {
        if let Some(g) = g1 {
            m1.execute(g);
        }
        m1.schedule();
    })];
    if scene.sysmon {
        threads.push(thread::spawn(move || w.retake(OTHER)));
    }
    if scene.submits {
        let g = goroutine(&[Call::End]);
        all.push(g);
        threads.push(thread::spawn(move || w.ready_outside(g)));
    }
    m0.execute(stopper);
    // The stopper computes for a long time now: what is queued is for the others.
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    w.assert_none_queued();
    m0.execute(stopper);
    m0.schedule();
    all.iter().for_each(|g| g.assert_ended_once());
    w.assert_all_idle();
}

const QUIET: Scene = Scene { calls: &[], sysmon: false, submits: false };

fn door() {
    play(Scene { calls: &[Call::Nop, Call::Nop, Call::End], ..QUIET }, false);
}

fn door_within_a_section() {
    play(Scene { calls: &[Call::Nested, Call::End], ..QUIET }, false);
}

fn door_with_work() {
    play(Scene { calls: &[Call::End], ..QUIET }, true);
}

fn door_and_sysmon() {
    play(Scene { calls: &[Call::End], sysmon: true, ..QUIET }, false);
}

fn system_call() {
    play(Scene { calls: &[Call::Block, Call::End], ..QUIET }, false);
}

fn system_call_and_sysmon() {
    play(Scene { calls: &[Call::Block, Call::End], sysmon: true, ..QUIET }, false);
}

fn idle() {
    play(QUIET, false);
}

fn idle_and_woken() {
    play(Scene { submits: true, ..QUIET }, false);
}

fn queued_in_the_stop() {
    play(Scene { calls: &[Call::End], submits: true, ..QUIET }, false);
}

fn two_stoppers() {
    play(Scene { calls: &[Call::Begin, Call::Stop, Call::End], ..QUIET }, false);
}

#[test]
fn a_p_is_given_up_at_the_door_or_taken_outside() {
    check(door);
    check(door_within_a_section);
    check(door_with_work);
}

#[test]
fn a_p_is_taken_from_a_system_call() {
    check(system_call);
}

// Three threads: two preemptions, for three take minutes and found nothing more.

#[test]
fn sysmon_and_the_stopper_do_not_take_the_same() {
    check_within(2, door_and_sysmon);
    check_within(1, system_call_and_sysmon); // two take half a minute
}

#[test]
fn an_m_that_goes_idle_or_wakes_is_found() {
    check(idle);
    check_within(2, idle_and_woken);
}

#[test]
fn what_is_queued_in_the_stop_runs_after_it() {
    check_within(2, queued_in_the_stop);
}

#[test]
fn two_stoppers_take_turns() {
    check(two_stoppers);
}

#[test]
fn catches_two_stoppers_at_once() {
    must_catch("world.begin", two_stoppers);
}

#[test]
fn catches_a_p_given_up_within_a_section() {
    must_catch("world.nested", door_within_a_section);
}

#[test]
fn catches_an_end_that_does_not_publish() {
    must_catch("world.end", two_stoppers);
}

#[test]
fn catches_a_stopper_that_looks_at_the_idle_list_once() {
    must_catch("world.idle_once", idle);
}

#[test]
fn catches_a_stopper_that_does_not_wait_for_all() {
    must_catch("world.one_round", door);
}

#[test]
fn catches_a_flag_that_outlives_the_stop() {
    must_catch_within("world.lower_late", 2, queued_in_the_stop);
}

#[test]
fn catches_a_mark_that_does_not_publish() {
    must_catch("machine.mark", door);
}

#[test]
fn catches_a_start_that_wakes_nobody() {
    must_catch_within("stop.no_wake", 2, queued_in_the_stop);
}
