//! Something that waits once: a goroutine, which parks, or a plain thread, which sleeps on a futex.
//!
//! A waiter lives on the stack of the one who waits. The waker may not touch it after the wake-up
//! is out: see `wake`.

use super::park::{gopark, goready};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::park_state::ParkState;
use crate::g::{G, WaitReason};
use crate::m::M;
use crate::sys::futex;

pub(crate) struct Waiter {
    gp: Option<&'static G>,
    park: ParkState,
    key: AtomicU32,
}

impl Waiter {
    /// For the code that runs now.
    pub(crate) fn new() -> Waiter {
        Waiter { gp: crate::tls::getg(), park: ParkState::new(), key: AtomicU32::new(0) }
    }

    /// Waits for one `wake`; one that came before makes it return at once.
    pub(crate) fn wait(&self, reason: WaitReason) {
        if self.gp.is_some() {
            park_with(&self.park, reason);
            return;
        }
        // ORDERING: pairs with the store in wake
        while self.key.swap(0, Ordering::Acquire) == 0 {
            futex::wait(&self.key, 0, None);
        }
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
        let key: *const AtomicU32 = &self.key;
        // ORDERING: pairs with the swap in wait
        self.key.store(1, Ordering::Release);
        // The waiter may be gone by now; waking an address that nobody sleeps on is harmless.
        futex_wake_address(key);
    }
}

#[allow(unsafe_code, reason = "passes an address to the kernel; it is not read here")]
fn futex_wake_address(key: *const AtomicU32) {
    const FUTEX_WAKE_PRIVATE: usize = 1 | 128;
    let a = [key as usize, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0];
    // SAFETY: RS1: FUTEX_WAKE uses the address as a key and does not write to it.
    unsafe { crate::sys::raw::syscall(libc::SYS_futex, a) };
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
