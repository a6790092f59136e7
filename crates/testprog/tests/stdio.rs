//! The standard streams, seen from outside.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use support::{LIMIT, TESTPROG, check, run, run_for_one_line};
use support::{testprog, testprog_in_shell, with_default_signals};

fn started(args: &[&str], env: &[(&str, &str)]) -> std::process::Child {
    let mut command = with_default_signals(TESTPROG);
    command.args(args).envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it is there")
}

#[test]
fn who_reads_the_standard_input_parks() {
    for env in [&[][..], &[("GOMAXPROCS", "1")], &[("GODEBUG", "tlsmode=3")]] {
        let mut child = started(&["StdinParks"], env);
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("text");
        assert_eq!(line, "parked, false\n");
        let mut to = child.stdin.take().expect("piped");
        to.write_all(b"one\ntwo\nthree").expect("it reads");
        drop(to);
        line.clear();
        out.read_line(&mut line).expect("text");
        assert_eq!(line, "\"one\\n\" [\"two\", \"three\"]\n");
        assert!(child.wait().expect("ours").success());
    }
}

#[test]
fn the_standard_input_may_be_anything() {
    let text = |script: &str| testprog_in_shell(script, &[]);
    check(&text("\"$0\" StdinMixed < /dev/null"), 0, "", "");
    check(
        &text("printf 'a\\nb\\nc' > /tmp/rt0-$$; \"$0\" StdinMixed < /tmp/rt0-$$; rm /tmp/rt0-$$"),
        0,
        "a\nb\nc",
        "",
    );
    check(&text("\"$0\" StdinMixed <&-"), 0, "", "");
    let mut command = with_default_signals(TESTPROG);
    check(&run(command.arg("StdinMixed"), b"a\nb\nc\nd\ne", LIMIT), 0, "a\nb\nc\nd\ne", "");
    check(&testprog("Tty"), 0, "OK\n", "");
}

#[test]
fn a_context_ends_a_read_of_the_standard_input() {
    let mut child = started(&["StdinContext"], &[]);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("text");
    assert_eq!(line, "late\n");
    child.stdin.take().expect("piped").write_all(b"all of it").expect("it reads");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "all of it");
    assert!(child.wait().expect("ours").success());
}

/// Also if the process was started with its standard output in non-blocking mode.
#[test]
fn writers_wait_without_threads_and_lines_stay_whole() {
    for nonblocking in ["0", "1"] {
        let mut child = started(&["StdoutFull", nonblocking], &[]);
        let mut says = String::new();
        BufReader::new(child.stderr.take().expect("piped")).read_line(&mut says).expect("text");
        let threads: usize = says.trim().parse().unwrap_or_else(|_| panic!("{says}"));
        assert!(threads < 30, "{threads} threads for 200 writers");
        let mut text = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        assert!(child.wait().expect("ours").success());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1000);
        for line in lines {
            assert!(line.len() == 999 && line.bytes().all(|b| b == line.as_bytes()[0]), "{line}");
        }
    }
}

/// Go: a broken pipe on 1 or 2 kills, on others it is an error.
#[test]
fn nobody_reads() {
    let one_line =
        |scenario: &str| run_for_one_line(with_default_signals(TESTPROG).arg(scenario), LIMIT);
    let f = one_line("SigpipeStdout");
    assert_eq!((f.status.signal(), f.stderr.as_str()), (Some(13), ""), "{f:?}");
    for scenario in ["SigpipeIgnored", "SigpipeNotified"] {
        check(&one_line(scenario), 0, "line 0", "BrokenPipe\n");
    }
    check(&testprog("SigpipeOther"), 0, "", "BrokenPipe\n");
    let script = "{ { \"$0\" SigpipeStderr; echo $? >&3; } 2>&1 | head -n 1 > /dev/null; } 3>&1";
    check(&testprog_in_shell(script, &[]), 0, "141\n", "");
}
