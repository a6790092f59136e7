//! "all goroutines are asleep".
//!
//! Go: proc.go `checkdead`. Called under `sched.lock` when an M goes idle.
//!
//! It reports only what is certain: every M idles, no timer is pending, nothing is queued, and
//! every live goroutine waits for another one's end (join, scope). A goroutine in `park` may be
//! unparked by a thread that we know nothing of, so one such goroutine is enough to stay silent.

use super::{SCHED, State};
use crate::atomic::Ordering;
use crate::g::{Status, WaitReason};
use crate::sys::stderr::rtprint;

/// SCHED.lock is held; the calling M is on the idle list already.
pub(crate) fn checkdead(sched: &State) {
    let ms = (sched.mcount() - u64::from(sched.m0_left)) as i64;
    if i64::from(sched.nmidle) + sched.nmidlelocked != ms
        || SCHED.runqsize() != 0
        || sched.newm.is_some()
    {
        return;
    }
    if super::procresize::allp().any(|pp| pp.timers.any_live())
        || super::lifecycle::guests() != 0
        || super::lifecycle::main_returned()
    {
        return;
    }
    let mut waiting = 0;
    for gp in crate::g::allgs().filter(|gp| !gp.is_system()) {
        let st = gp.status();
        if st == Status::Dead as u32 || st == Status::Idle as u32 {
            continue;
        }
        let certain = matches!(gp.wait_reason(), WaitReason::Join | WaitReason::Scope);
        if st != Status::Waiting as u32 || !certain {
            return;
        }
        waiting += 1;
    }
    // ORDERING: set by goroutine 1 before it ended
    if waiting == 0 && SCHED.main_goexited.load(Ordering::Acquire) {
        crate::throw::fatal("no goroutines (main called runtime.Goexit) - deadlock!");
    }
    if waiting > 0 {
        rtprint!("fatal error: all goroutines are asleep - deadlock!\n\n");
        crate::debug::dump::user_goroutines();
        crate::sys::exit_group(2);
    }
}
