//! Running a program with a deadline, and directories that vanish with their test.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// Long enough for a debug build on a busy machine; what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Where cargo put the example `name`: `target/<profile>/examples`, beside this test's own `deps`.
pub(crate) fn example(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a path to this test");
    let profile = this.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(name);
    assert!(path.is_file(), "{} is not built: cargo build --examples", path.display());
    path
}

/// Runs `command` to its end and returns what it printed; kills it, and fails, at the deadline.
pub(crate) fn run(command: &mut Command) -> Finished {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));

    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if start.elapsed() > DEADLINE {
            child.kill().expect("our own child");
            let (out, err) = (stdout.join(), stderr.join());
            panic!("{command:?} hangs; it printed {out:?} and {err:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let text = |reader: thread::JoinHandle<io::Result<String>>| {
        reader.join().expect("reading does not panic").expect("UTF-8")
    };
    Finished { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<io::Result<String>> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text)
    })
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

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
        // A directory that stays in the way of nobody is no reason to fail a test.
        _ = fs::remove_dir_all(&self.0);
    }
}
