//! Whether the goroutines that timers have readied at once are worth another M.
//!
//! To wake a thread costs this one some 5 µs and that one as much again. A ticker that looks at a
//! clock and sleeps on takes a tenth of that, so ten of them are better run one after the other.
//! How long such goroutines take is not known, but how long the last ones took is: each P measures
//! its batches, from the moment they are readied to the one where its queue is empty. Where that
//! was wrong, and the first of a batch computes, sysmon sees goroutines waiting beside an idle P
//! within a millisecond.

use crate::atomic::Word;
use crate::sys::nanotime;

/// A batch that is expected to take longer gets help: some times what the help costs, so that a
/// thousand tickers, whose batches take 10 to 20 µs, are one thread's.
const WORTH_A_WAKE_NS: u64 = 30_000;

/// The owner's (PP1).
pub(crate) struct Batch {
    /// Of the batch that runs now: when it was readied, how many; 0: none.
    since: Word,
    n: Word,
    /// What one of the earlier ones took.
    ns_each: Word,
}

impl Batch {
    pub(crate) const fn new() -> Batch {
        Batch { since: Word::new(0), n: Word::new(0), ns_each: Word::new(WORTH_A_WAKE_NS) }
    }

    /// `n` were readied. True if another M should help.
    pub(crate) fn begin(&self, n: usize) -> bool {
        self.begin_at(n, nanotime)
    }

    /// The same, where the clock was read just now.
    pub(crate) fn begin_at(&self, n: usize, now: impl FnOnce() -> i64) -> bool {
        if self.n.get() == 0 {
            self.since.set(now() as u64);
        }
        self.n.set(self.n.get() + n as u64);
        n > 1 && self.n.get() * self.ns_each.get() > WORTH_A_WAKE_NS
    }

    /// Whether what is queued is a batch that needs no help.
    pub(crate) fn is_short(&self) -> bool {
        self.n.get() > 0 && self.n.get() * self.ns_each.get() <= WORTH_A_WAKE_NS
    }

    /// The queue is empty.
    #[inline]
    pub(crate) fn end(&self) {
        let n = self.n.get();
        if n == 0 {
            return;
        }
        let each = (nanotime() as u64).saturating_sub(self.since.get()) / n;
        let old = self.ns_each.get();
        // What takes longer than thought is believed at once.
        self.ns_each.set(if each > old { each } else { (3 * old + each) / 4 });
        self.n.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_batches_get_no_help_once_they_are_known() {
        let b = Batch::new();
        assert!(b.begin(2), "nothing is known yet");
        b.end();
        for _ in 0..100 {
            b.begin(10);
            b.end();
        }
        assert!(!b.begin(3));
        std::thread::sleep(std::time::Duration::from_millis(1));
        b.end();
        assert!(b.begin(2), "the last one took long");
        b.end();
        assert!(!b.begin(1), "one needs no help");
    }
}
