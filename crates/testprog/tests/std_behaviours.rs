//! A program on rt0 ends and prints as the same program without it does.
//!
//! `stdprobe` is plain; `rt0probe` runs the same code as goroutine 1 of `#[rt0::main]`. Both are
//! run once for each behaviour of `src/probe/mod.rs`.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;
use support::Finished;

const STDPROBE: &str = env!("CARGO_BIN_EXE_stdprobe");
const RT0PROBE: &str = env!("CARGO_BIN_EXE_rt0probe");
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn std_behaves_as_without_rt0() {
    let listed = support::run(&mut Command::new(STDPROBE), b"", LIMIT).stdout;
    let names: Vec<_> = listed.lines().filter(|name| !DIFFERENT_BY_DESIGN.contains(name)).collect();
    assert!(names.len() >= 28, "{names:?}");
    let differing: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let (plain, ours) = (probe(STDPROBE, name), probe(RT0PROBE, name));
            (plain != ours).then(|| format!("{name}\n  plain: {plain:?}\n  rt0: {ours:?}"))
        })
        .collect();
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

/// Main is a goroutine: its faults, and the overflow of its stack, are reported in Go's words; so
/// is an abort, which then ends the process as it does without rt0.
const DIFFERENT_BY_DESIGN: [&str; 4] = ["main-overflow", "segv", "abort", "panic-in-drop"];

#[test]
fn mains_faults_are_reported_as_go_does() {
    let ours = probe(RT0PROBE, "segv");
    assert_eq!((ours.status.code(), ours.stdout.as_str()), (Some(2), "before\n"), "{ours:?}");
    let fault = "unexpected fault address 0x10\nfatal error: fault\n[signal SIGSEGV: ";
    assert!(ours.stderr.starts_with(fault), "{ours:?}");
    assert!(ours.stderr.contains("\n\ngoroutine 1 [running]:\n"), "{ours:?}");
    for name in ["abort", "panic-in-drop"] {
        let (plain, ours) = (probe(STDPROBE, name), probe(RT0PROBE, name));
        assert_eq!((plain.status, &plain.stdout), (ours.status, &ours.stdout), "{ours:?}");
        let said = ours.stderr.find("SIGABRT: abort\n").unwrap_or_default();
        assert_eq!(ours.stderr[..said].trim_end(), plain.stderr.trim_end(), "{ours:?}");
        assert!(ours.stderr[said..].contains("\n\ngoroutine 1 [running]:\n"), "{ours:?}");
    }
}

#[test]
fn overflow_of_mains_stack_is_reported_as_go_does() {
    let plain = probe(STDPROBE, "main-overflow");
    assert_eq!(plain.status.signal(), Some(6), "{plain:?}");
    assert!(plain.stderr.contains("thread 'main' (N) has overflowed its stack"), "{plain:?}");

    let ours = probe(RT0PROBE, "main-overflow");
    assert_eq!(ours.status.code(), Some(2), "{ours:?}");
    let lines: Vec<_> = ours.stderr.lines().collect();
    let [limit, stack, error, empty, goroutine, ..] = lines[..] else { panic!("{ours:?}") };
    assert!(limit.starts_with("runtime: goroutine stack exceeds "), "{ours:?}");
    assert!(limit.ends_with("-byte limit"), "{ours:?}");
    assert!(stack.starts_with("runtime: sp=0x"), "{ours:?}");
    assert_eq!([error, empty], ["fatal error: stack overflow", ""]);
    assert!(goroutine.starts_with("goroutine 1 "), "{ours:?}");
}

/// Runs one behaviour. Thread ids, and the names of the two programs, are made equal.
fn probe(program: &str, name: &str) -> Finished {
    let mut command = Command::new(program);
    command.arg(name).env_clear().env("PATH", "/usr/bin:/bin").env("FOO", "bar");
    match name {
        "args" => _ = command.args(["a", "b c", ""]).arg(OsStr::from_bytes(b"not \xff\xfe UTF-8")),
        "bt-panic" => _ = command.env("RUST_BACKTRACE", "1"),
        _ => {}
    }
    let mut finished = match name {
        "epipe" => support::run_for_one_line(&mut command, LIMIT),
        _ => support::run(&mut command, b"line\nwithout end", LIMIT),
    };
    finished.stderr = without_thread_ids(&finished.stderr);
    match name {
        "bt-panic" => finished.stderr = own_frames(&finished.stderr),
        "panic-in-drop" => finished.stderr = without_frames(&finished.stderr),
        _ => {}
    }
    finished
}

/// std writes a thread as `'name' (id)`.
fn without_thread_ids(text: &str) -> String {
    let mut parts = text.split("' (");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (id, rest) = part.split_once(')').unwrap_or((part, ""));
        let id = if id.parse::<u64>().is_ok() { "N" } else { id };
        out += &format!("' ({id}){rest}");
    }
    out
}

/// std prints a full backtrace when it aborts, whatever RUST_BACKTRACE says.
fn without_frames(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().filter(|line| !line.starts_with("  ")).collect();
    lines.join("\n")
}

/// Of a backtrace the functions of the probe: below them come main and the runtime, which differ.
fn own_frames(stderr: &str) -> String {
    let own = stderr.lines().filter_map(|line| line.split_once("probe::probe::"));
    let own: Vec<_> = own.map(|(_, function)| function).collect();
    assert!(own.contains(&"crash::panics_here"), "{stderr}");
    own.join("\n")
}
