//! How long the switch alone takes, for the benchmarks.

use super::{enter, leave};
use crate::arch::{bare, fsgs};

/// Switches `2 * n` times between two stacks without the scheduler; `with_tls`: each switch writes
/// the FS base too, as between goroutines. On a thread that is no goroutine it does nothing.
pub fn bare_switches(n: u64, with_tls: bool) {
    const AT_ONCE: u64 = 10_000; // nothing is preempted meanwhile
    let mut stack = Box::new([0; _]);
    for done in (0..n).step_by(AT_ONCE as usize) {
        let Some((mp, _)) = enter() else { return };
        let fs = if with_tls { fsgs::fs_base() } else { 0 };
        bare::round_trips(AT_ONCE.min(n - done), &mut stack, fs, crate::tls::access());
        leave(mp);
    }
}
