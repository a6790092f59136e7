//! Where a channel's code runs: on a goroutine, inside the runtime, or on a plain thread.
//!
//! A channel's lock is taken between `enter` and the drop: no preemption, so no holder of a lock
//! that does not run. No code of the user's runs meanwhile, its allocator included.

use super::clocked::Clocked;
use crate::g::G;
use crate::g::parker::Wait;
use crate::m::M;
use crate::sched::wait::Why;
use crate::sched::{enter, leave};

pub(crate) struct Here(Option<(&'static M, &'static G)>);

impl Here {
    #[inline(always)]
    pub(crate) fn enter() -> Here {
        Here(enter())
    }

    /// A new ticket.
    #[inline]
    pub(crate) fn begin(&self) -> Wait {
        match self.0 {
            Some((_, gp)) => Wait::of(&gp.parker),
            None => Wait::begin(),
        }
    }

    /// A random number of the M's, in the high half; `None` on a plain thread.
    #[inline]
    pub(crate) fn cheaprand(&self) -> Option<u64> {
        let (mp, _) = self.0?;
        Some(u64::from(mp.cheaprand()) << 32)
    }

    #[inline]
    pub(crate) fn wake(&self, wait: Wait) {
        match self.0 {
            Some((mp, _)) => wait.wake_on(mp),
            None => wait.wake(),
        }
    }

    /// Waits until the ticket is claimed and woken; returns the claimer's operation.
    #[inline(always)]
    pub(crate) fn wait(&mut self, wait: Wait, why: Why, deadline_ns: Option<i64>) -> usize {
        match &mut self.0 {
            Some((mp, gp)) => {
                *mp = wait.wait_on(mp, gp, why, deadline_ns);
                wait.parker.ticket.op()
            }
            None => wait.wait(why, deadline_ns),
        }
    }
}

/// What ends a wait besides its wakers.
#[derive(Clone, Copy)]
pub(crate) struct Until<'a> {
    /// On the runtime's clock; `None`: never.
    pub(crate) deadline_ns: Option<i64>,
    /// The end of the context that the wait is under.
    pub(crate) latch: Option<&'a Clocked>,
}

impl Until<'_> {
    /// As [`Here::wait`].
    #[inline]
    pub(crate) fn wait(self, here: &mut Here, wait: Wait, why: Why) -> usize {
        match self.latch {
            None => here.wait(wait, why, self.deadline_ns),
            Some(latch) => latch.wait_under(here, wait, why, self.deadline_ns),
        }
    }
}

impl Drop for Here {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some((mp, _)) = self.0 {
            leave(mp);
        }
    }
}
