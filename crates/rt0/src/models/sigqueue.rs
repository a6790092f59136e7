//! sched/sigqueue/pending.rs: no signal is lost to a program that just gives it up.
//!
//! Covers: handlers on two threads, against who gives the signal up and against one delivery before
//! that. Abstracts away: the kernel, which may enter a handler before the action changes; the
//! eventfd.

use super::{check, leak, must_catch};
use crate::sched::sigqueue::pending::Pending;
use loom::thread;

const TERM: usize = 1 << 14;

/// Each of `handlers` catches the signal; each is delivered, or raised again, or is one with
/// another that is.
fn caught(handlers: usize) {
    let pending = leak(Pending::new());
    pending.want(TERM);
    let handlers: Vec<_> = (0..handlers).map(|_| thread::spawn(|| !pending.put(TERM))).collect();
    let mut delivered = pending.take() != 0;
    pending.refuse(TERM);
    delivered |= pending.take() != 0;
    let raised = handlers.into_iter().map(|h| h.join().expect("it has ended"));
    let raised = raised.filter(|again| *again).count();
    assert!(delivered || raised > 0, "a signal is lost");
    assert_eq!(pending.take(), 0, "a signal is left");
}

#[test]
fn every_signal_is_delivered_or_raised_again() {
    check(|| caught(1));
    check(|| caught(2));
}

#[test]
fn catches_a_single_look() {
    must_catch("sigqueue.one_look", || caught(1));
}

#[test]
fn catches_a_bit_that_stays() {
    must_catch("sigqueue.not_back", || caught(1));
}
