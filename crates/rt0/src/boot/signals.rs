//! Signals at boot: the mask that goroutines run with, and the runtime's own handlers.
//!
//! Go: signal_unix.go `sigsave`, `initsig`; proc.go `mstartm0`. Only what the runtime handles
//! itself gets a handler: SIGSEGV and SIGBUS, to name an overflow (stack/overflow.rs), and SIGURG
//! with the first goroutine beyond main (sched/preempt.rs). What the program does with other
//! signals is not ours.

use crate::m::M;

/// Notes the mask that goroutines are to run with: the boot thread's. Go: sigsave.
pub(crate) fn sigsave(mp: &'static M) {
    mp.sigmask.set(crate::sys::signal::current_mask());
}
