//! Background work: sweeper, scavenger, and the limit on their CPU time.
//!
//! Go: mgcsweep.go `bgsweep`; mgcscavenge.go `bgscavenge`; mgclimit.go
//! `gcCPULimiter`. There is no collector. What is swept are dead goroutines' stacks: the sweeper
//! finds those that are not used again soon, and the scavenger gives back what they have beyond
//! what they may keep, in at most a hundredth of the machine's time. With GOMEMLIMIT exceeded it
//! gives back all of a dead stack.

use super::newproc::{newproc_system, park_system};
use super::park::let_all_run;
use super::stop_the_world::pinned;
use super::{SCHED, enter_system, leave, p_of};
use crate::atomic::{AtomicI64, AtomicRef, AtomicU32, Ordering};
use crate::g::park_state::ParkState;
use crate::g::{G, WaitReason};
use crate::m::M;
use crate::stack::{self, Class, KEEP_BYTES, cache};
use crate::sys::raw::thread_cpu_ns;
use crate::sys::{mem, nanotime};
use core::panic::Location;

/// A goroutine of the runtime's that is woken when there is work.
struct Background {
    g: AtomicRef<G>,
    park: ParkState,
}

impl Background {
    const fn new() -> Self {
        Background { g: AtomicRef::none(), park: ParkState::new() }
    }

    fn wait(&self, reason: WaitReason) {
        if self.park.consume() {
            return;
        }
        park_system(reason, commit, core::ptr::from_ref(self) as usize);
        self.park.resumed();
    }

    /// On an M, inside the runtime.
    fn wake(&self) {
        // ORDERING: set by gcenable before anything is woken
        let Some(gp) = self.g.load(Ordering::Acquire) else { return };
        if self.park.notify() {
            super::park::ready(super::park::current_m(), gp);
        }
    }

    /// On a thread that is no M.
    fn wake_from_outside(&self) {
        // ORDERING: set by gcenable before anything is woken
        let Some(gp) = self.g.load(Ordering::Acquire) else { return };
        if self.park.notify() {
            super::park::ready_outside(gp);
        }
    }
}

fn commit(_mp: &'static M, _gp: &'static G, which: usize) -> bool {
    let is = |b: &Background| core::ptr::from_ref(b) as usize == which;
    match [&SWEEP, &SCAVENGE, &UPDATE].into_iter().find(|b| is(b)) {
        Some(b) => b.park.commit(),
        None => crate::throw::throw("background: an unknown goroutine parks"),
    }
}

static SWEEP: Background = Background::new();
static SCAVENGE: Background = Background::new();
static UPDATE: Background = Background::new();

/// Starts the goroutines. With the first one beyond main, not at boot as Go does: until then there
/// is no stack to sweep, and nobody who would find another number of CPUs. A program without
/// goroutines saves three of them. In user context, after the threads that start then. Go:
/// gcenable.
pub(super) fn gcenable() {
    let caller = super::enter();
    let start = |background: &Background, f: fn()| {
        let gp = newproc_system(f, Class::SMALL, caller, Location::caller());
        background.g.store(Some(gp), Ordering::Release); // ORDERING: pairs with wake
    };
    start(&SWEEP, bgsweep);
    start(&SCAVENGE, bgscavenge);
    if crate::debug::vars::get().updatemaxprocs.get() != 0 {
        start(&UPDATE, update_max_procs);
    }
    if let Some((mp, _)) = caller {
        leave(mp);
    }
}

/// Boot: GOMEMLIMIT.
pub(crate) fn set_memory_limit(bytes: i64) {
    MEMORY_LIMIT.store(bytes, Ordering::Relaxed); // ORDERING: boot, one thread
}

static MEMORY_LIMIT: AtomicI64 = AtomicI64::new(i64::MAX);

/// Stacks have died. On an M, inside the runtime.
pub(crate) fn wake_sweeper() {
    SWEEP.wake();
}

/// sysmon found another default for GOMAXPROCS.
pub(super) fn wake_updater() {
    UPDATE.wake_from_outside();
}

/// Resizes when sysmon wakes it. Go: updateMaxProcsGoroutine.
fn update_max_procs() {
    loop {
        UPDATE.wait(WaitReason::UpdateGomaxprocsIdle);
        super::default_gomaxprocs::update();
    }
}

/// How long a dead stack is left alone: most are used again at once.
const SWEEP_DELAY_NS: i64 = 100_000_000;

/// Tells stacks that died and were not used again within a round from the others, and has them
/// given back. Go: bgsweep.
fn bgsweep() {
    loop {
        SWEEP.wait(WaitReason::SweepWait);
        while pinned(cache::begin_round) {
            crate::time::sleep_system(SWEEP_DELAY_NS);
            pinned(|| SCAVENGE.wake());
            let_others_run(); // the scavenger, or the next round would begin before it does
        }
    }
}

/// Those who are queued go first, and sleepers whose time has come, also those of idle Ps, which
/// only the M waits for that runs this: ten thousand dead stacks are more than 3 ms of work.
fn let_others_run() {
    let (mp, gp) = enter_system();
    crate::time::check_timers_of_idle(mp, p_of(mp));
    let nobody = p_of(mp).runq.is_empty() && SCHED.runqsize() == 0;
    leave(if nobody { mp } else { let_all_run(mp, gp) });
}

/// Gives the kernel what the stacks of the last round may not keep, within the CPU budget. It does
/// not ask first which have more: to be told costs as much as to give back nothing. Go: bgscavenge.
fn bgscavenge() {
    loop {
        let mut aged = cache::Aged::default();
        while let n @ 1.. = pinned(|| cache::take_aged(&mut aged)) {
            let spent = cpu_ns_of(|| {
                trim(&aged[..n]);
                pinned(|| cache::put_clean(aged.iter_mut().filter_map(Option::take)));
            });
            gc_cpu_limiter().add(spent, nanotime());
            let_others_run();
            while gc_cpu_limiter().limiting() {
                crate::time::sleep_system(10_000_000);
                gc_cpu_limiter().update(nanotime());
            }
        }
        SCAVENGE.wait(WaitReason::ScavengeWait);
    }
}

/// CPU time of `f`. It may end on another thread: then no more than the clock says. The clock alone
/// would count a pause of the machine as work, and a hundred times as long nothing would be done.
fn cpu_ns_of(f: impl FnOnce()) -> i64 {
    let used = || thread_cpu_ns(0).unwrap_or(0).cast_signed();
    let (start, before) = (nanotime(), used());
    f();
    (used() - before).min(nanotime() - start).max(0)
}

#[allow(unsafe_code, reason = "ST2: dead stacks that this goroutine took off every list")]
fn trim(aged: &[Option<&'static G>]) {
    let keep = if over_limit() { 0 } else { KEEP_BYTES };
    let mut ranges = [[0; 2]; cache::AGED_MOST];
    for (range, gp) in ranges.iter_mut().zip(aged.iter().flatten()) {
        let (lo, bytes) = stack::trimmable(gp, keep);
        *range = [lo, bytes];
    }
    // SAFETY: ST2, GF1: nobody uses the stacks of these dead goroutines, which are on no list now.
    unsafe { mem::unused(&ranges[..aged.len()]) };
}

fn over_limit() -> bool {
    let limit = MEMORY_LIMIT.load(Ordering::Relaxed); // ORDERING: written at boot
    if limit == i64::MAX {
        return false;
    }
    let mut buf = [0u8; 96];
    let text = crate::sys::proc::read_small(c"/proc/self/statm", &mut buf);
    let resident = text.split(|c| *c == b' ').nth(1).and_then(crate::sys::proc::parse_digits);
    resident.unwrap_or(0) as i64 * mem::PAGE as i64 > limit
}

/// A leaky bucket on background CPU time. Go: gcCPULimiterState.
///
/// Work fills it, a hundredth of every P's time drains it; while it is full, work waits.
pub(crate) struct GcCpuLimiter {
    fill: AtomicI64,
    capacity: AtomicI64,
    nprocs: AtomicU32,
    last_update: AtomicI64,
}

static LIMITER: GcCpuLimiter = GcCpuLimiter {
    fill: AtomicI64::new(0),
    capacity: AtomicI64::new(0),
    nprocs: AtomicU32::new(1),
    last_update: AtomicI64::new(0),
};

const CAPACITY_PER_PROC_NS: i64 = 10_000_000;
const DRAIN_DIVISOR: i64 = 100;

pub(crate) fn gc_cpu_limiter() -> &'static GcCpuLimiter {
    &LIMITER
}

impl GcCpuLimiter {
    /// The number of Ps changed. Go: resetCapacity.
    pub(crate) fn reset_capacity(&self, now: i64, nprocs: u32) {
        self.update(now);
        self.nprocs.store(nprocs, Ordering::Relaxed); // ORDERING: the world is stopped
        let cap = CAPACITY_PER_PROC_NS * i64::from(nprocs);
        self.capacity.store(cap, Ordering::Relaxed); // ORDERING: the world is stopped
        self.fill.fetch_min(cap, Ordering::Relaxed); // ORDERING: the world is stopped
    }

    /// Work of so much CPU time was done until `now`.
    fn add(&self, spent: i64, now: i64) {
        self.fill.fetch_add(spent, Ordering::Relaxed); // ORDERING: the scavenger alone adds
        self.update(now);
    }

    /// Drains by the time that has passed.
    fn update(&self, now: i64) {
        // ORDERING: the scavenger alone, or a stopped world
        let last = self.last_update.swap(now, Ordering::Relaxed);
        // ORDERING: the scavenger alone, or a stopped world
        let n = i64::from(self.nprocs.load(Ordering::Relaxed));
        let drain = (now - last).max(0) / DRAIN_DIVISOR * n;
        // ORDERING: the scavenger alone, or a stopped world
        let fill = self.fill.load(Ordering::Relaxed);
        // ORDERING: the scavenger alone, or a stopped world
        self.fill.store((fill - drain).max(0), Ordering::Relaxed);
    }

    fn limiting(&self) -> bool {
        // ORDERING: the scavenger alone
        self.fill.load(Ordering::Relaxed) > self.capacity.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_fills_limits_and_drains() {
        let l = GcCpuLimiter {
            fill: AtomicI64::new(0),
            capacity: AtomicI64::new(0),
            nprocs: AtomicU32::new(1),
            last_update: AtomicI64::new(0),
        };
        l.reset_capacity(0, 1);
        assert!(!l.limiting());
        l.add(2 * CAPACITY_PER_PROC_NS, 2 * CAPACITY_PER_PROC_NS);
        assert!(l.limiting());
        l.update(2 * CAPACITY_PER_PROC_NS + DRAIN_DIVISOR * 2 * CAPACITY_PER_PROC_NS);
        assert!(!l.limiting());
    }
}
