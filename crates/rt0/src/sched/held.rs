//! New goroutines that are held back while hogs are many (hogs.rs).
//!
//! A third global queue, which nobody looks at: sysmon moves goroutines that have not run yet into
//! it, and out of it. Those that are made meanwhile go there at once. Entries keep their marks
//! (runq.rs), so a joiner can still take the goroutine that it waits for (g/fresh.rs): to do what
//! it waits for is no more work than what it did.
//!
//! # Invariants
//! * `HB1`: while nothing is held back, `State::held` is empty.

use super::runq::{Entry, RunQueue};
use super::{SCHED, procresize};
use crate::atomic::Ordering;
use crate::g::G;

/// Where sysmon puts what it steals from the local queues.
static STOLEN: RunQueue<G> = RunQueue::new();
/// Steals that empty a full ring.
const STEALS: u32 = super::runq::RUNQ_LEN.ilog2() + 1;

/// Queues a new goroutine globally, or holds it back.
pub(super) fn queue_new(gp: &'static G) {
    gp.fresh.publish(gp.goid.get() as usize);
    let mut sched = SCHED.lock.lock();
    sched.put(Entry::marked(gp));
    sched.mirror();
}

/// sysmon: from now on, nobody starts new goroutines.
pub(super) fn hold_back() {
    let mut sched = SCHED.lock.lock();
    SCHED.holds_back.store(true, Ordering::Relaxed); // ORDERING: exact under the lock
    for _ in 0..sched.runq.len() {
        if let Some(entry) = sched.runq.pop() {
            sched.put(entry);
        }
    }
    sched.mirror();
    drop(sched);
    for pp in procresize::allp() {
        for _ in 0..STEALS {
            let Some(last) = STOLEN.steal_into(&pp.runq, false) else { break };
            let mut sched = SCHED.lock.lock();
            while let Some(entry) = STOLEN.get_ring() {
                sched.put(entry);
            }
            sched.put(last);
            sched.mirror();
        }
    }
}

/// sysmon: lets `n` of them run, the oldest and the newest by turns. The others stay.
pub(super) fn release(n: u32) {
    let mut sched = SCHED.lock.lock();
    for i in 0..n {
        let gp = loop {
            let from_front = i.is_multiple_of(2);
            let entry = if from_front { sched.held.pop() } else { sched.held.pop_back() };
            let Some(entry) = entry else { break None };
            if let Some(gp) = entry.take() {
                break Some(gp);
            }
        };
        let Some(gp) = gp else { break };
        sched.globrunqput(gp);
    }
}

/// sysmon: everybody may start new goroutines again.
pub(super) fn release_all() {
    let mut sched = SCHED.lock.lock();
    SCHED.holds_back.store(false, Ordering::Relaxed); // ORDERING: exact under the lock
    while let Some(entry) = sched.held.pop() {
        sched.put(entry); // HB1
    }
    sched.mirror();
}
