//! Signals at boot: the mask that goroutines run with, and the runtime's own handlers.
//!
//! Go: signal_unix.go `sigsave`, `initsig`; proc.go `mstartm0`. Only what the runtime handles
//! itself gets a handler: faults and SIGQUIT (debug/signals.rs), and SIGURG with the first
//! goroutine beyond main (sched/preempt.rs). Others get one when the program asks for them
//! (sched/signal_unix.rs).

use crate::m::M;

/// Notes the mask that goroutines are to run with: the boot thread's. Go: sigsave.
pub(crate) fn sigsave(mp: &'static M) {
    mp.sigmask.set(crate::sys::signal::current_mask());
}
