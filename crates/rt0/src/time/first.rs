//! Whether goroutines that a timer or a descriptor has woken go ahead of those that are queued.
//!
//! A sleeper has waited for its time already, and a server for its client. Behind 256 goroutines
//! that compute for 5 ms each they would wait for a second more. (Go puts a sleeper in `runnext`,
//! where there is room for one.) But who wakes again and again, and computes each time, would
//! starve the others: so as many of the others as went back keep their places before the next.
//!
//! Among themselves those that were woken keep their order. A server whose requests take all of a
//! P's time finds the next ones ready before it is done with the last: if those went ahead, some
//! clients would be served again and again and the others wait for seconds. With one of the others
//! for each batch that wakes, a thousand connections had a p99 of 130 ms and a median of 3.

use crate::atomic::Word;

/// What may lie ahead of a sleeper.
const MOST_NS: u64 = 500_000;

/// The owner's (PP1).
pub(crate) struct First {
    /// When it was last asked, and how many goroutines had been started by then.
    asked: Word,
    tick: Word,
    /// How long those took that had run by then.
    each: Word,
    /// Until as many have been started, the queue begins with goroutines that keep their places:
    /// who was woken before, and those whom they went ahead of.
    owed: Word,
}

impl First {
    pub(crate) const fn new() -> First {
        First { asked: Word::new(0), tick: Word::new(0), each: Word::new(0), owed: Word::new(0) }
    }

    /// Somebody who was woken would come behind `others`. Ahead of all but how many of these to put
    /// it; `None`: behind all. `tick`: how many goroutines were started here so far.
    pub(crate) fn ahead(&self, others: usize, tick: u64, now: i64) -> Option<usize> {
        let each = self.each(tick, now);
        let owed = self.owed.get().saturating_sub(tick);
        let behind = (others as u64).saturating_sub(owed);
        (each.saturating_mul(behind) >= MOST_NS).then_some(owed as usize)
    }

    /// How long a goroutine took since this was last asked. If none was started since then: as
    /// long as before, or as long as the one that runs has taken meanwhile. One visit of g0 may ask
    /// twice, and what lies between is no goroutine's time.
    fn each(&self, tick: u64, now: i64) -> u64 {
        let now = now as u64;
        let (time, started) =
            (now.wrapping_sub(self.asked.get()), tick.wrapping_sub(self.tick.get()));
        self.asked.set(now);
        self.tick.set(tick);
        if started == 0 {
            return time.max(self.each.get());
        }
        self.each.set(time / started);
        time / started
    }

    /// Whether all of the `queued` keep their places and will probably have run within `ns`: so
    /// there is no hurry to see who else could be woken.
    pub(crate) fn are_soon_done(&self, queued: usize, tick: u64, now: i64, ns: u64) -> bool {
        let owed = self.owed.get().saturating_sub(tick);
        let all = self.each(tick, now).saturating_mul(queued as u64);
        queued > 0 && owed >= queued as u64 && all <= ns
    }

    /// `woken` were put ahead of all but `ahead` others.
    pub(crate) fn went_ahead(&self, woken: usize, ahead: usize, tick: u64) {
        self.owed.set(tick + (ahead + 2 * woken) as u64);
    }

    /// `woken` were queued behind `others`: if all of these keep their places, so do they.
    pub(crate) fn went_behind(&self, woken: usize, others: usize, tick: u64) {
        if self.owed.get().saturating_sub(tick) >= others as u64 {
            self.owed.set(tick + (others + woken) as u64);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::First;

    #[test]
    fn sleepers_go_first_where_the_others_take_long() {
        const SECOND: i64 = 1_000_000_000;
        let first = First::new();
        first.ahead(1, 0, SECOND);
        let ahead = |woken, tick, ms: i64| {
            let ahead = first.ahead(10, tick, SECOND + ms * 1_000_000);
            match ahead {
                Some(ahead) => first.went_ahead(woken, ahead, tick),
                None => first.went_behind(woken, 10, tick),
            }
            ahead
        };
        assert_eq!(ahead(1, 1_000_000, 1), None, "1 ns each");
        assert_eq!(ahead(1, 1_000_001, 6), Some(0), "5 ms each");
        assert_eq!(ahead(1, 1_000_002, 11), Some(1), "none of the others has run since");
        assert_eq!(ahead(3, 1_000_005, 26), Some(0));
        assert_eq!(ahead(1, 1_000_006, 31), Some(5), "two of the three, and three of the others");
        assert_eq!(ahead(20, 1_000_013, 66), Some(0));
        assert_eq!(ahead(1, 1_000_014, 71), None, "they are behind all who are owed");
    }

    #[test]
    fn who_asks_again_at_once_hears_the_same() {
        let first = First::new();
        first.ahead(1, 0, 1_000_000);
        let (tick, now) = (100, 11_000_000);
        assert!(!first.are_soon_done(100, tick, now, 4_000_000), "100 us each");
        assert_eq!(first.ahead(100, tick, now + 2_000), Some(0), "100 us each");
        // The one that runs now takes longer than the others.
        assert_eq!(first.ahead(1, tick, now + 602_000), Some(0));
        assert_eq!(first.ahead(4, tick + 6, now + 1_202_000), None, "100 us each");
        assert_eq!(first.ahead(4, tick + 6, now + 1_203_000), None, "100 us each");
        assert_eq!(first.ahead(5, tick + 6, now + 1_203_000), Some(0), "100 us each");
    }

    #[test]
    fn those_that_were_woken_keep_their_order() {
        // A hundred of 10 us each, and half as many more when half of them have run.
        let first = First::new();
        first.went_behind(100, 0, 0);
        for i in 1..100 {
            let (tick, now) = (i as u64 * 50, 1_000_000 + i * 500_000);
            assert_eq!(first.ahead(50, tick, now), None, "round {i}");
            first.went_behind(50, 50, tick);
        }
        let soon = |n, tick, us: i64| first.are_soon_done(n, tick, us * 1000, 1_000_000);
        assert!(soon(50, 5_000, 51_000), "10 us each");
        assert!(!soon(50, 5_000, 52_500), "nobody has run since");
        assert!(!soon(41, 5_010, 52_600), "one of them is owed nothing");
        assert!(soon(40, 5_010, 52_600));
        // But not those behind others.
        let first = First::new();
        first.went_behind(1, 0, 0);
        assert_eq!(first.ahead(3, 1, 1_000), None);
        first.went_behind(1, 3, 1);
        assert_eq!(first.ahead(4, 2, 1_001_000), Some(0));
    }
}
