//! Whether goroutines that a timer or a descriptor has woken go ahead of those that are queued.
//!
//! A sleeper has waited for its time already, and a server for its client. Behind 256 goroutines
//! that compute for 5 ms each they would wait for a second more. (Go puts a sleeper in `runnext`,
//! where there is room for one.) But who wakes again and again, and computes each time, would
//! starve the others: so between those that wake at one time and those that wake at the next, one
//! of the others keeps its place.

use crate::atomic::Word;

/// What may lie ahead of a sleeper.
const MOST_NS: u64 = 500_000;

/// The owner's (PP1).
pub(crate) struct First {
    /// When it was last asked, and how many goroutines had been started by then.
    asked: Word,
    tick: Word,
    /// When as many have been started, one of the others was among them.
    owed: Word,
}

impl First {
    pub(crate) const fn new() -> First {
        First { asked: Word::new(0), tick: Word::new(0), owed: Word::new(0) }
    }

    /// `woken` are queued behind `others`. How many of these they go behind at most; `None`: behind
    /// all. `tick`: how many goroutines were started here so far.
    pub(crate) fn ahead(&self, woken: usize, others: usize, tick: u64, now: i64) -> Option<usize> {
        let now = now as u64;
        let each = now.wrapping_sub(self.asked.get()) / tick.wrapping_sub(self.tick.get()).max(1);
        self.asked.set(now);
        self.tick.set(tick);
        let owed = self.owed.get().saturating_sub(tick);
        let behind = (others as u64).saturating_sub(owed);
        if each.saturating_mul(behind) < MOST_NS {
            return None;
        }
        self.owed.set(tick + owed + woken as u64 + 1);
        Some(owed as usize)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::First;

    #[test]
    fn sleepers_go_first_where_the_others_take_long() {
        const SECOND: i64 = 1_000_000_000;
        let first = First::new();
        first.ahead(1, 1, 0, SECOND);
        let ahead = |woken, tick, ms: i64| first.ahead(woken, 10, tick, SECOND + ms * 1_000_000);
        assert_eq!(ahead(1, 1_000_000, 1), None, "1 ns each");
        assert_eq!(ahead(1, 1_000_001, 6), Some(0), "5 ms each");
        assert_eq!(ahead(1, 1_000_002, 11), Some(1), "none of the others has run since");
        assert_eq!(ahead(3, 1_000_005, 26), Some(0));
        assert_eq!(ahead(1, 1_000_006, 31), Some(3), "two of the three, and one of the others");
        assert_eq!(ahead(20, 1_000_011, 56), Some(0));
        assert_eq!(ahead(1, 1_000_012, 61), None, "they are behind all who are owed");
    }
}
