//! Channels that nobody sends on: `after`, `at`, `tick`.
//!
//! Go: time.go `After`, `Tick`, `sendTime`. The message is made when it is received: between waits
//! such a channel is two words and no timer runs for it. So nothing is stale either: a tick that
//! nobody took has the time it was due, later ones are skipped until somebody looks.
//!
//! Times are nanoseconds after the moment that the channel was made.

use crate::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// No message will come any more.
const NEVER: i64 = i64::MAX;

/// What to do about a message.
pub(crate) enum Due {
    /// It is here.
    Now(Instant),
    /// Not before; `None`: never.
    Later(Option<Instant>),
}

pub(crate) struct Clocked {
    start: Instant,
    /// When the next message is due.
    next: AtomicI64,
    /// Between messages; 0: there is one only.
    period: i64,
}

impl Clocked {
    /// One message at `when`.
    pub(crate) fn at(when: Instant) -> Self {
        Clocked { start: when, next: AtomicI64::new(0), period: 0 }
    }

    /// A message every `period`; `None` if that is longer than time goes on.
    pub(crate) fn every(period: Duration) -> Option<Self> {
        let ns = i64::try_from(period.as_nanos()).ok()?;
        let start = Instant::now();
        start.checked_add(period)?;
        // No ticks at all would be none; as often as one looks is what 0 means.
        Some(Clocked { start, next: AtomicI64::new(ns), period: ns.max(1) })
    }

    fn time(&self, ns: i64) -> Option<Instant> {
        if ns == NEVER {
            return None;
        }
        self.start.checked_add(Duration::from_nanos(ns as u64))
    }

    /// When the next message is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.time(self.next.load(Ordering::Relaxed)) // ORDERING: one word, nothing with it
    }

    /// Whether a message is here.
    pub(crate) fn is_due(&self) -> bool {
        self.next().is_some_and(|when| when <= Instant::now())
    }

    /// Takes the message that is due.
    pub(crate) fn take(&self) -> Due {
        loop {
            let next = self.next.load(Ordering::Relaxed); // ORDERING: the exchange decides
            let Some(when) = self.time(next) else { return Due::Later(None) };
            let now = Instant::now();
            if now < when {
                return Due::Later(Some(when));
            }
            let after = match self.period {
                0 => NEVER,
                period => next_tick(next, now.duration_since(self.start), period),
            };
            // ORDERING: one word, nothing with it
            let r = self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed);
            if r.is_ok() {
                return Due::Now(when);
            }
        }
    }
}

/// On time, or late by less than a period: the ticks keep their rhythm. Later: the next one is a
/// period from now, so that a slow receiver loses ticks instead of getting them all at once.
fn next_tick(due: i64, now: Duration, period: i64) -> i64 {
    let now = i64::try_from(now.as_nanos()).unwrap_or(NEVER);
    let from = if now.saturating_sub(due) < period { due } else { now };
    from.saturating_add(period)
}
