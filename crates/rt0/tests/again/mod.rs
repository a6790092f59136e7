//! Tests in processes of their own: the test is run again there.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::process::Command;

/// Names the test that a process was started for.
pub(crate) const VARIABLE: &str = "RT0_TEST_AGAIN";
/// In its place: all tests of the file.
const ALL: &str = "all";

/// Whether this process was started for the test `name`.
pub(crate) fn is_again(name: &str) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|who| who == name)
}

/// Runs the calling test, named `name`, again with these variables. What it printed. On a machine
/// with one CPU the harness would run it on its only thread, and print in front of its first line.
pub(crate) fn again(name: &str, env: &[(&str, &str)]) -> String {
    run(&["--exact", name, "--nocapture", "--test-threads=2"], name, env)
}

/// Runs `body` in a process of its own: the calling test, named `name`, again.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if is_again(name) {
        return body();
    }
    again(name, &[]);
}

/// Runs all tests of the calling file again, on so many Ps.
pub(crate) fn on_ps(numbers: &[u32]) {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    for n in numbers {
        run(&[], ALL, &[("GOMAXPROCS", &n.to_string())]);
    }
}

fn run(args: &[&str], who: &str, env: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("the test's own path"));
    command.args(args).env(VARIABLE, who).envs(env.iter().copied());
    let out = command.output().expect("the test starts");
    let [text, errors] = [&out.stdout, &out.stderr].map(|b| String::from_utf8_lossy(b));
    assert!(out.status.success(), "{command:?}: {}\n{text}\n{errors}", out.status);
    format!("{text}\n{errors}")
}
