//! Dead goroutines, kept with their stacks for the next ones.
//!
//! Go: proc.go `gfput`, `gfget`, `gfpurge`, `sched.gFree`; stack.go's caches. Each P keeps up to 64
//! of the default class and exchanges 32 at a time with the global lists. A stack on a global list
//! is there for long, so the sweeper looks at it first: what it used beyond 16 KiB goes back to the
//! kernel (boot/gc.rs).
//!
//! # Invariants
//! * `GF1`: a dead G is on one list only: its P's, `dirty`, `trim` or `clean` (GS1).

use super::Class;
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::malloc::vec::RtVec;
use crate::p::P;

const P_MOST: usize = crate::p::GFREE_MOST;
const BATCH: usize = 32;

struct Global {
    /// Not looked at since they died.
    dirty: [RtVec<&'static G>; Class::COUNT],
    /// Their stacks are to be given back in part.
    trim: RtVec<&'static G>,
    clean: [RtVec<&'static G>; Class::COUNT],
}

static GLOBAL: RtMutex<Global> = RtMutex::new(
    Rank::GFree,
    Global {
        dirty: [const { RtVec::new() }; Class::COUNT],
        trim: RtVec::new(),
        clean: [const { RtVec::new() }; Class::COUNT],
    },
);

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
        let Some(gp) = take(&mut global, Class::DEFAULT) else { break };
        pp.gfree.push(gp);
    }
    mirror(&global);
}

fn take(global: &mut Global, class: Class) -> Option<&'static G> {
    if let Some(gp) = global.clean[class.index()].pop() {
        return Some(gp);
    }
    global.dirty[class.index()].pop()
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
    let gp = take(&mut global, class);
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

/// The sweeper: takes one that nobody has looked at.
pub(crate) fn next_dirty() -> Option<&'static G> {
    let mut global = GLOBAL.lock();
    let gp = global.dirty.iter_mut().find_map(RtVec::pop);
    mirror(&global);
    gp
}

/// The sweeper or the scavenger: the stack is as small as it should be.
pub(crate) fn put_clean(gp: &'static G) {
    // ORDERING: constant
    let class = Class::from_index(gp.stack_class.load(Ordering::Relaxed));
    let mut global = GLOBAL.lock();
    global.clean[class.index()].push(gp);
    mirror(&global);
}

/// The sweeper: the stack has pages to give back.
pub(crate) fn put_trim(gp: &'static G) {
    GLOBAL.lock().trim.push(gp);
}

/// The scavenger: the next stack to trim.
pub(crate) fn next_trim() -> Option<&'static G> {
    GLOBAL.lock().trim.pop()
}
