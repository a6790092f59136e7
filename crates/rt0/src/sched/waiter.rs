//! Something that waits: a goroutine, which parks, or a plain thread, which sleeps on a futex.
//!
//! A waiter lives on the stack of the one who waits. The waker may not touch it after the wake-up
//! is out: see `wake`.

use super::park::{UnlockFn, gopark, goready, park_on};
use super::wait::Why;
use crate::atomic::{AtomicUsize, Ordering};
use crate::g::key::Key;
use crate::g::park_state::ParkState;
use crate::g::parker::Parker;
use crate::g::{G, WaitReason};
use crate::m::M;
use core::mem::offset_of;

pub(crate) struct Waiter {
    gp: Option<&'static G>,
    /// While it waits: its own address, and [`MARK`].
    mark: AtomicUsize,
    park: ParkState,
    key: Key,
}

const MARK: usize = 0x9e37_79b9_7f4a_7c15;

/// Whether a goroutine waits with a [`Waiter`] at this address, which is on its stack. While nobody
/// runs.
pub(crate) fn is_waiter(at: usize) -> bool {
    let mark = crate::sys::raw::peek::<1>(at.wrapping_add(offset_of!(Waiter, mark)));
    mark == Some([at ^ MARK])
}

impl Waiter {
    /// For the code that runs now.
    pub(crate) fn new() -> Waiter {
        let (park, key) = (ParkState::new(), Key::new());
        Waiter { gp: crate::tls::getg(), mark: AtomicUsize::new(0), park, key }
    }

    /// Waits for one `wake`; one that came before makes it return at once.
    pub(crate) fn wait(&self, why: Why) {
        if self.gp.is_some() {
            let own = core::ptr::from_ref(self).addr();
            self.mark.store(own ^ MARK, Ordering::Relaxed); // ORDERING: a report
            park_with(&self.park, why);
            return self.mark.store(0, Ordering::Relaxed); // ORDERING: a report
        }
        let own = super::thread_parker::own();
        own.set_reason(why.reason);
        show_wait(&own.parker, why, || self.key.wait());
        own.set_reason(WaitReason::None);
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
pub(crate) fn park_with(state: &ParkState, why: Why) {
    if state.consume() {
        return;
    }
    let Some(gp) = crate::tls::getg() else { return };
    show_wait(&gp.parker, why, || {
        gopark(why.reason, commit, core::ptr::from_ref(state) as usize);
    });
    state.resumed();
}

/// Parks the running goroutine, which has entered the runtime, until it is readied or `unlockf`
/// says no. The caller still holds the count afterwards.
#[inline]
pub(crate) fn park_shown(
    mp: &'static M,
    gp: &'static G,
    why: Why,
    unlockf: UnlockFn,
    arg: usize,
) -> &'static M {
    let mut mp = mp;
    show_wait(&gp.parker, why, || mp = park_on(mp, gp, why.reason, unlockf, arg));
    mp
}

/// Around a wait that no ticket is claimed for: others can see that it lasts, and for what.
fn show_wait(parker: &Parker, why: Why, wait: impl FnOnce()) {
    let ticket = parker.ticket.begin();
    parker.set_waits_on(why.on, false);
    wait();
    parker.waits_no_more();
    parker.ticket.retire(ticket);
}

#[allow(unsafe_code, reason = "the park state lives on the parked goroutine's stack or in its G")]
fn commit(_mp: &'static M, _gp: &'static G, state: usize) -> bool {
    // SAFETY: park_with keeps the state alive until the goroutine runs again.
    unsafe { &*(state as *const ParkState) }.commit()
}
