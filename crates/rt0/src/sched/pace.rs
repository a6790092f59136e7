//! How long sysmon waits between two rounds.
//!
//! Go: proc.go `sysmon`: 20 µs, doubled after 50 rounds without a finding, at most 10 ms.
//!
//! A round costs little, but to be woken for it costs a timer's interrupt and two switches of
//! threads, some 15 µs together on a virtual machine. Where every P is busy it takes them from a
//! goroutine, and a server that never blocks needs none of it. Who does block is to be found soon
//! all the same. So the pause depends on how long nobody was found to keep a P from others: a
//! sixty-fourth of that. Whoever begins to do so after a time `t` is found `t / 64` late once, and
//! from then on as soon as before: the time lost to late findings stays below two hundredths.
//! Marked calls are not even late once: whoever begins one ends a long pause ([`call_begins`]).

use crate::atomic::{AtomicU32, Ordering};
use crate::sys::futex;

/// First and longest pause while nobody has to be found soon.
const MIN_NS: i64 = 20_000;
const MAX_NS: i64 = 1_000_000;
/// How many rounds without a finding pass before the pause is doubled.
const EAGER_ROUNDS: u32 = 10;
/// While an M runs and others wait, rounds stay this close, so that a blocked thread costs 1 ms.
const BUSY_NS: i64 = 500_000;
/// The longest pause at which nobody was found for long, and its share of that time.
const CALM_NS: i64 = 4_000_000;
const CALM_SHARE: i64 = 64;

/// 1: sysmon is in a pause that ends when somebody begins a marked call.
static NAPS: AtomicU32 = AtomicU32::new(0);

/// What a round has found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Found {
    Nothing,
    /// Somebody is in a call, or has not switched since the last round: he may have to be helped.
    Somebody,
    /// A P was taken.
    P,
}

/// What there is to be done meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Load {
    /// Goroutines wait in queues, or are held back, or are due soon.
    pub(super) waits: bool,
    /// No P idles, and nobody runs without one.
    pub(super) is_full: bool,
    /// Until when nobody has to look after the timers.
    pub(super) until: i64,
}

pub(super) struct Pace {
    /// Since a P was taken.
    rounds: u32,
    pause: i64,
    /// When somebody was last found.
    found: i64,
    /// A question to an M is to be followed up.
    asked: bool,
    /// The last pause was a share of the time without a finding.
    was_long: bool,
}

impl Pace {
    pub(super) const fn new(now: i64) -> Pace {
        Pace { rounds: 0, pause: MIN_NS, found: now, asked: false, was_long: false }
    }

    /// What the round that ends has found, and whether it has asked somebody for something.
    pub(super) fn found(&mut self, what: Found, asked: bool, now: i64) {
        self.asked = asked;
        if what != Found::Nothing {
            self.found = now;
        }
        if what == Found::P {
            self.hurry();
        } else {
            self.rounds = self.rounds.saturating_add(1);
        }
    }

    /// Everything may be different now.
    pub(super) fn hurry(&mut self) {
        (self.rounds, self.pause) = (0, MIN_NS);
    }

    /// Whether the last pause was longer than it is while somebody may have to be found.
    pub(super) fn was_long(&self) -> bool {
        self.was_long
    }

    /// How long to wait for the next round.
    fn next(&mut self, now: i64, load: Load) -> i64 {
        if self.rounds > EAGER_ROUNDS {
            self.pause = (self.pause * 2).min(MAX_NS);
        }
        let is_near = load.waits || self.asked;
        let pause = if is_near { self.pause.min(BUSY_NS) } else { self.pause };
        let calm = ((now - self.found) / CALM_SHARE).min(CALM_NS).min(load.until - now);
        self.was_long = load.is_full && !self.asked && self.pause >= BUSY_NS && calm > pause;
        if self.was_long { calm } else { pause }
    }

    /// Waits for the next round.
    pub(super) fn wait(&mut self, now: i64, load: Load) {
        let pause = self.next(now, load);
        if !self.was_long {
            return super::sysmon::usleep(pause);
        }
        NAPS.store(1, Ordering::Relaxed); // ORDERING: a hint: who misses it is found at the end
        futex::wait(&NAPS, 1, Some(futex::less_slack(pause)));
        // ORDERING: a hint
        if NAPS.swap(0, Ordering::Relaxed) == 0 {
            self.found = now;
        }
    }
}

/// Ends a long pause: a goroutine begins a call that may last.
#[inline]
pub(super) fn call_begins() {
    // ORDERING: a hint: if it is missed, sysmon comes at the end of its pause
    if NAPS.load(Ordering::Relaxed) != 0 {
        end_nap();
    }
}

#[cold]
fn end_nap() {
    // ORDERING: a hint, as above; one of several wakes it
    if NAPS.swap(0, Ordering::Relaxed) != 0 {
        futex::wake(&NAPS, 1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const HOUR: i64 = 3_600_000 * MS;
    const BUSY: Load = Load { waits: true, is_full: true, until: i64::MAX };

    /// After rounds without a finding, up to `now`.
    fn calm(now: i64) -> Pace {
        let mut pace = Pace::new(0);
        for _ in 0..30 {
            pace.found(Found::Nothing, false, now);
            pace.next(now, BUSY);
        }
        pace
    }

    #[test]
    fn a_pause_is_a_share_of_the_time_without_a_finding() {
        for (since, pause) in [(0, 500_000), (32 * MS, 500_000), (64 * MS, MS), (128 * MS, 2 * MS)]
        {
            assert_eq!(calm(since).next(since, BUSY), pause, "after {since} ns");
        }
        assert_eq!(calm(HOUR).next(HOUR, BUSY), CALM_NS);
    }

    #[test]
    fn who_is_found_makes_it_short() {
        let now = 1000 * MS;
        let mut pace = calm(now);
        pace.found(Found::Somebody, false, now);
        assert_eq!(pace.next(now, BUSY), BUSY_NS);
        assert_eq!(pace.next(now + 16 * MS, BUSY), BUSY_NS);
        assert_eq!(pace.next(now + 96 * MS, BUSY), 96 * MS / CALM_SHARE);
        pace.found(Found::P, false, now + 96 * MS);
        for _ in 0..=EAGER_ROUNDS {
            assert_eq!(pace.next(now + 1000 * MS, BUSY), MIN_NS);
            pace.found(Found::Nothing, false, now + 1000 * MS);
        }
        assert_eq!(pace.next(now + 1000 * MS, BUSY), 2 * MIN_NS);
    }

    #[test]
    fn a_pause_is_short_where_it_has_to_be() {
        let now = 1000 * MS;
        let mut pace = calm(now);
        let with = |load| calm(now).next(now, load);
        assert_eq!(with(Load { is_full: false, ..BUSY }), BUSY_NS, "an idle P may help");
        let idle = Load { waits: false, is_full: false, until: i64::MAX };
        assert_eq!(with(idle), MAX_NS);
        assert_eq!(with(Load { until: now + 2 * MS, ..BUSY }), 2 * MS, "a timer");
        assert_eq!(with(Load { until: now - 2 * MS, ..BUSY }), BUSY_NS, "a late one");
        assert_eq!(with(Load { waits: false, ..BUSY }), CALM_NS);
        pace.found(Found::Nothing, true, now);
        assert_eq!(pace.next(now, BUSY), BUSY_NS, "it has asked somebody");
    }
}
