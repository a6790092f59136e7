//! The scenarios, by name.

mod boot;
mod c_calls;
mod deadlocks;
mod dumps;
mod edges;
mod ends;
mod exits;
mod faults;
mod foreign;
mod go_misc;
mod go_panics;
mod hogs;
mod limits;
mod net;
mod os_thread;
mod panics;
mod procs;
mod quit;
mod ring;
mod sched;
mod signals;
mod stacks;
mod stdio;
mod stuck;

use std::process::ExitCode;

/// How a scenario is started.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// By `#[rt0::main]`, as goroutine 1.
    Main(fn() -> ExitCode),
    /// On the main thread, with no runtime yet.
    Plain(fn() -> ExitCode),
}

type Entry = (&'static str, Run);

/// The scenario that the command line names.
pub(crate) fn named() -> Option<Run> {
    find(&std::env::args().nth(1)?)
}

fn all() -> impl Iterator<Item = &'static Entry> {
    [
        boot::SCENARIOS,
        c_calls::SCENARIOS,
        deadlocks::SCENARIOS,
        dumps::SCENARIOS,
        edges::SCENARIOS,
        ends::SCENARIOS,
        exits::SCENARIOS,
        faults::SCENARIOS,
        foreign::SCENARIOS,
        go_misc::SCENARIOS,
        go_panics::SCENARIOS,
        hogs::SCENARIOS,
        limits::SCENARIOS,
        net::SCENARIOS,
        os_thread::SCENARIOS,
        panics::SCENARIOS,
        procs::SCENARIOS,
        quit::SCENARIOS,
        ring::SCENARIOS,
        sched::SCENARIOS,
        signals::SCENARIOS,
        stacks::SCENARIOS,
        stdio::SCENARIOS,
        stuck::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn find(name: &str) -> Option<Run> {
    all().find(|(n, _)| *n == name).map(|(_, run)| *run)
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| *name)
}

/// The scenario's argument, a number.
fn number(default: u64) -> u64 {
    std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(default)
}

/// What a scenario returns that did what it should.
const DONE: ExitCode = ExitCode::SUCCESS;
