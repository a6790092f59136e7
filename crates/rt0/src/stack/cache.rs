//! Dead goroutines, kept with their stacks for the next ones.
//!
//! Go: proc.go `gfput`, `gfget`, `gfpurge`, `sched.gFree`; stack.go's caches. Each P keeps up to 64
//! of the default class and exchanges 32 at a time with the global lists. A stack on a global list
//! is there for long, and what it used beyond 16 KiB goes back to the kernel
//! (sched/background.rs). That is a system call, so it is for those that were not used again since
//! the sweeper's last round: programs that start goroutines all the time use most of them again
//! within milliseconds.
//!
//! # Invariants
//! * `GF1`: a dead G is on one list only: its P's, `dirty` or `clean` (GS1); or in the scavenger's
//!   hands.
//! * `GF2`: the first `aged` of a dirty list have been there since the sweeper's last round began.

use super::Class;
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::malloc::vec::RtVec;
use crate::p::P;

const P_MOST: usize = crate::p::GFREE_MOST;
const BATCH: usize = 32;

struct Global {
    /// Not trimmed since they died, the last ones last.
    dirty: [RtVec<&'static G>; Class::COUNT],
    aged: [usize; Class::COUNT], // GF2
    clean: [RtVec<&'static G>; Class::COUNT],
}

static GLOBAL: RtMutex<Global> = RtMutex::new(Rank::GFree, Global::new());

impl Global {
    const fn new() -> Self {
        Global {
            dirty: [const { RtVec::new() }; Class::COUNT],
            aged: [0; Class::COUNT],
            clean: [const { RtVec::new() }; Class::COUNT],
        }
    }

    fn take(&mut self, class: Class) -> Option<&'static G> {
        let i = class.index();
        if let Some(gp) = self.clean[i].pop() {
            return Some(gp);
        }
        let gp = self.dirty[i].pop();
        self.aged[i] = self.aged[i].min(self.dirty[i].len());
        gp
    }

    /// What the scavenger has left of the last round is left to it. True if something is dirty.
    fn begin_round(&mut self) -> bool {
        for (list, aged) in self.dirty.iter().zip(&mut self.aged) {
            if *aged == 0 {
                *aged = list.len();
            }
        }
        self.aged.iter().any(|n| *n > 0)
    }

    /// Fills `into` from the front, with no more than the kernel gets through in a fraction of a
    /// millisecond; how many these are.
    fn take_aged(&mut self, into: &mut Aged) -> usize {
        let (mut n, mut bytes) = (0, 0);
        while n < AGED_MOST
            && bytes < AGED_MOST * Class::DEFAULT.bytes()
            && let Some(gp) = self.next_aged()
        {
            stack_prefetch(gp);
            bytes += super::limit_bytes(gp);
            into[n] = Some(gp);
            n += 1;
        }
        n
    }

    fn next_aged(&mut self) -> Option<&'static G> {
        let mut lists = self.dirty.iter_mut().zip(&mut self.aged);
        let (list, aged) = lists.find(|(_, aged)| **aged > 0)?;
        *aged -= 1;
        // Its place goes to the one that died last, and is no longer among the aged.
        let last = list.pop()?;
        match list.get_mut(*aged) {
            Some(place) => Some(core::mem::replace(place, last)),
            None => Some(last),
        }
    }
}

/// How many are on `dirty`: the sweeper is woken when a batch's worth is.
static DIRTY: AtomicU32 = AtomicU32::new(0);

/// Keeps a dead goroutine. On the M that holds `pp`, off the goroutine's stack. True: enough wait
/// for the sweeper, and the caller should wake it.
pub(crate) fn gfput(pp: &'static P, gp: &'static G) -> bool {
    // ORDERING: constant
    if gp.stack_class.load(Ordering::Relaxed) != Class::DEFAULT.index() as u32 {
        return put_dirty(core::iter::once(gp)) >= BATCH as u32;
    }
    pp.gfree.push(gp);
    pp.gfree.len() >= P_MOST
        && put_dirty(core::iter::from_fn(|| pop_local(pp)).take(BATCH)) >= BATCH as u32
}

/// Returns how many wait for the sweeper.
fn put_dirty(gs: impl Iterator<Item = &'static G>) -> u32 {
    let mut global = GLOBAL.lock();
    for gp in gs {
        // ORDERING: constant
        let class = Class::from_index(gp.stack_class.load(Ordering::Relaxed));
        global.dirty[class.index()].push(gp);
    }
    mirror(&global);
    // ORDERING: a hint for the sweeper
    DIRTY.load(Ordering::Relaxed)
}

fn pop_local(pp: &'static P) -> Option<&'static G> {
    pp.gfree.pop()
}

/// One of the default class, from the P's cache, refilled from the global lists. Go: gfget.
#[inline]
pub(crate) fn gfget(pp: &'static P) -> Option<&'static G> {
    if let Some(gp) = pop_local(pp) {
        return Some(gp);
    }
    // ORDERING: hints; the lock decides
    if DIRTY.load(Ordering::Relaxed) == 0 && CLEAN_DEFAULT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    refill(pp);
    pop_local(pp)
}

/// Length of the default class's clean list, for a look without the lock.
static CLEAN_DEFAULT: AtomicU32 = AtomicU32::new(0);

#[cold]
fn refill(pp: &'static P) {
    let mut global = GLOBAL.lock();
    for _ in 0..BATCH {
        let Some(gp) = global.take(Class::DEFAULT) else { break };
        pp.gfree.push(gp);
    }
    mirror(&global);
}

fn mirror(global: &Global) {
    // ORDERING: hints; the lock decides
    let dirty: usize = global.dirty.iter().map(|l| l.len()).sum();
    DIRTY.store(dirty as u32, Ordering::Relaxed);
    CLEAN_DEFAULT.store(
        global.clean[Class::DEFAULT.index()].len() as u32,
        Ordering::Relaxed, // ORDERING: hints; the lock decides
    );
}

/// One of any class from the global lists, for callers without a P.
pub(crate) fn gfget_global(class: Class) -> Option<&'static G> {
    let _pin = crate::tls::pin::pin();
    let mut global = GLOBAL.lock();
    let gp = global.take(class);
    mirror(&global);
    gp
}

/// A P goes away: its cache goes to the global lists. Go: gfpurge.
pub(crate) fn gfpurge(pp: &'static P) {
    put_dirty(core::iter::from_fn(|| pop_local(pp)));
}

/// A P goes on after procresize: half of a full cache is given up, so that what the others left
/// behind is balanced. Go: mcache.prepareForSweep.
pub(crate) fn prepare_for_sweep(pp: &'static P) {
    if pp.gfree.len() >= P_MOST / 2 {
        put_dirty(core::iter::from_fn(|| pop_local(pp)).take(BATCH));
    }
}

/// The sweeper: a round begins. True if there is something to look at, at its end or later.
pub(crate) fn begin_round() -> bool {
    GLOBAL.lock().begin_round()
}

/// How many the scavenger trims before it lets others run: some 5 µs where nothing is to be given
/// back.
pub(crate) const AGED_MOST: usize = 16;
pub(crate) type Aged = [Option<&'static G>; AGED_MOST];

/// The scavenger: takes some that were not used since the round began, and says how many.
pub(crate) fn take_aged(into: &mut Aged) -> usize {
    let mut global = GLOBAL.lock();
    let n = global.take_aged(into);
    mirror(&global);
    n
}

/// What the scavenger reads of it is in no cache.
fn stack_prefetch(gp: &'static G) {
    crate::sys::prefetch(&raw const gp.stack_lo);
    crate::sys::prefetch(&raw const gp.baton);
}

/// These stacks are as small as they should be.
pub(crate) fn put_clean(gs: impl Iterator<Item = &'static G>) {
    let mut global = GLOBAL.lock();
    for gp in gs {
        // ORDERING: constant
        let class = Class::from_index(gp.stack_class.load(Ordering::Relaxed));
        global.clean[class.index()].push(gp);
    }
    mirror(&global);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn dead(n: usize) -> Vec<&'static G> {
        (0..n).map(|_| &*Box::leak(Box::new(G::new()))).collect()
    }

    fn swept(global: &mut Global) -> HashSet<*const G> {
        let (mut aged, mut all) = (Aged::default(), HashSet::new());
        loop {
            match global.take_aged(&mut aged) {
                0 => return all,
                n => all.extend(aged[..n].iter().flatten().map(|gp| core::ptr::from_ref(*gp))),
            }
        }
    }

    fn set(gs: &[&'static G]) -> HashSet<*const G> {
        gs.iter().map(|gp| core::ptr::from_ref(*gp)).collect()
    }

    #[test]
    fn what_died_since_the_round_began_is_left_to_the_next() {
        let (mut global, i) = (Global::new(), Class::DEFAULT.index());
        let (old, young) = (dead(2 * AGED_MOST + 5), dead(3));
        old.iter().for_each(|gp| global.dirty[i].push(gp));
        assert!(global.begin_round());
        young.iter().for_each(|gp| global.dirty[i].push(gp));
        assert_eq!(swept(&mut global), set(&old));
        assert!(global.begin_round());
        assert_eq!(swept(&mut global), set(&young));
        assert!(!global.begin_round(), "all have been trimmed");
    }

    /// The scavenger may have had its share of the CPUs' time before it was through.
    #[test]
    fn what_is_left_of_a_round_is_not_mixed_with_the_next() {
        let (mut global, i) = (Global::new(), Class::DEFAULT.index());
        let (old, young) = (dead(AGED_MOST + 5), dead(3));
        old.iter().for_each(|gp| global.dirty[i].push(gp));
        assert!(global.begin_round());
        let mut aged = Aged::default();
        assert_eq!(global.take_aged(&mut aged), AGED_MOST);
        young.iter().for_each(|gp| global.dirty[i].push(gp));
        assert!(global.begin_round());
        let left = swept(&mut global);
        assert_eq!(left.len(), 5);
        assert!(left.is_disjoint(&set(&young)));
        assert!(global.begin_round());
        assert_eq!(swept(&mut global), set(&young));
    }

    #[test]
    fn what_was_used_since_the_round_began_is_left_alone() {
        let (mut global, i) = (Global::new(), Class::DEFAULT.index());
        let gs = dead(5);
        gs.iter().for_each(|gp| global.dirty[i].push(gp));
        global.begin_round();
        for _ in 0..2 {
            assert!(global.take(Class::DEFAULT).is_some());
        }
        gs[3..].iter().for_each(|gp| global.dirty[i].push(gp)); // dead again
        assert_eq!(swept(&mut global), set(&gs[..3]));
    }
}
