//! What signals do to programs, seen from outside.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use support::with_default_signals;
use support::{Finished, LIMIT, TESTPROG, check, run, testprog, testprog_in_shell, testprog_with};

const HUP: i32 = 1;
const INT: i32 = 2;
const USR1: i32 = 10;
const PIPE: i32 = 13;
const ALRM: i32 = 14;
const TERM: i32 = 15;

#[track_caller]
fn died_by(f: &Finished, signal: i32, stdout: &str) {
    assert_eq!((f.status.signal(), f.stdout.as_str()), (Some(signal), stdout), "{f:?}");
}

#[track_caller]
fn ok(scenario: &str) -> Finished {
    let f = testprog(scenario);
    check(&f, 0, "OK\n", "");
    f
}

#[test]
fn what_nobody_asked_for_does_what_the_kernel_does() {
    for signal in [HUP, INT, TERM, USR1, 12, ALRM, 40] {
        let f = testprog_with(&["SignalDefault", &signal.to_string()], &[]);
        died_by(&f, signal, "");
        assert_eq!(f.stderr, "");
    }
    for signal in [PIPE, 17, 18, 23, 28] {
        let f = testprog_with(&["SignalDefault", &signal.to_string()], &[]);
        check(&f, 0, "still here\n", "");
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    for signal in ["1", "2", "15", "10"] {
        let script = format!("trap '' {signal}; exec \"$0\" SignalDefault {signal}");
        check(&testprog_in_shell(&script, &[]), 0, "still here\n", "");
    }
    check(&testprog_in_shell("trap '' HUP; exec \"$0\" Nohup", &[]), 0, "OK\n", "");
}

#[test]
fn reset_brings_the_default_back() {
    for signal in [INT, TERM, USR1] {
        let f = testprog_with(&["SignalReset", &signal.to_string()], &[]);
        died_by(&f, signal, "reset\n");
        died_by(&testprog_with(&["SignalGone", &signal.to_string()], &[]), signal, "");
    }
}

#[test]
fn every_signal_can_be_asked_for() {
    let f = testprog("SignalTexts");
    assert!(f.status.success(), "{f:?}");
    let all: Vec<_> = f.stdout.trim().split("; ").collect();
    assert_eq!(all[0], "SIGHUP: hangup");
    for text in ["SIGTERM: terminated", "SIGSEGV: segmentation fault", "signal 64: signal 64;"] {
        assert!(all.contains(&text), "{text}: {f:?}");
    }
    assert_eq!(all.len(), 60);
}

#[test]
fn contexts_end_with_a_signal_and_say_so() {
    let f = testprog("NotifyContext");
    died_by(&f, TERM, "Some(Cancelled) terminated signal received\n");
    let f = testprog_with(&["NotifyContext", "10"], &[]);
    died_by(&f, USR1, "Some(Cancelled) user defined signal 1 signal received\n");
    ok("NotifyContextParent");
}

/// Starts a scenario, and waits until it says that it is ready.
fn ready(command: &mut Command) -> Child {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("piped");
    // One line at most has come: nothing is left in the buffer.
    BufReader::new(out).read_line(&mut line).expect("a pipe");
    assert_eq!(line, "ready\n");
    child
}

fn kill(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("not zero");
    kill_process(pid, signal).expect("ours");
}

/// Long enough for a deadlock to be found, were it one.
#[test]
fn who_waits_for_a_signal_is_not_deadlocked() {
    for procs in ["1", "2"] {
        let mut child =
            ready(with_default_signals(TESTPROG).arg("SignalWait").env("GOMAXPROCS", procs));
        std::thread::sleep(std::time::Duration::from_millis(500));
        kill(&child, Signal::USR1);
        let mut out = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        assert_eq!((child.wait().expect("ours").code(), out.as_str()), (Some(0), "OK\n"));
    }
    let asleep = "fatal error: all goroutines are asleep - deadlock!";
    check(&testprog("SignalStopDeadlock"), 2, "", asleep);
}

#[test]
fn kill_ends_a_program_by_the_signal() {
    for (signal, number) in [(Signal::TERM, TERM), (Signal::INT, INT), (Signal::HUP, HUP)] {
        let mut child = ready(with_default_signals(TESTPROG).arg("SignalSleep"));
        kill(&child, signal);
        assert_eq!(child.wait().expect("ours").signal(), Some(number));
    }
}

#[test]
fn no_signal_is_lost_or_doubled_at_a_stop() {
    for procs in ["1", "4"] {
        let f = testprog_with(&["AtomicStop"], &[("GOMAXPROCS", procs)]);
        check(&f, 0, "OK\n", "");
        check(&testprog_with(&["SignalStress"], &[("GOMAXPROCS", procs)]), 0, "OK\n", "");
    }
    let each_a_thread = [("GODEBUG", "tlsmode=3")];
    check(&testprog_with(&["AtomicStop", "200"], &each_a_thread), 0, "OK\n", "");
    check(&testprog_with(&["SignalStress", "20"], &each_a_thread), 0, "OK\n", "");
}

#[test]
fn any_thread_may_be_the_one_that_is_interrupted() {
    ok("SignalThreads");
    ok("SignalBlocked");
    ok("SignalLibrary");
    check(&testprog_with(&["SignalThreads"], &[("GODEBUG", "tlsmode=3")]), 0, "OK\n", "");
}

#[test]
fn no_call_fails_because_it_was_interrupted() {
    ok("SignalStorm");
    check(&testprog_with(&["SignalStorm", "5"], &[("GOMAXPROCS", "1")]), 0, "OK\n", "");
    check(&testprog_with(&["SignalStorm", "5"], &[("GODEBUG", "tlsmode=3")]), 0, "OK\n", "");
}

#[test]
fn a_signal_needs_no_descriptor_when_it_comes() {
    check(&testprog_in_shell("ulimit -n 60; exec \"$0\" SignalEMFILE", &[]), 0, "OK\n", "");
}

#[test]
fn children_start_as_any_program() {
    ok("SignalForked");
    let f = testprog("SignalExec");
    let set = |name: &str| {
        let line = f.stdout.lines().find_map(|l| l.strip_prefix(name)).expect("a line");
        // `env` leaves the two signals of glibc's as they are.
        u64::from_str_radix(line.trim(), 16).expect("a number") & !(3 << 31)
    };
    let sets = ["SigPnd:", "SigBlk:", "SigIgn:", "SigCgt:"].map(set);
    assert_eq!(sets, [0, 0, 1 << (INT - 1), 0], "{f:?}");
}

#[test]
fn signals_that_the_runtime_uses_can_be_asked_for() {
    ok("SignalURG");
    ok("SignalIgnoreSIGTRAP");
    for mode in ["asyncpreemptoff=1", "tlsmode=3"] {
        check(&testprog_with(&["SignalURG"], &[("GODEBUG", mode)]), 0, "OK\n", "");
    }
    check(&testprog("SignalQuit"), 2, "caught\n", "SIGQUIT: quit\nPC=0x");
    let fault = "unexpected fault address 0x8\nfatal error: fault\n";
    check(&testprog("SignalFault"), 2, "caught\n", fault);
}

/// The kernel does not kill process 1 of a container by what it has no handler for.
#[test]
fn process_1_ends_all_the_same() {
    let isolated = |script: &str| {
        let mut command = with_default_signals("unshare");
        command.args(["--user", "--map-root-user", "--pid", "--mount-proc", "--kill-child"]);
        command.args(["sh", "-c", script, TESTPROG]);
        run(&mut command, b"", LIMIT)
    };
    let probe = isolated("echo $$");
    if probe.stdout != "1\n" {
        eprintln!("no namespace can be made here: {probe:?}");
        return;
    }
    for signal in [HUP, INT, TERM] {
        let f = isolated(&format!("exec \"$0\" SignalDefault {signal}"));
        check(&f, 128 + signal, "", "");
        let f = isolated(&format!("exec \"$0\" NotifyContext {signal}"));
        assert_eq!(f.status.code(), Some(128 + signal), "{f:?}");
        assert!(f.stdout.ends_with(" signal received\n"), "{f:?}");
    }
    // Its handlers are no reason to think that somebody may yet be woken by one.
    let asleep = "fatal error: all goroutines are asleep - deadlock!";
    check(&isolated("exec \"$0\" StdMutexDeadlock"), 2, "", asleep);
    let ignores = format!("trap '' TERM; exec \"$0\" SignalDefault {TERM}");
    check(&isolated(&ignores), 0, "still here\n", "");
}
