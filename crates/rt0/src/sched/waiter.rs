//! Something that waits: a goroutine, which parks, or a plain thread, which sleeps on a futex.
//!
//! A waiter lives on the stack of the one who waits. The waker may not touch it after the wake-up
//! is out: see `wake`.

use super::park::{gopark, goready};
use crate::g::key::Key;
use crate::g::park_state::ParkState;
use crate::g::{G, WaitReason};
use crate::m::M;

pub(crate) struct Waiter {
    gp: Option<&'static G>,
    park: ParkState,
    key: Key,
}

impl Waiter {
    /// For the code that runs now.
    pub(crate) fn new() -> Waiter {
        Waiter { gp: crate::tls::getg(), park: ParkState::new(), key: Key::new() }
    }

    /// Waits for one `wake`; one that came before makes it return at once.
    pub(crate) fn wait(&self, reason: WaitReason) {
        if self.gp.is_some() {
            park_with(&self.park, reason);
            return;
        }
        self.key.wait();
    }

    /// Wakes the waiter, from anywhere.
    pub(crate) fn wake(&self) {
        if let Some(gp) = self.gp {
            // If it is parked, it stays so until we ready it: `self` is alive up to here.
            if self.park.notify() {
                goready(gp);
            }
            return;
        }
        self.key.wake();
    }
}

/// Parks the running goroutine until `state` is notified.
pub(crate) fn park_with(state: &ParkState, reason: WaitReason) {
    if state.consume() {
        return;
    }
    gopark(reason, commit, core::ptr::from_ref(state) as usize);
    state.resumed();
}

#[allow(unsafe_code, reason = "the park state lives on the parked goroutine's stack or in its G")]
fn commit(_mp: &'static M, _gp: &'static G, state: usize) -> bool {
    // SAFETY: park_with keeps the state alive until the goroutine runs again.
    unsafe { &*(state as *const ParkState) }.commit()
}
