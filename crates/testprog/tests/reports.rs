//! What processes say of their goroutines before they end.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use support::{
    Finished, LIMIT, TESTPROG, TempDir, check, run, testprog, testprog_in_shell, testprog_with,
};

/// Of a goroutine's faults: Go's words, the goroutine first, the others, the registers; status 2.
#[test]
fn faults_of_goroutines_are_named() {
    let f = testprog("Segfault");
    check(&f, 2, "", "unexpected fault address 0x8\nfatal error: fault\n[signal SIGSEGV: ");
    assert!(f.stderr.contains("segmentation violation code=0x1 addr=0x8 pc=0x"), "{f:?}");
    shows_stacks(&f, &["[running]", "[join]"], "testprog::scenarios::stacks::segfault");
    let f = testprog("DivideByZero");
    check(&f, 2, "", "fatal error: integer divide by zero\n[signal SIGFPE: ");
    let states = ["[running] \"divider\"", "[join]"];
    shows_stacks(&f, &states, "testprog::scenarios::stacks::divide");
    let f = testprog("BusError");
    check(&f, 2, "", "unexpected fault address 0x");
    assert!(
        f.stderr.contains("\nfatal error: fault\n[signal SIGBUS: bus error code=0x2 "),
        "{f:?}"
    );
    let f = testprog("CallNowhere");
    check(&f, 2, "", "unexpected fault address 0x10\nfatal error: fault\n");
    shows_stacks(&f, &["[running]"], "testprog::scenarios::stacks::call_nowhere");
    let f = testprog("Abort");
    assert_eq!(f.status.signal(), Some(6), "{f:?}");
    assert!(f.stderr.starts_with("SIGABRT: abort\nPC=0x"), "{f:?}");
    shows_stacks(&f, &["[running]"], "testprog::scenarios::stacks::abort");
    check(&testprog("KillSegv"), 2, "", "SIGSEGV: segmentation violation\nPC=0x");
}

/// Each of `states` is in a header; the first goroutine's stack has `function`; registers follow.
#[track_caller]
fn shows_stacks(f: &Finished, states: &[&str], function: &str) {
    let headers: Vec<_> = f.stderr.lines().filter(|l| l.starts_with("goroutine ")).collect();
    for state in states {
        assert!(headers.iter().any(|h| h.ends_with(&format!(" {state}:"))), "{state} {f:?}");
    }
    let first = f.stderr.split("\n\n").nth(1).unwrap_or_default();
    assert!(
        first.lines().next().is_some_and(|h| h.ends_with(&format!(" {}:", states[0]))),
        "{f:?}"
    );
    let backtrace = first.contains(&format!("\n{function}"));
    assert!(backtrace && first.contains(".rs:"), "{f:?}");
    let registers = f.stderr.split("\n\n").last().unwrap_or_default();
    assert!(registers.starts_with("rax    0x") && registers.contains("\nrip    0x"), "{f:?}");
}

/// What the process says when it is asked, whatever it does.
#[test]
fn sigquit_shows_every_goroutine() {
    for procs in ["1", "4"] {
        let f = testprog_with(&["Quit"], &[("GOMAXPROCS", procs)]);
        check(&f, 2, "", "SIGQUIT: quit\nPC=0x");
        for (header, function) in [
            (" [sleep] \"sleeper\":", "sleeper"),
            (" [syscall: read] \"reader\":", "reader"),
            (" [syscall] \"blocked\":", "blocked"),
            (" [chan receive] \"receiver\":", "receiver"),
            (" [sync.Mutex.Lock] \"locker\":", "locker"),
            (" [sleep, locked to thread] \"owner of a thread\":", "owner"),
            (" \"hog\":", "hog"),
            (" \"holder of malloc's lock\":", "holder"),
        ] {
            let part = f.stderr.split("\n\n").find(|p| {
                p.lines().next().is_some_and(|h| h.starts_with("goroutine ") && h.ends_with(header))
            });
            let part = part.unwrap_or_else(|| panic!("no {header}: {f:?}"));
            let function = format!("\ntestprog::scenarios::quit::{function}");
            assert!(part.contains(&function), "{part}");
            assert!(part.contains("\tcrates/testprog/src/scenarios/quit.rs:"), "{part}");
            assert!(part.contains("\ncreated by rt0::go in goroutine 1\n"), "{part}");
        }
    }
    let quit = |level| testprog_with(&["Quit"], &[("GOTRACEBACK", level)]);
    assert!(!quit("single").stderr.contains("rt0::sched::"));
    let f = quit("system");
    assert!(f.stderr.contains("\nrt0::sched::park::") && f.stderr.contains(" fp=0x"), "{f:?}");
    assert!(f.stderr.contains(" m=nil [GC sweep wait]:\n"), "{f:?}");
    assert_eq!(quit("crash").status.signal(), Some(6));
    // Who had it ignored, as under nohup, or handles it, keeps that.
    let f = testprog_in_shell("trap '' QUIT; exec \"$0\" QuitIgnored", &[]);
    check(&f, 0, "still here\n", "");
}

#[test]
fn gotraceback_says_how_much() {
    let report =
        |level: &str| testprog_with(&["PanicWithOthers"], &[("GOTRACEBACK", level)]).stderr;
    let count = |text: &str| text.matches("\ngoroutine ").count();
    for (level, goroutines) in [("", 1), ("single", 1), ("none", 0), ("bogus", 0), ("all", 3)] {
        let text = report(level);
        assert!(text.contains("\npanic: seen\n"), "{level}: {text}");
        assert_eq!(count(&text), goroutines, "{level}: {text}");
    }
    for level in ["2", "system"] {
        let text = report(level);
        assert!(count(&text) > 3 && text.contains("rt0::sched::"), "{level}: {text}");
    }
    let f = testprog_with(&["PanicWithOthers"], &[("GOTRACEBACK", "crash")]);
    assert_eq!(f.status.signal(), Some(6), "{f:?}");
    // The program may ask for more, not for less.
    let f = testprog_with(&["SetTraceback", "all"], &[]);
    assert_eq!(count(&f.stderr), 3, "{f:?}");
    let f = testprog_with(&["SetTraceback", "none"], &[("GOTRACEBACK", "all")]);
    assert_eq!(count(&f.stderr), 3, "{f:?}");
}

/// A program without names has addresses at least, also of a panic.
#[test]
fn a_stripped_program_shows_addresses() {
    let dir = TempDir::new("stripped");
    let path = dir.path().join("testprog");
    let strip = Command::new("strip").arg("-o").arg(&path).arg(TESTPROG).status();
    assert!(strip.expect("the linker's package has it").success());
    for (scenario, report) in [("PanicWithOthers", "panic: seen\n\n"), ("Segfault", "")] {
        let mut command = Command::new(&path);
        let f = run(command.arg(scenario).env("RUST_BACKTRACE", "0"), b"", LIMIT);
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        let (_, rest) = f.stderr.split_once(report).expect("the report");
        let stack = rest.split("\n\n").find(|part| part.starts_with("goroutine "));
        let stack = stack.expect("a goroutine").lines();
        let addresses = stack.filter(|line| line.contains("/testprog +0x"));
        assert!(addresses.count() >= 2, "{f:?}");
    }
}

#[test]
fn the_last_report_is_copied() {
    let dir = TempDir::new("crash-output");
    let path = dir.path().join("report");
    let f = testprog_with(&["CrashOutput", path.to_str().expect("a plain path")], &[]);
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    let report = fs::read_to_string(path).expect("the scenario made it");
    assert!(report.starts_with("panic: seen twice\n\ngoroutine "), "{report}");
    assert!(f.stderr.ends_with(&report), "{f:?}");
}

/// To its end, with the registers, on a thread with little room for signals.
#[test]
fn a_report_needs_no_room_on_the_signals_stack() {
    for godebug in ["tlsmode=0", "tlsmode=3"] {
        let f = testprog_with(&["QuitOnThread"], &[("GODEBUG", godebug)]);
        check(&f, 2, "", "SIGQUIT: quit\nPC=0x");
        assert!(f.stderr.contains("\ngoroutine 1 [syscall: "), "{f:?}");
        assert!(f.stderr.contains("\nrip ") && f.stderr.ends_with('\n'), "{f:?}");
    }
}

/// Who stays on a thread is printed once, with what it does and its stack.
#[test]
fn slowtrace_shows_what_is_slow() {
    for godebug in ["slowtrace=1", "slowtrace=1,tlsmode=3", "slowtrace=1,slowthreshold=50"] {
        let f = testprog_with(&["Slow", "printed"], &[("GODEBUG", godebug), ("GOMAXPROCS", "8")]);
        assert!(f.status.success() && f.stdout.starts_with("SLOW "), "{f:?}");
        for (name, what) in [
            ("reader", "ms in read"),
            ("blocked", "ms in rt0::blocking, system call nanosleep ("),
            ("asleep", "ms asleep, system call nanosleep ("),
            ("slow_hog", "ms without yielding"),
        ] {
            let quoted = format!(" {name:?}:\n");
            let parts: Vec<_> = f.stdout.split("\n\n").filter(|p| p.contains(&quoted)).collect();
            assert!(name == "slow_hog" || parts.len() == 1, "once: {f:?}");
            // A hog that gets no CPU when it is to be held has no stack the first time.
            let function = format!("\ntestprog::scenarios::quit::{name}(...)\n");
            let first = parts.iter().find(|p| p.contains(&function));
            let first = first.unwrap_or_else(|| panic!("no {name}: {f:?}"));
            let line = first.lines().next().unwrap_or_default();
            assert!(line.starts_with("SLOW ") && line.contains(what), "{what}: {first}");
            assert!(first.contains("\ncreated by rt0::go in goroutine 1\n"), "{first}");
        }
    }
    check(&testprog("Slow"), 0, "", "");
}
