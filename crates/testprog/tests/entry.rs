//! Where a program with rt0 in it starts, and a library that has no `main` to start from.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::TempDir;

const LIMIT: Duration = Duration::from_secs(30);
/// A cold build of rt0 and its dependencies, on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(240);

#[test]
fn a_dynamic_program_starts_at_rt0() {
    assert_eq!(entry_symbol(Path::new(env!("CARGO_BIN_EXE_rt0probe"))), "_rt0_amd64_linux");
}

/// It is in a package that depends on rt0 but names it nowhere.
#[test]
fn a_program_without_rt0_starts_at_start() {
    assert_eq!(entry_symbol(Path::new(env!("CARGO_BIN_EXE_stdprobe"))), "_start");
}

/// Into a target directory of its own: the flags are others than those of the build that runs this
/// test. With a target triple they leave build scripts and macros alone.
#[test]
fn a_static_program_starts_at_rt0() {
    let target = "x86_64-unknown-linux-gnu";
    let directory = target_directory().join("entry-test");
    cargo(
        &["build", "--offline", "-p", "rt0", "--example", "hello", "--target", target],
        |cargo| {
            cargo
                .env("CARGO_TARGET_DIR", &directory)
                .env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
        },
    );
    let hello = directory.join(target).join("debug/examples/hello");
    assert_eq!(entry_symbol(&hello), "_rt0_amd64_linux");
    let headers = output(Command::new("readelf").arg("-lW").arg(&hello));
    assert!(!headers.contains("INTERP"), "not a static program: {headers}");
    assert_eq!(output(&mut Command::new(&hello)), "Hello Go\n");
}

/// Nothing in rt0 needs to unwind, but goexit.
#[test]
fn a_program_that_aborts_on_panic_runs_goroutines() {
    let directory = target_directory().join("entry-test-abort");
    let target = "x86_64-unknown-linux-gnu";
    cargo(
        &["build", "--offline", "-p", "rt0", "--example", "aborting", "--target", target],
        |cargo| {
            cargo.env("CARGO_TARGET_DIR", &directory).env("RUSTFLAGS", "-Cpanic=abort");
        },
    );
    let program = directory.join(target).join("debug/examples/aborting");
    let run = |argument| {
        let mut command = support::with_default_signals(program.to_str().expect("a plain path"));
        support::run(command.arg(argument).env("RUST_BACKTRACE", "0"), b"", LIMIT)
    };
    for mode in ["tlsmode=0", "tlsmode=3"] {
        assert_eq!(output(Command::new(&program).env("GODEBUG", mode)), "55\n");
    }
    let f = run("panic");
    assert_eq!((f.status.signal(), f.stdout.as_str()), (Some(6), "55\n"), "{f:?}");
    let (hook, report) = f.stderr.split_once("SIGABRT: abort\n").expect("a report");
    assert!(hook.contains("panicked at") && hook.contains("seen\n"), "{f:?}");
    assert!(report.contains("\n\ngoroutine 1 [sleep]:\n"), "{f:?}");
    assert!(report.contains("\naborting::main::__rt0_body::{{closure}}"), "{f:?}");
    let f = run("goexit");
    let text = "fatal error: goexit in a program built with panic=abort, which cannot unwind\n";
    support::check(&f, 2, "55\n", text);
}

const C_PROGRAM: &str = r#"
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
uint64_t rt0_sum_of_squares(uint64_t n);
uint64_t rt0_argument_count(void);
static void *on_thread(void *unused) { return (void *)rt0_sum_of_squares(100); }
int main(void) {
    for (int i = 0; i < 3; i++)
        printf("%lu\n", rt0_sum_of_squares(10));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, on_thread, 0);
    for (int i = 0; i < 4; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        printf("%lu\n", (uint64_t)sum);
    }
    printf("%lu arguments\n", rt0_argument_count());
    return 7;
}
"#;

/// The library boots the runtime at its first call, is called by several threads, and leaves the
/// program's own main and status alone.
#[test]
fn a_c_program_can_use_a_library_with_rt0_in_it() {
    let Some(library) = library() else { return };
    let directory = TempDir::new("c-program");
    let (source, program) = (directory.path().join("main.c"), directory.path().join("main"));
    fs::write(&source, C_PROGRAM).expect("room in the temporary directory");
    output(Command::new("gcc").arg("-o").args([&program, &source, &library]).arg("-lpthread"));
    let mut command = Command::new(&program);
    command.args(["one", "two"]);
    let finished = support::run(&mut command, b"", LIMIT);
    let expected = ["285\n".repeat(3), "328350\n".repeat(4), "3 arguments\n".to_owned()].concat();
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(7), expected.as_str()));
    assert_eq!(finished.stderr, "");
}

const PYTHON_PROGRAM: &str = "
import ctypes, sys, threading
library = ctypes.CDLL(sys.argv[1])
library.rt0_sum_of_squares.argtypes = [ctypes.c_uint64]
library.rt0_sum_of_squares.restype = ctypes.c_uint64
print(library.rt0_sum_of_squares(10))
sums = []
def on_thread(): sums.append(library.rt0_sum_of_squares(100))
threads = [threading.Thread(target=on_thread) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(sums)
";

/// Loaded by dlopen into a program that had threads and allocations before.
#[test]
fn python_can_use_a_library_with_rt0_in_it() {
    let Some(library) = library() else { return };
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: there is no python3");
    }
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON_PROGRAM]).arg(library);
    assert_eq!(output(&mut command), "285\n[328350, 328350, 328350, 328350]\n");
}

/// The example `library`, built as this test was.
fn library() -> Option<PathBuf> {
    if cfg!(target_feature = "crt-static") {
        println!("skipped: a library cannot have a libc of its own");
        return None;
    }
    let profile = profile_directory();
    let profile_name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("no profile in {}", profile.display()),
    };
    let arguments = ["build", "--offline", "-p", "testprog", "--example", "library", "--profile"];
    cargo(&[&arguments[..], &[profile_name]].concat(), |cargo| {
        cargo.env("CARGO_TARGET_DIR", target_directory());
    });
    Some(profile.join("examples/liblibrary.so"))
}

/// `<target directory>/<profile>`: this test is in its `deps`.
fn profile_directory() -> PathBuf {
    let this = std::env::current_exe().expect("a path to this test");
    this.ancestors().nth(2).expect("target/<profile>/deps/<test>").to_owned()
}

fn target_directory() -> PathBuf {
    profile_directory().parent().expect("target/<profile>").to_owned()
}

fn cargo(arguments: &[&str], setup: impl FnOnce(&mut Command)) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(arguments)
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    setup(&mut cargo);
    let finished = support::run(&mut cargo, b"", BUILD_LIMIT);
    assert!(finished.status.success(), "{cargo:?}: {}", finished.stderr);
}

/// What a program that must succeed prints.
fn output(command: &mut Command) -> String {
    let finished = support::run(command, b"", LIMIT);
    assert!(finished.status.success(), "{command:?}: {finished:?}");
    finished.stdout
}

/// The global function at the ELF entry, as `readelf` and `nm` see it.
fn entry_symbol(program: &Path) -> String {
    let header = output(Command::new("readelf").arg("-h").arg(program).env("LC_ALL", "C"));
    let entry = header.lines().find_map(|line| line.trim().strip_prefix("Entry point address:"));
    let entry = entry.unwrap_or_else(|| panic!("no entry: {header}")).trim();
    let entry = u64::from_str_radix(entry.trim_start_matches("0x"), 16).expect("hexadecimal");
    let symbols = output(Command::new("nm").arg(program));
    let at_entry = symbols.lines().find_map(|line| {
        let (address, name) = line.split_once(" T ")?;
        (u64::from_str_radix(address, 16) == Ok(entry)).then(|| name.to_owned())
    });
    at_entry.unwrap_or_else(|| panic!("no function at {entry:#x} in {}", program.display()))
}
