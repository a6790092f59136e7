//! The two flags of a stop, and the round that collects the Ps.
//!
//! A model checks it together with what an M does at the door of the runtime, in a system call and
//! on its way to sleep (models/stop.rs). A P is collected on one of three ways: its M marks it; the
//! stopper finds it on the idle list; the stopper takes it from its M (p/owner.rs). A P that is
//! between two holders (taken off the idle list, its new M not awake yet) is on none of them, so
//! the stopper looks again until it has marked or seen marked every one, in the idle list too: an M
//! may have gone idle since.
//!
//! `waiting` goes down under the lock under which the Ps are given out again. Were it later, an M
//! that got its P already could give it to a stopper that is gone.

use crate::atomic::{AtomicBool, Ordering, const_unless_loom, mutated};

/// SW1, and step 1 and 4 of stop_the_world.rs.
pub(crate) struct World {
    stopping: AtomicBool,
    waiting: AtomicBool,
}

/// The Ps and the lists they are on, as the stopper reaches them.
pub(crate) trait Ps {
    type P: Copy;
    /// All but the stopper's own.
    fn others(&self) -> impl Iterator<Item = Self::P>;
    /// Marks what is on the idle list, and empties it, under `sched.lock`.
    fn mark_idle(&self);
    fn is_marked(&self, pp: Self::P) -> bool;
    fn mark(&self, pp: Self::P);
    /// Takes it from its M, if that is in a system call or outside the runtime.
    fn take(&self, pp: Self::P) -> bool;
    /// Between two rounds.
    fn pause(&self, round: u32);
}

impl World {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            World { stopping: AtomicBool::new(false), waiting: AtomicBool::new(false) }
        }
    }

    /// SW1: false if another stopper is at work.
    pub(crate) fn begin(&self) -> bool {
        if mutated("world.begin") {
            let free = !self.stopping.load(Ordering::Acquire);
            self.stopping.store(true, Ordering::Relaxed);
            return free;
        }
        // ORDERING: pairs with end
        !self.stopping.swap(true, Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        let order = if mutated("world.end") { Ordering::Relaxed } else { Ordering::Release };
        // ORDERING: pairs with begin
        self.stopping.store(false, order);
    }

    /// Go: sched.gcwaiting.
    #[inline(always)]
    pub(crate) fn is_waiting(&self) -> bool {
        // ORDERING: a stale false only delays the stopper; the lock decides on a stale true
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether an M that found its P claimed at the door gives it to the stopper, and its goroutine
    /// waits. Not in a section within another (`locks` is more than 1): the goroutine would come
    /// back to the outer one on another M, with this one's count raised for ever. The stopper gets
    /// the P when that section has ended.
    #[inline]
    pub(crate) fn is_for(&self, locks: u32) -> bool {
        (locks <= 1 || mutated("world.nested")) && self.is_waiting()
    }

    /// Returns when every P but the stopper's own is marked.
    pub(crate) fn stop(&self, ps: &impl Ps) {
        self.waiting.store(true, Ordering::SeqCst); // ORDERING: pairs with is_waiting
        for round in 0_u32.. {
            if round == 0 || !mutated("world.idle_once") {
                ps.mark_idle();
            }
            let mut missing = 0;
            for pp in ps.others().filter(|pp| !ps.is_marked(*pp)) {
                if ps.take(pp) {
                    ps.mark(pp);
                } else {
                    missing += 1;
                }
            }
            if missing == 0 || mutated("world.one_round") {
                return;
            }
            ps.pause(round);
        }
    }

    /// Ends the stop: `give_out` gives the Ps out again under `lock`.
    pub(crate) fn start<L, R>(&self, mut lock: L, give_out: impl FnOnce(&mut L) -> R) -> R {
        let given = give_out(&mut lock);
        if mutated("world.lower_late") {
            drop(lock);
            self.waiting.store(false, Ordering::SeqCst);
            return given;
        }
        self.waiting.store(false, Ordering::SeqCst); // ORDERING: pairs with is_waiting
        drop(lock);
        given
    }
}
