//! Faults and overflows of goroutines: Go's words, the address, the goroutine and its stack, status
//! 2; and what GOTRACEBACK makes of them. Threads that are no goroutines end as ever.

mod support;

use std::os::unix::process::ExitStatusExt;
use support::{Finished, testprog, testprog_with};

/// In both ways that goroutines can be run.
#[track_caller]
fn in_all_modes(scenario: &str, check: impl Fn(&Finished)) {
    for env in [&[][..], &[("GODEBUG", "tlsmode=3")]] {
        let f = testprog_with(&[scenario], env);
        assert_eq!(f.stdout, "", "{scenario}: {f:?}");
        check(&f);
    }
}

/// The stack under the first header has `function`, with its place; main is shown too.
#[track_caller]
fn shows(scenario: &str, f: &Finished, header: &str, function: &str) {
    let mut parts = f.stderr.split("\n\n").skip(1);
    let first = parts.next().unwrap_or_default();
    let (head, stack) = first.split_once('\n').unwrap_or_default();
    assert!(head.starts_with("goroutine ") && head.ends_with(header), "{scenario}: {f:?}");
    let function = format!("testprog::scenarios::faults::{function}(...)\n");
    assert!(stack.contains(&function), "{scenario}: {function}: {f:?}");
    assert!(stack.contains("\tcrates/testprog/src/scenarios/faults.rs:"), "{scenario}: {f:?}");
    assert!(parts.any(|p| p.starts_with("goroutine 1 [")), "{scenario}: {f:?}");
}

#[test]
fn overflows_are_named_wherever_they_happen() {
    for (scenario, limit, header) in [
        ("OverflowBig", 64 << 20, " [running] \"big\":"),
        ("OverflowInC", 256 << 10, " [running]:"),
        ("OverflowInDestructor", 256 << 10, " [running]:"),
        ("OverflowWhileUnwinding", 256 << 10, " [running]:"),
        ("OverflowLocked", 256 << 10, " [running, locked to thread]:"),
        ("OverflowInBlocking", 256 << 10, " [syscall]:"),
        ("OverflowInThreadLocal", 256 << 10, " [running]:"),
    ] {
        in_all_modes(scenario, |f| {
            assert_eq!(f.status.code(), Some(2), "{scenario}: {f:?}");
            let words = format!("runtime: goroutine stack exceeds {limit}-byte limit\n");
            assert!(f.stderr.starts_with(&words), "{scenario}: {f:?}");
            assert!(f.stderr.contains("\nfatal error: stack overflow\n\n"), "{scenario}: {f:?}");
            shows(scenario, f, header, "recurse");
        });
    }
}

#[test]
fn faults_are_named_wherever_they_happen() {
    for (scenario, address, header, function) in [
        ("FaultInC", "0x10", " [running]:", "fault_in_c"),
        ("FaultOfC", "0x20", " [running]:", "fault_of_c"),
        ("FaultInDestructor", "0x10", " [running]:", "fault"),
        ("FaultLocked", "0x10", " [running, locked to thread]:", "locked"),
        ("FaultInBlocking", "0x10", " [syscall]:", "fault"),
        ("FaultOnWrite", "0x", " [running]:", "fault_on_write"),
        ("FaultNowhere", "0x0", " [running]:", "fault_nowhere"),
        ("FaultInHandler", "0x10", " [running]:", "faulty_handler"),
        ("FaultInHandlerOnItsStack", "0x10", " [running]:", "faulty_handler"),
    ] {
        in_all_modes(scenario, |f| {
            assert_eq!(f.status.code(), Some(2), "{scenario}: {f:?}");
            let words = format!("unexpected fault address {address}");
            assert!(f.stderr.starts_with(&words), "{scenario}: {f:?}");
            let signal = "\nfatal error: fault\n[signal SIGSEGV: segmentation violation code=0x";
            assert!(f.stderr.contains(signal), "{scenario}: {f:?}");
            shows(scenario, f, header, function);
            assert!(f.stderr.contains("\n\nrax    0x"), "{scenario}: {f:?}");
        });
    }
    in_all_modes("FaultOfMain", |f| {
        assert_eq!(f.status.code(), Some(2), "{f:?}");
        assert!(f.stderr.contains("\n\ngoroutine 1 [running]:\n"), "{f:?}");
    });
    for (scenario, words, function) in [
        ("IllegalInstruction", "SIGILL: illegal instruction\nPC=0x", "illegal_instruction"),
        ("Breakpoint", "SIGTRAP: trace trap\nPC=0x", "breakpoint"),
    ] {
        in_all_modes(scenario, |f| {
            assert_eq!(f.status.code(), Some(2), "{scenario}: {f:?}");
            assert!(f.stderr.starts_with(words), "{scenario}: {f:?}");
            shows(scenario, f, " [running]:", function);
        });
    }
}

#[test]
fn threads_end_as_without_rt0() {
    for (scenario, signal) in [("DivideThread", 8), ("IllegalThread", 4)] {
        in_all_modes(scenario, |f| {
            assert_eq!((f.status.signal(), f.stderr.as_str()), (Some(signal), ""), "{scenario}");
        });
    }
}

/// Go: a fatal error of the program's shows no goroutines then; a fault and an overflow do.
#[test]
fn gotraceback_none_leaves_the_words() {
    let none = |scenario| testprog_with(&[scenario], &[("GOTRACEBACK", "none")]);
    let goroutines = |f: &Finished| f.stderr.matches("\ngoroutine ").count();
    let f = none("DiningDeadlock");
    let words = "fatal error: all goroutines are asleep - deadlock!\n";
    assert_eq!((f.status.code(), f.stderr.as_str()), (Some(2), words), "{f:?}");
    assert_eq!(goroutines(&none("FaultOfMain")), 1);
    assert_eq!(goroutines(&none("OverflowLocked")), 2);
    assert!(none("FaultOfMain").stderr.contains("\n\nrax    0x"));
}

#[test]
fn gotraceback_asks_for_more_and_for_a_core() {
    for (level, runtime, ends_by) in [
        ("single", false, None),
        ("all", false, None),
        ("system", true, None),
        ("crash", true, Some(6)),
    ] {
        for scenario in ["FaultLocked", "OverflowLocked", "SimpleDeadlock"] {
            let f = testprog_with(&[scenario], &[("GOTRACEBACK", level)]);
            assert_eq!(f.status.signal(), ends_by, "{level}: {f:?}");
            assert!(ends_by.is_some() || f.status.code() == Some(2), "{level}: {f:?}");
            assert_eq!(f.stderr.contains("\nrt0::sched::"), runtime, "{level}: {f:?}");
            assert!(f.stderr.contains("\ngoroutine 1 "), "{level}: {f:?}");
        }
    }
    assert!(testprog("FaultLocked").stderr.contains("\ngoroutine 1 [sleep]:\n"));
}
