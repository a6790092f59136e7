//! Whether goroutines that a timer has woken go ahead of those that are queued.
//!
//! A sleeper has waited for its time already. Behind 256 goroutines that compute for 5 ms each it
//! would wait for a second more. (Go puts it in `runnext`, where there is room for one.) But who
//! wakes again and again, and computes each time, would starve the others: so at least one of
//! those runs between two times.

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

    /// `woken` are queued behind `others`. `tick`: how many goroutines were started here so far.
    pub(crate) fn goes(&self, woken: usize, others: usize, tick: u64, now: i64) -> bool {
        let now = now as u64;
        let each = now.wrapping_sub(self.asked.get()) / tick.wrapping_sub(self.tick.get()).max(1);
        self.asked.set(now);
        self.tick.set(tick);
        if tick < self.owed.get() || each.saturating_mul(others as u64) < MOST_NS {
            return false;
        }
        self.owed.set(tick + woken as u64 + 1);
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::First;

    #[test]
    fn sleepers_go_first_where_the_others_take_long() {
        const SECOND: i64 = 1_000_000_000;
        let first = First::new();
        first.goes(1, 1, 0, SECOND);
        let goes = |woken, tick, ms: i64| first.goes(woken, 10, tick, SECOND + ms * 1_000_000);
        assert!(!goes(1, 1_000_000, 1), "1 ns each");
        assert!(goes(1, 1_000_001, 6), "5 ms each");
        assert!(!goes(1, 1_000_002, 11), "none of the others has run since");
        assert!(goes(3, 1_000_003, 16));
        assert!(!goes(1, 1_000_006, 21), "the three");
        assert!(goes(1, 1_000_007, 26));
    }
}
