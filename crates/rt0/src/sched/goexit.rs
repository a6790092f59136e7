//! The first and the last code of a goroutine.
//!
//! Go: asm `goexit`, proc.go `goexit1`, `goexit0`, `gdestroy`, `gfput`.

use super::lifecycle::{self, is_goroutine_1};
use super::park::{current_m, finish_switch, switch_away};
use super::{enter_system, leave, p_of};
use crate::atomic::Ordering;
use crate::g::{G, Status};
use crate::m::{Action, M};
use crate::tls;

/// Called by the root frame (arch/x86_64/switch.rs `g_start`) on the new stack and block.
pub(crate) extern "C" fn goroutine_start(gp: &'static G) -> ! {
    let mp = current_m();
    finish_switch(mp);
    if !gp.is_system() {
        tls::set_curg(Some(gp));
        // ORDERING: GS2: the running goroutine's own
        if gp.tcb_fresh.load(Ordering::Relaxed) != 0 {
            gp.tcb_fresh.store(0, Ordering::Relaxed); // ORDERING: GS2
            if let Some(t) = tls::template() {
                tls::tcb::first_run(t);
            }
        }
    }
    leave(mp);
    call_fn(gp);
    goexit1(); // where goroutines are threads; else newproc.rs `start` has done it
    crate::throw::throw("goexit0: a dead goroutine was continued")
}

/// Calls the goroutine's function, through Go's `startpc`.
#[allow(unsafe_code, reason = "calls the function that newproc1 stored")]
pub(super) fn call_fn(gp: &'static G) {
    // ORDERING: GS2
    let (f, arg) =
        (gp.startpc.load(Ordering::Relaxed), gp.start_arg.load(Ordering::Relaxed) as *mut u8);
    for word in gp.reads() {
        word.store(0, Ordering::Relaxed); // ORDERING: GS2
    }
    // SAFETY: newproc.rs gostartcallfn stored `start::<F>` and its argument.
    let f = unsafe { core::mem::transmute::<usize, unsafe fn(*mut u8)>(f) };
    // SAFETY: newproc.rs gostartcallfn stored `start::<F>` and its argument.; called once for each
    // newproc1.
    unsafe { f(arg) };
}

/// What a thread does at its end: thread-local destructors and the like, on the goroutine itself.
/// Called once, when its closure has returned.
pub(crate) fn retire() {
    let Some(gp) = tls::getg() else { return };
    gp.clear_extras();
    #[cfg(feature = "control-shared-tls")]
    if tls::mode() == tls::Mode::Shared {
        return;
    }
    // Goroutine 1 uses the block of the boot thread, which libc retires itself.
    if !is_goroutine_1(gp)
        && let Some(t) = tls::template()
        && tls::tcb::retire(t)
    {
        gp.tcb_fresh.store(1, Ordering::Relaxed); // ORDERING: GS2
    }
}

/// The goroutine's function has returned: the last switch. Comes back only on a thread that was the
/// goroutine's own (one_to_one.rs) and now ends.
pub(super) fn goexit1() {
    let (mp, gp) = enter_system();
    goexit0(mp, gp);
}

/// Go: goexit0; the rest is done by finish_switch, off this stack.
pub(super) fn goexit0(mp: &'static M, gp: &'static G) {
    if gp.is_system() {
        crate::throw::throw("a goroutine of the runtime's ended");
    }
    p_of(mp).gdead.bump();
    super::newproc::add_scannable_stack(p_of(mp), -(crate::stack::limit_bytes(gp) as i64));
    super::lock_os_thread::goroutine_ends(mp, gp);
    if is_goroutine_1(gp) {
        lifecycle::goroutine_1_ends(mp);
    }
    if gp.baton.is_thread() {
        mp.action.store(Action::Exit as u32, Ordering::Relaxed); // ORDERING: owner-only (MP1)
        mp.prev.set(Some(gp));
        mp.curg.set(None);
        return super::one_to_one::leave_for_ever(mp);
    }
    switch_away(mp, gp, Action::Exit);
}

/// On the new side: the goroutine is dead and may be used again. Go: gdestroy, gfput.
pub(crate) fn gfput(mp: &'static M, gp: &'static G) {
    gp.casgstatus(Status::Running, Status::Dead);
    gp.m.set(None);
    if is_goroutine_1(gp) {
        // Its slot is never used again, and its block is the boot thread's.
        lifecycle::goroutine_1_is_dead();
        return;
    }
    if crate::stack::cache::gfput(p_of(mp), gp) {
        super::background::wake_sweeper();
    }
}
