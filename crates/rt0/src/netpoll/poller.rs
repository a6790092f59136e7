//! One of the idle Ms waits for the first timer; who adds an earlier one gets it to look again.
//!
//! ```text
//!          begin                break_if_later, break_poller
//!   IDLE ---------> POLLING ---------------------------------> BROKEN
//!    ^                 |                                         |
//!    +-----------------+-----------------------------------------+
//!           end: says whether it was broken
//! ```
//! The danger is an adder and a poller that miss each other. Both write, then read, with a
//! store-load fence in between:
//!
//! 1. poller: become POLLING, forget the old `until`; fence; look at all timers.
//! 2. adder:  store the timer; fence; read the state, and `until` if somebody polls.
//!
//! If the adder's fence comes first, the poller sees the timer. Else the adder sees this poller:
//! then it breaks it, unless `until` says that it wakes in time anyway. A poller that is BROKEN
//! when it ends looks again, also if it had found no timer to wait for. Since breaking and ending
//! change the same word, an adder cannot rely on a poller that has ended: it finds IDLE, and wakes
//! an M (wakep) that looks for itself. An M that goes idle beside a poller is an adder of the
//! timers of its P.
//!
//! Rejected: a flag for the break beside one for polling. A poller that found no timers ended
//! without a look at the flag that an adder had set meanwhile, and two words need two more fences
//! for that.

use crate::atomic::{AtomicI64, AtomicU32, Ordering, const_unless_loom, fence, mutated};
use crate::sys::futex;

const IDLE: u32 = 0;
const POLLING: u32 = 1;
const BROKEN: u32 = 2;

pub(crate) struct Poller {
    state: AtomicU32,
    /// When the poller wakes by itself, ns; 0: it has not decided yet.
    until: AtomicI64,
}

impl Poller {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Poller { state: AtomicU32::new(IDLE), until: AtomicI64::new(0) }
        }
    }

    /// Waits until the first timer is due, an earlier one is there, or `stop` holds. `first`: the
    /// first deadline of all, 0 if there is none. The caller has a fence between giving up its P
    /// and this. False: the M may sleep, for nothing is to be waited for or another M does that.
    pub(crate) fn wait(
        &self,
        first: impl Fn() -> i64,
        stop: impl Fn() -> bool,
        now: impl Fn() -> i64,
    ) -> bool {
        while !self.begin() {
            // Another M polls; it may have looked before a timer of ours was there.
            let when = first();
            if when == 0 || self.break_if_later(when) {
                return false;
            }
        }
        let when = first();
        if when != 0 {
            self.block_until(when, stop, now);
        }
        self.end() || when != 0
    }

    fn begin(&self) -> bool {
        // ORDERING: the fence follows; on failure the caller's fence came before
        let r = self.state.compare_exchange(IDLE, POLLING, Ordering::AcqRel, Ordering::Relaxed);
        if r.is_err() {
            return false;
        }
        self.until.store(0, Ordering::Relaxed); // ORDERING: before the fence
        if !mutated("netpoll.poller_fence") {
            // ORDERING: step 1; pairs with the fence in wakes_for
            fence(Ordering::SeqCst);
        }
        true
    }

    /// True: it was broken, and somebody relies on the caller to look again.
    fn end(&self) -> bool {
        // ORDERING: pairs with break_poller: what the breaker wrote is seen by the next look
        let broken = self.state.swap(IDLE, Ordering::AcqRel) == BROKEN;
        broken && !mutated("netpoll.end")
    }

    fn block_until(&self, when: i64, stop: impl Fn() -> bool, now: impl Fn() -> i64) {
        // ORDERING: an adder that still reads 0 breaks the poller for nothing
        self.until.store(when, Ordering::Relaxed);
        // ORDERING: pairs with break_poller
        while self.state.load(Ordering::Acquire) == POLLING && !stop() {
            let left = when.saturating_sub(now());
            if left <= 0 {
                return;
            }
            futex::wait(&self.state, POLLING, Some(futex::less_slack(left)));
        }
    }

    /// The word is no longer POLLING. False: because nobody polls.
    fn break_polling(&self) -> bool {
        // ORDERING: pairs with end; ordered after the caller's fence
        let r = self.state.compare_exchange(POLLING, BROKEN, Ordering::AcqRel, Ordering::Relaxed);
        if r.is_ok() && !mutated("netpoll.wake") {
            futex::wake(&self.state, 1);
        }
        r != Err(IDLE) || mutated("netpoll.gone")
    }

    /// Wakes the poller, if there is one: `stop` has become true for it.
    pub(crate) fn break_poller(&self) {
        // ORDERING: between the reason of the break and the look for a poller; pairs with begin
        fence(Ordering::SeqCst);
        self.break_polling();
    }

    /// Wakes the poller if it would sleep beyond `when`. False: nobody polls, nobody will look.
    fn break_if_later(&self, when: i64) -> bool {
        // ORDERING: ordered after the caller's fence: no older than what this poller's begin stored
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 || until > when {
            return self.break_polling();
        }
        // ORDERING: ordered after the caller's fence: no older than what this poller's begin stored
        self.state.load(Ordering::Relaxed) != IDLE
    }

    /// The adder of a timer for `when`, after storing it. False: nobody polls; wake an M.
    #[inline]
    pub(crate) fn wakes_for(&self, when: i64) -> bool {
        if !mutated("netpoll.adder_fence") {
            // ORDERING: step 2; pairs with the fence in begin
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered by the fence
        self.state.load(Ordering::Relaxed) != IDLE && self.break_if_later(when)
    }
}
