//! Connections under stress: see the scenario.

mod support;

use std::time::Duration;
use support::{LIMIT, TESTPROG, run, with_default_signals};

/// `RT0_STRESS_SECS` seconds (2 unless set) on 1, 2 and 8 Ps. Nothing is read from another's
/// descriptor, nothing hangs, and at the end no goroutine, no descriptor and no waiter is left:
/// else the deadlock would not be found.
#[test]
fn connections_are_closed_and_converted_while_others_use_them() {
    let secs = std::env::var("RT0_STRESS_SECS").unwrap_or_else(|_| "2".into());
    let limit = Duration::from_secs(secs.parse().unwrap_or(2)) * 2 + 2 * LIMIT;
    for procs in ["1", "2", "8"] {
        let mut command = with_default_signals(TESTPROG);
        let f = run(command.args(["NetStress", &secs]).env("GOMAXPROCS", procs), b"", limit);
        assert_eq!(f.stdout, "OK\n", "{procs} Ps: {f:?}");
        assert_eq!(f.status.code(), Some(2), "{procs} Ps: {f:?}");
        let text = "all goroutines are asleep - deadlock!";
        assert!(f.stderr.contains(text), "{procs} Ps: {f:?}");
    }
}
