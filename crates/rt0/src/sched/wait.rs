//! Waiting for one of several events: what channels, locks, timers and contexts are made of.
//!
//! Go: `sudog`, `selectDone`, proc.go `gopark` with a timer. The waiter takes a ticket
//! ([`Wait::begin`]), leaves it where its wakers look (a channel's queue, a context, a timer heap),
//! looks once more whether it has to wait at all, and either gives up ([`Wait::abort`]) or waits
//! ([`Wait::wait`]). A waker that takes a ticket out claims it; if that succeeds it hands over what
//! there is to hand over and wakes the waiter. g/ticket.rs has the protocol.
//!
//! The same for goroutines, which park, and for plain threads, which sleep on a futex.

use super::park::{goready, ready, wait_ticket};
use super::{enter, leave, p_of, runq::Place};
pub(crate) use crate::g::parker::Wait;
use crate::g::ticket::{FIRST_OP, TIMEOUT};
use crate::g::{G, Status, WaitReason};
use crate::m::M;
use crate::p::P;
use crate::sys::nanotime;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a waiter tells those who look at it.
#[derive(Clone, Copy)]
pub(crate) struct Why {
    pub(crate) reason: WaitReason,
    /// The address of what is waited for, or 0; of a [`Several`] for a select.
    pub(crate) on: usize,
}

impl Why {
    /// Of a wait that may be cancelled: like one with a deadline it is nobody's deadlock.
    pub(crate) fn that_may_end(self) -> Why {
        Why { on: self.on | crate::g::parker::TIMED, ..self }
    }
}

/// Words that lie at equal distances: the addresses of what a select waits for, each 0 if there is
/// nothing behind it. On the waiter's stack: debug/waits.rs reads it there.
#[repr(C)]
pub(crate) struct Several {
    pub(crate) first: *const usize,
    pub(crate) stride_bytes: usize,
    pub(crate) count: usize,
}

impl Wait {
    /// A new ticket for the code that runs now. Each must end in `wait` or in an `abort` that
    /// succeeds before the next `begin`.
    #[inline]
    pub(crate) fn begin() -> Wait {
        match crate::tls::getg() {
            Some(gp) => Wait::of(&gp.parker),
            None => Wait::of(&super::thread_parker::own().parker),
        }
    }

    /// The same for a goroutine of the runtime's, which has no block.
    pub(crate) fn begin_system(gp: &'static G) -> Wait {
        Wait::of(&gp.parker)
    }

    /// Wakes the waiter, once, after a successful claim; from anywhere.
    pub(crate) fn wake(self) {
        match self.parker.g() {
            Some(gp) if self.release() => goready(gp),
            Some(_) => {}
            None => {
                let runner = {
                    let _pin = crate::tls::pin::pin();
                    self.wake_other()
                };
                if let Some(runner) = runner {
                    runner.wake();
                }
            }
        }
    }

    /// Wakes what is no goroutine, after a successful claim: a plain thread, or what the runner is
    /// to do, which the caller has to wake then if it is returned.
    #[cold]
    fn wake_other(self) -> Option<Wait> {
        let Some(what) = self.parker.runs() else {
            self.parker.wake_thread();
            return None;
        };
        crate::time::fired::push(what).filter(|runner| runner.claim(FIRST_OP))
    }

    /// The same inside the runtime, on an M with a P.
    #[inline]
    pub(crate) fn wake_on(self, mp: &'static M) {
        match self.parker.g() {
            Some(gp) if self.release() => ready(mp, gp),
            Some(_) => {}
            None => {
                if let Some(runner) = self.wake_other() {
                    runner.wake_on(mp);
                }
            }
        }
    }

    /// Its deadline has come, on the P whose timers are being run: true if that woke it. Whether
    /// another M is to help is the caller's business.
    pub(crate) fn expire(self, pp: &'static P) -> bool {
        if !self.claim(TIMEOUT) {
            return false;
        }
        let Some(gp) = self.unpark() else { return false };
        crate::g::prefetch_context(gp);
        super::global_queue::runqput(pp, gp, Place::Tail);
        true
    }

    /// Wakes the waiter, once, after a successful claim, inside the runtime; a goroutine that
    /// is parked is the caller's to queue.
    pub(crate) fn unpark(self) -> Option<&'static G> {
        let Some(gp) = self.parker.g() else {
            return self.wake_other()?.unpark();
        };
        if !self.release() {
            return None;
        }
        gp.casgstatus(Status::Waiting, Status::Runnable);
        Some(gp)
    }

    /// Waits until it is claimed and woken, or until `deadline_ns` on the clock of `nanotime`;
    /// returns the claimer's operation, or `TIMEOUT`.
    pub(crate) fn wait(self, why: Why, deadline_ns: Option<i64>) -> usize {
        match self.parker.g() {
            Some(_) => {
                let Some((mp, gp)) = enter() else {
                    crate::throw::throw("wait: somebody else's ticket")
                };
                leave(self.wait_on(mp, gp, why, deadline_ns));
            }
            None => self.wait_thread(why, deadline_ns),
        }
        self.parker.ticket.op()
    }

    /// On a goroutine that has entered the runtime; returns with the count still raised.
    #[inline(always)]
    pub(crate) fn wait_on(
        self,
        mp: &'static M,
        gp: &'static G,
        why: Why,
        deadline_ns: Option<i64>,
    ) -> &'static M {
        let armed = deadline_ns.map(|when| {
            let pp = p_of(mp);
            if pp.timers.add(pp.id(), when, self) {
                crate::netpoll::wake_net_poller(when);
            }
            pp
        });
        self.parker.set_waits_on(why.on, deadline_ns.is_some());
        let mut mp = mp;
        if !self.parker.park.consume_only() {
            mp = wait_ticket(mp, gp, why.reason);
            self.parker.park.consume_only();
        }
        self.parker.waits_no_more();
        if let Some(pp) = armed
            && self.parker.ticket.op() != TIMEOUT
        {
            pp.timers.one_is_stale(pp.id());
        }
        mp
    }

    fn wait_thread(self, why: Why, deadline_ns: Option<i64>) {
        let own = super::thread_parker::own();
        own.set_reason(why.reason);
        self.parker.set_waits_on(why.on, deadline_ns.is_some());
        let woken = match deadline_ns {
            None => false,
            Some(when) => self.parker.key.wait_until(when) || self.claim(TIMEOUT),
        };
        // Else somebody has claimed it, or will, and the wake-up comes.
        if !woken {
            self.parker.key.wait();
        }
        self.parker.waits_no_more();
        own.set_reason(WaitReason::None);
    }
}

/// `nanotime` after `d`; `None` if that is beyond its range, so for ever.
pub(crate) fn after(d: Duration) -> Option<i64> {
    i64::try_from(d.as_nanos()).ok().and_then(|ns| nanotime().checked_add(ns))
}

/// `nanotime` at `at`; `None` if that is beyond its range. Not 0 nor less.
pub(crate) fn at(at: Instant) -> Option<i64> {
    exactly_at(at).map(|ns| ns.max(1))
}

/// The same, also for moments before the clock's zero. [`instant`] is its inverse.
pub(crate) fn exactly_at(at: Instant) -> Option<i64> {
    let (base, base_ns) = base();
    let ns = match at.checked_duration_since(base) {
        Some(later) => i128::from(base_ns) + later.as_nanos() as i128,
        None => i128::from(base_ns) - base.duration_since(at).as_nanos() as i128,
    };
    i64::try_from(ns).ok()
}

/// The moment at which `nanotime` is `ns`.
pub(crate) fn instant(ns: i64) -> Instant {
    let (base, base_ns) = base();
    let distance = Duration::from_nanos(ns.abs_diff(base_ns));
    let at = if ns < base_ns { base.checked_sub(distance) } else { base.checked_add(distance) };
    at.unwrap_or(base)
}

/// A moment, and the reading of `nanotime` at it.
fn base() -> (Instant, i64) {
    static BASE: OnceLock<(Instant, i64)> = OnceLock::new();
    *BASE.get_or_init(|| {
        let (before, base, after) = (nanotime(), Instant::now(), nanotime());
        let exact = reading(base).filter(|ns| (before..=after).contains(ns));
        // If std's clock is another one some day: nothing is early, and late by what lies between.
        (base, exact.unwrap_or(after))
    })
}

/// The reading of the monotonic clock that an `Instant` is made of. std does not tell it, but says
/// how far one can go back: to the second `i64::MIN`.
fn reading(at: Instant) -> Option<i64> {
    let back = |at: Instant, most: u64, unit: fn(u64) -> Duration| {
        let (mut far, mut too_far) = (0, most);
        while far + 1 < too_far {
            let middle = far + (too_far - far) / 2;
            match at.checked_sub(unit(middle)) {
                Some(_) => far = middle,
                None => too_far = middle,
            }
        }
        far
    };
    let secs = back(at, u64::MAX, Duration::from_secs);
    let nanos =
        back(at.checked_sub(Duration::from_secs(secs))?, 1_000_000_000, Duration::from_nanos);
    let secs = i64::try_from(secs.checked_sub(1 << 63)?).ok()?;
    secs.checked_mul(1_000_000_000)?.checked_add(i64::try_from(nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_tells_its_reading() {
        let (before, now, after) = (nanotime(), Instant::now(), nanotime());
        let ns = reading(now).expect("std's Instant is a timespec");
        assert!((before..=after).contains(&ns), "{before} {ns} {after}");
        assert_eq!(reading(now + Duration::from_nanos(1)), Some(ns + 1));
        assert_eq!(exactly_at(now), Some(ns));
    }

    #[test]
    fn moments_and_readings_are_the_same() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        for at in [now, now + hour, now.checked_sub(hour).unwrap_or(now)] {
            assert_eq!(exactly_at(at).map(instant), Some(at));
        }
        assert_eq!(exactly_at(instant(0)), Some(0));
        assert_eq!(now.checked_add(Duration::from_secs(1 << 62)).and_then(exactly_at), None);
    }
}
