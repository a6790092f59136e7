//! Timers that run a function. Go: time.go `AfterFunc`, `Timer.Stop`, `Timer.Reset`.
//!
//! An armed timer is a ticket in a P's heap. Firing and stopping compete for it (g/ticket.rs), so
//! that exactly one happens, and stopping is one exchange: the entry stays in the heap as a stale
//! one. fired.rs says how the function gets its goroutine.
//!
//! # Invariants
//! * `TF1`: while it is armed, and from firing until the runner has taken it, the timer owns a
//!   reference to itself, which goes to who claims the ticket.
//! * `TF2`: tickets of `parker` are begun and aborted under `lock`.

#![allow(unsafe_code, reason = "TF1: a reference to itself, held by a number")]

use super::fired::{self, Kind};
use crate::atomic::{AtomicBool, AtomicRef, Ordering};
use crate::chan::lock::Lock;
use crate::g::WaitReason;
use crate::g::parker::{Parker, Wait};
use crate::g::ticket::ABORTED;
use crate::join::Builder;
use crate::p::P;
use crate::sched::wait::Why;
use crate::sched::{enter, leave, p_of, procresize};
use core::panic::Location;
use std::io;
use std::sync::Arc;

pub(crate) struct FuncTimer {
    parker: &'static Parker,
    lock: Lock,
    /// The P whose heap has the parker's ticket, which is out then. Under the lock.
    armed: AtomicRef<P>,
    f: Box<dyn Fn() + Send + Sync>,
    /// Where the program made it, as reports name it.
    made_at: &'static Location<'static>,
}

impl FuncTimer {
    /// One that is not armed.
    #[track_caller]
    pub(crate) fn new(f: impl Fn() + Send + Sync + 'static) -> io::Result<Arc<FuncTimer>> {
        start_runner()?;
        let (f, made_at) = (Box::new(f), Location::caller());
        let parker = fired::parker();
        let (lock, armed) = (Lock::new(), AtomicRef::none());
        let timer = Arc::new(FuncTimer { parker, lock, armed, f, made_at });
        fired::what_runs(parker, Kind::Timer, Arc::as_ptr(&timer).expose_provenance());
        Ok(timer)
    }

    /// To be run at `when`, not at another time; true if it was to be run.
    pub(crate) fn arm(self: &Arc<Self>, when: i64) -> bool {
        let here = enter();
        // A plain thread's timers are those of P 0, which is always there.
        let Some(pp) = here.map(|(mp, _)| p_of(mp)).or_else(|| procresize::p_at(0)) else {
            crate::throw::throw("a timer before there are Ps");
        };
        self.lock.lock();
        let was_armed = self.claim_back();
        if !was_armed {
            core::mem::forget(Arc::clone(self)); // TF1
        }
        let wait = Wait::of(self.parker);
        self.armed.set(Some(pp));
        self.lock.unlock();
        // Should it be stopped before it is in the heap, a stale entry comes there.
        if pp.timers.add(pp.id(), when, wait) {
            crate::netpoll::wake_net_poller(when);
        }
        if let Some((mp, _)) = here {
            leave(mp);
        }
        was_armed
    }

    /// Not to be run; true if it was to be.
    pub(crate) fn disarm(self: &Arc<Self>) -> bool {
        let was_armed = {
            let _pin = crate::tls::pin::pin();
            self.lock.lock();
            let was_armed = self.claim_back();
            self.lock.unlock();
            was_armed
        };
        if was_armed {
            // SAFETY: TF1: the claim got the timer's own reference. `self` is another one.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(self)) };
        }
        was_armed
    }

    /// TF2: under the lock. True: the ticket was claimed, and with it the timer's own reference.
    fn claim_back(&self) -> bool {
        let Some(pp) = self.armed.get() else { return false };
        self.armed.set(None);
        let claimed = Wait::last_of(self.parker).claim(ABORTED);
        if claimed {
            pp.timers.one_is_stale(pp.id());
        }
        claimed
    }
}

impl Drop for FuncTimer {
    fn drop(&mut self) {
        // It is not armed, by TF1.
        fired::give_back(self.parker);
    }
}

/// Whether the runner is there.
static STARTED: AtomicBool = AtomicBool::new(false);
static STARTING: crate::sync::Mutex<()> = crate::sync::Mutex::new(());

/// For who makes something that is to be run.
pub(crate) fn start_runner() -> io::Result<()> {
    // ORDERING: a look; the lock decides
    if STARTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let _starting = STARTING.lock();
    // ORDERING: under the lock
    if !STARTED.load(Ordering::Relaxed) {
        let handle = Builder::new().name("timers".into()).go(runner)?;
        crate::sched::newproc::not_counted(handle.goroutine().g());
        STARTED.store(true, Ordering::Relaxed); // ORDERING: under the lock
    }
    Ok(())
}

/// The runtime's own goroutine that starts one for each timer that has fired, and wakes async code.
fn runner() {
    crate::sched::newproc::become_system();
    let why = Why { reason: WaitReason::TimerWait, on: 0 };
    loop {
        let next = {
            let _pin = crate::tls::pin::pin();
            fired::pop_or_note(Wait::begin)
        };
        match next {
            Ok((Kind::Timer, timer)) => run(timer),
            Ok((Kind::Task, task)) => crate::future::task::fire(task),
            Err(wait) => drop(wait.wait(why, None)),
        }
    }
}

fn run(timer: usize) {
    let timer = core::ptr::with_exposed_provenance::<FuncTimer>(timer);
    // SAFETY: TF1: firing got the timer's own reference.
    let timer = unsafe { Arc::from_raw(timer) };
    let theirs = Arc::clone(&timer);
    match Builder::new().go_from(timer.made_at, move || (theirs.f)()) {
        Ok(handle) => drop(handle),
        // No memory for a goroutine: better late for others than never.
        Err(_) => (timer.f)(),
    }
}
