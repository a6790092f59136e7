//! Runs the soundness suite and the preemption mix on 1, 2 and 8 Ps. The suite also where TLS is
//! switched by `arch_prctl` and in the fallback in which each goroutine is a thread, the mix also
//! where goroutines are not preempted by signal.
//!
//! RT0_SOUNDNESS_SECS (4) is how long each run goes on. `soundness-matrix.sh` has the builds that a
//! test cannot make of itself: release, static, and the control, which must fail.

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Beyond the time for repeats: each case once, on a slow machine. The watchdogs see stalls.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn goroutines_are_threads_on_1_p() {
    soundness("1", "");
}

#[test]
fn goroutines_are_threads_on_2_ps() {
    soundness("2", "");
}

#[test]
fn goroutines_are_threads_on_8_ps() {
    soundness("8", "");
}

#[test]
fn goroutines_are_threads_without_fsgsbase() {
    soundness("2", "tlsmode=1");
}

#[test]
fn goroutines_that_are_threads_on_1_p() {
    soundness("1", "tlsmode=3");
}

#[test]
fn goroutines_that_are_threads_on_8_ps() {
    soundness("8", "tlsmode=3");
}

fn soundness(gomaxprocs: &str, godebug: &str) {
    let ok = run(&[], gomaxprocs, godebug);
    assert!(ok >= 40, "only {ok} cases ran");
}

#[test]
fn goroutines_of_every_kind_get_on_on_1_p() {
    mix("1", "");
}

#[test]
fn goroutines_of_every_kind_get_on_on_2_ps() {
    mix("2", "");
}

#[test]
fn goroutines_of_every_kind_get_on_on_8_ps() {
    mix("8", "");
}

#[test]
fn goroutines_of_every_kind_get_on_without_signals_on_1_p() {
    mix("1", "asyncpreemptoff=1");
}

#[test]
fn goroutines_of_every_kind_get_on_without_signals_on_2_ps() {
    mix("2", "asyncpreemptoff=1");
}

fn mix(gomaxprocs: &str, godebug: &str) {
    let ok = run(&["mix"], gomaxprocs, godebug);
    assert!(ok >= 20, "only {ok} kinds ran");
}

/// Each run wants the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How many lines say that all is well.
fn run(args: &[&str], gomaxprocs: &str, godebug: &str) -> usize {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let secs = std::env::var("RT0_SOUNDNESS_SECS").unwrap_or_else(|_| "4".to_owned());
    let limit = LIMIT + Duration::from_secs(secs.parse().expect("RT0_SOUNDNESS_SECS is a number"));
    let mut command = support::with_default_signals(env!("CARGO_BIN_EXE_soundness"));
    command.args(args).args(["--secs", &secs]);
    command.env("GOMAXPROCS", gomaxprocs).env("GODEBUG", godebug);
    let finished = support::run(&mut command, b"", limit);
    println!("{}", finished.stdout);
    assert!(finished.status.success(), "{}\n{finished:?}", finished.stdout);
    finished.stdout.lines().filter(|line| line.starts_with("ok ")).count()
}
