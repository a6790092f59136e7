//! Go's own test programs beside ours: the first lines and the exit status of each.
//!
//! `testprog_oracle.txt` is what Go 1.27's testprog prints. A scenario agrees, or docs/TESTPROG.md
//! has a row with what rt0 does and why; a row that is not true, or not needed, fails too.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{TESTPROG, with_default_signals};

const ORACLE: &str = include_str!("../testprog_oracle.txt");
const TABLE: &str = include_str!("../../../docs/TESTPROG.md");
const LIMIT: Duration = Duration::from_secs(60);

/// How a program ends: its status (128 + the signal), its output.
#[derive(Debug)]
struct End {
    status: i32,
    lines: Vec<String>,
}

/// What makes two runs of one program differ.
fn normal(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(|c: char| !c.is_ascii_hexdigit() && c != 'x');
        rest = end.map_or("", |end| &rest[at + end..]);
        out.push('N');
    }
    out.push_str(rest);
    // Go prints these for a fatal error only.
    out.replace(" gp=N m=N mp=N", "").replace("select (no cases)", "chan receive (nil chan)")
}

/// Of Go's lines those up to the first frame, which has Go's function names.
fn until_frames<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let frame = |l: &&str| {
        l.starts_with("main.")
            || l.starts_with("runtime.")
            || l.starts_with("runtime stack")
            || l.starts_with("created by")
            || l.contains("$GOROOT")
    };
    let mut lines: Vec<_> = lines.take_while(|l| !frame(l)).map(normal).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The oracle: of each scenario the variables it needs, its name here, how it ends in Go.
fn oracle() -> Vec<(Option<String>, String, End)> {
    let mut all = Vec::new();
    for block in ORACLE.split("== ").skip(1) {
        let (head, body) = block.split_once('\n').unwrap_or((block, ""));
        let (env, head) = match head.split_once(" testprog ") {
            Some((env, rest)) if env.contains('=') => {
                (Some(env.to_owned()), format!("testprog {rest}"))
            }
            _ => (None, head.to_owned()),
        };
        let (program, rest) = head.split_once(' ').expect("a program and a scenario");
        let (name, rest) = rest.split_once("rc=").expect("a status");
        let (status, line) = rest.split_once(' ').unwrap_or((rest, ""));
        let name = match (program, name.trim()) {
            ("testexithooks", name) => hooks(name).to_owned(),
            (_, name) => name.to_owned(),
        };
        // Short outputs stand in one line.
        let lines = if line.is_empty() {
            until_frames(body.lines())
        } else {
            until_frames(line.split('|'))
        };
        all.push((env, name, End { status: status.parse().expect("a number"), lines }));
    }
    all
}

fn hooks(name: &str) -> &'static str {
    match name {
        "simple" => "HooksSimple",
        "goodexit" => "HooksGoodExit",
        "badexit" => "HooksBadExit",
        "panics" => "HooksPanics",
        "callsexit" => "HooksCallsExit",
        "exit2" => "HooksExit2",
        _ => panic!("testexithooks {name}"),
    }
}

/// Standard output and error in one file, as the oracle was made.
fn run(env: Option<&str>, name: &str) -> End {
    let path = std::env::temp_dir().join(format!(
        "rt0-oracle-{}-{}",
        std::process::id(),
        name.replace('/', "-")
    ));
    let file = File::create(&path).expect("a temporary file");
    let mut command = with_default_signals(TESTPROG);
    command.arg(name).env("RUST_BACKTRACE", "0").env_remove("GOMAXPROCS").env_remove("GODEBUG");
    command.env_remove("GOTRACEBACK");
    if let Some((key, value)) = env.and_then(|e| e.split_once('=')) {
        command.env(key, value);
    }
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
    let mut child = command.spawn().expect("testprog");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().expect("our own child");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = String::from_utf8_lossy(&std::fs::read(&path).expect("its output")).into_owned();
    std::fs::remove_file(&path).expect("our own file");
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    End { status, lines: text.lines().map(normal).collect() }
}

/// The output without the message of std's panic hook, which comes before the report.
fn without_hook(lines: &[String]) -> Vec<String> {
    let hook = lines.iter().position(|l| l.starts_with("thread '"));
    let note = lines.iter().position(|l| l.starts_with("note: run with `RUST_BACKTRACE"));
    match (hook, note) {
        (Some(hook), Some(note)) => {
            let before = lines[..hook].strip_suffix(&[String::new()]).unwrap_or(&lines[..hook]);
            [before, &lines[note + 1..]].concat()
        }
        _ => lines.to_vec(),
    }
}

fn agrees(go: &End, ours: &End) -> bool {
    let starts = |lines: &[String]| lines.starts_with(&go.lines);
    go.status == ours.status && (starts(&ours.lines) || starts(&without_hook(&ours.lines)))
}

/// The rows of the table: status and first line of what rt0 does; `None` where it does nothing.
fn differences() -> BTreeMap<&'static str, Option<(i32, &'static str)>> {
    let rows = TABLE.lines().filter(|l| l.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, _go, ours, why, _] = cells[..] else { panic!("five columns: {row}") };
        assert!(why.len() > 5, "a reason: {row}");
        let ours = ours.split_once(": ").map(|(status, line)| {
            (status.parse().unwrap_or_else(|_| panic!("a status: {row}")), line.trim_matches('`'))
        });
        (name.trim_matches('`'), ours)
    })
    .collect()
}

#[test]
fn every_scenario_agrees_or_stands_in_the_table() {
    let mut table = differences();
    let mut wrong = Vec::new();
    for (env, name, go) in oracle() {
        match table.remove(name.as_str()) {
            Some(None) => {}
            Some(Some((status, line))) => {
                let ours = run(env.as_deref(), &name);
                let lines = without_hook(&ours.lines);
                let first = lines.first().map_or("", String::as_str);
                if agrees(&go, &ours) {
                    wrong.push(format!("{name} agrees by now: take its row out of the table"));
                } else if ours.status != status || !first.starts_with(&normal(line)) {
                    wrong.push(format!("{name}: the table has {status} {line:?}: {ours:?}"));
                }
            }
            None => {
                let ours = run(env.as_deref(), &name);
                if !agrees(&go, &ours) {
                    wrong.push(format!("{name}: Go {go:?}\n  rt0 {ours:?}"));
                }
            }
        }
    }
    wrong.extend(table.keys().map(|name| format!("{name} is not in the oracle")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
