//! The word on which a plain thread waits.
//!
//! It is 0, or 1 while a wake-up is there that no `wait` has used. Wake-ups do not add up: who
//! waits for more than one event looks at the events again after each.
//!
//! # Memory orderings
//! * `wake` releases what the waker wrote to the Acquire swap in `wait`.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, mutated};
use crate::sys::futex;

pub(crate) struct Key(AtomicU32);

impl Key {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Key(AtomicU32::new(0))
        }
    }

    /// Uses up one wake-up; sleeps until there is one.
    pub(crate) fn wait(&self) {
        // ORDERING: pairs with the store in wake
        while self.0.swap(0, Ordering::Acquire) == 0 {
            futex::wait(&self.0, 0, None);
        }
    }

    /// The same until `deadline_ns` at most; whether a wake-up came.
    #[cfg(not(loom))]
    pub(crate) fn wait_until(&self, deadline_ns: i64) -> bool {
        // ORDERING: pairs with the store in wake
        while self.0.swap(0, Ordering::Acquire) == 0 {
            let left = deadline_ns.saturating_sub(crate::sys::nanotime());
            if left <= 0 {
                return false;
            }
            futex::wait(&self.0, 0, Some(left));
        }
        true
    }

    /// The waiter may be gone as soon as the swap is done: nothing of it is touched afterwards.
    pub(crate) fn wake(&self) {
        let key: *const AtomicU32 = &self.0;
        let order = if mutated("waiter.release") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with the swap in wait. A swap too, for loom does not order a plain store
        // against one; a system call follows, so it costs nothing.
        self.0.swap(1, order);
        if !mutated("waiter.wake") {
            futex::wake_address(key);
        }
    }
}
