//! Waiting for a number of goroutines. Go: sync/waitgroup.go.
//!
//! # Invariants
//! * `WG1`: `state` is the counter above the number of waiters. It is 0 | 0 between uses; while
//!   there are waiters the counter is positive, until the `add` that makes it 0 wakes them all.

use crate::atomic::{AtomicU64, Ordering};
use crate::debug::uncaught::{resume, watch};
use crate::g::WaitReason;
use crate::join::{__rust_begin_short_backtrace, Goexit, go};
use crate::sched::wait::Why;
use crate::sema::Sema;
use crate::sema::lot::{Env, Outcome, Request, park_after, unpark};
use crate::sema::queue::Place;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

const ONE: u64 = 1 << 32;

/// Waits until a counter is back at zero: of goroutines, requests, whatever.
///
/// Go: `sync.WaitGroup`, with its rules. An [`add`](WaitGroup::add) that takes the counter from
/// zero up must happen before the `wait` that is to see it; a group may be used again when every
/// earlier `wait` has returned. Breaking the rules panics with Go's words, where that can be seen.
///
/// ```
/// # #[rt0::main] fn main() {
/// use std::sync::Arc;
/// let group = Arc::new(rt0::sync::WaitGroup::new());
/// for _ in 0..3 {
///     group.go(|| ());
/// }
/// group.wait();
/// # }
/// ```
pub struct WaitGroup {
    state: AtomicU64, // WG1
}

impl WaitGroup {
    /// A group whose counter is zero.
    pub const fn new() -> WaitGroup {
        WaitGroup { state: AtomicU64::new(0) }
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// Adds `delta`, which may be negative. At zero all that wait go on. Never blocks.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`, also for one beyond 2,147,483,647; `sync: WaitGroup
    /// misuse: Add called concurrently with Wait` where that is seen.
    #[track_caller]
    pub fn add(&self, delta: i32) {
        let step = (i64::from(delta) as u64) << 32;
        // ORDERING: Release: what was done before is seen by those who wait; Acquire: for the last
        let state = self.state.fetch_add(step, Ordering::AcqRel).wrapping_add(step);
        let (counter, waiters) = ((state >> 32) as i32, state as u32);
        if counter < 0 {
            panic!("sync: negative WaitGroup counter");
        }
        if waiters != 0 && delta > 0 && counter == delta {
            panic!("sync: WaitGroup misuse: Add called concurrently with Wait");
        }
        if counter == 0 && waiters != 0 {
            self.wake_all(state);
        }
    }

    #[cold]
    #[track_caller]
    fn wake_all(&self, state: u64) {
        let clean = unpark(&Sema, self.key(), |w| {
            // Who gave up meanwhile has taken itself off `state`, with the bucket locked too.
            // ORDERING: the bucket's lock orders it with those who queue
            let now = self.state.load(Ordering::Relaxed);
            let fewer = now <= state && now >> 32 == 0;
            // ORDERING: the bucket's lock orders it with those who queue
            let reset =
                |now| self.state.compare_exchange(now, 0, Ordering::Relaxed, Ordering::Relaxed);
            let clean = fewer && reset(now).is_ok();
            while w.take(0).is_some() {}
            clean
        });
        assert!(clean, "sync: WaitGroup misuse: Add called concurrently with Wait");
    }

    /// Subtracts one. Go: `WaitGroup.Done`.
    ///
    /// # Panics
    /// As [`add`](WaitGroup::add).
    #[track_caller]
    pub fn done(&self) {
        self.add(-1);
    }

    /// Waits until the counter is zero.
    ///
    /// # Panics
    /// `sync: WaitGroup is reused before previous Wait has returned` where that is seen.
    #[track_caller]
    pub fn wait(&self) {
        self.wait_under(&Sema);
    }

    /// Waits in another way; false: it was given up.
    #[track_caller]
    pub(crate) fn wait_under<E: Env<Why = Why>>(&self, env: &E) -> bool {
        // ORDERING: pairs with the add that made it zero
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state >> 32 == 0 {
                return true;
            }
            // ORDERING: the bucket's lock orders what follows
            let r =
                self.state.compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Acquire);
            match r {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let why = Why { reason: WaitReason::WaitGroupWait, on: self.key() };
        let place = Place::Back;
        let request =
            Request { key: self.key(), data: 0, place, since_ns: 0, why, deadline_ns: None };
        // WG1: 0 when it was woken before it could queue.
        // ORDERING: pairs with the add that made it zero
        let worth_it = || self.state.load(Ordering::Acquire) & (ONE - 1) != 0;
        let outcome = park_after(env, request, worth_it, || (), |_| self.wait_no_more());
        if outcome == Outcome::GaveUp {
            return false;
        }
        // ORDERING: only to see a misuse
        if self.state.load(Ordering::Relaxed) != 0 {
            panic!("sync: WaitGroup is reused before previous Wait has returned");
        }
        true
    }

    /// A waiter gave up; with the bucket locked. Not counted any more, if it still is: a group that
    /// has come to zero meanwhile has no waiters.
    fn wait_no_more(&self) {
        let mut s = self.state.load(Ordering::Relaxed); // ORDERING: the exchange decides
        while s & (ONE - 1) != 0 {
            // ORDERING: the bucket's lock orders it with wake_all
            let r = self.state.compare_exchange(s, s - 1, Ordering::Relaxed, Ordering::Relaxed);
            match r {
                Ok(_) => return,
                Err(now) => s = now,
            }
        }
    }

    /// Adds one, starts `f` as a goroutine, and subtracts one when it returns or calls
    /// [`goexit`](crate::goexit). If it panics the process ends, as for any goroutine that nobody
    /// joins. Go: `WaitGroup.Go`.
    ///
    /// # Panics
    /// As [`go`](crate::go) and [`add`](WaitGroup::add).
    #[track_caller]
    pub fn go<F>(self: &Arc<Self>, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.add(1);
        let group = Arc::clone(self);
        drop(go(move || {
            let stack = Cell::new(None);
            let call = || watch(|| __rust_begin_short_backtrace(f), &stack);
            match catch_unwind(AssertUnwindSafe(call)) {
                Ok(()) => group.done(),
                Err(payload) => {
                    if payload.is::<Goexit>() {
                        group.done();
                    }
                    resume(payload, stack.take());
                }
            }
        }));
    }
}

impl Default for WaitGroup {
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: a report
        let counter = (self.state.load(Ordering::Relaxed) >> 32) as i32;
        f.debug_struct("WaitGroup").field("counter", &counter).finish_non_exhaustive()
    }
}
