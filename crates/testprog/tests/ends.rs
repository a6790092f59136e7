//! Panics, hooks and exits where they meet: how the process ends, and what it says.

mod support;

use std::os::unix::process::ExitStatusExt;
use support::{Finished, check, testprog_with};

/// In each way that goroutines can be run.
#[track_caller]
fn in_all_modes(scenario: &str, check: impl Fn(&Finished)) {
    for env in [&[][..], &[("GOMAXPROCS", "1")], &[("GODEBUG", "tlsmode=3")]] {
        check(&testprog_with(&[scenario], env));
    }
}

/// With this status and output, and nothing on stderr.
#[track_caller]
fn ends(scenario: &str, code: i32, stdout: &str) {
    in_all_modes(scenario, |f| {
        let end = (f.status.code(), f.stdout.as_str(), f.stderr.as_str());
        assert_eq!(end, (Some(code), stdout, ""), "{scenario}");
    });
}

/// With Go's report of a panic of another goroutine, once.
#[track_caller]
fn reports(scenario: &str, stdout: &str, text: &str, function: &str) {
    in_all_modes(scenario, |f| {
        assert_eq!((f.status.code(), f.stdout.as_str()), (Some(2), stdout), "{scenario}: {f:?}");
        let report = format!("panic: {text}\n\ngoroutine ");
        let mut reports = f.stderr.match_indices(&report);
        let (at, _) = reports.next().unwrap_or_else(|| panic!("{scenario}: no report: {f:?}"));
        assert!(reports.next().is_none(), "{scenario}: {f:?}");
        assert!(f.stderr[at..].contains(function), "{scenario}: {f:?}");
    });
}

#[test]
fn a_hook_may_do_what_it_likes() {
    ends("HookExits", 42, "at exit\n");
    ends("HookExitsByStd", 42, "");
    ends("HookSends", 0, "to a channel\ntrue\n");
    ends("HookSleeps", 0, "4950\n");
    ends("HookParks", 0, "unparked\nparked\n");
    ends("HookStarts", 0, "Some(\"joined in the hook\")\ntrue\n");
    ends("HookGoexits", 0, "true\nanother hook\nkept\n");
    in_all_modes("HookTaken", |f| {
        check(f, 0, "mine\naround mine\n", "\nthread '<unnamed>' (");
        assert!(f.stderr.contains("\nby std's\n") || f.stderr.contains("Box<dyn Any>"), "{f:?}");
    });
    in_all_modes("HookTakenInPanic", |f| check(f, 0, "true\nfirst\n", ""));
    in_all_modes("HookAborts", |f| {
        assert_eq!(f.status.signal(), Some(6), "{f:?}");
        assert!(f.stderr.starts_with("SIGABRT: abort\n"), "{f:?}");
        assert!(f.stderr.contains("::hook_aborts::"), "{f:?}");
    });
    in_all_modes("HookBlocksForEver", |f| {
        check(f, 2, "", "fatal error: all goroutines are asleep - deadlock!\n");
    });
}

#[test]
fn exit_hooks_meet_other_ends() {
    let fatal = "fatal error: exit hook invoked goexit\n";
    in_all_modes("AtExitGoexits", |f| check(f, 2, "", fatal));
    ends("AtExitStdExits", 3, "");
    ends("AtExitOthersExit", 3, "hooks are done\n");
    reports("AtExitOthersPanic", "", "lone", "::lone_panic::");
}

#[test]
fn exits_from_anywhere() {
    ends("ExitInDestructor", 9, "");
    ends("ExitWhileUnwinding", 5, "");
    ends("ExitBesideHogs", 7, "");
    for _ in 0..5 {
        ends("ExitByMany", 11, "");
    }
    in_all_modes("ExitAgainInDestructor", |f| {
        assert_eq!(f.status.signal(), Some(6), "{f:?}");
        assert!(f.stderr.contains("std::process::exit called re-entrantly"), "{f:?}");
    });
    ends("GoexitWhileUnwinding", 0, "true\nunwinds\n");
    ends("GoexitInDestructor", 0, "the others run too\ntrue\n");
}

#[test]
fn payloads_are_kept() {
    ends("Payloads", 0, "Some([1, 2, 3])\nSome(\"number 7\")\ntrue\n");
    in_all_modes("PanicThrownAgain", |f| {
        check(f, 0, "once by the hook\n", "");
        assert_eq!(f.stderr.matches("once by the hook").count(), 1, "{f:?}");
    });
    in_all_modes("ResumeInMain", |f| {
        check(f, 101, "", "\nthread '<unnamed>' (");
        assert_eq!(f.stderr.matches("panicked at").count(), 1, "{f:?}");
    });
}

#[test]
fn panics_of_destructors_are_seen() {
    let function = "scenarios::ends::Bomb as ";
    reports("PanicInResult", "", "in a result", function);
    in_all_modes("PanicInResult", |f| {
        assert!(f.stderr.contains(" [running] \"returns a bomb\":\n"), "{f:?}");
    });
    in_all_modes("PanicInResultLater", |f| check(f, 0, "true\n", "\nthread 'main' ("));
    reports("PanicInPayload", "true\n", "Box<dyn Any>", "::panic_in_payload::");
    // As std ends a thread.
    in_all_modes("PanicInThreadLocal", |f| {
        assert_eq!(f.status.signal(), Some(6), "{f:?}");
        let text = "fatal runtime error: thread local panicked on drop, aborting\nSIGABRT: abort\n";
        assert!(f.stderr.contains(text), "{f:?}");
    });
}

#[test]
fn panics_wherever_code_runs() {
    reports("PanicInScope", "true true\n", "a scoped goroutine panicked", "::panic_in_scope::");
    in_all_modes("PanicInOnce", |f| {
        assert_eq!(f.status.code(), Some(0), "{f:?}");
        assert!(f.stdout.starts_with("true\ntrue\n") && f.stdout.ends_with("true true\n"), "{f:?}");
    });
    reports("PanicInTimer", "", "of a timer", "::panic_in_timer::");
    reports("PanicInAfterFunc", "", "of a context", "::panic_in_after_func::");
    for scenario in ["PanicInTimer", "PanicInAfterFunc"] {
        let f = testprog_with(&[scenario], &[]);
        let (_, created) = f.stderr.split_once("\ncreated by rt0::go in goroutine ").expect("it");
        let place = created.lines().nth(1).unwrap_or_default();
        assert!(place.starts_with("\tcrates/testprog/src/scenarios/ends.rs:"), "{f:?}");
    }
    reports("PanicOfSignal", "", "user defined signal 1", "::panic_of_signal::");
    reports("PanicInFuture", "true\ntrue\n", "of a future", "::panic_in_future::");
    reports("PanicInBlocking", "true\n", "in a call", "::panic_in_blocking::");
    reports("PanicLocked", "", "on a thread of its own", "::panic_locked::");
    in_all_modes("PanicInInit", |f| {
        check(f, 101, "", "\nthread 'main' (");
        assert!(f.stderr.contains("in an init task"), "{f:?}");
    });
}

/// As Rust does on a thread; and the report names the goroutine.
#[test]
fn exceptions_of_other_languages_end_the_process() {
    let words = "fatal runtime error: Rust cannot catch foreign exceptions, aborting\n";
    for scenario in ["ForeignException", "ForeignExceptionCaught", "ForeignExceptionOfMain"] {
        in_all_modes(scenario, |f| {
            assert_eq!((f.status.signal(), f.stdout.as_str()), (Some(6), ""), "{scenario}: {f:?}");
            assert!(f.stderr.contains(words), "{scenario}: {f:?}");
            assert!(f.stderr.contains("\nSIGABRT: abort\n"), "{scenario}: {f:?}");
            let own =
                if scenario.ends_with("Main") { "goroutine 1 [running" } else { "[running]:" };
            assert!(f.stderr.contains(own), "{scenario}: {f:?}");
        });
    }
    in_all_modes("ForeignExceptionThread", |f| {
        assert_eq!((f.status.signal(), f.stdout.as_str()), (Some(6), ""), "{f:?}");
        assert!(f.stderr.contains(words), "{f:?}");
    });
}

#[test]
fn ends_of_threads_are_no_ends_of_goroutines() {
    for (scenario, error, function) in [
        ("PthreadExit", "pthread_exit called on a goroutine", "exit_thread"),
        ("PthreadExitOfMain", "pthread_exit called on a goroutine", "exit_thread"),
        ("PthreadCancel", "pthread_cancel of a goroutine", "cancel_self"),
        ("PthreadCancelFromThread", "pthread_cancel of a goroutine", "cancel_from_thread"),
    ] {
        in_all_modes(scenario, |f| {
            assert_eq!((f.status.code(), f.stdout.as_str()), (Some(2), ""), "{scenario}: {f:?}");
            assert!(f.stderr.starts_with("runtime: pthread_"), "{scenario}: {f:?}");
            assert!(f.stderr.contains(&format!("\nfatal error: {error}\n\n")), "{f:?}");
            assert!(f.stderr.contains(&format!("::{function}")), "{scenario}: {f:?}");
        });
    }
    ends("PthreadExitThread", 0, "7\n");
    // In static programs rt0's system calls, here `pause`, are no cancellation points.
    if !cfg!(target_feature = "crt-static") {
        ends("PthreadCancelThread", 0, "true\n");
    }
}
