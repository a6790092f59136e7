//! Calls of the C library that may block.
//!
//! Go: cgocall, which enters a system call around every C function. interpose/ does it around those
//! that block, by [`enter_call`] and [`exit_call`]. They run where a call of the runtime's own
//! could not: in signal handlers, and in the children of fork and vfork.
//!
//! # Invariants
//! * `CC1`: `enter_call` marks only on the goroutine's own stack, with `m.locks == 0`, outside any
//!   other section. It takes no lock, and it changes nothing of a P that the M does not hold.
//! * `CC2`: `exit_call` switches away, or takes a lock, only on the M's own kernel thread with the
//!   M's own signal mask. A child of fork is another thread, and has no other M and perhaps a held
//!   lock; a child of vfork borrows the M from its parent; a handler that runs on the goroutine's
//!   stack has its signal blocked, and must return on the thread it began on (the kernel restores
//!   that thread's mask and signal stack). There the goroutine goes on without a P until its next
//!   call into the runtime. What this cannot see is a handler without SA_ONSTACK and with
//!   SA_NODEFER.

use super::hogs::Ended;
use super::preempt::settle;
use super::syscall::{Expect, continue_after_call, is_own_thread, mark, pinned, unmark};
use super::{SCHED, leave};
use crate::atomic::Ordering;
use crate::g::{G, Place, Status};
use crate::m::M;
use crate::p::P;
use crate::p::owner::Exit;

/// CC1: goes into call number `call` of the C library (interpose/table.rs), from a frame at `from`
/// that stays while the call lasts. True if [`exit_call`] has to follow.
#[inline]
pub(crate) fn enter_call(gp: &'static G, call: u32, expect: Expect, from: &Place) -> bool {
    if gp.status() == Status::Syscall as u32 {
        return false;
    }
    let mp = pinned();
    let here = core::ptr::from_ref(&expect).addr();
    let (lo, hi) = crate::stack::bounds(gp);
    // ORDERING: this thread's own count
    if mp.locks.load(Ordering::Relaxed) != 1 || !(lo..hi).contains(&here) {
        leave(mp);
        return false;
    }
    gp.set_call(call, from);
    let held = |pp: &&P| pp.owner.is(mp.addr()) || pp.owner.reclaim(mp.addr());
    match mp.p.get().filter(held) {
        Some(pp) => mark(mp, gp, pp, expect),
        None => {
            SCHED.census.end(&mp.standing);
            gp.casgstatus(Status::Running, Status::Syscall);
        }
    }
    settle(mp);
    leave(mp);
    true
}

/// Comes back from a call that [`enter_call`] marked.
#[inline]
pub(crate) fn exit_call(gp: &'static G, ended: Ended) {
    if gp.status() != Status::Syscall as u32 {
        return; // a call into the runtime, from a handler, ended the section
    }
    let mp = pinned();
    match unmark(mp, gp) {
        Exit::Kept => leave(mp),
        exit => exit_slowly(mp, gp, exit, ended),
    }
}

/// CC2.
#[cold]
fn exit_slowly(mp: &'static M, gp: &'static G, exit: Exit, ended: Ended) {
    if is_own_thread(mp) && crate::sys::signal::is_mask(crate::m::m0().sigmask.get()) {
        return leave(continue_after_call(mp, gp, exit, ended));
    }
    if exit == Exit::Lost {
        mp.p.set(None);
    }
    leave(mp);
}
