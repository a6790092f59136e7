//! Clients that others wrote.

use super::support::{Finished, run};
use std::io::{Write, pipe};
use std::path::PathBuf;
use std::process::Command;
use std::{env, io, thread};

/// Where the program `name` is. Where it is missing the test has nothing to do, and says so; in CI
/// (`RT0_CI`, which `.ci/run` sets) it must be there.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(env::var_os("RT0_CI").is_none(), "{name} is not installed");
        let test = thread::current().name().unwrap_or_default().to_owned();
        // Not by `eprintln!`: what a test prints by that is shown only if it fails.
        let _ = writeln!(io::stderr(), "test {test} was SKIPPED: {name} is not installed");
    }
    found
}

/// Runs `command` with `input` to read.
pub(crate) fn with_input(command: &mut Command, input: &str) -> Finished {
    let (reader, mut writer) = pipe().expect("a pipe");
    command.stdin(reader);
    thread::scope(|s| {
        s.spawn(move || writer.write_all(input.as_bytes()));
        run(command)
    })
}
