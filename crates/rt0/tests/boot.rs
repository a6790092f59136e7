//! What boot, `runtime.main` and the resizing of the Ps do, seen from outside.
//!
//! What ends the process, or depends on the environment at its start, runs in a child: this very
//! test, asked for one of the cases below.

// What users write under forbid, init_task! included, must compile under it.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

#[allow(dead_code, reason = "shared with tests/examples.rs, which uses all of it")]
#[path = "examples/support.rs"]
mod support;

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fmt, fs, panic, thread};

use support::{Finished, example, run};

/// The environment variable that names the case to run.
const CASE: &str = "RT0_BOOT_CASE";

fn child(case: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = Command::new(env::current_exe().expect("a path to this test"));
    command.args(["--exact", "the_child", "--nocapture", "--test-threads=1"]).env(CASE, case);
    for variable in ["GOMAXPROCS", "GODEBUG", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    run(command.envs(variables.iter().copied()))
}

#[test]
fn the_child() {
    let Ok(case) = env::var(CASE) else { return };
    match case.as_str() {
        "gomaxprocs" => {
            rt0::run(|| println!("Ps {} CPUs {}.", rt0::gomaxprocs(), rt0::num_cpu()));
        }
        "init" => rt0::run(|| println!("inits {}.", INITS.load(Ordering::Relaxed))),
        "hooks" => rt0::run(|| exit_with_hooks(0)),
        "hooks-failure" => rt0::run(|| exit_with_hooks(3)),
        "ancestors" => rt0::run(ancestors),
        "threads" => rt0::run(too_many_threads),
        "late-panic" => rt0::run(late_panic),
        "background" => rt0::run(|| background_begins(|| drop(rt0::go(|| ()).join()))),
        "background-guest" => rt0::run(|| background_begins(begin_as_guest)),
        "huge-pages" => rt0::run(|| {
            assert!(has_no_huge_pages(), "goroutine 1");
            assert!(rt0::go(has_no_huge_pages).join().expect("no panic"), "another one");
            println!("no huge pages.");
        }),
        _ => panic!("no case {case}"),
    }
}

/// What a dump shows of the runtime's own goroutines: their ids, and who started them.
fn background() -> Vec<(u64, String)> {
    let mut text = Vec::new();
    rt0::debug::Dump::new().system(true).write_to(&mut text).expect("a Vec takes all");
    let text = String::from_utf8(text).expect("UTF-8");
    let own =
        text.split("\n\n").filter(|part| part.contains("\n\tcrates/rt0/src/sched/background.rs:"));
    own.filter_map(|part| {
        let id = part.trim_start().strip_prefix("goroutine ")?.split_once(' ')?.0;
        let by = part.lines().find_map(|line| line.strip_prefix("created by "))?;
        Some((id.parse().expect("a number"), by.to_owned()))
    })
    .collect()
}

/// None before the first goroutine beyond main starts, all of them then.
fn background_begins(start_one: impl FnOnce()) {
    println!("before {:?}.", background());
    start_one();
    let mut all = background();
    all.sort();
    println!("after {all:?}.");
}

/// The first goroutine beyond main is started by a thread that is none.
fn begin_as_guest() {
    let guest = thread::spawn(|| rt0::run(|| ()));
    while !guest.is_finished() {
        rt0::time::sleep(Duration::from_millis(1));
    }
    guest.join().expect("no panic");
}

/// Whether the kernel puts none on this stack.
fn has_no_huge_pages() -> bool {
    let here = 0_u8;
    let here = (&raw const here).addr();
    let smaps = fs::read_to_string("/proc/self/smaps").expect("/proc is mounted");
    let mut is_here = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let hex = |text| usize::from_str_radix(text, 16).ok();
        if let Some((Some(lo), Some(hi))) = range.map(|(lo, hi)| (hex(lo), hex(hi))) {
            is_here = (lo..hi).contains(&here);
        } else if is_here && let Some(flags) = line.strip_prefix("VmFlags:") {
            return flags.split(' ').any(|flag| flag == "nh");
        }
    }
    panic!("no flags of {here:#x}: {smaps}")
}

static INITS: AtomicUsize = AtomicUsize::new(0);

/// Appends a digit, so that the number tells the order.
fn note(digit: usize) {
    INITS.store(INITS.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed);
}

rt0::init_task! { name: "boot test: third", order: 20, run: || note(3) }
rt0::init_task! { name: "boot test: first", order: 10, run: || note(1) }
rt0::init_task! { name: "boot test: second", order: 10, run: || note(2) }

fn exit_with_hooks(code: i32) {
    println!(); // the harness has written half a line
    rt0::at_exit(|| println!("hook: first"));
    rt0::at_exit_on_success(|| println!("hook: on success"));
    rt0::at_exit(|| println!("hook: last"));
    rt0::exit(code);
}

/// A goroutine that a goroutine started, which panics with nobody to join it.
fn ancestors() {
    rt0::go(|| drop(rt0::go(|| panic!("at the end of the line"))));
    rt0::time::sleep(Duration::from_secs(60));
}

fn too_many_threads() {
    println!("limit was {}.", rt0::set_max_threads(4));
    let block = || rt0::blocking(|| thread::sleep(Duration::from_secs(60)));
    let blocked: Vec<_> = (0..20).map(|_| rt0::go(block)).collect();
    blocked.into_iter().for_each(|b| b.join().expect("no panic"));
}

/// Main ends while the panic of a goroutine is being reported.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Takes its time to say what it is.
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        REPORTING.store(true, Ordering::Release);
        thread::sleep(Duration::from_millis(200));
        f.write_str("late")
    }
}

rt0::register_itab!(Late: dyn fmt::Display + 'static);

fn late_panic() {
    // Main returns while the report is under way; before that, in the hook, would be too early.
    drop(rt0::go(|| panic::panic_any(Late)));
    while !REPORTING.load(Ordering::Acquire) {
        rt0::gosched();
    }
}

#[test]
fn the_steps_are_taken_in_order() {
    let out = run(Command::new(example("hello")).env("GODEBUG", "inittrace=1"));
    assert_eq!((out.code, out.stdout.as_str()), (Some(0), "Hello Go\n"), "{}", out.stderr);
    let steps: Vec<(&str, f64)> = out
        .stderr
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("boot ")?.split_once(" @")?;
            Some((name, rest.split_once(" ms")?.0.parse().expect("a time in ms")))
        })
        .collect();
    let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
    let expected = [
        "_rt0_amd64_linux",
        "settls",
        "check",
        "args",
        "osinit",
        "parsedebugvars",
        "moduledataverify",
        "stackinit",
        "fastrandinit",
        "mallocinit",
        "cpuinit",
        "alginit",
        "mcommoninit",
        "modulesinit",
        "typelinksinit",
        "itabsinit",
        "stkobjinit",
        "sigsave",
        "goargs",
        "goenvs",
        "secure",
        "checkfds",
        "gcinit",
        "procresize",
    ];
    let skip = usize::from(names.first() != Some(&expected[0])); // the entry was opted out of
    assert_eq!(names, expected[skip..], "{}", out.stderr);
    assert!(steps.is_sorted_by(|(_, a), (_, b)| a <= b), "{}", out.stderr);
    assert!(out.stderr.contains("\ninit runtime @"), "{}", out.stderr);
}

#[test]
fn gomaxprocs_makes_so_many_ps() {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"));
    let cpus: u32 = mask
        .expect("the affinity mask")
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(u32::count_ones)
        .sum();
    let all = cpus.to_string();
    for (value, ps) in [
        ("1", "1"),
        ("3", "3"),
        ("64", "64"),
        ("0", &all),
        ("-2", &all),
        ("", &all),
        ("2x", &all),
        (" 2", &all),
        ("99999999999999999999", &all),
    ] {
        let out = child("gomaxprocs", &[("GOMAXPROCS", value)]);
        let expected = format!("Ps {ps} CPUs {cpus}.");
        assert!(out.stdout.contains(&expected), "GOMAXPROCS={value}: {}", out.stdout);
    }
    assert!(child("gomaxprocs", &[]).stdout.contains(&format!("Ps {all} CPUs {cpus}.")));
}

#[test]
fn init_tasks_run_by_order_and_name_before_main() {
    let out = child("init", &[("GODEBUG", "inittrace=1")]);
    assert!(out.stdout.contains("inits 123."), "{}", out.stdout);
    let inits: Vec<_> = out
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("init ")?.split_once(" @").map(|(name, _)| name))
        .collect();
    let expected = ["runtime", "boot test: first", "boot test: second", "boot test: third"];
    assert_eq!(inits, expected, "{}", out.stderr);
}

/// Their numbers are the first of whoever starts the first one: goroutine 1's P has 1 to 16.
#[test]
fn background_work_begins_with_the_first_goroutine() {
    for (case, ids, by) in [
        ("background", [2, 3, 4], "rt0::go in goroutine 1"),
        ("background-guest", [17, 18, 19], "a thread that is no goroutine"),
    ] {
        let out = child(case, &[]);
        assert!(out.stdout.contains("before []."), "{case}: {}{}", out.stdout, out.stderr);
        let expected = ids.map(|id| (id, by));
        assert!(out.stdout.contains(&format!("after {expected:?}.")), "{case}: {}", out.stdout);
    }
}

/// Linux 6.7 knows by itself, older ones are told; `stackguard=1` takes the way of older ones.
#[test]
fn stacks_have_no_huge_pages() {
    if !fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap_or(false) {
        return;
    }
    for stackguard in ["stackguard=0", "stackguard=1"] {
        let out = child("huge-pages", &[("GODEBUG", stackguard)]);
        assert!(out.stdout.contains("no huge pages."), "{stackguard}: {}", out.stderr);
    }
}

#[test]
fn exit_hooks_run_in_reverse_order() {
    for (case, code, expected) in [
        ("hooks", 0, &["last", "on success", "first"][..]),
        ("hooks-failure", 3, &["last", "first"]),
    ] {
        let out = child(case, &[]);
        assert_eq!(out.code, Some(code), "{}{}", out.stdout, out.stderr);
        let ran: Vec<_> = out.stdout.lines().filter_map(|l| l.strip_prefix("hook: ")).collect();
        assert_eq!(ran, expected, "{case}");
    }
}

#[test]
fn ancestors_are_kept_on_request() {
    let out = child("ancestors", &[("GODEBUG", "tracebackancestors=5")]);
    assert_eq!(out.code, Some(2), "{}", out.stderr);
    assert!(out.stderr.contains("panic: at the end of the line"), "{}", out.stderr);
    assert!(out.stderr.contains("created by rt0::go in goroutine "), "{}", out.stderr);
    assert!(out.stderr.contains("[originating from goroutine "), "{}", out.stderr);
    let out = child("ancestors", &[]);
    assert_eq!(out.code, Some(2), "{}", out.stderr);
    assert!(!out.stderr.contains("originating"), "{}", out.stderr);
}

#[test]
fn threads_beyond_the_limit_are_fatal() {
    let out = child("threads", &[]);
    assert_eq!(out.code, Some(2), "{}", out.stderr);
    assert!(out.stdout.contains("limit was 10000."), "{}", out.stdout);
    assert!(out.stderr.contains("runtime: program exceeds 4-thread limit\n"), "{}", out.stderr);
    assert!(out.stderr.contains("fatal error: thread exhaustion\n"), "{}", out.stderr);
}

#[test]
fn a_panic_is_reported_although_main_ends() {
    let out = child("late-panic", &[]);
    assert_eq!(out.code, Some(2), "{}", out.stderr);
    assert!(out.stderr.contains("panic: late"), "{}", out.stderr);
}

/// Ps come and go under work of every kind, and nothing that one of them held is lost.
#[rt0::test]
fn resizing_loses_no_goroutine_and_no_timer() {
    let before = rt0::gomaxprocs();
    let work = |n: u64| {
        move || {
            for i in 0..20 {
                if (n + i).is_multiple_of(10) {
                    rt0::time::sleep(Duration::from_micros(300));
                }
                rt0::gosched();
            }
            n
        }
    };
    let mut sum = 0;
    let mut goroutines = Vec::new();
    for (round, ps) in [8, 1, 5, 2, 16, 1, 3].into_iter().enumerate() {
        goroutines.extend((0..500).map(|n| rt0::go(work(n + round as u64 * 500))));
        rt0::set_gomaxprocs(ps);
        assert_eq!(rt0::gomaxprocs(), ps);
    }
    for goroutine in goroutines {
        sum += goroutine.join().expect("no panic");
    }
    assert_eq!(sum, (0..3500).sum());
    rt0::set_gomaxprocs(before);
}
