//! The standard streams.
//!
//! They are std's, buffers and locks included, so that `println!` and code that knows nothing of
//! goroutines may use them, too. What is added is the wait before: a goroutine parks until the
//! stream is ready, and only then std's call is made, which does not block then.
//!
//! Go: `os.Stdin`, `os.Stdout`, `os.Stderr`, which block a thread, unless the process was started
//! with them in non-blocking mode. Here their mode is not changed either: the terminal is the
//! shell's, too (pollable.rs).
//!
//! # Invariants
//! * `ST1`: `Input::left` is how much std's buffer holds, as far as it was filled through here.
//!   Only if that is nothing is the descriptor waited for.

use super::pollable::{Pollable, is_ready};
use crate::netpoll::desc::Dir;
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Lines, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::Stdio;
use std::sync::PoisonError;

/// Parks until `fd` is ready. A deadline of the context that this is under ends it.
fn wait(fd: BorrowedFd<'_>, dir: Dir) -> io::Result<()> {
    use rustix::io::Errno;
    if is_ready(fd, dir) {
        return Ok(());
    }
    // A duplicate each time: what is behind the number may be replaced. If there is none left, the
    // call that follows blocks its thread.
    let Ok(duplicate) = fd.try_clone_to_owned() else { return Ok(()) };
    let waiting = Pollable::from_shared(duplicate);
    let ready = |fd: BorrowedFd<'_>| if is_ready(fd, dir) { Ok(()) } else { Err(Errno::AGAIN) };
    match waiting.io(dir, ready) {
        // A device that cannot be waited for.
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => Ok(()),
        result => result,
    }
}

/// The process's standard input. std: [`std::io::Stdin`]; Go: `os.Stdin`.
///
/// It has std's buffer: what it has read ahead is found by [`std::io::stdin`], too. The other way
/// round it is found when more input comes, or its end: so in one program use one of the two.
#[derive(Debug)]
pub struct Stdin(());

/// A handle to the standard input. Reading parks the goroutine until there is some.
pub fn stdin() -> Stdin {
    Stdin(())
}

struct Input {
    left: usize, // ST1
}

static INPUT: Mutex<Input> = Mutex::new(Input { left: 0 });

/// The standard input, locked. std: [`std::io::StdinLock`].
pub struct StdinLock<'a> {
    std: io::StdinLock<'a>,
    input: MutexGuard<'a, Input>,
}

impl Stdin {
    /// Locks it: waits while others have it.
    pub fn lock(&self) -> StdinLock<'static> {
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        StdinLock { std: io::stdin().lock(), input }
    }

    /// Appends a line, with its end. 0: there is no more.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// Its lines, locked.
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.input.left == 0 {
            wait(self.std.as_fd(), Dir::Read)?;
            match self.std.fill_buf() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {} // another process was faster
                Err(e) => return Err(e),
                Ok([]) => return Ok(&[]),
                Ok(buf) => self.input.left = buf.len(),
            }
        }
        let buf = self.std.fill_buf()?;
        self.input.left = buf.len();
        Ok(buf)
    }

    fn consume(&mut self, n: usize) {
        self.input.left -= n.min(self.input.left);
        self.std.consume(n);
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }
}

impl fmt::Debug for StdinLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}

/// What is longer may be more than std keeps in its buffer.
const BUFFER_BYTES: usize = 1024;
/// A pipe that is ready has room for so much: PIPE_BUF.
const PORTION_BYTES: usize = 4096;

/// Whether std may write when it is given this.
fn is_written(buf: &[u8]) -> bool {
    buf.len() >= BUFFER_BYTES || buf.contains(&b'\n')
}

/// Tries again what was not done because the stream is in non-blocking mode and had less room than
/// it takes. The end of the process, if nobody reads its output any more.
fn retry<T>(waits: bool, mut f: impl FnMut(bool) -> io::Result<T>) -> io::Result<T> {
    let mut result = f(waits);
    while matches!(&result, Err(e) if e.kind() == ErrorKind::WouldBlock) {
        result = f(true);
    }
    if matches!(&result, Err(e) if e.kind() == ErrorKind::BrokenPipe) {
        crate::sched::signal_unix::broken_stdout();
    }
    result
}

/// A stream to write to, and its lock.
macro_rules! output {
    ($name:ident, $lock:ident, $new:ident, $which:literal, $if_written:expr) => {
        #[doc = concat!("The process's standard ", $which, ". std: [`std::io::",
                                    stringify!($name), "`]; Go: `os.", stringify!($name), "`.")]
        ///
        /// Writing parks the goroutine until there is room. If nobody can read it any more, the
        /// process ends by SIGPIPE, unless [`notify`](crate::signal::notify) or
        /// [`ignore`](crate::signal::ignore) was called for that: then it is an error.
        #[derive(Debug)]
        pub struct $name(());

        #[doc = concat!("A handle to the standard ", $which, ", with std's buffer and lock.")]
        pub fn $new() -> $name {
            $name(())
        }

        #[doc = concat!("The standard ", $which, ", locked. std: [`std::io::",
                                    stringify!($lock), "`].")]
        #[derive(Debug)]
        pub struct $lock<'a>(io::$lock<'a>);

        impl $name {
            /// Locks it: blocks while others have it, which may do so more than once.
            pub fn lock(&self) -> $lock<'static> {
                $lock(io::$new().lock())
            }

            /// Waits without the lock first, so that not each of many writers has a thread.
            fn lock_for(&self, is_written: bool) -> io::Result<$lock<'static>> {
                if is_written {
                    wait(self.as_fd(), Dir::Write)?;
                }
                Ok(self.lock())
            }
        }

        impl Write for $lock<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                let part = &buf[..buf.len().min(PORTION_BYTES)];
                retry($if_written(part), |waits| {
                    if waits {
                        wait(self.0.as_fd(), Dir::Write)?;
                    }
                    self.0.write(part)
                })
            }

            fn flush(&mut self) -> io::Result<()> {
                retry(true, |_| {
                    wait(self.0.as_fd(), Dir::Write)?;
                    self.0.flush()
                })
            }
        }

        impl Write for $name {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                (&*self).write_all(buf)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }
        }

        impl Write for &$name {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.lock_for($if_written(buf))?.write(buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.lock_for($if_written(buf))?.write_all(buf)
            }

            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                self.lock_for(true)?.write_fmt(text)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.lock_for(true)?.flush()
            }
        }

        impl From<$name> for Stdio {
            /// A child's, as ours.
            fn from(_: $name) -> Stdio {
                io::$new().into()
            }
        }
    };
}

output!(Stdout, StdoutLock, stdout, "output", is_written);
output!(Stderr, StderrLock, stderr, "error", |_: &[u8]| true);

macro_rules! descriptors {
    ($($name:ty, $fd:ident;)*) => {$(
        impl $name {
            /// Whether it is a terminal. std: [`IsTerminal`].
            pub fn is_terminal(&self) -> bool {
                self.as_fd().is_terminal()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                rustix::stdio::$fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }
    )*};
}

descriptors! {
    Stdin, stdin; Stdout, stdout; Stderr, stderr;
    StdinLock<'_>, stdin; StdoutLock<'_>, stdout; StderrLock<'_>, stderr;
}
