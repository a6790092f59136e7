//! Goroutines that the kernel holds up in the middle of something: a page fault, `mmap`.
//!
//! Their threads are in uninterruptible sleep. Where several fault and map at once that is a lock
//! of the kernel's, nearly always, which is given back in some 100 µs. If the P is taken at once,
//! one more thread wants the same lock, and the goroutine goes on without a P as a hog that never
//! calls. Of eight such loops on two Ps each had a thread soon, and twenty threads fought for two
//! processors, those that woke sleepers among them.
//!
//! So a P is taken if its thread is seen asleep like that in two looks of sysmon's, half a
//! millisecond apart, as one is that reads from a disk. Its goroutine is asked to park as soon as
//! it computes again: the sweeps of hogs.rs look less often, for they look at all.
//!
//! All of it is sysmon's own.

use super::{SCHED, hogs, preempt};
use crate::atomic::AtomicRef;
use crate::m::M;
use crate::p::P;
use crate::sys::proc::ThreadState;

/// How far apart the two looks are, at least.
const LONG_NS: i64 = 400_000;

/// Makes a schedtick something else than what `P::sysmon_seen` sees of calls.
const IN_KERNEL: u64 = 1 << 62;

/// Ms whose P was taken in a fault. One for which there is no room is left to the sweeps.
static TAKEN_FROM: [AtomicRef<M>; 8] = [const { AtomicRef::none() }; 8];

/// Whether a thread in this state, with the P, keeps it at this look although it sleeps.
pub(super) fn may_keep(pp: &'static P, state: ThreadState, now: i64) -> bool {
    if state != ThreadState::Uninterruptible {
        pp.sysmon_seen.forget();
        return false;
    }
    let since = pp.sysmon_seen.since(pp.schedtick.get() | IN_KERNEL, now);
    since.is_none_or(|ns| ns < LONG_NS)
}

/// The M's P was taken, with its thread in this state.
pub(super) fn taken(mp: &'static M, state: ThreadState) {
    let slot = || TAKEN_FROM.iter().find(|slot| slot.get().is_none());
    if state == ThreadState::Uninterruptible
        && let Some(slot) = slot()
    {
        slot.set(Some(mp));
    }
}

/// In each round: asks those that compute again to park, if others wait.
pub(super) fn ask_to_park() {
    for slot in &TAKEN_FROM {
        let Some(mp) = slot.get() else { continue };
        if !hogs::lacks_p(mp) {
            slot.set(None);
        } else if SCHED.runqsize() > 0 && hogs::computes(mp) {
            preempt::preempt_m(mp);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_p_until_the_second_look() {
        static PP: P = P::new();
        let keeps = |state, now| may_keep(&PP, state, now);
        assert!(keeps(ThreadState::Uninterruptible, 1_000_000));
        assert!(keeps(ThreadState::Uninterruptible, 1_100_000));
        assert!(!keeps(ThreadState::Uninterruptible, 1_500_000), "it sleeps for long");
        assert!(!keeps(ThreadState::Running, 1_600_000), "no reason to");
        assert!(keeps(ThreadState::Uninterruptible, 2_100_000), "it ran in between");
        PP.schedtick.bump();
        assert!(keeps(ThreadState::Uninterruptible, 3_000_000), "another goroutine");
        assert!(!keeps(ThreadState::Asleep, 3_000_000), "it waits for something to happen");
    }
}
