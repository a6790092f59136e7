//! Channels that nobody sends on: `after`, `at`, `tick`, those of timers, a context's `done`.
//!
//! Go: time.go `After`, `Tick`, `sendTime`, and `timer.needsAdd`: a timer with a channel is in a
//! heap only while somebody waits for it. Here no timer runs at all: the message is made when it is
//! received, and who waits has a deadline of its own. So between waits such a channel is a few
//! words, and nothing in it is stale: a tick that nobody took has the time it was due, later ones
//! are skipped until somebody looks, and one that was stopped was never there. alarm.rs decides.
//!
//! # Invariants
//! * `CK1`: `alarm` is locked inside [`Here`], and no code of the user's runs meanwhile.

#![allow(unsafe_code, reason = "QU1: entries of those who wait")]

use super::alarm::{ALWAYS, Alarm, Kind, LAST, OFF};
use super::here::{Here, Until};
use super::queue::{Chain, Entry};
use super::shared::{Patience, Refused};
use crate::g::WaitReason;
use crate::g::parker::Wait;
use crate::g::ticket::{CANCELLED, FIRST_OP};
use crate::lock::mutex::{Guard, RtMutex};
use crate::lock::rank::Rank;
use crate::sched::wait::{self, Why};
use crate::sys::nanotime;
use core::ptr;
use std::time::{Duration, Instant};

pub(crate) struct Clocked {
    /// On the clock of nanotime.
    alarm: RtMutex<Alarm<Wait>>, // CK1
}

impl Clocked {
    fn new(next: i64, kind: Kind) -> Self {
        Clocked { alarm: RtMutex::new(Rank::Alarm, Alarm::new(next, kind)) }
    }

    /// One message at `when`.
    pub(crate) fn at(when: Instant) -> Self {
        Clocked::new(ns_at(when), Kind::Once)
    }

    /// One message after `d`.
    pub(crate) fn after(d: Duration) -> Self {
        Clocked::new(ns_after(d), Kind::Once)
    }

    /// A message every `period`.
    pub(crate) fn every(period: Duration) -> Self {
        Clocked::new(ns_after(period), kind_every(period))
    }

    /// Messages without end from `when` on, or from the moment that [`open`](Self::open) is called.
    pub(crate) fn latch(when: Option<Instant>) -> Self {
        Clocked::new(when.map_or(OFF, ns_at), Kind::Latch)
    }

    fn lock(&self, _here: &Here) -> Guard<'_, Alarm<Wait>> {
        self.alarm.lock()
    }

    /// When the next message is due, or [`OFF`].
    pub(crate) fn next_ns(&self) -> i64 {
        let here = Here::enter();
        self.lock(&here).next()
    }

    /// Whether a message is here.
    pub(crate) fn is_due(&self) -> bool {
        let here = Here::enter();
        self.lock(&here).is_due(nanotime)
    }

    /// Takes the message that is due.
    pub(crate) fn take(&self) -> Option<Instant> {
        let here = Here::enter();
        let due = self.lock(&here).take(nanotime)?;
        Some(wait::instant(due))
    }

    pub(crate) fn recv(&self, patience: &Patience<'_>) -> Result<Instant, Refused> {
        loop {
            if let Some(when) = self.take() {
                return Ok(when);
            }
            let until = patience.until().map_err(|()| Refused::TooLong)?;
            self.wait_once(until);
        }
    }

    /// Waits until a message may be due, or the patience over.
    fn wait_once(&self, until: Until<'_>) {
        let why = Why { reason: WaitReason::ChanReceive, on: ptr::from_ref(self) as usize };
        let why = why.that_may_end(); // whoever sets or stops it, or ends the context
        let mut here = Here::enter();
        let entry = Entry::new(here.begin(), FIRST_OP, ptr::null_mut());
        // SAFETY: QU1: taken out below, or by who claims it
        let Some(next) = (unsafe { self.lock(&here).wait(nanotime, &entry) }) else {
            entry.wait.abort();
            return;
        };
        let until = until.or_at(next);
        if until.wait(&mut here, entry.wait, why) != FIRST_OP {
            self.unregister(&here, &entry);
        }
    }

    /// Links the entry of a select, and says for when; `None`: a message is due.
    pub(crate) fn register(&self, here: &Here, e: &Entry<Wait>) -> Option<i64> {
        // SAFETY: QU1: the select unregisters before it returns
        unsafe { self.lock(here).wait(nanotime, e) }
    }

    /// Links the entry of one who looks again when a message is due at `next`; false if that is
    /// now, or at another time.
    pub(crate) fn register_at(&self, e: &Entry<Wait>, next: Option<i64>) -> bool {
        let here = Here::enter();
        let mut alarm = self.lock(&here);
        // SAFETY: QU1: the caller unregisters before the entry goes
        let linked = unsafe { alarm.wait(nanotime, e) };
        if linked.is_some() && linked != next {
            // SAFETY: it was linked here
            unsafe { alarm.leave(e) };
        }
        linked.is_some() && linked == next
    }

    /// Takes it out, if nobody has.
    pub(crate) fn unregister(&self, here: &Here, e: &Entry<Wait>) {
        // SAFETY: it was linked here
        unsafe { self.lock(here).leave(e) };
    }

    /// Waits as `here` does, or until this latch opens: `CANCELLED`, or `TIMEOUT` at its time. If
    /// it is open, it may still be that a waker was faster.
    pub(crate) fn wait_under(
        &self,
        here: &mut Here,
        wait: Wait,
        why: Why,
        deadline_ns: Option<i64>,
    ) -> usize {
        let entry = Entry::new(wait, CANCELLED, ptr::null_mut());
        let op = match self.enlist(here, &entry, deadline_ns) {
            Ok(until_ns) => here.wait(wait, why.that_may_end(), until_ns),
            Err(true) => return CANCELLED,
            Err(false) => return here.wait(wait, why, None),
        };
        if op != CANCELLED {
            self.unregister(here, &entry);
        }
        op
    }

    /// The same for a wait that is not `here`'s: `f` does it, outside the runtime.
    pub(crate) fn wait_outside(
        &self,
        wait: Wait,
        deadline_ns: Option<i64>,
        f: &mut dyn FnMut(Option<i64>) -> usize,
    ) -> usize {
        let entry = Entry::new(wait, CANCELLED, ptr::null_mut());
        let enlisted = self.enlist(&Here::enter(), &entry, deadline_ns);
        let op = match enlisted {
            Ok(until_ns) => f(until_ns),
            Err(true) => return CANCELLED,
            Err(false) => return f(None),
        };
        if op != CANCELLED {
            self.unregister(&Here::enter(), &entry);
        }
        op
    }

    /// Links the entry, and says until when to wait. `Err`: the latch is open; the ticket is
    /// claimed, or (false) somebody else's, whose wake-up comes. The caller keeps QU1: it takes the
    /// entry out, unless the operation is `CANCELLED`.
    fn enlist(
        &self,
        here: &Here,
        entry: &Entry<Wait>,
        deadline_ns: Option<i64>,
    ) -> Result<Option<i64>, bool> {
        // SAFETY: QU1: the caller
        match unsafe { self.lock(here).wait(nanotime, entry) } {
            Some(next) => {
                let until = Until { deadline_ns, latch: None }.or_at(next);
                Ok(until.deadline_ns)
            }
            None => Err(entry.wait.claim(CANCELLED)),
        }
    }

    fn set(&self, next: i64, kind: Kind) -> bool {
        let here = Here::enter();
        let mut chain = Chain::new();
        let was_on = self.lock(&here).set(next, kind, &mut chain);
        chain.wake_each(|w| here.wake(w));
        was_on
    }

    /// No more messages; true if one was to come.
    pub(crate) fn stop(&self) -> bool {
        self.set(OFF, Kind::Once)
    }

    /// One message at `when`, and no other; true if one was to come.
    pub(crate) fn set_at(&self, when: Instant) -> bool {
        self.set(ns_at(when), Kind::Once)
    }

    /// One message after `d`, and no other; true if one was to come.
    pub(crate) fn set_after(&self, d: Duration) -> bool {
        self.set(ns_after(d), Kind::Once)
    }

    /// Messages every `period` from now on.
    pub(crate) fn set_every(&self, period: Duration) {
        self.set(ns_after(period), kind_every(period));
    }

    /// Opens a latch now.
    pub(crate) fn open(&self) {
        self.set(ALWAYS, Kind::Latch);
    }
}

fn ns_at(when: Instant) -> i64 {
    wait::exactly_at(when).unwrap_or(LAST).min(LAST)
}

fn ns_after(d: Duration) -> i64 {
    wait::after(d).unwrap_or(LAST).min(LAST)
}

/// No ticks at all would be none; as often as one looks is what 0 means.
fn kind_every(period: Duration) -> Kind {
    Kind::Every(i64::try_from(period.as_nanos()).unwrap_or(LAST).max(1))
}

impl<'a> Until<'a> {
    /// Also at `ns`, if that is a time.
    pub(crate) fn or_at(self, ns: i64) -> Until<'a> {
        if ns >= LAST {
            return self;
        }
        Until { deadline_ns: Some(self.deadline_ns.map_or(ns, |own| own.min(ns))), ..self }
    }
}
