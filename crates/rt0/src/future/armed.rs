//! The steps of a task (task.rs), whatever it waits with: models/task.rs runs them under loom.
//!
//! ```text
//!   idle ---arm: ticket begun---> armed ---claimed by an event---> fired ---fire (runner)---> idle
//!     ^                             |
//!     +---disarm: claimed by the owner
//! ```
//! Who polls, who claims and the runner meet in two places: the ticket, which one of them claims,
//! and the lock around [`State`]. `armed` is cleared with the waker taken, in one step: a poll that
//! comes before has left its waker to be found, one that comes after begins a wait of its own.

use crate::atomic::mutated;

/// What is under a task's lock. `A`: a ticket, and where it was left.
pub(crate) struct State<A, W> {
    armed: Option<A>,
    waker: Option<W>,
}

impl<A: Copy, W> State<A, W> {
    /// Idle.
    pub(crate) const fn new() -> State<A, W> {
        State { armed: None, waker: None }
    }

    /// Exchanges the waker for the one that was there. A wait is begun if none is out.
    pub(crate) fn arm(&mut self, waker: &mut Option<W>, begin: impl FnOnce() -> A) -> Option<A> {
        if self.armed.is_some() && mutated("task.first_waker") {
            return None;
        }
        core::mem::swap(&mut self.waker, waker);
        if self.armed.is_some() {
            return None;
        }
        self.armed = Some(begin());
        self.armed
    }

    /// The wait is over.
    fn end(&mut self) -> Option<W> {
        if !mutated("task.stays_armed") {
            self.armed = None;
        }
        self.waker.take()
    }
}

/// A task that was claimed: the runner comes.
#[derive(Debug)]
pub(crate) struct Fires;

/// What a task is made of.
pub(crate) trait Parts {
    type Armed: Copy;
    type Waker;

    /// Under the lock.
    fn with<R>(&self, f: impl FnOnce(&mut State<Self::Armed, Self::Waker>) -> R) -> R;
    /// Claims the ticket for the owner. False: an event was faster.
    fn abort(&self, armed: Self::Armed) -> bool;
    /// Whether it was the deadline that claimed the last ticket.
    fn has_timed_out(&self) -> bool;
    /// Takes it out of the place where events look, if it is still there.
    fn part(&self, armed: Self::Armed);
    /// Its entry among the timers, if it has one, is good for nothing any more.
    fn is_stale(&self, armed: Self::Armed);
    /// The wait is over, after `part` where that was needed.
    fn ended(&self);
    /// Lets go of the reference that went with the claim (TK1).
    fn release(&self);
}

/// Ends the wait; nobody is woken. The waker comes back.
pub(crate) fn disarm<T: Parts>(task: &T, armed: T::Armed) -> Result<Option<T::Waker>, Fires> {
    if !task.abort(armed) {
        return Err(Fires);
    }
    task.part(armed);
    let waker = task.with(State::end);
    task.is_stale(armed);
    task.ended();
    task.release();
    Ok(waker.filter(|_| !mutated("task.others_waker")))
}

/// Nobody polls any more, or is to be woken. What the ticket was left at may go, too.
pub(crate) fn retire<T: Parts>(task: &T) {
    let (armed, waker) = task.with(|state| (state.armed, state.waker.take()));
    drop(waker); // TK3
    if let Some(armed) = armed
        && disarm(task, armed).is_err()
        && !mutated("task.retire")
    {
        task.part(armed); // before the runner comes
    }
}

/// The runner's part: who is to be woken. [`Parts::release`] is the caller's.
pub(crate) fn fire<T: Parts>(task: &T) -> Option<T::Waker> {
    let armed = task.with(|state| state.armed);
    if let Some(armed) = armed {
        // Whoever took it out of where it was has claimed it, but for the timer.
        if task.has_timed_out() {
            task.part(armed);
        } else {
            task.is_stale(armed);
        }
    }
    task.ended();
    task.with(State::end)
}
