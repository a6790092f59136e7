//! Tests in processes of their own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::process::Command;

const VARIABLE: &str = "RT0_TEST_ALONE";

/// Runs `body` in a process of its own: the calling test, named `name`, again.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os(VARIABLE).is_some_and(|who| who == name) {
        return body();
    }
    again(Command::new(this()).args(["--exact", name, "--nocapture"]), name);
}

/// Runs all tests of the calling file again, on so many Ps.
pub(crate) fn on_ps(numbers: &[u32]) {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    for n in numbers {
        again(Command::new(this()).env("GOMAXPROCS", n.to_string()), "all");
    }
}

fn this() -> std::path::PathBuf {
    std::env::current_exe().expect("this test")
}

fn again(command: &mut Command, who: &str) {
    let out = command.env(VARIABLE, who).output().expect("the test starts");
    let [text, errors] = [&out.stdout, &out.stderr].map(|b| String::from_utf8_lossy(b));
    assert!(out.status.success(), "{command:?}: {}\n{text}\n{errors}", out.status);
}
