//! What async code waits with: as goroutines do, so that nothing which they can wait for has to
//! know of it.
//!
//! A task has a parker of its own, which is nobody's, and waits with a ticket of it: in the list of
//! those who wait for a descriptor, in a heap of timers. Who claims the ticket may be on g0, or
//! hold runtime locks, and must not run code of the program's. A waker is that: an executor locks,
//! allocates, starts what it likes. So the claimed task goes to the runner (time/fired.rs), which
//! wakes it. armed.rs has the steps.
//!
//! While a task is armed or fired a poll leaves its waker and nothing else: `fire` comes, and wakes
//! the waker that it finds then. So the last waker is the one that is woken, and none is woken for
//! nothing but once.
//!
//! # Invariants
//! * `TK1`: from `arm` to the end of `fire` or `disarm` the task owns a reference to itself, which
//!   goes to who claims the ticket.
//! * `TK2`: tickets of `parker` are begun by `arm`, when the last one has been claimed.
//! * `TK3`: wakers are cloned, woken and dropped without a lock and outside the runtime.
//!
//! Rejected: wakers of `block_on` woken by the claimer itself, without the runner between: they are
//! known by their table, but what they wake may be gone, and is freed, where nothing may be freed.

#![allow(unsafe_code, reason = "TK1: a reference to itself, held by a number")]

use super::armed::{self, Fires, Parts, State};
use crate::g::parker::{Parker, Wait};
use crate::g::ticket::TIMEOUT;
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::p::P;
use crate::sched::{enter, leave, p_of, procresize};
use crate::time::fired::{self, Kind};
use std::io;
use std::sync::Arc;
use std::task::Waker;

/// Where a task leaves its tickets.
pub(crate) trait Source {
    /// Takes this one out, if it is still there.
    fn part(&self, wait: Wait);

    /// The wait is over, after `part` where that was needed.
    fn ended(&self) {}
}

pub(crate) struct Task {
    parker: &'static Parker,
    state: RtMutex<State<Armed, Waker>>,
    source: Box<dyn Source + Send + Sync>,
}

/// A ticket that is out.
#[derive(Clone, Copy)]
pub(crate) struct Armed {
    pub(crate) wait: Wait,
    /// Whose heap has it, if it has a deadline.
    timer: Option<&'static P>,
}

impl Task {
    /// One that is idle.
    ///
    /// # Errors
    /// The runtime does not run, or there is no memory for its runner.
    pub(crate) fn new(source: Box<dyn Source + Send + Sync>) -> io::Result<Arc<Task>> {
        crate::time::func::start_runner()?;
        let parker = fired::parker();
        let state = RtMutex::new(Rank::Task, State::new());
        let task = Arc::new(Task { parker, state, source });
        fired::what_runs(parker, Kind::Task, Arc::as_ptr(&task).expose_provenance());
        Ok(task)
    }

    /// Leaves the waker to be woken. A ticket is returned if none is out: the caller leaves it
    /// where it will be claimed, and [`disarm`](Self::disarm)s if that cannot be. Without one
    /// nothing is to be done: the task fires.
    pub(crate) fn arm(self: &Arc<Self>, waker: &Waker, deadline_ns: Option<i64>) -> Option<Armed> {
        let mut waker = Some(waker.clone()); // TK3
        let mut earliest = false;
        let here = enter();
        let armed = self.state.lock().arm(&mut waker, || {
            core::mem::forget(Arc::clone(self)); // TK1
            let wait = Wait::of(self.parker); // TK2
            let timer = deadline_ns.map(|when| {
                // A plain thread's timers are those of P 0, which is always there.
                let pp = here.map(|(mp, _)| p_of(mp)).or_else(|| procresize::p_at(0));
                let Some(pp) = pp else { crate::throw::throw("a timer before there are Ps") };
                earliest = pp.timers.add(pp.id(), when, wait);
                pp
            });
            Armed { wait, timer }
        });
        if let Some(when) = deadline_ns
            && earliest
        {
            crate::netpoll::wake_net_poller(when);
        }
        if let Some((mp, _)) = here {
            leave(mp);
        }
        drop(waker); // TK3
        armed
    }

    /// Ends the wait; nobody is woken. The waker comes back.
    ///
    /// # Errors
    /// An event was faster: the task fires.
    pub(crate) fn disarm(&self, armed: Armed) -> Result<Option<Waker>, Fires> {
        armed::disarm(self, armed)
    }

    /// Who polled is gone, and its waker is not to be woken. What the ticket was left at may go,
    /// too.
    pub(crate) fn retire(&self) {
        armed::retire(self);
    }
}

impl Parts for Task {
    type Armed = Armed;
    type Waker = Waker;

    fn with<R>(&self, f: impl FnOnce(&mut State<Armed, Waker>) -> R) -> R {
        let _pin = crate::tls::pin::pin();
        f(&mut self.state.lock())
    }

    fn abort(&self, armed: Armed) -> bool {
        armed.wait.abort()
    }

    fn has_timed_out(&self) -> bool {
        self.parker.ticket.op() == TIMEOUT
    }

    fn part(&self, armed: Armed) {
        self.source.part(armed.wait);
    }

    fn is_stale(&self, armed: Armed) {
        if let Some(pp) = armed.timer {
            let _pin = crate::tls::pin::pin();
            pp.timers.one_is_stale(pp.id());
        }
    }

    fn ended(&self) {
        self.source.ended();
    }

    fn release(&self) {
        // SAFETY: TK1: the claim got the task's own reference. `self` is another one.
        unsafe { Arc::decrement_strong_count(self) };
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // It is idle, by TK1.
        fired::give_back(self.parker);
    }
}

/// The runner's part.
pub(crate) fn fire(task: usize) {
    let task = core::ptr::with_exposed_provenance::<Task>(task);
    // SAFETY: TK1: the claim got the task's own reference.
    let task = unsafe { Arc::from_raw(task) };
    if let Some(waker) = armed::fire(&*task) {
        waker.wake(); // TK3
    }
}
