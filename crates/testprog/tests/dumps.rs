//! What dumps say, of few goroutines and of very many.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use support::{Finished, TESTPROG, check, run, testprog, testprog_with, with_default_signals};

/// The part of a dump that is about the goroutine with this name.
#[track_caller]
fn part<'a>(dump: &'a str, name: &str) -> &'a str {
    let quoted = format!(" \"{name}\":");
    let is_its = |p: &&str| p.lines().next().is_some_and(|h| h.ends_with(&quoted));
    dump.split("\n\n").find(is_its).unwrap_or_else(|| panic!("no {name}: {dump}"))
}

/// A minute is some milliseconds here.
#[test]
fn headers_say_for_how_long_one_waits() {
    for (mode, procs) in [("0", "1"), ("0", "8"), ("3", "2")] {
        let godebug = format!("waitminute=40,tlsmode={mode}");
        let f = testprog_with(&["Minutes"], &[("GODEBUG", &godebug), ("GOMAXPROCS", procs)]);
        assert!(f.status.success(), "{f:?}");
        for (name, state, rest) in [
            ("receiver", "[chan receive", "minutes]"),
            ("sleeper", "[sleep", "minutes]"),
            ("caller", "[syscall", "minutes]"),
            ("owner", "[sleep", "minutes, locked to thread]"),
        ] {
            let header = part(&f.stdout, name).lines().next().unwrap_or_default();
            let start = header.find(state).unwrap_or_else(|| panic!("no {state}: {header}"));
            let (minutes, after) = header[start + state.len()..]
                .strip_prefix(", ")
                .and_then(|h| h.split_once(' '))
                .unwrap_or_else(|| panic!("no minutes: {header}"));
            assert!(minutes.parse::<u64>().is_ok_and(|n| n > 0), "{header}");
            assert!(after.starts_with(rest), "{header}");
            let json = format!("\"name\":\"{name}\",\"state\":");
            let json = f.stdout.lines().find(|l| l.contains(&json)).unwrap_or_default();
            assert!(json.contains(",\"minutes\":"), "{json}");
        }
        let own = f.stdout.lines().next().unwrap_or_default();
        assert_eq!(own, "goroutine 1 [running]:");
    }
    let f = testprog_with(&["Minutes"], &[("GODEBUG", "waitminute=40,asyncpreemptoff=1")]);
    assert!(f.status.success(), "{f:?}");
}

#[test]
fn headers_have_labels() {
    let f = testprog("PanicLabels");
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    assert!(f.stderr.contains(" [running] {job: \"main's\", user: ann}:\n"), "{f:?}");
    let f = testprog("QuitLabels");
    check(&f, 2, "", "SIGQUIT: quit\n");
    let own = f.stderr.lines().find(|l| l.starts_with("goroutine 1 ["));
    assert!(own.is_some_and(|l| l.ends_with("] {of: main}:")), "{f:?}");
    assert!(f.stderr.contains(" [sleep] {a: \"b c\", job: all} \"labelled\":\n"), "{f:?}");
}

/// How many are dumped: `RT0_MANY`; unless set 50,000, in debug builds 1,200.
fn many() -> String {
    std::env::var("RT0_MANY")
        .unwrap_or_else(|_| if cfg!(debug_assertions) { "1200" } else { "50000" }.into())
}

/// A scenario that may take its time.
fn patiently(args: &[&str], env: &[(&str, &str)]) -> Finished {
    let mut command = with_default_signals(TESTPROG);
    command.args(args).env("RUST_BACKTRACE", "0").env_remove("GODEBUG");
    run(command.envs(env.iter().copied()), b"", Duration::from_secs(600))
}

#[test]
fn very_many_are_dumped_in_little_memory() {
    let f = patiently(&["ManyDumps", &many()], &[("GOMAXPROCS", "2")]);
    assert!(f.status.success(), "{f:?}");
    assert_eq!(f.stdout.lines().count(), 5, "{f:?}");
    for line in f.stdout.lines() {
        let grown = line.rsplit(", ").next().and_then(|s| s.strip_suffix(" MiB more"));
        let grown = grown.and_then(|n| n.parse::<u64>().ok());
        assert!(grown.is_some_and(|n| n < 64), "{f:?}");
    }
}

#[test]
fn sigquit_shows_very_many() {
    let count = |level: &str| {
        let f = patiently(&["ManyQuit", &many()], &[("GOTRACEBACK", level)]);
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        let shown = f.stderr.lines().filter(|l| l.starts_with("goroutine ")).count();
        (shown, f.stderr.contains("\n...additional goroutines elided: "))
    };
    let n: usize = many().parse().expect("a number");
    assert_eq!(count("all"), (n + 1, false));
    // The one that the signal came to is not counted, if there is one.
    let (shown, is_cut) = count("single");
    assert!(n <= 1000 || is_cut && (1000..=1001).contains(&shown), "{shown} {is_cut}");
}

/// `(how often the stack has the function as the hook writes it, the same of the report)`
fn shown(scenario: &str, function: &str, env: &[(&str, &str)]) -> (usize, usize) {
    let f = testprog_with(&[scenario], env);
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    assert!(
        f.stderr.contains("\ngoroutine ") && f.stderr.contains("\ncreated by rt0::go"),
        "{f:?}"
    );
    let (hook, report) = f.stderr.split_once("\npanic: ").unwrap_or_default();
    let name = format!("testprog::scenarios::dumps::{function}");
    assert_eq!(report.contains("its stack is above"), !report.contains(&name), "{f:?}");
    (hook.matches(&name).count(), report.matches(&format!("{name}(...)")).count())
}

#[test]
fn the_stack_of_a_panic_is_shown_once() {
    let panics = |scenario, env: &[_]| shown(scenario, "panics_here", env);
    for (value, both) in [("0", (0, 1)), ("1", (1, 0)), ("full", (1, 0))] {
        let env = [("RUST_BACKTRACE", value)];
        assert_eq!(panics("PanicShown", &env), both, "{value}");
        assert_eq!(panics("PanicShownInRun", &env), both, "{value}");
    }
    // Who asks for the runtime's frames gets all.
    let system = [("RUST_BACKTRACE", "1"), ("GOTRACEBACK", "system")];
    assert_eq!(panics("PanicShown", &system), (1, 1));
    let full = [("RUST_BACKTRACE", "1")];
    assert_eq!(panics("PanicOwnHook", &full), (0, 1));
    assert_eq!(panics("PanicOwnHookInRun", &full), (0, 1));
    assert_eq!(shown("PanicResumed", "throws_here", &full), (0, 1));
}

/// In another directory than the compiler's, relative names say where they start.
#[test]
fn files_have_names_by_which_they_can_be_found() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two above");
    let absolute = format!("{}/", workspace.display());
    for (dir, start) in [(workspace, ""), (Path::new("/"), &*absolute)] {
        let mut command = with_default_signals(TESTPROG);
        command.arg("PanicShown").env("RUST_BACKTRACE", "0").current_dir(dir);
        let f = run(&mut command, b"", Duration::from_secs(60));
        let place = format!("\n\t{start}crates/testprog/src/scenarios/dumps.rs:");
        assert!(f.stderr.contains(&place), "{f:?}");
    }
}

#[test]
fn dumps_need_nothing_that_may_be_held() {
    for (procs, mode) in [("1", "0"), ("2", "0"), ("8", "0"), ("2", "3")] {
        for preemption in ["0", "1"] {
            let godebug = format!("asyncpreemptoff={preemption},tlsmode={mode}");
            let env = [("GODEBUG", &*godebug), ("GOMAXPROCS", procs)];
            let f = patiently(&["StuckQuit"], &env);
            check(&f, 2, "", "SIGQUIT: quit\nPC=0x");
            all_are_there(&f.stderr);
            let f = patiently(&["StuckDumps"], &env);
            assert_eq!(f.status.signal(), Some(9), "{f:?}");
            all_are_there(&f.stdout);
        }
    }
}

#[track_caller]
fn all_are_there(dump: &str) {
    let header = |name: &str, n| {
        let quoted = format!(" \"{name}\":");
        let headers = dump.lines().filter(|l| l.starts_with("goroutine ") && l.ends_with(&quoted));
        assert_eq!(headers.count(), n, "{name}: {dump}");
    };
    header("streams", 1);
    ["malloc", "call", "spins"].into_iter().for_each(|name| header(name, 2));
    for function in ["has_the_streams", "is_in_a_call"] {
        assert!(dump.contains(&format!("dumps::{function}(...)\n")), "{function}: {dump}");
    }
    assert!(dump.lines().any(|l| l.starts_with("goroutine 1 [")), "{dump}");
}
