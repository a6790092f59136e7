//! Looking at a running or dying process.

mod api;
pub(crate) mod dump;
pub(crate) mod fatal;
#[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "stacks use the rest"))]
pub(crate) mod frame;
pub(crate) mod g0check;
pub(crate) mod graph;
mod groups;
pub(crate) mod halted;
#[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "stacks use the rest"))]
pub(crate) mod images;
mod json;
mod labels;
mod memory;
pub(crate) mod ms;
#[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "stacks use the rest"))]
mod print;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod slow;
mod stacks;
pub(crate) mod still;
#[cfg(feature = "backtrace")]
mod symbols;
pub(crate) mod uncaught;
#[cfg(feature = "backtrace")]
mod unwind;
pub(crate) mod vars;
pub(crate) mod waits;
#[cfg(not(feature = "backtrace"))]
mod without;

#[cfg(not(feature = "backtrace"))]
use without::{symbols, unwind};

pub use api::{Dump, dump_all, set_crash_output, set_traceback, stack};
pub use g0check::NoAllocOnG0;
pub use graph::{Deadlock, deadlocks};
pub use labels::{labels, remove_label, set_label, with_labels};
pub use signals::quit_on_sigquit;
pub use slow::{Slow, SlowCounts, SlowKind, slow, slow_counts, watch_slow};
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
