//! When to wake another M: the counters of spinning Ms and idle Ps, and the fence protocol.
//!
//! Go: proc.go "Worker thread parking/unparking", `wakep`, `resetspinning`, the tail of
//! `findRunnable`.
//!
//! A spinning M is out of local work and looks for some elsewhere. One is enough: while there is
//! one, a new goroutine wakes nobody, and the spinner that finds work wakes the next. The danger is
//! a goroutine queued just as the last spinner gives up. Both sides write, then read the other's
//! word, with a store-load fence in between:
//!
//! 1. submit: queue the goroutine; fence; if a P is idle and nobody spins, become the waker.
//! 2. stop:   give the P back (npidle up); nmspinning down; fence; look at every queue again.
//!
//! Whichever fence comes second sees the other side's write, so either the submitter wakes an M or
//! the stopping M sees the goroutine.
//!
//! A spinner that found work stops spinning in the same way: if it sees more than the goroutine it
//! has, it wakes the next M. Go wakes one in any case; mostly there is nothing for it, and that
//! costs both threads some microseconds.
//!
//! A goroutine that is queued in an empty `runnext` is a special case: most of the time it will run
//! there at once. Where that has been seen, an M naps and looks now and then instead of being woken
//! each time (watch.rs): to a submitter of that kind it is as good as a spinner, and it stops as a
//! spinner does, by step 2. The same M does for a burst: a P that starts or readies one goroutine
//! after the other, which take less time than a wake-up.
//!
//! # Invariants
//! * `SP1`: `nmspinning` counts Ms whose `spinning` flag is set, and reservations made by
//!   [`Spinning::reserve`] that an M about to start will take over.
//! * `SP2`: `npidle` is the length of the idle P list; it changes under `sched.lock`.

use crate::atomic::{AtomicU32, Ordering, const_unless_loom, fence, mutated};

pub(crate) struct Spinning {
    nmspinning: AtomicU32,
    npidle: AtomicU32,
    /// 1: an M naps and looks from time to time (watch.rs).
    watcher: AtomicU32,
    /// 1: the spinner started last was started for a `runnext`, or in a burst.
    for_next: AtomicU32,
}

impl Spinning {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Spinning {
                nmspinning: AtomicU32::new(0),
                npidle: AtomicU32::new(0),
                watcher: AtomicU32::new(0),
                for_next: AtomicU32::new(0),
            }
        }
    }

    /// Submitter, after queueing: true if it must start a spinning M (one is then reserved).
    #[inline]
    pub(crate) fn reserve(&self) -> bool {
        if !mutated("spinning.submit_fence") {
            // ORDERING: pairs with the fence in stop
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered after the queue write by the fence
        self.npidle.load(Ordering::Relaxed) != 0 && self.reserve_spinner()
    }

    /// The same after queueing into an empty `runnext`, where a watcher is as good as a spinner.
    ///
    /// The exchange that queued is the fence: it and the loads below are SeqCst, and so are the
    /// changes of what they read and the fences in `stop` and `end_watch`. Loom knows SeqCst fences
    /// only, so there it is one.
    #[inline]
    pub(crate) fn reserve_next(&self) -> bool {
        if cfg!(loom) && !mutated("spinning.next_fence") {
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered after the queue write, see above
        let order = if cfg!(loom) { Ordering::Relaxed } else { Ordering::SeqCst };
        if self.npidle.load(order) == 0 || self.watcher.load(order) != 0 {
            return false;
        }
        let yes = self.nmspinning.load(order) == 0 && self.reserve_spinner();
        if yes {
            self.for_next.store(1, Ordering::Relaxed); // ORDERING: a heuristic
        }
        yes
    }

    /// The same after queueing into the ring. Where `few` are queued a watcher is as good as a
    /// spinner.
    #[inline]
    pub(crate) fn reserve_ring(&self, few: bool) -> bool {
        if !mutated("spinning.submit_fence") {
            // ORDERING: pairs with the fences in stop and end_watch
            fence(Ordering::SeqCst);
        }
        // ORDERING: ordered after the queue write by the fence
        if self.npidle.load(Ordering::Relaxed) == 0
            || few && self.watcher.load(Ordering::Relaxed) != 0
        {
            return false;
        }
        self.reserve_spinner()
    }

    /// The spinner that was just reserved is started in a burst.
    pub(crate) fn is_in_burst(&self) {
        self.for_next.store(1, Ordering::Relaxed); // ORDERING: a heuristic
    }

    #[inline]
    fn reserve_spinner(&self) -> bool {
        // ORDERING: ordered after the queue write by the caller's fence
        self.nmspinning.load(Ordering::Relaxed) == 0
            && self.nmspinning.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Whether the last spinner was started for a `runnext` or in a burst: asked once, by one that
    /// found nothing.
    pub(crate) fn was_for_next(&self) -> bool {
        // ORDERING: a heuristic
        let yes = self.for_next.load(Ordering::Relaxed) != 0;
        if yes {
            self.for_next.store(0, Ordering::Relaxed); // ORDERING: a heuristic
        }
        yes
    }

    /// False: another M is the watcher. It looks at all queues after this, also at what the caller
    /// has seen in them: an exchange, so that its `end_watch` comes after the caller's look.
    pub(crate) fn begin_watch(&self) -> bool {
        // ORDERING: SeqCst: pairs with reserve_next
        self.watcher.swap(1, Ordering::SeqCst) == 0
    }

    /// The watcher stops. It, or an M that it wakes, must look at every queue once more after this.
    pub(crate) fn end_watch(&self) {
        // ORDERING: SeqCst: pairs with reserve_next
        self.watcher.swap(0, Ordering::SeqCst);
        if !mutated("spinning.watch_fence") {
            // ORDERING: pairs with the fence in reserve_next
            fence(Ordering::SeqCst);
        }
    }

    /// Reserves a spinner although no P idles: for a P that is handed from one M to another.
    pub(crate) fn reserve_idle(&self) -> bool {
        // ORDERING: SeqCst like every change of nmspinning
        self.nmspinning.compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// There is no P for the M that was to be started. Under `sched.lock`.
    pub(crate) fn undo_reserve(&self) {
        // ORDERING: SeqCst like every change of nmspinning
        self.nmspinning.fetch_sub(1, Ordering::SeqCst);
    }

    /// An M without work may spin while at most half of the busy Ps do.
    pub(crate) fn may_spin(&self, gomaxprocs: u32) -> bool {
        // ORDERING: a heuristic bound
        let (n, idle) =
            (self.nmspinning.load(Ordering::Relaxed), self.npidle.load(Ordering::Relaxed));
        2 * n < gomaxprocs.saturating_sub(idle)
    }

    /// An M starts to spin.
    pub(crate) fn start(&self) {
        // ORDERING: SeqCst like every change of nmspinning
        self.nmspinning.fetch_add(1, Ordering::SeqCst);
    }

    /// The M gives up, or has found work. It must look at every queue once more after this.
    pub(crate) fn stop(&self) {
        // ORDERING: SeqCst like every change of nmspinning
        self.nmspinning.fetch_sub(1, Ordering::SeqCst);
        if !mutated("spinning.stop_fence") {
            self.recheck_fence();
        }
    }

    /// The store-load fence between giving a P back and looking at the queues again.
    pub(crate) fn recheck_fence(&self) {
        // ORDERING: pairs with the fence in reserve
        fence(Ordering::SeqCst);
    }

    /// SP2: the caller holds `sched.lock`.
    pub(crate) fn p_became_idle(&self) {
        // ORDERING: the fence in stop or recheck_fence follows
        self.npidle.fetch_add(1, Ordering::SeqCst);
    }

    /// SP2: the caller holds `sched.lock`.
    pub(crate) fn p_left_idle(&self) {
        // ORDERING: a submitter that sees the old count wakes an M for nothing
        self.npidle.fetch_sub(1, Ordering::SeqCst);
    }

    /// Idle Ps, for reports and heuristics.
    pub(crate) fn npidle(&self) -> u32 {
        // ORDERING: a report
        self.npidle.load(Ordering::Relaxed)
    }

    /// Spinning Ms, for reports.
    pub(crate) fn nmspinning(&self) -> u32 {
        // ORDERING: a report
        self.nmspinning.load(Ordering::Relaxed)
    }
}
