//! How a select finds its operation.
//!
//! Go: select.go `selectgo`, which locks all channels at once. Here one lock is held at a time:
//!
//! 1. Every operation is tried, in random order; the first that is ready is the chosen one. All of
//!    this and of 2 is one section of the runtime ([`Here`]).
//! 2. A ticket is left with every channel (g/ticket.rs); if one of them has become ready meanwhile,
//!    the ticket is taken back, and all begins again.
//! 3. It waits until one partner, a closing or the deadline claims the ticket: of many one.
//! 4. The entries are taken out again, and the claimed one says what happened.
//!
//! No message is lost or doubled: who claims the ticket owns the select until the wake-up, and only
//! one can. A partner that comes between 1 and 2 is seen in 2: registering looks under the lock.
//!
//! # Rejected
//! Locking all channels in order of address: deadlock-free, but a select over many channels stops
//! them all, and the order has to be sorted for each select.

use super::op::{Message, Op, Purpose};
use super::random::Order;
use super::selected::SelectedOperation;
use crate::chan::alarm::OFF;
use crate::chan::here::Here;
use crate::chan::queue::{Entry, Outcome};
use crate::chan::selecting::Chosen;
use crate::chan::shared::Patience;
use crate::g::WaitReason;
use crate::g::parker::Wait;
use crate::g::ticket::{FIRST_OP, LAST_OP};
use crate::sched::wait::{Several, Why};
use std::time::{Duration, Instant};

/// Entries on the stack: for a few operations, for some.
const FEW: usize = 4;
const SOME: usize = 16;

/// What a select of no operations does: its deadline passes.
fn wait_for_nothing(patience: &Patience<'_>) {
    if let Ok(until) = patience.until() {
        let why = Why { reason: WaitReason::SelectNoCases, on: 0 };
        let mut here = Here::enter();
        let wait = here.begin();
        until.wait(&mut here, wait, why);
    }
}

/// For `timeout` from now; a time beyond time is for ever.
pub(crate) fn patience(timeout: Duration) -> Patience<'static> {
    Instant::now().checked_add(timeout).map_or(Patience::Forever, Patience::Until)
}

/// Chooses an operation, which is in `oper` then; false when the patience is over.
pub(crate) fn choose<'a>(
    ops: &mut [Op<'a>],
    patience: &Patience<'_>,
    biased: bool,
    oper: &mut SelectedOperation<'a>,
) -> bool {
    if ops.is_empty() {
        wait_for_nothing(patience);
        return false;
    }
    for op in ops.iter().filter(|op| op.message == Message::Large) {
        oper.storage().reserve(op.handle.layout());
    }
    let place = oper.storage().place();
    loop {
        let mut here = Here::enter();
        let mut order = Order::new(&here, ops.len(), biased);
        for i in 0..ops.len() {
            let op = order.next(ops, i);
            match op.choose(here, place) {
                Ok(chosen) => {
                    oper.set(op, chosen);
                    return true;
                }
                Err(still) => here = still,
            }
        }
        match with_entries(here, ops, &order, place, patience, Purpose::Choose) {
            Waited::For(at, chosen) => {
                oper.set(&ops[at], chosen);
                return true;
            }
            Waited::Again => {}
            Waited::Nothing => return false,
        }
    }
}

/// The number of an operation that is ready; `None` when the patience is over.
pub(crate) fn ready(ops: &mut [Op<'_>], patience: &Patience<'_>, biased: bool) -> Option<usize> {
    if ops.is_empty() {
        wait_for_nothing(patience);
        return None;
    }
    loop {
        let here = Here::enter();
        let mut order = Order::new(&here, ops.len(), biased);
        for i in 0..ops.len() {
            let op = order.next(ops, i);
            if op.is_ready() {
                return Some(op.index);
            }
        }
        let nowhere = core::ptr::null_mut();
        let waited = with_entries(here, ops, &order, nowhere, patience, Purpose::Watch);
        if let Waited::Nothing = waited {
            return None;
        }
    }
}

/// What came of it.
enum Waited {
    /// The operation with this place in the list was chosen by somebody else.
    For(usize, Chosen),
    /// One may be ready.
    Again,
    /// None was ready at one moment after the patience was over.
    Nothing,
}

/// Waits with an entry for each operation.
#[inline]
fn with_entries(
    here: Here,
    ops: &[Op<'_>],
    order: &Order,
    place: *mut u8,
    patience: &Patience<'_>,
    purpose: Purpose,
) -> Waited {
    let n = ops.len();
    if n > FEW {
        return with_many_entries(here, ops, order, place, patience, purpose);
    }
    if n == 1 && matches!(patience, Patience::None) {
        return Waited::Nothing;
    }
    let wait = here.begin();
    // One by one: they are made where they stay.
    let entry = |i| entry(wait, ops, i, place);
    let entries: [_; FEW] = [entry(0), entry(1), entry(2), entry(3)];
    wait_on(here, ops, order, &entries, patience, purpose)
}

#[inline]
fn entry(wait: Wait, ops: &[Op<'_>], i: usize, place: *mut u8) -> Entry<Wait> {
    let slot = ops.get(i).map_or(core::ptr::null_mut(), |op| op.slot(place));
    Entry::new(wait, FIRST_OP + i, slot)
}

#[cold]
fn with_many_entries(
    here: Here,
    ops: &[Op<'_>],
    order: &Order,
    place: *mut u8,
    patience: &Patience<'_>,
    purpose: Purpose,
) -> Waited {
    let n = ops.len();
    if n <= SOME {
        let wait = here.begin();
        let entries: [_; SOME] = core::array::from_fn(|i| entry(wait, ops, i, place));
        return wait_on(here, ops, order, &entries, patience, purpose);
    }
    drop(here);
    assert!(n <= LAST_OP - FIRST_OP, "too many operations in a select");
    // Before the ticket: the program's allocator may be one that waits.
    let mut many = Vec::with_capacity(n);
    let here = Here::enter();
    let wait = here.begin();
    many.extend((0..n).map(|i| entry(wait, ops, i, place)));
    wait_on(here, ops, order, &many, patience, purpose)
}

/// Steps 2 to 4. If the patience is over it does not wait, but leaves its ticket with all channels
/// for a moment all the same: only so it knows that none was ready at one time. (Each was not when
/// it was tried; but a message may have come to the first before the last lost its own.)
fn wait_on(
    mut here: Here,
    ops: &[Op<'_>],
    order: &Order,
    entries: &[Entry<Wait>],
    patience: &Patience<'_>,
    purpose: Purpose,
) -> Waited {
    let wait = entries[0].wait;
    let (mut registered, mut due_ns) = (0, OFF);
    // In the order of the tries: of several at one channel the first to be there is served first.
    for i in 0..ops.len() {
        let at = order.place(i, ops.len());
        let Some(ns) = ops[at].register(&here, &entries[at], purpose) else { break };
        due_ns = due_ns.min(ns);
        registered += 1;
    }
    let several = Several {
        first: entries[0].on.as_ptr(),
        stride_bytes: size_of::<Entry<Wait>>(),
        count: ops.len(),
    };
    let why = Why { reason: WaitReason::Select, on: core::ptr::from_ref(&several) as usize };
    let over = if registered == ops.len() {
        match patience {
            Patience::Forever if due_ns == OFF => {
                here.wait(wait, why, None);
                false
            }
            _ => wait_until(&mut here, wait, why, patience, due_ns),
        }
    } else {
        give_up(&mut here, wait, why);
        false
    };
    for i in 0..registered {
        let at = order.place(i, ops.len());
        // Who claims an entry takes it out first.
        if entries[at].outcome() == Outcome::Waiting {
            ops[at].unregister(&here, &entries[at], purpose);
        }
    }
    drop(here);
    let Some(at) = wait.parker.ticket.op().checked_sub(FIRST_OP) else {
        return if over { Waited::Nothing } else { Waited::Again };
    };
    let entry = &entries[at];
    match entry.outcome() {
        Outcome::Done => Waited::For(at, Chosen::Taken),
        Outcome::Closed => Waited::For(at, Chosen::Closed),
        Outcome::Reserved => Waited::For(at, Chosen::Reserved),
        Outcome::Paired => Waited::For(at, Chosen::Paired(entry.partner())),
        Outcome::Retry => Waited::Again,
        Outcome::Waiting => crate::throw::throw("select: woken for nothing"),
    }
}

/// Waits until the patience is over, or `due_ns`; true if it is over already.
#[inline(never)]
fn wait_until(here: &mut Here, wait: Wait, why: Why, patience: &Patience<'_>, due_ns: i64) -> bool {
    match patience.until() {
        Ok(until) => {
            until.or_at(due_ns).wait(here, wait, why);
            false
        }
        Err(()) => {
            give_up(here, wait, why);
            true
        }
    }
}

/// Does not wait, unless somebody was faster: then the wake-up comes.
#[cold]
fn give_up(here: &mut Here, wait: Wait, why: Why) {
    if !wait.abort() {
        here.wait(wait, why, None);
    }
}

#[inline]
fn number(ops: &mut [Op<'_>]) {
    for (i, op) in ops.iter_mut().enumerate() {
        op.index = i;
    }
}

/// For the macros.
#[doc(hidden)]
#[inline]
pub fn select<'a>(ops: &mut [Op<'a>], biased: bool) -> SelectedOperation<'a> {
    number(ops);
    let mut oper = SelectedOperation::none();
    assert!(choose(ops, &Patience::Forever, biased, &mut oper), "{}", super::NO_OPERATIONS);
    oper
}

/// For the macros: `SelectedOperation::none` if no operation is ready.
#[doc(hidden)]
#[inline]
pub fn try_select<'a>(ops: &mut [Op<'a>], biased: bool) -> SelectedOperation<'a> {
    number(ops);
    let mut oper = SelectedOperation::none();
    choose(ops, &Patience::None, biased, &mut oper);
    oper
}

/// For the macros, likewise.
#[doc(hidden)]
pub fn select_timeout<'a>(
    ops: &mut [Op<'a>],
    timeout: Duration,
    biased: bool,
) -> SelectedOperation<'a> {
    number(ops);
    let mut oper = SelectedOperation::none();
    choose(ops, &patience(timeout), biased, &mut oper);
    oper
}
