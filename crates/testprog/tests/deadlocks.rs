//! Processes that can never go on say so and end with status 2; those that can go on do.

mod support;

use std::time::Duration;
use support::{Finished, TESTPROG, run, with_default_signals};

const LIMIT: Duration = Duration::from_secs(60);

fn testprog(scenario: &str, env: &[(&str, &str)]) -> Finished {
    let mut command = with_default_signals(TESTPROG);
    command.arg(scenario).env("RUST_BACKTRACE", "0");
    command.env_remove("GOMAXPROCS").env_remove("GODEBUG").envs(env.iter().copied());
    run(&mut command, b"", LIMIT)
}

/// In each way that goroutines can be run.
fn in_all_modes(scenario: &str, check: impl Fn(&Finished)) {
    for env in [&[][..], &[("GOMAXPROCS", "1")], &[("GODEBUG", "tlsmode=3")]] {
        check(&testprog(scenario, env));
    }
}

const DEAD: &str = "fatal error: all goroutines are asleep - deadlock!\n\n";

/// With the states that the report shows, the first one first.
fn dies(scenario: &str, stdout: &str, states: &[&str]) {
    in_all_modes(scenario, |f| {
        assert_eq!((f.status.code(), f.stdout.as_str()), (Some(2), stdout), "{scenario}: {f:?}");
        assert!(f.stderr.starts_with(DEAD), "{scenario}: {f:?}");
        for state in states {
            assert!(f.stderr.contains(&format!(" [{state}]:\n")), "{scenario}: {state}: {f:?}");
        }
    });
}

fn goes_on(scenario: &str) {
    in_all_modes(scenario, |f| {
        let end = (f.status.code(), f.stdout.as_str(), f.stderr.as_str());
        assert_eq!(end, (Some(0), "goes on\n", ""), "{scenario}");
    });
}

#[test]
fn what_go_reports() {
    dies("SimpleDeadlock", "", &["chan receive (nil chan)"]);
    dies("InitDeadlock", "", &["chan receive (nil chan), locked to thread"]);
    dies("TimerStopped", "", &["chan receive (nil chan)", "park"]);
    dies("NetDone", "", &["chan receive (nil chan)"]);
    dies("NochanTimer", "", &["chan receive (nil chan)"]);
    dies("SleepThen", "woke\n", &["chan receive (nil chan)"]);
    dies("GoexitMainOthersDeadlock", "", &["chan receive (nil chan)"]);
}

/// The circle comes first, with who has which fork, and since where.
#[test]
fn who_dines_for_ever_is_shown() {
    in_all_modes("DiningDeadlock", |f| {
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        let report = f.stderr.strip_prefix(DEAD).unwrap_or_else(|| panic!("{f:?}"));
        let mut lines = report.lines();
        assert_eq!(lines.next(), Some("deadlock: 5 wait for each other:"), "{f:?}");
        let circle: Vec<&str> = lines.by_ref().take(5).collect();
        for (i, line) in circle.iter().enumerate() {
            let start = |line: &str| line.split(" \"").next().map(str::to_owned);
            let next = start(circle[(i + 1) % 5].trim_start()).expect("a goroutine");
            let held =
                format!(", held by {next} since crates/testprog/src/scenarios/deadlocks.rs:");
            assert!(line.starts_with("\tgoroutine ") && line.contains(&held), "{line} {f:?}");
            assert!(line.contains(" [sync.Mutex.Lock]: waits for sync.Mutex 0x"), "{line} {f:?}");
        }
        assert_eq!(lines.next(), Some("behind that, 1 waits:"), "{f:?}");
        let main = lines.next().expect("main waits for one");
        assert!(main.starts_with("\tgoroutine 1 [join]: waits for the end of goroutine "), "{f:?}");
    });
    in_all_modes("PartialDeadlock", |f| {
        let end = (f.status.code(), f.stdout.as_str(), f.stderr.as_str());
        assert_eq!(end, (Some(0), "5 in a circle, 0 behind\n", ""));
    });
}

/// Also by channels, while main lives: on demand, and in a dump. Not where goroutines are threads.
#[test]
fn who_receives_for_ever_is_shown() {
    for env in [&[][..], &[("GOMAXPROCS", "1")], &[("GODEBUG", "tlsmode=1")]] {
        let f = testprog("PartialChanDeadlock", env);
        let end = (f.status.code(), f.stdout.as_str(), f.stderr.as_str());
        assert_eq!(end, (Some(0), "2 in a circle, 1 behind\n", ""));
        // Registers that nobody uses may happen to have an old handle: then nothing is said.
        let quit = || testprog("QuitChanDeadlock", env);
        let is_shown = |f: &Finished| f.stderr.contains("deadlock: 2 wait for each other:");
        let mut f = quit();
        for _ in 1..10 {
            if is_shown(&f) {
                break;
            }
            f = quit();
        }
        assert!(is_shown(&f), "it is shown most of the time: {env:?} {f:?}");
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        let mut lines =
            f.stderr.lines().skip_while(|l| *l != "deadlock: 2 wait for each other:").skip(1);
        for line in lines.by_ref().take(2) {
            assert!(line.contains(" [chan receive]: waits for chan 0x"), "{line} {f:?}");
            let handles = " has 1 sender and 1 receiver, also on the stack of goroutine ";
            assert!(line.contains(handles), "{line} {f:?}");
        }
        assert_eq!(lines.next(), Some("behind that, 1 waits:"), "{f:?}");
        let third = lines.next().expect("a line");
        assert!(third.contains(" [join]: waits for the end of goroutine "), "{third} {f:?}");
    }
    let f = testprog("QuitChanDeadlock", &[("GODEBUG", "tlsmode=3")]);
    let why = "who has handles of channels is not known: each goroutine is a thread\n";
    assert!(f.stderr.contains(why), "{f:?}");
}

#[test]
fn every_reason_is_named() {
    let states = [
        "sync.WaitGroup.Wait",
        "sync.Mutex.Lock",
        "sync.RWMutex.RLock",
        "chan receive (nil chan)",
        "select",
        "sync.Cond.Wait",
        "park",
        "chan receive",
    ];
    dies("MultiDeadlock", "", &states);
}

#[test]
fn what_waits_in_std_and_in_c() {
    dies("StdMutexDeadlock", "", &[]);
    dies("StdChannelDeadlock", "", &["join"]);
    dies("CMutexDeadlock", "", &["join"]);
}

#[test]
fn what_waits_for_threads_that_wait() {
    dies("ThreadsDeadlock", "", &["chan receive"]);
    dies("ThreadEndsSilently", "", &["chan receive"]);
    dies("JoinedThreadDeadlock", "", &[]);
    dies("LockOfThreadDeadlock", "", &["sync.Mutex.Lock"]);
}

#[test]
fn timers_and_calls_are_no_deadlock() {
    goes_on("IoWait");
    goes_on("TimerPending");
    goes_on("TimerPendingAlone");
    goes_on("InCall");
    goes_on("InBlocking");
    goes_on("Computes");
}

#[test]
fn threads_that_may_wake_somebody_are_no_deadlock() {
    goes_on("ThreadWillSend");
    goes_on("ThreadReads");
    goes_on("TimedThread");
    goes_on("HandlerMayPost");
    goes_on("ThreadsPlayBall");
}
