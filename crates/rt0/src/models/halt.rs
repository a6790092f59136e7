//! m/halt.rs: a dump reads the registers of a thread that waits, and of no other.
//!
//! Covers: one asker that loses patience at any moment, or two that take turns, against the
//! handler of the thread, which runs once for each signal; and a thread that becomes the M's while
//! somebody asks. Abstracts away: the signal (a thread here), and the sleep on the state.

use super::{Token, check, leak, must_catch};
use crate::atomic::{AtomicU32, Ordering};
use crate::m::halt::Halt;
use loom::thread;

struct World {
    halt: Halt,
    /// The thread's stack: the asker reads it while the thread is held.
    stack: Token,
}

/// The handler: what it leaves, then waits, then goes on.
fn handler(w: &'static World, mark: usize) {
    if w.halt.accept([mark, mark, mark]) {
        while w.halt.is_halted() {
            thread::yield_now();
        }
        w.stack.use_alone();
    }
}

/// Asks, waits for a moment only, looks and lets go.
fn ask(w: &'static World) {
    if !w.halt.ask() {
        return;
    }
    if w.halt.registers().is_none() && w.halt.cancel() {
        return;
    }
    let [pc, sp, bp] = w.halt.registers().expect("it has halted");
    assert!(pc != 0 && pc == sp && pc == bp, "registers that nobody left: {pc} {sp} {bp}");
    w.stack.use_alone();
    w.halt.release();
}

fn world() -> &'static World {
    leak(World { halt: Halt::new(), stack: Token::new() })
}

fn one_asker() {
    let w = world();
    let thread = thread::spawn(|| {
        handler(w, 1);
        handler(w, 2);
    });
    ask(w);
    ask(w);
    thread.join().expect("it does not panic");
}

fn two_askers() {
    let w = world();
    let thread = thread::spawn(|| handler(w, 1));
    let other = thread::spawn(|| ask(w));
    ask(w);
    other.join().expect("it does not panic");
    thread.join().expect("it does not panic");
}

/// The M goes to another thread while a dump asks for it (sched/one_to_one.rs): that thread sees
/// it, or is the one that is signalled.
fn handed_on() {
    let w = world();
    let tid = leak(AtomicU32::new(1));
    let next = thread::spawn(|| {
        tid.store(2, Ordering::Relaxed); // ORDERING: what is_asked fences
        w.halt.is_asked()
    });
    assert!(w.halt.ask());
    let signalled = tid.load(Ordering::Relaxed); // ORDERING: what ask fences
    let saw = next.join().expect("it does not panic");
    assert!(saw || signalled == 2, "nobody halts");
}

#[test]
fn who_is_handed_an_m_halts() {
    check(handed_on);
}

#[test]
fn catches_an_asker_that_looks_too_soon() {
    must_catch("halt.ask", handed_on);
}

#[test]
fn registers_are_read_while_the_thread_waits() {
    check(one_asker);
    check(two_askers);
}

#[test]
fn catches_registers_that_come_late() {
    must_catch("halt.accept", one_asker);
}

#[test]
fn catches_a_thread_that_goes_on_too_soon() {
    must_catch("halt.stay", one_asker);
}
