//! Threads that are held still while their stacks are walked.
//!
//! Go: preempt.go `suspendG`, for a stack; panic.go `freezetheworld`, for the end. A goroutine that
//! runs has its registers in a CPU: its thread is signalled (SIGURG, as for preemption), and the
//! handler leaves them in the M and waits (m/halt.rs). For a dump of a process that goes on that
//! takes some microseconds; for the last one nobody is let go again.
//!
//! A thread may be held anywhere, with any lock: whoever holds one takes none, allocates nothing,
//! and waits for nobody.

#![allow(unsafe_code, reason = "reads the context that the kernel passes to a handler")]

use super::frame::Registers;
use crate::atomic::{AtomicU32, Ordering};
use crate::m::M;
use crate::sys::{futex, nanotime, signal::tgkill};
use core::ffi::c_void;

/// The last dump is under way: nobody goes on.
static FROZEN: AtomicU32 = AtomicU32::new(0);

/// Whether the process is about to end: threads of the runtime's that are not Ms stay where they
/// see it.
pub(crate) fn is_frozen() -> bool {
    FROZEN.load(Ordering::Relaxed) != 0 // ORDERING: a flag without data
}

/// Waits for the end of the process, if it is near.
pub(crate) fn stay_if_frozen() {
    while is_frozen() {
        futex::wait(&FROZEN, 1, None);
    }
}

/// The registers of an interrupted context.
pub(crate) fn registers(ctx: *mut c_void) -> Registers {
    let ctx = ctx.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context to a handler.
    let r = unsafe { &(*ctx).uc_mcontext.gregs };
    Registers {
        pc: r[libc::REG_RIP as usize] as usize,
        sp: r[libc::REG_RSP as usize] as usize,
        bp: r[libc::REG_RBP as usize] as usize,
    }
}

/// SIGURG on the thread of `mp`. False: it is not about a dump.
pub(crate) fn on_signal(mp: &'static M, ctx: *mut c_void) -> bool {
    let Registers { pc, sp, bp } = registers(ctx);
    if !mp.halt.accept([pc, sp, bp]) {
        return false;
    }
    futex::wake(mp.halt.word(), u32::MAX);
    loop {
        if mp.halt.is_halted() {
            futex::wait(mp.halt.word(), crate::m::halt::HALTED, None);
        } else if is_frozen() {
            mp.halt.stay(); // let go by a dump that does not know that there is a last one
        } else {
            return true;
        }
    }
}

/// A thread that is held.
pub(super) struct Held {
    mp: &'static M,
    pub(super) registers: Registers,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.mp.halt.release();
        futex::wake(self.mp.halt.word(), u32::MAX);
    }
}

/// Holds the M's thread, if it answers by `until`. The caller is pinned.
pub(super) fn hold(mp: &'static M, until: i64) -> Option<Held> {
    // The caller may have gone on, before it was pinned, on the M that it looks at.
    if is_frozen() || mp.procid.get() == crate::sys::gettid() as u64 {
        return None;
    }
    // Another dump holds the thread for some microseconds.
    while !mp.halt.ask() {
        if nanotime() > until {
            return None;
        }
        pause(50_000);
    }
    let mut registers = None;
    if tgkill(mp.procid.get() as i32, libc::SIGURG) {
        registers = wait_for(mp, until);
    }
    if registers.is_none() && mp.halt.cancel() {
        return None;
    }
    // It has halted, if only in the last moment.
    let registers = registers.or_else(|| frozen_registers(mp)).unwrap_or_default();
    Some(Held { mp, registers })
}

/// Until others have got further.
pub(super) fn pause(ns: i64) {
    let never = AtomicU32::new(0);
    futex::wait(&never, 0, Some(ns));
}

fn wait_for(mp: &'static M, until: i64) -> Option<Registers> {
    loop {
        if let Some(r) = frozen_registers(mp) {
            return Some(r);
        }
        let left = until - nanotime();
        if left <= 0 {
            return None;
        }
        futex::wait(mp.halt.word(), crate::m::halt::ASKED, Some(left));
    }
}

/// The registers of an M that is held, by whomever.
pub(super) fn frozen_registers(mp: &'static M) -> Option<Registers> {
    mp.halt.registers().map(|[pc, sp, bp]| Registers { pc, sp, bp })
}

/// Holds every other M for good, as far as they answer in time. Go: freezetheworld.
pub(super) fn freeze_the_world() {
    const PATIENCE_NS: i64 = 1_000_000_000;
    FROZEN.store(1, Ordering::SeqCst); // ORDERING: before the signals
    let me = crate::sys::gettid() as u64;
    let others = || crate::m::allm().filter(|m| m.procid.get() != 0 && m.procid.get() != me);
    for mp in others() {
        // Who is held already by another dump stays held.
        if mp.halt.ask() {
            tgkill(mp.procid.get() as i32, libc::SIGURG);
        }
    }
    let until = nanotime() + PATIENCE_NS;
    for mp in others() {
        wait_for(mp, until);
    }
}
