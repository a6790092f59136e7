//! A barrier on another thread: sysmon's half of the check at the door of the runtime (p/owner.rs).
//!
//! The kernel's `membarrier` is one on every thread that runs. Where there is none (old kernels,
//! sandboxes that do not let it through) a thread that sleeps has passed one: it was switched off
//! its processor, which is a full barrier. So has one that the kernel counts another switch of.
//! But a loop that has a processor to itself is not switched for seconds. There sysmon moves onto
//! that processor, which takes the loop off it for a moment, and back.
//!
//! # Invariants
//! * `BA1`: sysmon alone moves, under the lock that those hold who read its affinity
//!   (default_gomaxprocs.rs). Threads of the program keep theirs, and none is made by sysmon.
//!
//! # Rejected
//! `mprotect` of a page that is in use, which interrupts every processor that runs this memory:
//! with broadcast invalidation (AMD's INVLPGB) the kernel interrupts none.

use super::{default_gomaxprocs, sysmon};
use crate::atomic::{AtomicBool, Ordering};
use crate::m::M;
use crate::sys::{proc, raw, threads};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

static MEMBARRIER: AtomicBool = AtomicBool::new(false);

/// How often sysmon follows a thread that the kernel moves meanwhile, and how long it lets it run.
const TRIES: u32 = 4;
const RUN_NS: i64 = 50_000;

/// By sysmon's thread, when it starts.
pub(super) fn init() {
    // ORDERING: a stale false costs a signal, or a switch
    MEMBARRIER.store(raw::membarrier_register(), Ordering::Relaxed);
}

/// Whether every thread can be reached at once.
pub(super) fn have_membarrier() -> bool {
    MEMBARRIER.load(Ordering::Relaxed) // ORDERING: see init
}

/// True if the M's thread has passed a full barrier since the call began. `tid` was its thread.
pub(super) fn pass(mp: &'static M, tid: i32) -> bool {
    // ORDERING: a thread that sleeps has passed the barrier of its switch, if it still is the M's
    // (one_to_one.rs)
    have_membarrier() && raw::membarrier()
        || proc::thread_state(tid).is_asleep() && is_thread(mp, tid)
}

/// The same by sysmon, which gets it from any thread.
pub(super) fn enforce(mp: &'static M, tid: i32) -> bool {
    pass(mp, tid) || !have_membarrier() && is_switched(tid) && is_thread(mp, tid)
}

fn is_thread(mp: &M, tid: i32) -> bool {
    mp.procid.get() as i32 == tid
}

/// Makes the kernel switch the thread off its processor, if it does not by itself.
///
/// The count grows inside the switch, behind its barrier; if it has grown, that was after the first
/// look at it. What the thread does next it does after the switch.
fn is_switched(tid: i32) -> bool {
    let Some(before) = threads::switches(tid as u32) else { return false };
    let switched = || threads::switches(tid as u32).is_some_and(|now| now != before);
    default_gomaxprocs::with_affinity_unread(|| {
        let Ok(own) = sched_getaffinity(None) else { return false };
        let mut at = None;
        let done = (0..TRIES).any(|_| {
            let cpu = proc::last_cpu(tid).filter(|cpu| *cpu < CpuSet::MAX_CPU);
            let Some(cpu) = cpu else { return false };
            let mut only = CpuSet::new();
            only.set(cpu);
            if sched_setaffinity(None, &only).is_err() {
                return false;
            }
            at = Some(only);
            // It did not run while this thread did, if this is the processor that both were on.
            switched() || {
                sysmon::usleep(RUN_NS);
                switched()
            }
        });
        // Unless somebody from outside has set another meanwhile.
        if at.is_some() && sched_getaffinity(None).ok() == at {
            let _ = sched_setaffinity(None, &own); // it could be set before
        }
        done
    })
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_types, reason = "plain threads only")]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};
    use std::thread;

    #[test]
    fn a_thread_that_computes_is_switched() {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let loop_ = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                tell.send(crate::sys::gettid()).expect("the test listens");
                // ORDERING: a flag
                while !stop.load(Ordering::Relaxed) {
                    core::hint::spin_loop();
                }
            })
        };
        let tid = told.recv().expect("a number");
        let own = sched_getaffinity(None).expect("a set");
        let mut switched = false;
        while !switched {
            switched = is_switched(tid);
            assert!(sched_getaffinity(None).expect("a set") == own, "BA1");
        }
        stop.store(true, Ordering::Relaxed); // ORDERING: a flag
        loop_.join().expect("no panic");
        assert!(!is_switched(i32::MAX), "no such thread");
    }
}
