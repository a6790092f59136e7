//! Looking at a running or dying process.

pub(crate) mod dump;
pub(crate) mod g0check;
pub(crate) mod graph;
pub(crate) mod ms;
pub(crate) mod vars;
pub(crate) mod waits;

pub use g0check::NoAllocOnG0;
pub use graph::{Deadlock, deadlocks};
pub use waits::{Holder, Party, Waiting, waits};

/// Writes the state of the scheduler to standard error: a line about it as a whole, and one for
/// each P, M and goroutine. For a watchdog that sees a program stand still; the program goes on.
///
/// The lines are those of `GODEBUG=schedtrace=1,scheddetail=1`. From any thread. Nobody is
/// scheduled while it writes.
pub fn schedtrace() {
    let section = crate::sched::enter();
    crate::sched::schedtrace::schedtrace(crate::sys::nanotime(), true);
    if let Some((mp, _)) = section {
        crate::sched::leave(mp);
    }
}
