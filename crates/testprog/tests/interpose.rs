//! C functions that know of goroutines: in libraries loaded later, in children that share memory,
//! and beside a definition of the program's own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{Finished, TESTPROG, TempDir, run, with_default_signals};

const LIMIT: Duration = Duration::from_secs(60);

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
int c_read(int fd) { char byte; return read(fd, &byte, 1); }
int c_poll(int fd) { struct pollfd p = { fd, POLLIN, 0 }; return poll(&p, 1, -1); }
int c_usleep(int unused) { return usleep(60 * 1000 * 1000); }
int c_cond_wait(int unused) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    return pthread_cond_wait(&cond, &mutex);
}
int c_vfork(int fd) {
    pid_t pid = vfork();
    if (pid == 0) {
        write(fd, "a", 1);
        usleep(2000);
        write(fd, "b", 1);
        _exit(5);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
"#;

fn library(directory: &Path) -> PathBuf {
    let (source, library) = (directory.join("calls.c"), directory.join("calls.so"));
    fs::write(&source, LIBRARY).expect("room in the temporary directory");
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-w", "-o"]).args([&library, &source]).arg("-lpthread");
    let built = run(&mut gcc, b"", LIMIT);
    assert!(built.status.success(), "{built:?}");
    library
}

fn testprog(scenario: &str, gomaxprocs: &str) -> Finished {
    let directory = TempDir::new(&format!("{scenario}-{gomaxprocs}"));
    let mut command = with_default_signals(TESTPROG);
    command.arg(scenario).arg(library(directory.path()));
    command.env("RUST_BACKTRACE", "0").env("GOMAXPROCS", gomaxprocs).env_remove("GODEBUG");
    run(&mut command, b"", LIMIT)
}

/// What std and C code block in is known by name, so none of it is missed.
#[test]
fn a_trace_names_the_call() {
    if cfg!(target_feature = "crt-static") {
        return println!("skipped: static glibc cannot load libraries");
    }
    let f = testprog("CallNames", "2");
    assert_eq!(f.status.code(), Some(0), "{f:?}");
    let calls = [
        "read",
        "poll",
        "usleep",
        "pthread_cond_wait",
        "futex",
        "clock_nanosleep",
        "pthread_join",
        "accept4",
        "waitpid",
    ];
    for call in calls {
        assert_eq!(f.stderr.matches(&format!(" status=3({call}) m=")).count(), 1, "{call}: {f:?}");
    }
}

#[test]
fn children_of_vfork() {
    if cfg!(target_feature = "crt-static") {
        return println!("skipped: static glibc cannot load libraries");
    }
    for gomaxprocs in ["1", "2", "8"] {
        let f = testprog("VforkChildren", gomaxprocs);
        assert_eq!((f.status.code(), f.stdout.as_str()), (Some(0), "done\n"), "{f:?}");
    }
}

/// Dynamic, and static where libc.a has definitions too.
#[test]
fn a_definition_of_the_programs_own_wins() {
    let this = std::env::current_exe().expect("a path to this test");
    let target = this.ancestors().nth(3).expect("target/<profile>/deps/<test>");
    // The second is where tests/entry.rs builds static programs too.
    let to = ["--target", "x86_64-unknown-linux-gnu"];
    for (flags, to, directory) in [
        ("", &[][..], target.to_owned()),
        ("-Ctarget-feature=+crt-static", &to[..], target.join("entry-test")),
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--offline", "-p", "testprog", "--example", "own_read"]);
        cargo.args(to);
        cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
        cargo.env("CARGO_TARGET_DIR", &directory);
        if !flags.is_empty() {
            cargo.env("RUSTFLAGS", flags);
        }
        let f = run(&mut cargo, b"", Duration::from_secs(240));
        assert_eq!(f.stdout, "32 bytes, own read: true\n", "{f:?}");
    }
}
