//! One of the idle Ms waits for the first timer and for descriptors; who adds an earlier timer gets
//! it to look again.
//!
//! ```text
//!          begin                break_if_later, break_poller
//!   IDLE ---------> POLLING ---------------------------------> BROKEN
//!    ^                 | begin, if there are descriptors         ^ |
//!    |                 v                                         | |
//!    |              ON_NET --------------------------------------+ |
//!    |                 |                                           |
//!    +-----------------+-------------------------------------------+
//!           end: says whether it was broken
//! ```
//! A program without descriptors waits on a futex: POLLING. With the first descriptor the kernel's
//! poll set is opened, and from then on pollers wait on that: ON_NET. The opener is like an adder:
//! it breaks a poller that sleeps on the futex.
//!
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
const ON_NET: u32 = 3;

/// The deadline of a poller that waits for descriptors only.
pub(crate) const FOREVER: i64 = i64::MAX;

/// The kernel's set of descriptors.
pub(crate) trait Net {
    /// Whether there is one.
    fn is_open(&self) -> bool;
    /// Ends the wait for descriptors that is under way, or the next one.
    fn wake(&self);
}

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

    /// Waits until the first timer is due, an earlier one is there, a descriptor is ready, or
    /// `stop` holds. `first`: the first deadline of all, [`FOREVER`] if somebody waits for
    /// descriptors only, 0 if there is nothing to wait for. `poll` waits for descriptors, at most
    /// so long (`None`: for ever); true if one is ready. The caller has a fence between giving up
    /// its P and this. False: the M may sleep, for nothing is to be waited for or another M does
    /// that.
    pub(crate) fn wait(
        &self,
        net: &impl Net,
        poll: impl FnMut(Option<i64>) -> bool,
        first: impl Fn() -> i64,
        stop: impl Fn() -> bool,
        now: impl Fn() -> i64,
    ) -> bool {
        while !self.begin(net) {
            // Another M polls; it may have looked before a timer of ours was there.
            let when = first();
            if when == 0 {
                self.break_if_forever(net);
                return false;
            }
            if self.break_if_later(net, when) {
                return false;
            }
        }
        let when = first();
        if when != 0 {
            self.block_until(poll, when, stop, now);
        }
        self.end() || when != 0
    }

    fn begin(&self, net: &impl Net) -> bool {
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
        if net.is_open() {
            // If it fails, it is broken already.
            // ORDERING: nothing is published with it
            let _ =
                self.state.compare_exchange(POLLING, ON_NET, Ordering::Relaxed, Ordering::Relaxed);
        }
        true
    }

    /// True: it was broken, and somebody relies on the caller to look again.
    fn end(&self) -> bool {
        // ORDERING: pairs with break_poller: what the breaker wrote is seen by the next look
        let broken = self.state.swap(IDLE, Ordering::AcqRel) == BROKEN;
        broken && !mutated("netpoll.end")
    }

    fn block_until(
        &self,
        mut poll: impl FnMut(Option<i64>) -> bool,
        when: i64,
        stop: impl Fn() -> bool,
        now: impl Fn() -> i64,
    ) {
        // ORDERING: an adder that still reads 0 breaks the poller for nothing
        self.until.store(when, Ordering::Relaxed);
        loop {
            let state = self.state.load(Ordering::Acquire); // ORDERING: pairs with break_poller
            if state == BROKEN || stop() {
                return;
            }
            let left = if when == FOREVER { None } else { Some(when.saturating_sub(now())) };
            if left.is_some_and(|left| left <= 0) {
                return;
            }
            let mut wait = |left| {
                if state == POLLING {
                    futex::wait(&self.state, POLLING, left);
                    false
                } else {
                    poll(left)
                }
            };
            let found = match left {
                Some(left) => futex::on_time(left, |left| wait(Some(left))),
                None => wait(None),
            };
            if found {
                return;
            }
        }
    }

    /// The word is neither POLLING nor ON_NET. False: because nobody polls.
    fn break_polling(&self, net: &impl Net) -> bool {
        loop {
            let state = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
            if state == BROKEN {
                return true;
            }
            if state == IDLE {
                return mutated("netpoll.gone");
            }
            // ORDERING: pairs with end; ordered after the caller's fence
            let r = self.state.compare_exchange(state, BROKEN, Ordering::AcqRel, Ordering::Relaxed);
            if r.is_err() {
                continue;
            }
            if mutated("netpoll.wake") {
            } else if state == POLLING {
                futex::wake(&self.state, 1);
            } else {
                net.wake();
            }
            return true;
        }
    }

    /// Wakes the poller, if there is one: `stop` has become true for it.
    pub(crate) fn break_poller(&self, net: &impl Net) {
        // ORDERING: between the reason of the break and the look for a poller; pairs with begin
        fence(Ordering::SeqCst);
        self.break_polling(net);
    }

    /// The set of descriptors was opened: nobody waits without it any more.
    pub(crate) fn opened(&self, net: &impl Net) {
        if !mutated("netpoll.open_fence") {
            // ORDERING: between the opening and the look for a poller; pairs with begin
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered by the fence
        if self.state.load(Ordering::Relaxed) == POLLING && !mutated("netpoll.opened") {
            self.break_polling(net);
        }
    }

    /// Whether somebody waits for descriptors: a hint.
    #[cfg(not(loom))]
    pub(crate) fn is_on_net(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ON_NET // ORDERING: a hint
    }

    /// Nothing is to be waited for any more: a poller that does so for ever is sent to sleep with
    /// the others, so that it counts as idle (sched/deadlock.rs).
    fn break_if_forever(&self, net: &impl Net) {
        // ORDERING: a hint: a poller that begins now looks for itself
        if self.until.load(Ordering::Relaxed) == FOREVER {
            self.break_polling(net);
        }
    }

    /// Wakes the poller if it would sleep beyond `when`. False: nobody polls, nobody will look.
    fn break_if_later(&self, net: &impl Net, when: i64) -> bool {
        // ORDERING: ordered after the caller's fence: no older than what this poller's begin stored
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 || until > when {
            return self.break_polling(net);
        }
        // ORDERING: ordered after the caller's fence: no older than what this poller's begin stored
        self.state.load(Ordering::Relaxed) != IDLE
    }

    /// The adder of a timer for `when`, after storing it. False: nobody polls; wake an M.
    #[inline]
    pub(crate) fn wakes_for(&self, net: &impl Net, when: i64) -> bool {
        if !mutated("netpoll.adder_fence") {
            // ORDERING: step 2; pairs with the fence in begin
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered by the fence
        self.state.load(Ordering::Relaxed) != IDLE && self.break_if_later(net, when)
    }
}
