//! Runs each scenario of testprog as a process and checks how it ends and what it says.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use support::{Finished, LIMIT, TESTPROG, TempDir, check, run};
use support::{testprog, testprog_in_shell, testprog_with, with_default_signals};

fn numbers(f: &Finished) -> Vec<u64> {
    assert!(f.status.success(), "{f:?}");
    f.stdout.split_whitespace().map(|n| n.parse().expect("a number")).collect()
}

/// The report of a panic that nobody can observe: text, header, stack, creation site, status 2.
#[track_caller]
fn check_report(f: &Finished, text: &str, header: impl Fn(&str) -> bool, created: &str) {
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    let at = f.stderr.find(&format!("panic: {text}\n\ngoroutine ")).unwrap_or_else(|| {
        panic!("no report: {f:?}");
    });
    let report = &f.stderr[at..];
    assert_eq!(f.stderr.matches("\npanic: ").count() + usize::from(at == 0), 1, "{f:?}");
    let mut lines = report.lines().skip(1 + text.lines().count());
    let line = lines.next().unwrap_or("");
    assert!(header(line), "{f:?}");
    let frames: Vec<_> = lines.by_ref().take_while(|l| *l != created).collect();
    assert!(frames.len() >= 2, "{f:?}");
    for frame in frames.chunks(2) {
        assert!(frame[0].starts_with("testprog::scenarios::panics::"), "{f:?}");
        assert!(frame[1].starts_with("\tcrates/testprog/src/scenarios/panics.rs:"), "{f:?}");
    }
    let site = lines.next().unwrap_or("");
    let (file, number) = site.rsplit_once(':').unwrap_or(("", ""));
    assert!(file.starts_with('\t') && file.ends_with("src/scenarios/panics.rs"), "{f:?}");
    assert!(number.parse::<u32>().is_ok(), "{f:?}");
}

fn unnamed(line: &str) -> bool {
    let id = line.strip_prefix("goroutine ").and_then(|l| l.strip_suffix(" [running]:"));
    id.is_some_and(|id| id.parse::<u64>().is_ok_and(|id| id > 1))
}

const BY_MAIN: &str = "created by rt0::go in goroutine 1";

#[test]
fn a_panic_that_nobody_can_see_is_reported() {
    let text = [
        ("PanicDetachedBefore", "the handle went first"),
        ("PanicDetachedAfter", "the panic went first"),
        ("StringPanic", "important multi-line\n\tstring message"),
        ("PanicRace", "crash"),
        ("RecursivePanic", "again"),
        ("DebugPanic", "Failure { code: 7 }"),
        ("UnnamedTypePanic", "Box<dyn Any>"),
        ("GoschedInPanic", "errorThatGosched"),
        ("SyscallInPanic", "3"),
        ("PanicWhileMainReturns", "not lost"),
    ];
    for (scenario, text) in text {
        check_report(&testprog(scenario), text, unnamed, BY_MAIN);
    }
    let named =
        |line: &str| line.starts_with("goroutine ") && line.ends_with(" [running] \"worker 7\":");
    check_report(&testprog("PanicNamed"), "named", named, BY_MAIN);
    let by_thread = "created by a thread that is no goroutine";
    check_report(&testprog("PanicFromThread"), "made by a thread", unnamed, by_thread);
}

/// From the function that panicked to the goroutine's closure, whatever ran while it unwound.
#[test]
fn the_stack_of_a_panic_is_the_one_where_it_began() {
    let frames = |scenario: &str| {
        let f = testprog(scenario);
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        let (_, report) = f.stderr.split_once("\ngoroutine ").expect("a header");
        let frames: Vec<_> = report.lines().skip(1).step_by(2).map(str::to_owned).collect();
        frames.into_iter().take_while(|l| !l.starts_with("created by ")).collect::<Vec<_>>()
    };
    let descend = "testprog::scenarios::panics::descend(...)".to_owned();
    let closure = |of: &str| format!("testprog::scenarios::panics::{of}::{{{{closure}}}}(...)");
    for (scenario, of, n) in [
        ("PanicInDestructor", "panic_in_destructor", 2),
        ("PanicInWaitGroup", "panic_in_wait_group", 3),
    ] {
        let mut expected = vec![descend.clone(); n];
        expected.push(closure(of));
        assert_eq!(frames(scenario), expected);
    }
    // As many frames at both ends as Go shows.
    let f = testprog("PanicDeep");
    assert!(f.stderr.contains(&format!("\n{descend}\n")), "{f:?}");
    assert!(f.stderr.contains(" frames elided...\n"), "{f:?}");
    assert!(f.stderr.contains(&closure("panic_deep")), "{f:?}");
}

/// It says what std's hook prints; the report shows the stack if that did not.
#[test]
fn rust_backtrace_is_the_hooks() {
    let run = |value: &str| {
        let f = testprog_with(&["PanicNamed"], &[("RUST_BACKTRACE", value)]);
        let (hook, report) = f.stderr.split_once("\npanic: ").expect("a report");
        (hook.contains("stack backtrace:"), hook.contains("rt0::join"), report.to_owned())
    };
    let (off, short, full) = (run("0"), run("1"), run("full"));
    assert_eq!([off.0, short.0, full.0], [false, true, true]);
    assert_eq!([off.1, short.1, full.1], [false, false, true]);
    let without_ids = |r: &str| r.split_once("] ").expect("a header").1.to_owned();
    assert!(off.2.contains("::panic_named::"), "{}", off.2);
    assert!(!short.2.contains("::panic_named::"), "{}", short.2);
    assert_eq!(without_ids(&short.2), without_ids(&full.2));
}

#[test]
fn the_hooks_message_comes_before_the_report() {
    let f = testprog("PanicDetachedBefore");
    let hook = f.stderr.find("panicked at crates/testprog/src/scenarios/panics.rs:");
    assert!(hook < f.stderr.find("\npanic: ") && hook.is_some(), "{f:?}");
    assert_eq!(testprog("RecursivePanic").stdout, "wrap: bad\n");
    assert_eq!(testprog("SyscallInPanic").stdout, "1\n2\n");
    assert_eq!(testprog("PanicDetachedAfter").stdout, "still here\n");
}

#[test]
fn a_payload_that_panics_when_printed_is_fatal() {
    let fatal = "fatal error: panic while printing panic value: double error\n";
    check(&testprog("PanicLoop"), 2, "", fatal);
}

#[test]
fn a_panic_in_main_ends_as_without_the_runtime() {
    let f = testprog("MainGoroutineID");
    check(&f, 101, "Some(1)\nSome(\"main\")\n", "\nthread 'main' (");
    assert!(f.stderr.contains("\ntest\n") && !f.stderr.contains("goroutine"), "{f:?}");
    check(&testprog("PanicInMain"), 101, "", "\nthread 'main' (");
}

#[test]
fn ancestors_are_shown_when_asked_for() {
    let f = testprog_with(&["TracebackAncestors"], &[("GODEBUG", "tracebackancestors=5")]);
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    let report = &f.stderr[f.stderr.find("\npanic: deep").expect("a report")..];
    let kinds: Vec<&str> = report.lines().filter(|l| l.contains("goroutine ")).collect();
    assert_eq!(kinds.len(), 5, "{f:?}");
    assert!(kinds[1].starts_with("created by rt0::go in goroutine "), "{f:?}");
    assert!(kinds[2].starts_with("[originating from goroutine "), "{f:?}");
    assert_eq!(kinds[4], "[originating from goroutine 1]:", "{f:?}");

    let f = testprog_with(&["TracebackAncestors"], &[("GODEBUG", "tracebackancestors=1")]);
    assert_eq!(f.stderr.matches("[originating from").count(), 1, "{f:?}");
    assert!(!testprog("TracebackAncestors").stderr.contains("[originating from"));
}

#[test]
fn goexit_of_main() {
    let deadlock = "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n";
    for scenario in ["GoexitDeadlock", "GoexitInPanic", "RecoveredPanicAfterGoexit"] {
        check(&testprog(scenario), 2, "", deadlock);
    }
    check(&testprog("GoexitThenExit"), 7, "t1\nt2\n", "");
    let f = testprog("PanicAfterGoexit");
    assert_eq!(f.status.code(), Some(2), "{f:?}");
    assert!(f.stderr.contains("\npanic: hello\n\ngoroutine "), "{f:?}");
}

#[test]
fn deadlocks_are_reported_with_their_goroutines() {
    let f = testprog("JoinDeadlock");
    let circle = "fatal error: all goroutines are asleep - deadlock!\n\n\
                  deadlock: 2 wait for each other:\n\tgoroutine ";
    check(&f, 2, "", circle);
    assert_eq!(f.stderr.matches(" [join]: waits for the end of goroutine ").count(), 2, "{f:?}");
    assert_eq!(f.stderr.matches(" [join]:\n").count(), 1, "{f:?}");
    assert_eq!(f.stderr.matches(BY_MAIN).count(), 2, "{f:?}");
    assert_eq!(f.stderr.matches(" [join] \"second\":\n").count(), 1, "{f:?}");
    assert!(f.stderr.contains("\tcrates/testprog/src/scenarios/exits.rs:"), "{f:?}");
    let f = testprog("ScopeDeadlock");
    check(&f, 2, "", circle);
    assert!(f.stderr.contains(" [scope wait]:"), "{f:?}");
}

#[test]
fn goroutines_can_be_threads() {
    let env = [("GOMAXPROCS", "1"), ("GODEBUG", "tlsmode=3,inittrace=1")];
    let f = testprog_with(&["Order"], &env);
    assert_eq!((f.status.code(), f.stdout.as_str()), (Some(0), "9 0 1 2 3 4 5 6 7 8\n"), "{f:?}");
    assert!(f.stderr.contains("boot tls blocks: GODEBUG=tlsmode=3\n"), "{f:?}");
    assert!(f.stderr.contains("one thread each"), "{f:?}");
    for scenario in ["JoinDeadlock", "ScopeDeadlock", "LockedDeadlock"] {
        let f = testprog_with(&[scenario], &[("GODEBUG", "tlsmode=3")]);
        check(&f, 2, "", "fatal error: all goroutines are asleep - deadlock!\n\n");
    }
    check(&testprog_with(&["LockOSThreadAlt"], &[("GODEBUG", "tlsmode=3")]), 0, "OK\n", "");
}

#[test]
fn goroutines_locked_to_threads() {
    let one = [("GOMAXPROCS", "1")];
    check(&testprog_with(&["LockOSThreadMain"], &one), 0, "OK\n", "");
    check(&testprog("LockOSThreadAlt"), 0, "OK\n", "");
    check(&testprog_with(&["InitThread"], &[("GOMAXPROCS", "2")]), 0, "OK\n", "");
    let f = testprog("LockOSThreadAvoidsStatePropagation");
    assert!(f.stdout == "OK\n" || f.stdout == "unshare not permitted\n", "{f:?}");
    for scenario in ["LockedDeadlock", "LockedDeadlock2"] {
        let f = testprog(scenario);
        check(&f, 2, "", "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [");
        let locked = " [chan receive (nil chan), locked to thread]:";
        assert_eq!(f.stderr.matches(locked).count(), 1, "{f:?}");
    }
}

#[test]
fn what_a_plain_thread_may_wake_is_no_deadlock() {
    check(&testprog("ParkIsNoDeadlock"), 0, "unparked\n", "");
}

#[test]
fn exit_codes() {
    for code in ["0", "1", "2", "77", "255"] {
        let n = code.parse().expect("a number");
        check(&testprog_with(&["ExitCode", code], &[]), n, "", "");
        check(&testprog_with(&["ExitCall", code], &[]), n, "buffered", "");
    }
    check(&testprog("MainErr"), 1, "", "Error: \"what went wrong\"\n");
    check(&testprog("ExitFromThread"), 5, "hook on a thread: true\n", "");
    check(&testprog("ExitFromGoroutine"), 6, "", "");
    check(&testprog("MainReturnsEarly"), 0, "main returns\n", "");
    check(&testprog("NoSuchScenario"), 64, "", "unknown function: NoSuchScenario\n");
}

#[test]
fn exit_hooks() {
    check(&testprog("HooksSimple"), 0, "bar\nfoo\n", "");
    check(&testprog("HooksGoodExit"), 0, "orange\napple\n", "");
    check(&testprog("HooksBadExit"), 1, "blub\nblix\n", "");
    check(&testprog("HooksPanics"), 2, "good\n", "fatal error: exit hook invoked panic\n");
    check(&testprog("HooksCallsExit"), 2, "good\n", "fatal error: exit hook invoked exit\n");
    check(&testprog("HooksAfterPanic"), 101, "always\n", "\nthread 'main' (");
    check(&testprog("HooksMayBlock"), 0, "joined\nadded late\n", "");
}

#[test]
fn overflows_are_named() {
    let overflow = |scenario: &str, limit: &str, header: (&str, &str)| {
        let f = testprog(scenario);
        let first = format!("runtime: goroutine stack exceeds {limit}-byte limit\nruntime: sp=0x");
        check(&f, 2, "", &first);
        let lines: Vec<&str> = f.stderr.lines().collect();
        assert!(lines[1].contains(" stack=[0x"), "{f:?}");
        assert_eq!((lines[2], lines[3]), ("fatal error: stack overflow", ""), "{f:?}");
        assert!(lines[4].starts_with(header.0) && lines[4].ends_with(header.1), "{f:?}");
        f
    };
    overflow("StackOverflowSmall", "65536", ("goroutine ", " [running]:"));
    let f = overflow("StackOverflowNamed", "262144", ("goroutine ", " [running] \"deep one\":"));
    assert!(f.stderr.contains(BY_MAIN), "{f:?}");
    overflow("StackOverflowAmongMany", "262144", ("goroutine ", " [running]:"));
    let f = testprog_in_shell("ulimit -s 8192; exec \"$0\" StackOverflow", &[]);
    check(&f, 2, "", "runtime: goroutine stack exceeds 8388608-byte limit\n");
    assert!(f.stderr.contains("\ngoroutine 1 "), "{f:?}");
}

#[test]
fn faults_that_are_not_ours_end_as_ever() {
    let f = testprog("StackOverflowThread");
    assert_eq!(f.status.signal(), Some(6), "{f:?}");
    assert!(f.stderr.contains("thread 'a thread of std's' ("), "{f:?}");
    assert!(f.stderr.contains("has overflowed its stack\n"), "{f:?}");
    let f = testprog("AbortThread");
    assert_eq!((f.status.signal(), f.stderr.as_str()), (Some(6), ""), "{f:?}");
    let f = testprog("SegfaultThread");
    assert_eq!((f.status.signal(), f.stderr.as_str()), (Some(11), ""), "{f:?}");
}

#[test]
fn too_many_threads() {
    let text = "runtime: program exceeds 10-thread limit\nfatal error: thread exhaustion\n";
    check(&testprog("ThreadExhaustion"), 2, "", text);
    check(&testprog("MaxThreads"), 0, "10000 50\n", "");
}

fn with_address_space(kib: u32, scenario: &str) -> Finished {
    testprog_in_shell(&format!("ulimit -v {kib}; exec \"$0\" \"$1\""), &[scenario])
}

/// Whether it ended for want of a thread, in Go's words. Where the address space is used up, that
/// is the other right end beside a goroutine that finds no room: if a goroutine does not give its P
/// back in time, the P is for a thread that may have to be made. No program can rule that out. It
/// may come while the message of the goroutine that finds no room is being printed.
fn ended_for_want_of_a_thread(f: &Finished) -> bool {
    let words = "runtime: failed to create new OS thread (have ";
    let Some((before, rest)) = f.stderr.split_once(words) else { return false };
    let n = rest.strip_suffix(
        " already; errno=11)\n\
         runtime: may need to increase max user processes (ulimit -u)\n\
         fatal error: newosproc\n",
    );
    f.status.code() == Some(2)
        && n.is_some_and(|n| n.parse::<u32>().is_ok())
        && (before.is_empty() || before.starts_with("\nthread 'main' ("))
}

#[test]
fn little_address_space_is_a_clear_error() {
    let text =
        "rt0: cannot reserve 262144 bytes of address space for a goroutine's stack (errno=12): ";
    for kib in [200_000, 600_000] {
        let f = with_address_space(kib, "AddressSpace");
        if !ended_for_want_of_a_thread(&f) {
            check(&f, 0, &f.stdout, "");
            let (n, error) = f.stdout.split_once(" OutOfMemory ").expect("a number, then an error");
            assert!(n.parse::<u32>().is_ok_and(|n| n > 0), "{f:?}");
            assert!(error.starts_with(text) && error.contains("ulimit -v"), "{f:?}");
            assert_eq!(f.stderr, "", "{f:?}");
        }
        let f = with_address_space(kib, "AddressSpaceGo");
        if !ended_for_want_of_a_thread(&f) {
            check(&f, 101, "", "");
            assert!(f.stderr.contains(&format!("failed to start goroutine: {text}")), "{f:?}");
        }
    }
    let f = with_address_space(600_000, "HugeStack");
    let text = "OutOfMemory rt0: cannot reserve 1073741824 bytes of address space";
    check(&f, 0, &f.stdout.clone(), "");
    assert!(f.stdout.starts_with(text), "{f:?}");
}

/// From what the kernel needs to start the program upwards: words and a status, never a signal
/// without a word, never a hang.
#[test]
fn hardly_any_address_space_is_no_crash() {
    let least = support::image_kib() + 1_000; // and the loader
    for kib in (least..40_000).step_by(4_000).chain([64_000, 96_000, 128_000]) {
        for scenario in ["Hello", "AddressSpace"] {
            let f = with_address_space(kib, scenario);
            assert!(f.status.code().is_some() || f.stderr.contains("alloc"), "{kib} KiB: {f:?}");
            assert!(f.status.success() || !f.stderr.is_empty(), "{kib} KiB: {f:?}");
            assert!(!f.stderr.contains("malloc on g0"), "{kib} KiB: {f:?}");
        }
    }
}

#[test]
fn gomaxprocs_as_go_reads_it() {
    let f = testprog("PrintProcs");
    let cpus = f.stdout.split(' ').nth(3).expect("NumCPU").to_owned();
    let line = |n: &str, cpus: &str| format!("GOMAXPROCS {n} NumCPU {cpus} NumGoroutine 1\n");
    check(&f, 0, &line(&cpus, &cpus), "");
    for value in ["", "0", "-1", "abc", "2x", " 2", "99999999999"] {
        let f = testprog_with(&["PrintProcs"], &[("GOMAXPROCS", value)]);
        check(&f, 0, &line(&cpus, &cpus), "");
    }
    for (value, n) in [("1", "1"), ("3", "3"), ("+2", "2"), ("007", "7"), ("1000", "1000")] {
        let f = testprog_with(&["PrintProcs"], &[("GOMAXPROCS", value)]);
        check(&f, 0, &line(n, &cpus), "");
    }
    let f = testprog_in_shell("exec taskset -c 0 \"$0\" PrintProcs", &[]);
    check(&f, 0, &line("1", "1"), "");
    let f = testprog_in_shell("GOMAXPROCS=4 exec taskset -c 0 \"$0\" PrintProcs", &[]);
    check(&f, 0, &line("4", "1"), "");
}

#[test]
fn goroutines_are_counted() {
    check(&testprog("NumGoroutine"), 0, "1\n11\n1 1\n", "");
}

#[test]
fn junk_in_godebug_is_ignored() {
    let junk = ["", ",", "=", "x", "inittrace", "inittrace=", "inittrace=x", "nosuch=1,=,,=1"];
    for value in junk {
        let f = testprog_with(&["Hello"], &[("GODEBUG", value)]);
        check(&f, 0, "hello\n", "");
        assert_eq!(f.stderr, "", "GODEBUG={value}");
    }
    let long = "a=1,".repeat(10_000);
    check(&testprog_with(&["Hello"], &[("GODEBUG", &long)]), 0, "hello\n", "");
    let odd = "tracebackancestors=-5,randseed=-1,tracebackancestors=99999999";
    check(&testprog_with(&["Hello"], &[("GODEBUG", odd)]), 0, "hello\n", "");
}

#[test]
fn init_tasks_run_by_order_and_name() {
    let f = testprog_with(&["InitOrder"], &[("GODEBUG", "inittrace=1")]);
    check(&f, 0, "first alpha zeta last\n", "boot ");
    let names: Vec<&str> = f
        .stderr
        .lines()
        .filter_map(|l| l.strip_prefix("init "))
        .map(|l| {
            let (name, rest) = l.split_once(" @").expect("a start");
            for word in [" ms, ", " ms clock, ", " bytes, ", " allocs"] {
                assert!(rest.contains(word), "{l}");
            }
            name
        })
        .collect();
    let ours = ["first", "alpha", "zeta", "last", "os_thread", "deadlocks", "ends"]
        .map(|n| format!("testprog/{n}"));
    assert_eq!(names[0], "runtime");
    assert_eq!(&names[1..], ours, "{f:?}");
    let steps: Vec<&str> = f.stderr.lines().filter_map(|l| l.strip_prefix("boot ")).collect();
    let at = |name: &str| steps.iter().position(|s| s.starts_with(name));
    assert!(at("schedinit").is_none() && at("mallocinit") < at("procresize"), "{f:?}");
    assert!(at("mallocinit").is_some(), "{f:?}");
    check(&testprog("InitOrder"), 0, "first alpha zeta last\n", "");
    assert_eq!(testprog("InitOrder").stderr, "");
}

#[test]
fn closed_descriptors_are_not_given_to_files() {
    let dir = TempDir::new("closed-fds");
    let path = dir.path().join("report");
    let path_text = path.to_str().expect("a plain path");
    let script = "exec \"$0\" ClosedFds \"$1\" 0<&- 1>&- 2>&-";
    let f = testprog_in_shell(script, &[path_text]);
    assert!(f.status.success(), "{f:?}");
    let report = fs::read_to_string(path).expect("the scenario made it");
    assert_eq!(report, "fd above 2: true\n");
}

#[test]
fn go_outside_the_runtimes_life() {
    let before = "rt0: the runtime is not running: start it with #[rt0::main] on fn main, or \
                  rt0::run";
    let f = testprog("GoBeforeBoot");
    check(&f, 101, "", "\nthread 'main' (");
    assert!(f.stderr.contains(&format!("failed to start goroutine: {before}\n")), "{f:?}");
    check(&testprog("BuilderBeforeBoot"), 0, &format!("{before}\n0 0 0\nNone\n"), "");

    let after = "rt0: go called after main returned: the runtime runs goroutines until \
                 #[rt0::main] or rt0::run ends\n";
    let f = testprog("GoAfterRun");
    check(&f, 101, after, "\nthread 'main' (");
    assert!(f.stderr.contains(&format!("failed to start goroutine: {after}")), "{f:?}");
    check(&testprog("GoAfterRunFromThread"), 0, after, "");
    check(&testprog("GoAfterRunAtExit"), 0, after, "");
    check(&testprog("GoAtExit"), 0, "Some(\"joined at exit\")\n", "");
}

#[test]
fn run_and_main_after_run() {
    check(&testprog("RunTwice"), 0, "Some(1) Some(Some(true))\n", "");
    check(&testprog("MainInsideRun"), 4, "true\n", "");
}

const ONE_P: &[(&str, &str)] = &[("GOMAXPROCS", "1")];

#[test]
fn one_p_runs_goroutines_in_gos_order() {
    for _ in 0..5 {
        check(&testprog_with(&["Order"], ONE_P), 0, "9 0 1 2 3 4 5 6 7 8\n", "");
    }
}

#[test]
fn blocked_threads_do_not_stop_one_p() {
    let n = numbers(&testprog_with(&["UnmarkedSleeps"], ONE_P));
    assert!(n[0] < 2000, "{n:?} ms");
    check(&testprog_with(&["StdMutexContention"], ONE_P), 0, "24\n", "");
}

#[test]
fn hogs_do_not_stop_one_p() {
    for godebug in ["asyncpreemptoff=0", "asyncpreemptoff=1"] {
        let env = [("GOMAXPROCS", "1"), ("GODEBUG", godebug)];
        let n = numbers(&testprog_with(&["Hogs"], &env));
        assert!(n[0] < 1000, "{godebug}: a sleep of 5 ms took {n:?} ms of CPU");
    }
}

/// Who wakes from a wait for a lock tries at once, not when there is a P: by then the owner has
/// lost it in the middle of what it does under the lock.
#[test]
fn beside_hogs_an_unfair_lock_comes_to_everybody() {
    let env = [("GOMAXPROCS", "1"), ("GODEBUG", "asyncpreemptoff=1")];
    check(&testprog_with(&["UnfairLock"], &env), 0, "90\n", "");
}

/// Where a hog that lost its P is a thread, thousands are not as many; who sleeps, or starts a
/// goroutine that is none, goes on beside them.
#[test]
fn thousands_of_hogs_take_few_threads() {
    for procs in ["1", "2"] {
        let env = [("GOMAXPROCS", procs), ("GODEBUG", "asyncpreemptoff=1")];
        let n = numbers(&testprog_with(&["ManyHogs"], &env));
        assert!(n[0] < 200, "GOMAXPROCS={procs}: {n:?} threads");
        let n = numbers(&testprog_with(&["ManyJobs", "1000"], &env));
        assert!(n[0] < 50, "GOMAXPROCS={procs}: {n:?} threads");
    }
}

#[test]
fn idle_costs_nothing() {
    for procs in ["1", "2", "8"] {
        let n = numbers(&testprog_with(&["Idle"], &[("GOMAXPROCS", procs)]));
        assert!(n[0] < 20_000, "GOMAXPROCS={procs}: {n:?} µs in an idle second");
    }
}

#[test]
fn threads_are_few() {
    let n = numbers(&testprog("Threads"));
    assert_eq!(n[0], 1, "none is started without need");
    // A machine under load shows threads asleep over page faults, and each costs a hand-off.
    assert!(n[1] < 100, "{n:?} threads for 10,000 sleepers");
}

/// The number of Ps follows the CPUs until it is set, and again after the default was asked for.
#[test]
fn gomaxprocs_follows_the_cpus() {
    let f = testprog("FollowAffinity");
    let n = numbers(&f);
    let all = n[0];
    let set = if all == 1 { 1 } else { 3 }; // with one CPU there is nothing to follow
    assert!(n == [all, 1, all, 3, 1, all] || set == 1, "{f:?}");
    for off in [&[("GODEBUG", "updatemaxprocs=0")], &[("GOMAXPROCS", "3")]] {
        let n = numbers(&testprog_with(&["IgnoreAffinity"], off));
        assert_eq!(n[0], n[1], "{off:?}");
    }
}

#[test]
fn the_world_stops_without_membarrier() {
    for godebug in ["tlsmode=0", "tlsmode=3", "asyncpreemptoff=1"] {
        let f = testprog_with(&["StopWithoutMembarrier"], &[("GODEBUG", godebug)]);
        check(&f, 0, "true\n", "");
    }
}

/// Without signals, too, a loop without a call does not keep its P.
#[test]
fn a_hog_loses_its_p_without_membarrier() {
    for godebug in ["tlsmode=0", "tlsmode=3", "asyncpreemptoff=1"] {
        let f = testprog_with(&["HandOffWithoutMembarrier"], &[("GODEBUG", godebug)]);
        check(&f, 0, "ok\n", "");
    }
}

#[test]
fn an_idle_process_does_not_wake_up() {
    for procs in ["1", "2", "8"] {
        let f = testprog_with(&["IdleSwitches"], &[("GOMAXPROCS", procs)]);
        // One of three seconds may see the end of something.
        assert!(numbers(&f).iter().filter(|n| **n == 0).count() >= 2, "GOMAXPROCS={procs}: {f:?}");
    }
}

/// `RT0_STRESS_SECS` seconds (1 unless set) on 1, 2 and 8 Ps.
#[test]
fn a_token_is_never_lost() {
    let secs = std::env::var("RT0_STRESS_SECS").unwrap_or_else(|_| "1".into());
    let limit = Duration::from_secs(secs.parse().unwrap_or(1)) * 2 + LIMIT;
    for procs in ["1", "2", "8"] {
        let mut command = with_default_signals(TESTPROG);
        command.args(["TokenRing", &secs]).env("GOMAXPROCS", procs);
        check(&run(&mut command, b"", limit), 0, "ok\n", "passes: ");
    }
}

#[test]
fn memory_stays_flat() {
    let n = numbers(&testprog("SpawnFlat"));
    assert!(n[0] < 8 << 10, "{n:?} KiB more after 200,000 goroutines");
}

#[test]
fn dead_stacks_give_memory_back() {
    for godebug in ["tlsmode=0", "tlsmode=3"] {
        let n = numbers(&testprog_with(&["StackTrim"], &[("GODEBUG", godebug)]));
        let [before, used, after] = n[..] else { panic!("{n:?}") };
        assert!(used > before + 60_000, "{godebug}: {n:?} KiB");
        assert!(after < before + (used - before) / 2, "{godebug}: {n:?} KiB");
    }
}

/// `RT0_STRESS_SECS` seconds (2 unless set) on 1, 2 and 8 Ps.
#[test]
fn stress() {
    let secs = std::env::var("RT0_STRESS_SECS").unwrap_or_else(|_| "2".into());
    let limit = Duration::from_secs(secs.parse().unwrap_or(2)) * 2 + LIMIT;
    for procs in ["1", "2", "8"] {
        let mut command = with_default_signals(TESTPROG);
        command.args(["Stress", &secs]).env("GOMAXPROCS", procs);
        check(&run(&mut command, b"", limit), 0, "ok\n", "");
    }
}
