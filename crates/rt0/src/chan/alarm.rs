//! What a clocked channel decides under its lock: what is due, and who has to be told that this
//! changed.
//!
//! Go: time.go `timer.when`, `timer.modify`, `timer.stop`. Who waits for the alarm does so with the
//! deadline that it saw, and leaves an entry here, so that whoever changes the deadline gets it to
//! look again. Looking and linking are one step under the lock, and so are changing and claiming:
//! a change is seen, or sees the waiter.
//!
//! Times are nanoseconds on a clock of the caller's that is above 0.
//!
//! # Invariants
//! * `AL1`: an entry that is linked saw the present `next`, or one that a message has moved on
//!   since, so that its deadline comes no later than the next message.

use super::queue::{Chain, Entry, Outcome, Queue, Ticket};
use crate::atomic::mutated;

/// No message will come unless the alarm is set again.
pub(crate) const OFF: i64 = i64::MAX;
/// A moment that has passed, whatever the clock says.
pub(crate) const ALWAYS: i64 = 0;
/// The last moment: beyond it time does not go on.
pub(crate) const LAST: i64 = i64::MAX - 1;

/// What follows a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// None.
    Once,
    /// The next one, so much later.
    Every(i64),
    /// It stays: once due, always due.
    Latch,
}

pub(crate) struct Alarm<W> {
    next: i64,
    kind: Kind,
    waiters: Queue<W>, // AL1
}

impl<W: Ticket> Alarm<W> {
    pub(crate) const fn new(next: i64, kind: Kind) -> Self {
        Alarm { next, kind, waiters: Queue::new() }
    }

    /// When the next message is due, or [`OFF`].
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// `now` is asked only where it matters: to read the clock takes longer than all the rest.
    pub(crate) fn is_due(&self, now: impl FnOnce() -> i64) -> bool {
        self.next <= ALWAYS || self.next != OFF && self.next <= now()
    }

    /// Takes the message that is due: when it was.
    pub(crate) fn take(&mut self, now: impl Fn() -> i64) -> Option<i64> {
        if !self.is_due(&now) {
            return None;
        }
        let due = self.next;
        self.next = match self.kind {
            Kind::Once => OFF,
            Kind::Every(period) => next_tick(due, now(), period),
            Kind::Latch => due,
        };
        Some(due)
    }

    /// Links the entry of one who waits, and says for when; `None`: a message is due.
    ///
    /// # Safety
    /// As [`Queue::push`].
    #[allow(unsafe_code, reason = "QU1 is the caller's")]
    pub(crate) unsafe fn wait(&mut self, now: impl FnOnce() -> i64, e: &Entry<W>) -> Option<i64> {
        if self.is_due(now) && !mutated("alarm.look") {
            return None;
        }
        // SAFETY: the caller's contract
        unsafe { self.waiters.push(e) };
        Some(self.next)
    }

    /// Takes an entry out, if nobody has.
    ///
    /// # Safety
    /// As [`Queue::remove`].
    #[allow(unsafe_code, reason = "QU1 is the caller's")]
    pub(crate) unsafe fn leave(&mut self, e: &Entry<W>) {
        // SAFETY: the caller's contract
        unsafe { self.waiters.remove(e) };
    }

    /// Sets it; true if a message was to come. Those who wait are in `chain`: to look again.
    pub(crate) fn set(&mut self, next: i64, kind: Kind, chain: &mut Chain<W>) -> bool {
        let was_on = self.next != OFF;
        self.next = next;
        self.kind = kind;
        if !mutated("alarm.set") {
            self.waiters.claim_all(Outcome::Retry, chain);
        }
        was_on
    }

    /// Whether nobody waits.
    #[cfg(loom)]
    pub(crate) fn is_deserted(&self) -> bool {
        self.waiters.is_empty()
    }
}

/// On time, or late by less than a period: the ticks keep their rhythm. Later: the next one is a
/// period from now, so that a slow receiver loses ticks instead of getting them all at once.
fn next_tick(due: i64, now: i64, period: i64) -> i64 {
    let from = if now.saturating_sub(due) < period { due } else { now };
    from.saturating_add(period).min(LAST)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Nobody waits in these tests.
    #[derive(Clone, Copy)]
    struct Nobody;

    impl Ticket for Nobody {
        fn claim(self, _: usize) -> bool {
            false
        }
        fn is_waiting(self) -> bool {
            false
        }
        fn same(self, _: Self) -> bool {
            false
        }
    }

    fn alarm(next: i64, kind: Kind) -> Alarm<Nobody> {
        Alarm::new(next, kind)
    }

    #[test]
    fn one_message_comes_once_and_not_before_its_time() {
        let mut a = alarm(10, Kind::Once);
        assert_eq!(a.take(|| 9), None);
        assert_eq!(a.take(|| 10), Some(10));
        assert_eq!((a.take(|| i64::MAX), a.next()), (None, OFF));
    }

    #[test]
    fn ticks_keep_their_rhythm_and_late_ones_are_skipped() {
        let mut a = alarm(10, Kind::Every(10));
        assert_eq!(a.take(|| 19), Some(10));
        assert_eq!((a.take(|| 19), a.next()), (None, 20));
        assert_eq!(a.take(|| 57), Some(20));
        assert_eq!((a.take(|| 57), a.next()), (None, 67));
        let mut far = alarm(LAST - 1, Kind::Every(i64::MAX));
        assert_eq!((far.take(|| LAST), far.next()), (Some(LAST - 1), LAST));
    }

    #[test]
    fn a_latch_stays() {
        let mut a = alarm(OFF, Kind::Latch);
        assert_eq!(a.take(|| i64::MAX), None);
        assert!(!a.set(-5, Kind::Latch, &mut Chain::new()));
        assert_eq!((a.take(|| 0), a.take(|| 1)), (Some(-5), Some(-5)));
    }

    #[test]
    fn setting_says_whether_a_message_was_to_come() {
        let mut a = alarm(10, Kind::Once);
        assert!(a.set(20, Kind::Once, &mut Chain::new()));
        assert!(a.set(OFF, Kind::Once, &mut Chain::new()));
        assert!(!a.set(LAST, Kind::Once, &mut Chain::new()));
        assert!(a.set(OFF, Kind::Once, &mut Chain::new()), "the end of time is to come");
    }
}
