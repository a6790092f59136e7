//! Running a program with a deadline, and directories that vanish with their test.

#![allow(dead_code, reason = "each test file is a crate of its own and uses some of this")]

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How a program ended and what it printed.
#[derive(PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (code, signal) = (self.status.code(), self.status.signal());
        write!(
            f,
            "code {code:?} signal {signal:?}\nstdout {:?}\nstderr {:?}",
            self.stdout, self.stderr
        )
    }
}

/// Runs `command` with `input` to its end; kills it, and fails, when that takes longer than
/// `limit`.
pub(crate) fn run(command: &mut Command, input: &[u8], limit: Duration) -> Finished {
    let mut child = spawn(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("piped");
    // A program that does not read its input is no failure.
    let _ = stdin.write_all(input);
    drop(stdin);
    let stdout = read_all(child.stdout.take().expect("piped"));
    finish(command, child, stdout, limit)
}

/// Runs `command`, reads one line of its standard output, and closes that.
pub(crate) fn run_for_one_line(command: &mut Command, limit: Duration) -> Finished {
    let mut child = spawn(command.stdin(Stdio::null()));
    let mut stdout = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while stdout.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        Ok(line)
    });
    finish(command, child, reader, limit)
}

fn spawn(command: &mut Command) -> Child {
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    spawned.unwrap_or_else(|err| panic!("{command:?}: {err}"))
}

type Reader = thread::JoinHandle<io::Result<Vec<u8>>>;

fn read_all(mut from: impl Read + Send + 'static) -> Reader {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn finish(command: &Command, mut child: Child, stdout: Reader, limit: Duration) -> Finished {
    let stderr = read_all(child.stderr.take().expect("piped"));
    let start = Instant::now();
    let mut hangs = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if start.elapsed() > limit && !hangs {
            hangs = true;
            child.kill().expect("our own child");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let text = |reader: Reader| {
        let bytes = reader.join().expect("reading does not panic").expect("a pipe");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let finished = Finished { status, stdout: text(stdout), stderr: text(stderr) };
    assert!(!hangs, "{command:?} did not end in {limit:?}: {finished:?}");
    finished
}

pub(crate) const TESTPROG: &str = env!("CARGO_BIN_EXE_testprog");
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// `program` in a process that ignores no signal, whatever this one was started with: `nohup` and
/// shells without job control have those that they start ignore some.
pub(crate) fn with_default_signals(program: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal", program]);
    command
}

/// `args` are the scenario's name and argument; `env` sets variables.
pub(crate) fn testprog_with(args: &[&str], env: &[(&str, &str)]) -> Finished {
    let mut command = with_default_signals(TESTPROG);
    command.args(args).env("RUST_BACKTRACE", "0");
    command.env_remove("GOMAXPROCS").env_remove("GODEBUG");
    command.envs(env.iter().copied());
    run(&mut command, b"", LIMIT)
}

pub(crate) fn testprog(scenario: &str) -> Finished {
    testprog_with(&[scenario], &[])
}

/// Through a shell, which sets up what a process inherits; `$0` is the program.
pub(crate) fn testprog_in_shell(script: &str, args: &[&str]) -> Finished {
    let mut command = with_default_signals("/bin/sh");
    command.args(["-c", script, TESTPROG]).args(args);
    command.env("RUST_BACKTRACE", "0").env_remove("GOMAXPROCS").env_remove("GODEBUG");
    run(&mut command, b"", LIMIT)
}

#[track_caller]
pub(crate) fn check(f: &Finished, code: i32, stdout: &str, stderr_start: &str) {
    assert_eq!(f.status.code(), Some(code), "{f:?}");
    assert_eq!(f.stdout, stdout, "{f:?}");
    assert!(f.stderr.starts_with(stderr_start), "{f:?}");
}

/// A directory for what a test makes; removed with everything in it.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("rt0-{name}-{}", process::id()));
        fs::create_dir(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What stays behind in a temporary directory is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How much address space the segments of testprog take.
pub(crate) fn image_kib() -> u32 {
    let elf = std::fs::read(TESTPROG).expect("it was built");
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().expect("eight bytes"));
    // e_phoff, e_phentsize, e_phnum; then p_vaddr and p_memsz
    let (first, bytes, n) = (word(32) as usize, usize::from(word(54) as u16), word(56) as u16);
    let ends = (0..usize::from(n)).map(|i| first + i * bytes).filter(|at| elf[*at] == 1); // PT_LOAD
    let end = ends.map(|at| word(at + 16) + word(at + 40)).max().expect("it has segments");
    end.div_ceil(1024) as u32
}
