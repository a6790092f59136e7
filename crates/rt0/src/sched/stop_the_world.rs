//! Stopping the world, and changing the number of Ps in a stopped one.
//!
//! Go: proc.go `stopTheWorld`, `stopTheWorldWithSema`, `startTheWorldWithSema`, `gcstopm`;
//! debug.go `GOMAXPROCS`.
//!
//! The world is stopped when the stopper holds every P but its own. Goroutines outside the runtime
//! go on, P-less, until their next runtime call, which waits for a P: nothing of the scheduler's
//! moves, and no goroutine has to cooperate or be signalled.
//!
//! 1. `gcwaiting` up: an M in `schedule`, or one whose P is claimed at the door of the runtime,
//!    hands its P to the stopper ([`give_p`]).
//! 2. Again and again until all are there: take what is on the idle list; take from Ms in system
//!    calls; claim from the others (sysmon.rs, p/owner.rs).
//! 3. Work.
//! 4. `gcwaiting` down; procresize puts the Ps on the idle list or names those with work; Ms are
//!    started for them, and whoever waits for a P finds one.
//!
//! # Invariants
//! * `SW1`: one stopper at a time (`WORLD`).
//! * `SW2`: a P with status GcStop is the stopper's: on no list, owned by no M.

pub(crate) mod world;

use super::procresize::{allp, procresize};
use super::wake::{Spin, hand, releasep, startm};
use super::{SCHED, enter_system, leave, sysmon};
use crate::atomic::Ordering;
use crate::m::M;
use crate::p::{P, PStatus};
use world::{Ps, World};

static WORLD: World = World::new();

/// Whether a stopper wants every P. Go: sched.gcwaiting.
#[inline(always)]
pub(crate) fn gcwaiting() -> bool {
    WORLD.is_waiting()
}

/// Whether an M with this count gives up, at the door of the runtime, a P that was claimed.
pub(crate) fn wants_p_of(mp: &M) -> bool {
    WORLD.is_for(mp.locks.load(Ordering::Relaxed)) // ORDERING: the caller's own count
}

/// The M hands its P to the stopper. False: the world goes on already, and the M keeps its P, whose
/// queue may hold work that nobody else knows of. Go: gcstopm.
pub(crate) fn give_p(mp: &'static M) -> bool {
    let _sched = SCHED.lock.lock();
    // It goes down under the lock, in start_the_world.
    if !gcwaiting() {
        return false;
    }
    if mp.is_spinning() {
        mp.set_spinning(false);
        SCHED.spin.stop(); // the stopper looks at every queue, and wakes an M at the end
    }
    if let Some(pp) = releasep(mp) {
        pp.set_status(PStatus::GcStop);
    }
    true
}

/// Stops the world and goes on with as many Ps as `decide` says; returns how many there were.
/// `None`: it stays as it is. Called on a goroutine of any kind.
pub(super) fn resize(decide: impl FnOnce() -> Option<usize>) -> usize {
    while !WORLD.begin() {
        crate::time::sleep_system(RETRY_NS);
    }
    let (mp, _) = enter_system();
    let old = SCHED.gomaxprocs() as usize;
    if let Some(n) = decide()
        && n != old
    {
        stop_the_world(mp);
        start_the_world(mp, n);
    }
    leave(mp);
    WORLD.end();
    old
}

/// How long a stopper sleeps while another is at work.
const RETRY_NS: i64 = 50_000;

/// Inside the runtime.
pub(super) fn pinned<T>(f: impl FnOnce() -> T) -> T {
    let (mp, _) = enter_system();
    let v = f();
    leave(mp);
    v
}

/// Rounds that a stopper spins through before it leaves the CPU to those it waits for.
const SPINS: u32 = 8;
/// First and longest pause between two rounds after that.
const MIN_PAUSE_NS: i64 = 20_000;
const MAX_PAUSE_NS: i64 = 200_000;

/// Returns when the stopper holds every P but the one of `mp`, its own.
///
/// What is missing after a few rounds is held by Ms that the kernel has put aside inside the
/// runtime, or that start only now: they need a CPU, perhaps this one. An M that runs finds its P
/// claimed at its next runtime call, so each round but those is likely to get it.
fn stop_the_world(mp: &'static M) {
    WORLD.stop(&AllButOf(mp));
}

/// All Ps but that of this M.
struct AllButOf(&'static M);

impl Ps for AllButOf {
    type P = &'static P;

    fn others(&self) -> impl Iterator<Item = &'static P> {
        let mine = self.0.p.get();
        allp().filter(move |pp| !mine.is_some_and(|mine| core::ptr::eq(mine, *pp)))
    }

    fn mark_idle(&self) {
        let mut sched = SCHED.lock.lock();
        while let Some(pp) = sched.pidleget() {
            self.mark(pp);
        }
    }

    fn is_marked(&self, pp: &'static P) -> bool {
        pp.is(PStatus::GcStop)
    }

    fn mark(&self, pp: &'static P) {
        pp.set_status(PStatus::GcStop);
    }

    fn take(&self, pp: &'static P) -> bool {
        sysmon::take_for_stopper(pp)
    }

    fn pause(&self, round: u32) {
        match round.checked_sub(SPINS) {
            None => core::hint::spin_loop(),
            Some(n) => sysmon::usleep((MIN_PAUSE_NS << n.min(8)).min(MAX_PAUSE_NS)),
        }
    }
}

/// Ends the stop with `n` Ps. Go: startTheWorldWithSema.
fn start_the_world(mp: &'static M, n: usize) {
    let mut with_work = WORLD.start(SCHED.lock.lock(), |sched| procresize(sched, mp, n));
    while let Some(pp) = with_work {
        with_work = pp.link.get();
        start_on(pp);
    }
    super::wake::wakep();
}

/// Runs a P on the M that procresize chose for it, or another.
fn start_on(pp: &'static P) {
    match pp.m.get() {
        Some(m) => {
            pp.m.set(None);
            hand(m, pp, Spin::No);
            m.park.wakeup();
        }
        None => startm(pp, Spin::No),
    }
}
