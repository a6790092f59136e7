//! The semaphore table: who waits at which address, goroutines and plain threads alike.
//!
//! Go: sema.go `semtable`, `cansemacquire`; runtime `sync_runtime_canSpin`, `sync_runtime_doSpin`.
//! lot.rs has the protocol, queue.rs the buckets; this file puts them on the scheduler.
//!
//! Go counts wake-ups in a word beside each lock. Here a lock decides by its own word while the
//! bucket is locked, so that no count can be left over when a waiter gives up.

pub(crate) mod lot;
pub(crate) mod queue;

use crate::atomic::{AtomicU64, Ordering};
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::sched::SCHED;
use crate::sched::wait::{Wait, Why};
use crate::sys::hash::memhash64;
use lot::Env;
use queue::Queue;

/// A power of two; Go has 251.
const BUCKETS: usize = 256;

#[repr(align(64))]
struct Bucket(RtMutex<Queue<Wait>>);

static TABLE: [Bucket; BUCKETS] =
    [const { Bucket(RtMutex::new(Rank::Sema, Queue::new())) }; BUCKETS];

/// Where the table is.
pub(crate) fn table() -> core::ops::Range<usize> {
    let range = TABLE.as_ptr_range();
    range.start.addr()..range.end.addr()
}

/// The table's own key: plain threads may wait before boot draws those of sys/hash.rs, and a
/// waiter's bucket must not change.
static KEY: AtomicU64 = AtomicU64::new(0);

fn key() -> u64 {
    match KEY.load(Ordering::Relaxed) {
        // ORDERING: one value, whoever stores it first
        0 => first_key(),
        key => key,
    }
}

#[cold]
fn first_key() -> u64 {
    let new = memhash64(crate::sys::rand::bootstrap_rand()) | 1;
    // ORDERING: one value, whoever stores it first
    match KEY.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => new,
        Err(first) => first,
    }
}

/// Rounds of spinning before a wait, and pauses in each. Go: active_spin, active_spin_cnt.
const SPINS: u32 = 4;
const PAUSES: u32 = 30;

/// The table on the scheduler.
#[derive(Clone, Copy)]
pub(crate) struct Sema;

impl Env for Sema {
    type Wait = Wait;
    type Why = Why;

    fn begin(&self) -> Wait {
        Wait::begin()
    }

    fn claim(&self, wait: Wait, op: usize) -> bool {
        wait.claim(op)
    }

    fn is_waiting(&self, wait: Wait) -> bool {
        wait.is_waiting()
    }

    fn wait(&self, wait: Wait, why: Why, deadline_ns: Option<i64>) -> usize {
        wait.wait(why, deadline_ns)
    }

    fn wake(&self, wait: Wait) {
        wait.wake();
    }

    fn hash(&self, key: usize) -> u64 {
        let m = u128::from(key as u64 ^ self::key()) * 0xa076_1d64_78bd_642f;
        ((m >> 64) ^ m) as u64
    }

    fn locked<R>(&self, hash: u64, f: impl FnOnce(&mut Queue<Wait>) -> R) -> R {
        let _pin = crate::tls::pin::pin();
        let mut bucket = TABLE[hash as usize % BUCKETS].0.lock();
        f(&mut bucket)
    }

    fn now_ns(&self) -> i64 {
        crate::sys::nanotime()
    }

    /// Somebody else runs, who may hold the lock, and no goroutine waits for this P.
    fn can_spin(&self, i: u32) -> bool {
        if i >= SPINS || crate::sys::ncpu() == 1 {
            return false;
        }
        let pin = crate::tls::pin::pin();
        let Some(mp) = pin.m() else { return true };
        let busy = SCHED.gomaxprocs().saturating_sub(SCHED.spin.npidle());
        busy > SCHED.spin.nmspinning() + 1 && mp.p.get().is_none_or(|pp| pp.runq.is_empty())
    }

    fn spin(&self) {
        for _ in 0..PAUSES {
            core::hint::spin_loop();
        }
    }

    fn yield_now(&self) {
        crate::sched::park::gosched();
    }
}
