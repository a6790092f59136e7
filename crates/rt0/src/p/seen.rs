//! Since when an observer has seen the same.

use crate::atomic::Word;

/// The observer's own.
pub(crate) struct Seen {
    what: Word,
    when: Word,
}

impl Seen {
    pub(crate) const fn new() -> Seen {
        Seen { what: Word::new(0), when: Word::new(0) }
    }

    /// For how many ns it has been `what`, which is not 0; `None`: it was not at the last look.
    pub(crate) fn since(&self, what: u64, now: i64) -> Option<i64> {
        if self.what.get() == what {
            return Some(now - self.when.get() as i64);
        }
        self.what.set(what);
        self.when.set(now as u64);
        None
    }

    /// It is nothing that matters now.
    pub(crate) fn forget(&self) {
        self.what.set(0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Seen;

    #[test]
    fn it_counts_from_the_first_look_at_the_same() {
        let seen = Seen::new();
        assert_eq!(seen.since(1, 10), None);
        assert_eq!(seen.since(1, 30), Some(20));
        assert_eq!(seen.since(2, 40), None);
        assert_eq!(seen.since(1, 50), None);
        seen.forget();
        assert_eq!(seen.since(1, 60), None);
        assert_eq!(seen.since(1, 61), Some(1));
    }
}
