//! Standard output's lock, which belongs to a thread and may be taken again by it.

use super::harness::{goroutines, hop};
use rustix::stdio;
use std::fs::{self, File};
use std::io::{self, Write, stdout};

const WRITERS: usize = 40;

/// The lock is held over yields and taken again inside: lines stay whole, nobody locks himself out.
pub(crate) fn stdout_lock() {
    let path = std::env::temp_dir().join(format!("rt0-soundness-{}.out", std::process::id()));
    let printed = with_stdout_to(&path, || {
        goroutines(WRITERS, |i| {
            let mut lock = stdout().lock();
            write!(lock, "{i}:").expect("a file takes all");
            for _ in 0..3 {
                hop();
                print!("{i},");
            }
            writeln!(lock, ".").expect("a file takes all");
        });
    });
    let mut lines: Vec<_> = printed.lines().collect();
    let mut expected: Vec<_> = (0..WRITERS).map(|i| format!("{i}:{i},{i},{i},.")).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

/// Runs `f` with standard output going to a file, and returns what came.
fn with_stdout_to(path: &std::path::Path, f: impl FnOnce()) -> String {
    let redirect = || -> io::Result<_> {
        stdout().flush()?;
        let old = stdio::stdout().try_clone_to_owned()?;
        stdio::dup2_stdout(File::create(path)?)?;
        Ok(old)
    };
    let old = redirect().expect("a file in the temporary directory");
    f();
    stdout().flush().expect("a file takes all");
    stdio::dup2_stdout(old).expect("it was there before");
    let printed = fs::read_to_string(path).expect("what we wrote");
    fs::remove_file(path).expect("our own file");
    printed
}
