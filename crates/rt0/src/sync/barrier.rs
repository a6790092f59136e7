//! A point at which a number of goroutines wait for each other. std: `sync::Barrier`.

use super::{Condvar, Mutex};
use crate::g::WaitReason;
use crate::sched::wait::Why;
use std::fmt;
use std::sync::PoisonError;

/// Lets `n` goroutines or threads wait until all of them have come, again and again.
///
/// std: [`std::sync::Barrier`].
pub struct Barrier {
    state: Mutex<State>,
    all_here: Condvar,
    n: usize,
}

struct State {
    here: usize,
    generation: usize,
}

/// Who came last. std: [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult(bool);

impl Barrier {
    /// A barrier for `n`; 0 is as 1: nobody waits.
    pub const fn new(n: usize) -> Barrier {
        Barrier { state: Mutex::new(State { here: 0, generation: 0 }), all_here: Condvar::new(), n }
    }

    /// Waits until `n` have called it. One of them, the last, is told that it is the leader.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = state.generation;
        state.here += 1;
        if state.here < self.n {
            let on = core::ptr::from_ref(self) as usize;
            let why = Why { reason: WaitReason::BarrierWait, on };
            while state.generation == generation {
                state = self
                    .all_here
                    .wait_for(state, why, None)
                    .0
                    .unwrap_or_else(PoisonError::into_inner);
            }
            return BarrierWaitResult(false);
        }
        state.here = 0;
        state.generation = state.generation.wrapping_add(1);
        drop(state);
        self.all_here.notify_all();
        BarrierWaitResult(true)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl BarrierWaitResult {
    /// True for one of those who waited together.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}
