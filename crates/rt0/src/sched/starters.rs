//! Whether those that a starter let run (let_run.rs) were slow, and what follows.
//!
//! The clock says how long the starter was kept, not by whom. Mostly it was those that ran. But now
//! and then the kernel gave the CPU to another thread, or the machine's host to another machine, or
//! the first use of a stack needed a page. That hits one round in a hundred, even where other
//! programs want the CPU as well; a program whose goroutines are slow is slow in nearly every
//! round. So rounds are counted: one that was slow costs a strike, one that was not takes a strike
//! away, and what follows a slow one depends on how many strikes there were before it.
//!
//! The first is followed by nothing but more care: so many run one by one that a slow one is among
//! them, if there are some, and that ends the round. Then the starter is left alone for as long as
//! it was kept, then for ten times as long, then for a hundred.
//!
//! Rejected: time of the thread's CPU instead of the clock. It knows nothing of those that sleep in
//! a lock of the C library's. Counting the kernel's switches: two system calls a round.

use crate::atomic::Word;

/// How many run one by one in a round without strikes; with each strike four times as many.
const PROBES: u32 = 4;
const MOST_PROBES: u32 = 128;
/// What one of them may take, on the average over [`PROBES`] or more.
const PROBE_NS: i64 = 25_000;
/// What a whole round may take: half of a slice.
const ROUND_NS: i64 = 5_000_000;
/// For how many times what it was kept the starter is left alone, by strikes before.
const LEFT_ALONE: [i64; 4] = [0, 1, 10, 100];
/// One that takes no longer, with its switches and the look at the clock, does next to nothing:
/// another P would take as long to fetch its lines.
const BRIEF_NS: i64 = 300;

/// What a P remembers of its starters. Owner.
pub(crate) struct Starters {
    strikes: Word,
    alone_until: Word,
}

/// A round: some run one by one, and then the others.
pub(super) struct Round {
    begin: i64,
    now: i64,
    /// How often the P has switched: twice for each that ran, more if they woke others.
    switches: u64,
    /// In how many of them nobody took long.
    brief: u64,
}

impl Starters {
    pub(crate) const fn new() -> Self {
        Starters { strikes: Word::new(0), alone_until: Word::new(0) }
    }

    /// `None`: the starter is left alone.
    pub(super) fn begin(&self, now: i64) -> Option<Round> {
        let alone = now < self.alone_until.get() as i64;
        (!alone).then_some(Round { begin: now, now, switches: 0, brief: 0 })
    }

    /// How many run one by one.
    pub(super) fn probes(&self) -> u32 {
        (PROBES << (2 * self.strikes.get())).min(MOST_PROBES)
    }

    /// The round was not slow.
    pub(super) fn was_fast(&self) {
        self.strikes.set(self.strikes.get().saturating_sub(1));
    }

    pub(super) fn was_slow(&self, round: &Round) {
        let strikes = self.strikes.get();
        let alone = (round.now - round.begin) * LEFT_ALONE[strikes as usize];
        self.alone_until.set((round.now + alone) as u64);
        self.strikes.set((strikes + 1).min(LEFT_ALONE.len() as u64 - 1));
    }
}

impl Round {
    /// One has run, until `now`, in so many switches. False: the round was slow, and ends.
    pub(super) fn one_ran(&mut self, now: i64, switches: u64) -> bool {
        if 2 * (now - self.now) <= BRIEF_NS * switches as i64 {
            self.brief += switches;
        }
        self.switches += switches;
        self.now = now;
        let ran = (self.switches / 2).max(u64::from(PROBES));
        now - self.begin <= PROBE_NS * ran as i64
    }

    /// All have run. False: the round was slow.
    pub(super) fn all_ran(&mut self, now: i64) -> bool {
        self.now = now;
        now - self.begin <= ROUND_NS
    }

    /// When the last one had run.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// Whether most of those that ran one by one were brief, and so many of them as `ended`.
    pub(super) fn ended_soon(&self, ended: u64) -> bool {
        2 * self.brief > self.switches && 4 * ended > self.switches
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const FAST_NS: i64 = 150;
    const START_NS: i64 = 13_000;
    const RING: u32 = 224;

    /// A starter, its P's starters, and how long what it starts takes.
    struct Starter {
        starters: Starters,
        now: i64,
        /// How long it was kept, and left alone.
        kept: i64,
        alone: i64,
    }

    impl Starter {
        fn new() -> Starter {
            Starter { starters: Starters::new(), now: 1_000_000_000, kept: 0, alone: 0 }
        }

        /// Fills the ring and lets it run as let_run.rs does. Whether it did.
        fn round(&mut self, takes: &mut dyn FnMut() -> i64) -> bool {
            self.now += START_NS;
            let Some(mut round) = self.starters.begin(self.now) else {
                self.alone += START_NS;
                return false;
            };
            let (begin, probes) = (self.now, self.starters.probes());
            let mut fast = true;
            for _ in 0..probes {
                self.now += takes();
                fast = round.one_ran(self.now, 2);
                if !fast {
                    break;
                }
            }
            if fast {
                self.now += (probes..RING).map(|_| takes()).sum::<i64>();
                fast = round.all_ran(self.now);
            }
            if fast {
                self.starters.was_fast()
            } else {
                self.starters.was_slow(&round)
            }
            self.kept += self.now - begin;
            true
        }

        fn rounds(&mut self, n: u32, mut takes: impl FnMut() -> i64) {
            for _ in 0..n {
                self.round(&mut takes);
            }
        }

        /// What it was kept of all the time that it wanted.
        fn share_kept(&self) -> f64 {
            self.kept as f64 / (self.now - 1_000_000_000) as f64
        }
    }

    /// `FAST_NS`, but for every `n`th, which takes `ns`.
    fn every(n: u64, ns: i64) -> impl FnMut() -> i64 {
        let mut i = 0;
        move || {
            i += 1;
            if i % n == 0 { ns } else { FAST_NS }
        }
    }

    #[test]
    fn fast_ones_always_run() {
        let mut starter = Starter::new();
        starter.rounds(10_000, || FAST_NS);
        assert_eq!(starter.alone, 0);
    }

    #[test]
    fn one_preemption_is_followed_by_more_care_only() {
        for at in [1, 4, 100] {
            let (mut starter, mut i) = (Starter::new(), 0);
            let mut takes = || {
                i += 1;
                if i == at { 30_000_000 } else { FAST_NS }
            };
            assert!(starter.round(&mut takes));
            assert_eq!(starter.starters.probes(), 4 * PROBES);
            assert!(starter.round(&mut takes), "it is not left alone");
            assert_eq!(starter.starters.probes(), PROBES);
        }
    }

    #[test]
    fn preemptions_of_a_busy_machine_leave_no_starter_alone() {
        // 3 ms of running, 30 ms of waiting: one round in 65 is hit.
        let mut starter = Starter::new();
        starter.rounds(10_000, every(3_000_000 / 200, 30_000_000));
        assert_eq!(starter.alone, 0);
    }

    #[test]
    fn a_first_wave_on_fresh_stacks_is_not_slow() {
        let mut starter = Starter::new();
        starter.rounds(100, || 5_000);
        assert_eq!((starter.alone, starter.starters.probes()), (0, PROBES));
        // Nor with a machine that is busy as well, where a page may take the kernel long.
        starter.rounds(100, every(1000, 3_000_000));
        assert_eq!(starter.alone, 0);
    }

    #[test]
    fn who_starts_slow_ones_is_kept_for_a_hundredth() {
        for slow in [200_000, 1_000_000, 10_000_000] {
            let mut starter = Starter::new();
            starter.rounds(4, || slow);
            assert!(starter.kept <= 4 * slow, "at first by one of them in each round");
            starter.rounds(3_000_000, || slow);
            assert!(starter.share_kept() < 0.02, "{slow}: {}", starter.share_kept());
        }
    }

    #[test]
    fn who_starts_some_slow_ones_is_kept_little() {
        let mut starter = Starter::new();
        starter.rounds(3_000_000, every(20, 2_000_000));
        assert!(starter.share_kept() < 0.05, "{}", starter.share_kept());
    }

    #[test]
    fn slow_ones_that_become_fast_run_again() {
        let mut starter = Starter::new();
        starter.rounds(100_000, || 1_000_000);
        assert_eq!(starter.starters.probes(), MOST_PROBES);
        starter.rounds(100_000, || FAST_NS);
        assert_eq!(starter.starters.probes(), PROBES);
        let alone = starter.alone;
        starter.rounds(100_000, || FAST_NS);
        assert_eq!(starter.alone, alone);
    }

    #[test]
    fn those_that_wake_others_are_not_slow_for_that() {
        // The first one's consumer goes ahead of the starter, and with it the whole ring.
        let starters = Starters::new();
        let mut round = starters.begin(1).expect("it is not left alone");
        assert!(round.one_ran(100_001, 1000));
        assert!(round.ended_soon(500), "200 ns each");
    }

    #[test]
    fn what_waits_has_not_ended_soon() {
        let begin = || Starters::new().begin(1).expect("it is not left alone");
        let of = |takes: [i64; 4], ended| {
            let (mut round, mut now) = (begin(), 1);
            for ns in takes {
                now += ns;
                round.one_ran(now, 2);
            }
            round.ended_soon(ended)
        };
        assert!(of([FAST_NS; 4], 4));
        assert!(of([FAST_NS, 90_000, FAST_NS, FAST_NS], 4), "one was preempted");
        assert!(!of([FAST_NS; 4], 2), "two wait for something");
        assert!(!of([2_000; 4], 4), "another P would gain by it");
    }
}
