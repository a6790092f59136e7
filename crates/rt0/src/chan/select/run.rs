//! How a select finds its operation.
//!
//! Go: select.go `selectgo`, which locks all channels at once. Here one lock is held at a time:
//!
//! 1. Every operation is tried, in random order; the first that is ready is the chosen one.
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

use super::op::{Op, Purpose};
use super::random::Order;
use super::selected::SelectedOperation;
use super::storage::Storage;
use crate::chan::here::{Here, Until};
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
fn wait_for_nothing(patience: Patience<'_>) {
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

/// Chooses an operation; `None` when the patience is over.
pub(crate) fn choose<'a>(
    ops: &mut [Op<'a>],
    patience: Patience<'_>,
    biased: bool,
) -> Option<SelectedOperation<'a>> {
    if ops.is_empty() {
        wait_for_nothing(patience);
        return None;
    }
    let mut storage = Storage::new();
    loop {
        let mut order = Order::new(biased);
        for i in 0..ops.len() {
            let op = order.next(ops, i);
            storage.reserve(op.handle.layout());
            if let Some(chosen) = op.handle.choose(&mut storage) {
                return Some(SelectedOperation::new(op, chosen, storage));
            }
        }
        let limit = patience.until();
        let slot = |op: &Op<'_>| op.handle.slot(&mut storage);
        match with_entries(ops, slot, limit, Purpose::Choose) {
            Waited::For(at, chosen) => {
                return Some(SelectedOperation::new(ops[at], chosen, storage));
            }
            Waited::Again => {}
            Waited::Nothing => return None,
        }
    }
}

/// The number of an operation that is ready; `None` when the patience is over.
pub(crate) fn ready(ops: &mut [Op<'_>], patience: Patience<'_>, biased: bool) -> Option<usize> {
    if ops.is_empty() {
        wait_for_nothing(patience);
        return None;
    }
    loop {
        let mut order = Order::new(biased);
        for i in 0..ops.len() {
            let op = order.next(ops, i);
            if op.handle.is_ready() {
                return Some(op.index);
            }
        }
        let limit = patience.until();
        let waited = with_entries(ops, |_| core::ptr::null_mut(), limit, Purpose::Watch);
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

/// How long to wait; `Err`: the patience is over.
type Limit<'a> = Result<Until<'a>, ()>;

/// Waits with an entry for each operation.
fn with_entries(
    ops: &[Op<'_>],
    mut slot: impl FnMut(&Op<'_>) -> *mut u8,
    limit: Limit<'_>,
    purpose: Purpose,
) -> Waited {
    let n = ops.len();
    if limit.is_err() && n == 1 {
        return Waited::Nothing;
    }
    assert!(n <= LAST_OP - FIRST_OP, "too many operations in a select");
    // Before the ticket: the program's allocator may be one that waits.
    let mut many = Vec::with_capacity(if n > SOME { n } else { 0 });
    let wait = Wait::begin();
    let mut entry = |i: usize| {
        let slot = ops.get(i).map_or(core::ptr::null_mut(), &mut slot);
        Entry::new(wait, FIRST_OP + i, slot)
    };
    if n <= FEW {
        let entries: [_; FEW] = core::array::from_fn(entry);
        return wait_on(ops, &entries, wait, limit, purpose);
    }
    if n <= SOME {
        let entries: [_; SOME] = core::array::from_fn(entry);
        return wait_on(ops, &entries, wait, limit, purpose);
    }
    many.extend((0..n).map(&mut entry));
    wait_on(ops, &many, wait, limit, purpose)
}

/// Steps 2 to 4. If the patience is over it does not wait, but leaves its ticket with all channels
/// for a moment all the same: only so it knows that none was ready at one time. (Each was not when
/// it was tried; but a message may have come to the first before the last lost its own.)
fn wait_on(
    ops: &[Op<'_>],
    entries: &[Entry<Wait>],
    wait: Wait,
    limit: Limit<'_>,
    purpose: Purpose,
) -> Waited {
    let mut here = Here::enter();
    let pairs = || ops.iter().zip(entries);
    let registered = pairs().take_while(|(op, e)| op.handle.register(&here, e, purpose)).count();
    let ready = registered < ops.len();
    let several = Several {
        first: entries[0].on.as_ptr(),
        stride_bytes: size_of::<Entry<Wait>>(),
        count: ops.len(),
    };
    let why = Why { reason: WaitReason::Select, on: core::ptr::from_ref(&several) as usize };
    match limit {
        Ok(until) if !ready => {
            let first = ops.iter().filter_map(|op| op.handle.due_ns()).min();
            first.map_or(until, |ns| until.or_at(ns)).wait(&mut here, wait, why);
        }
        // If somebody was faster, the wake-up comes.
        _ => {
            if !wait.abort() {
                here.wait(wait, why, None);
            }
        }
    }
    for (op, e) in pairs().take(registered) {
        op.handle.unregister(&here, e, purpose);
    }
    let Some(at) = wait.parker.ticket.op().checked_sub(FIRST_OP) else {
        return if limit.is_err() && !ready { Waited::Nothing } else { Waited::Again };
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

fn number(ops: &mut [Op<'_>]) {
    for (i, op) in ops.iter_mut().enumerate() {
        op.index = i;
    }
}

/// For the macros.
#[doc(hidden)]
pub fn select<'a>(ops: &mut [Op<'a>], biased: bool) -> SelectedOperation<'a> {
    number(ops);
    match choose(ops, Patience::Forever, biased) {
        Some(oper) => oper,
        None => panic!("{}", super::NO_OPERATIONS),
    }
}

/// For the macros: `SelectedOperation::none` if no operation is ready.
#[doc(hidden)]
pub fn try_select<'a>(ops: &mut [Op<'a>], biased: bool) -> SelectedOperation<'a> {
    number(ops);
    choose(ops, Patience::None, biased).unwrap_or_else(SelectedOperation::none)
}

/// For the macros, likewise.
#[doc(hidden)]
pub fn select_timeout<'a>(
    ops: &mut [Op<'a>],
    timeout: Duration,
    biased: bool,
) -> SelectedOperation<'a> {
    number(ops);
    choose(ops, patience(timeout), biased).unwrap_or_else(SelectedOperation::none)
}
