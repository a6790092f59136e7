//! New goroutines that are held back while hogs are many (hogs.rs).
//!
//! A third global queue, which nobody looks at: sysmon moves goroutines that have not run yet into
//! it, and out of it. Those that are made meanwhile go there at once. Entries keep their marks
//! (runq.rs), so a joiner can still take the goroutine that it waits for (g/fresh.rs): to do what
//! it waits for is no more work than what it did.
//!
//! # Invariants
//! * `HB1`: while nothing is held back, `State::held` is empty.
//! * `HB2`: of each G it has one marked entry at most, and `G::held` says whether. A goroutine that
//!   a joiner started leaves its entry behind, and the next one in the same G needs no other: so
//!   who starts and joins goroutines for hours does not fill the queue.

use super::global_queue::GQueue;
use super::runq::{Entry, RunQueue};
use super::{SCHED, procresize};
use crate::atomic::Ordering;
use crate::g::G;

/// The queue. Under sched.lock.
pub(crate) struct Held(GQueue);

#[derive(Clone, Copy)]
enum End {
    Oldest,
    Newest,
}

impl Held {
    pub(crate) const fn new() -> Self {
        Held(GQueue::new())
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len()
    }

    pub(super) fn put(&mut self, entry: Entry<G>) {
        let (gp, marked) = entry.parts();
        // ORDERING: under the lock
        if !marked || gp.held.swap(1, Ordering::Relaxed) == 0 {
            self.0.push_back(entry); // HB2
        }
    }

    fn pop(&mut self, end: End) -> Option<Entry<G>> {
        let entry = match end {
            End::Oldest => self.0.pop(),
            End::Newest => self.0.pop_back(),
        }?;
        if let (gp, true) = entry.parts() {
            gp.held.store(0, Ordering::Relaxed); // ORDERING: under the lock; HB2
        }
        Some(entry)
    }

    /// One that nobody has started meanwhile. It is the caller's.
    fn take(&mut self, end: End) -> Option<&'static G> {
        loop {
            if let Some(gp) = self.pop(end)?.take() {
                return Some(gp);
            }
        }
    }
}

/// Where sysmon puts what it steals from the local queues.
static STOLEN: RunQueue<G> = RunQueue::new();
/// Steals that empty a full ring.
const STEALS: u32 = super::runq::RUNQ_LEN.ilog2() + 1;

/// Queues a new goroutine globally, or holds it back.
pub(super) fn queue_new(gp: &'static G) {
    gp.fresh.publish(gp.goid.get() as usize);
    let mut sched = SCHED.lock.lock();
    sched.put(Entry::fresh(gp));
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
        let end = if i.is_multiple_of(2) { End::Oldest } else { End::Newest };
        let Some(gp) = sched.held.take(end) else { break };
        sched.globrunqput(gp);
    }
}

/// sysmon: everybody may start new goroutines again.
pub(super) fn release_all() {
    let mut sched = SCHED.lock.lock();
    SCHED.holds_back.store(false, Ordering::Relaxed); // ORDERING: exact under the lock
    while let Some(entry) = sched.held.pop(End::Oldest) {
        // HB1. It may be an older one's in the same G that stands for it (HB2).
        let of_now = match entry.parts() {
            (gp, true) if gp.fresh.is_there() => Entry::fresh(gp),
            (_, true) => continue,
            _ => entry,
        };
        sched.put(of_now);
    }
    sched.mirror();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_end_gives_what_nobody_has_started() {
        static GS: [G; 4] = [const { G::new() }; 4];
        let mut held = Held::new();
        for (gp, id) in GS.iter().zip(1..) {
            gp.fresh.publish(id);
            held.put(Entry::fresh(gp));
        }
        assert!(GS[0].fresh.claim(1), "its joiner starts it");
        assert!(core::ptr::eq(held.take(End::Oldest).expect("the second"), &GS[1]));
        assert!(core::ptr::eq(held.take(End::Newest).expect("the fourth"), &GS[3]));
        assert!(core::ptr::eq(held.take(End::Newest).expect("the third"), &GS[2]));
        assert!(held.take(End::Oldest).is_none());
    }

    #[test]
    fn goroutines_that_joiners_start_do_not_fill_it() {
        static GP: G = G::new();
        let mut held = Held::new();
        for id in 1..100 {
            GP.fresh.publish(id);
            held.put(Entry::fresh(&GP));
            assert_eq!(held.0.len(), 1, "HB2");
            assert!(GP.fresh.claim(id));
        }
        GP.fresh.publish(100);
        held.put(Entry::fresh(&GP));
        assert!(held.take(End::Oldest).is_some(), "the old entry stands for it");
        assert!(held.pop(End::Oldest).is_none());
        // One that was claimed for a queue is not to be found by the mark of an older entry.
        GP.fresh.publish(101);
        held.put(Entry::fresh(&GP));
        assert!(GP.fresh.claim_any());
        held.put(Entry::claimed(&GP));
        assert!(held.take(End::Oldest).is_some());
        assert!(held.pop(End::Oldest).is_none());
    }
}
