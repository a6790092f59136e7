//! The global run queue, and the queue of those that were preempted.
//!
//! A goroutine that used up its time slice waits in a queue of its own, from which one is taken
//! when there is nothing else, or when the others have had as much time since the last one as that
//! one took (`P::hogs_turn`). In one queue with the rest, as in Go, every 61st goroutine would be a
//! hog with its 10 ms, and a thousand short ones would wait 160 ms.
//!
//! Go: proc.go `globrunqput`, `globrunqputhead`, `globrunqputbatch`, `globrunqget`; `gQueue`.
//!

use super::runq::{Place, RUNQ_LEN};
use super::{SCHED, State};
use crate::atomic::Ordering;
use crate::g::G;
use crate::malloc::deque::RtDeque;
use crate::p::P;

/// A FIFO of goroutines. An array, not a list through the goroutines: who moves a batch does not
/// touch them, and most are not in the cache.
pub(crate) struct GQueue(RtDeque<&'static G>);

impl GQueue {
    pub(crate) const fn new() -> Self {
        GQueue(RtDeque::new())
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn push_back(&mut self, gp: &'static G) {
        self.0.push_back(gp);
    }

    pub(crate) fn push_front(&mut self, gp: &'static G) {
        self.0.push_front(gp);
    }

    pub(crate) fn pop(&mut self) -> Option<&'static G> {
        self.0.pop_front()
    }
}

impl State {
    fn mirror(&self) {
        // ORDERING: read as a hint without the lock, exactly under it
        SCHED.runqsize.store(self.runq.len() + self.hogs.len(), Ordering::Release);
    }

    /// Go: globrunqput.
    pub(crate) fn globrunqput(&mut self, gp: &'static G) {
        self.runq.push_back(gp);
        self.mirror();
    }

    /// Queues a goroutine that was preempted.
    pub(crate) fn hogput(&mut self, gp: &'static G) {
        self.hogs.push_back(gp);
        self.mirror();
    }

    /// Go: globrunqputhead.
    pub(crate) fn globrunqputhead(&mut self, gp: &'static G) {
        self.runq.push_front(gp);
        self.mirror();
    }

    /// Go: globrunqputbatch.
    pub(crate) fn globrunqputbatch(&mut self, batch: &[&'static G]) {
        for gp in batch {
            self.runq.push_back(gp);
        }
        self.mirror();
    }

    /// Takes one goroutine to run on `pp`, now and then ahead of its local queue.
    pub(crate) fn globrunqget(&mut self, pp: &'static P) -> Option<&'static G> {
        let hog = if self.hogs.len() > 0 && pp.hogs_turn() { self.hogs.pop() } else { None };
        let gp = match hog {
            Some(gp) => {
                pp.hog_starts();
                Some(gp)
            }
            None => self.runq.pop(),
        };
        self.mirror();
        gp
    }

    /// Takes a fair share for `pp`: one to run, the rest into its queue; of hogs only one. The
    /// caller owns `pp`, whose queue is empty.
    pub(crate) fn globrunqgetbatch(&mut self, pp: &'static P) -> Option<&'static G> {
        if self.runq.len() == 0 {
            let hog = self.hogs.pop();
            if hog.is_some() {
                pp.hog_starts();
            }
            self.mirror();
            return hog;
        }
        let share = self.runq.len() / SCHED.gomaxprocs().max(1) + 1;
        let n = share.min(self.runq.len()).min(RUNQ_LEN as u32 / 2);
        let gp = self.runq.pop();
        for _ in 1..n {
            let Some(more) = self.runq.pop() else { break };
            let mut spilled = None;
            pp.runq.put(more, Place::Tail, |batch| spilled = Some(batch.len()));
            // The queue was empty or nearly so: the caller takes a batch only when it found
            // nothing.
            if spilled.is_some() {
                crate::throw::throw("globrunqgetbatch: the local queue overflowed");
            }
        }
        self.mirror();
        gp
    }
}

/// Queues `gp` on `pp`; a full queue hands half to the global one. The caller owns `pp`. Go:
/// runqput.
#[inline]
pub(crate) fn runqput(pp: &'static P, gp: &'static G, place: Place) {
    pp.runq.put(gp, place, |batch| SCHED.lock.lock().globrunqputbatch(batch));
}
