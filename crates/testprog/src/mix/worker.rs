//! What a goroutine of the mix has, and what a kind is.

use std::thread::{self, ThreadId};

/// What one goroutine keeps from round to round.
pub(crate) struct Worker {
    /// Its number among all.
    pub(crate) index: usize,
    /// Rounds that it has finished.
    pub(crate) rounds: u64,
    /// What `thread::current` said at first.
    pub(crate) thread: ThreadId,
    /// Something to compute with: never the same in two rounds.
    pub(crate) x: u64,
}

impl Worker {
    /// On the goroutine itself.
    pub(crate) fn new(index: usize) -> Worker {
        Worker { index, rounds: 0, thread: thread::current().id(), x: index as u64 + 1 }
    }

    /// The next number of a generator that lives in registers.
    pub(crate) fn next(&mut self) -> usize {
        self.x = self.x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.x >> 20) as usize
    }
}

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// One round, from a few microseconds to a few milliseconds. It fails by a panic.
    pub(crate) round: fn(&mut Worker),
    /// Why it cannot run here, if so.
    pub(crate) skip: fn() -> Option<String>,
}

impl Kind {
    pub(crate) const fn new(name: &'static str, round: fn(&mut Worker)) -> Kind {
        Kind { name, round, skip: || None }
    }

    pub(crate) const fn unless(self, skip: fn() -> Option<String>) -> Kind {
        Kind { skip, ..self }
    }
}
