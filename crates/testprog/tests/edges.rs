//! Each way to wait, in each way that goroutines can be run: who will be woken goes on, and where
//! nobody can wake anybody the process says so. The table of docs/TESTPROG.md is these lists.

mod support;

use std::time::Duration;
use support::{Finished, TESTPROG, run, with_default_signals};

const LIMIT: Duration = Duration::from_secs(60);
const DEAD: &str = "fatal error: all goroutines are asleep - deadlock!\n\n";
const TABLE: &str = include_str!("../../../docs/TESTPROG.md");

fn in_all_modes(scenario: &str, check: impl Fn(&Finished)) {
    for (key, value) in [("RT0", "1"), ("GOMAXPROCS", "1"), ("GODEBUG", "tlsmode=3")] {
        let mut command = with_default_signals(TESTPROG);
        command.arg(scenario).env("RUST_BACKTRACE", "0");
        command.env_remove("GOMAXPROCS").env_remove("GODEBUG").env(key, value);
        check(&run(&mut command, b"a line\n", LIMIT));
    }
    let row = format!("`{scenario}`");
    assert!(TABLE.contains(&row), "docs/TESTPROG.md has no {row}");
}

fn go_on(scenarios: &[&str]) {
    for scenario in scenarios {
        in_all_modes(scenario, |f| {
            let end = (f.status.code(), f.stdout.as_str(), f.stderr.as_str());
            assert_eq!(end, (Some(0), "goes on\n", ""), "{scenario}");
        });
    }
}

/// Each with the state in which the report shows the goroutine that matters.
fn die(scenarios: &[(&str, &str)]) {
    for (scenario, state) in scenarios {
        in_all_modes(scenario, |f| {
            assert_eq!((f.status.code(), f.stdout.as_str()), (Some(2), ""), "{scenario}: {f:?}");
            assert!(f.stderr.starts_with(DEAD), "{scenario}: {f:?}");
            assert!(f.stderr.contains(&format!(" [{state}]:\n")), "{scenario}: {state}: {f:?}");
        });
    }
}

#[test]
fn somebody_works_in_c_or_on_a_thread() {
    go_on(&["LockedGoroutineWorks", "LockedMainWaits", "RunWaits", "GuestWaits"]);
    go_on(&["FutureOfThread", "CCondvarTimed", "CPipe", "SigWait", "MainGoneThreadWorks"]);
    go_on(&["HookWaits", "MainAloneThreadWorks", "MainAloneJoins"]);
}

#[test]
fn something_comes_from_outside() {
    go_on(&["StdinRead", "ThreadReadsStdin", "ReadDeadline", "ProcessWaits"]);
}

#[test]
fn a_timer_is_pending() {
    go_on(&["FutureOfTimer", "ContextTimeout", "WaitsWithDeadline", "AfterFunc"]);
    go_on(&["TickerRuns", "SelectOnTimer"]);
}

#[test]
fn nobody_can_wake_who_waits_in_rt0() {
    die(&[
        ("LockedDies", "chan receive, locked to thread"),
        ("LockedMainDies", "chan receive, locked to thread"),
        ("RunDies", "chan receive"),
        ("GuestDies", "chan receive"),
        ("FutureDies", "future"),
        ("FutureOfGoroutineDies", "future"),
        ("ContextDies", "chan receive"),
        ("ScopeDies", "scope wait"),
        ("WaitGroupDies", "sync.WaitGroup.Wait"),
        ("CondvarDies", "sync.Cond.Wait"),
        ("BarrierDies", "barrier wait"),
        ("OnceDies", "sync.Once.Do"),
        ("RwLockDies", "sync.RWMutex.Lock"),
        ("SelectDies", "select"),
        ("SemaphoreDies", "semacquire"),
        ("NotifyDies", "notify wait"),
        ("OneshotDies", "oneshot receive"),
        ("WatchDies", "watch wait"),
        ("BroadcastDies", "broadcast receive"),
        ("MpscDies", "chan receive"),
    ]);
}

#[test]
fn nobody_can_wake_who_waits_elsewhere() {
    die(&[
        ("ThreadHoldsSenderDies", "chan receive"),
        ("HandledSignalDies", "chan receive"),
        ("CSemaphoreDies", "join"),
        ("CCondvarDies", "join"),
        ("CInheritingDies", "join"),
        ("BlockingDies", "join"),
        ("MainAloneDies", "syscall: futex"),
        ("MainAloneRecvDies", "syscall: futex"),
        ("MainAloneCondvarDies", "syscall: futex"),
        ("MainAloneJoinDies", "syscall: pthread_join"),
    ]);
}

#[test]
fn what_is_over_is_no_reason_to_wait() {
    die(&[
        ("TimerGoneDies", "chan receive"),
        ("ProcessDoneDies", "chan receive"),
        ("StdinDoneDies", "chan receive"),
        ("HookDies", "chan receive"),
        ("HookDiesOthersExit", "sync.Mutex.Lock"),
    ]);
}
