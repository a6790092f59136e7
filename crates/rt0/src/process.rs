//! Child processes, as in [`std::process`], whose ends and pipes goroutines wait for without a
//! thread.
//!
//! Go: os/exec. [`exit`] is [`rt0::exit`](crate::exit), which runs exit hooks.

pub use crate::boot::exit::exit;
use crate::context::io::IoContext;
use crate::io::pipe::{descriptor, reads, writes};
use crate::io::pollable::Pollable;
use crate::net::macros::limits;
use crate::netpoll::desc::Dir;
use crate::netpoll::wait_io::{Woken, wait_io};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, id,
};

/// A child to be started. std: [`std::process::Command`]; Go: `exec.Cmd`.
#[derive(Debug)]
pub struct Command {
    std: std::process::Command,
    /// Which of stdin, stdout and stderr were set.
    set: [bool; 3],
    kill_on_drop: bool,
}

impl From<std::process::Command> for Command {
    /// Takes it over. [`output`](Command::output) replaces its standard streams.
    fn from(std: std::process::Command) -> Command {
        Command { std, set: [false; 3], kill_on_drop: false }
    }
}

impl Command {
    /// A child that will run `program`, which is looked for in `PATH`.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        std::process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.std.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&mut self, args: I) -> &mut Command {
        self.std.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env<K: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, key: K, val: V) -> &mut Command {
        self.std.env(key, val);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Empties the child's environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the child's working directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.std.current_dir(dir);
        self
    }

    /// Sets the child's standard input; by default it is ours, with [`output`](Command::output)
    /// none.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set[0] = true;
        self.std.stdin(cfg);
        self
    }

    /// Sets the child's standard output; by default it is ours, with [`output`](Command::output) a
    /// pipe.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set[1] = true;
        self.std.stdout(cfg);
        self
    }

    /// Sets the child's standard error; by default it is ours, with [`output`](Command::output) a
    /// pipe.
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.set[2] = true;
        self.std.stderr(cfg);
        self
    }

    /// Whether the child is killed when its [`Child`] is dropped before it was waited for. It is
    /// not by default. tokio: `kill_on_drop`.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.kill_on_drop = kill;
        self
    }

    /// std's command. What its [`CommandExt`](std::os::unix::process::CommandExt) has is in
    /// [`rt0::os`](crate::os::unix::process::CommandExt), too.
    pub fn as_std(&self) -> &std::process::Command {
        &self.std
    }

    /// The same, to change it. Standard streams that are set here are replaced by
    /// [`output`](Command::output).
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.std
    }

    /// What it will run.
    pub fn get_program(&self) -> &OsStr {
        self.std.get_program()
    }

    /// The arguments that were added.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.std.get_args()
    }

    /// The variables that were set, or (`None`) taken out.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.std.get_envs()
    }

    /// The working directory that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.std.get_current_dir()
    }

    /// Starts the child. Blocks until it runs its program.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let mut std = self.std.spawn()?;
        Ok(Child {
            stdin: std.stdin.take().map(ChildStdin::from),
            stdout: std.stdout.take().map(ChildStdout::from),
            stderr: std.stderr.take().map(ChildStderr::from),
            std,
            pidfd: None,
            kill_on_drop: self.kill_on_drop,
        })
    }

    /// Starts the child, waits for its end, and returns what it wrote.
    pub fn output(&mut self) -> io::Result<Output> {
        self.set_others([Stdio::null, Stdio::piped, Stdio::piped]);
        let child = self.spawn();
        self.set_others([Stdio::inherit; 3]);
        child?.wait_with_output()
    }

    /// The standard streams that the program has not chosen.
    fn set_others(&mut self, [stdin, stdout, stderr]: [fn() -> Stdio; 3]) {
        if !self.set[0] {
            self.std.stdin(stdin());
        }
        if !self.set[1] {
            self.std.stdout(stdout());
        }
        if !self.set[2] {
            self.std.stderr(stderr());
        }
    }

    /// Starts the child, and waits for its end.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }
}

/// A child that was started. std: [`std::process::Child`]; Go: `os.Process`.
///
/// Dropping it neither ends nor waits for the child, unless
/// [`kill_on_drop`](Command::kill_on_drop) was set.
#[derive(Debug)]
pub struct Child {
    /// The other end of its standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The other end of its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The other end of its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    std: std::process::Child,
    pidfd: Option<Pollable>,
    kill_on_drop: bool,
}

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.std.id()
    }

    /// Kills it (SIGKILL). An error if it has ended and was waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.std.kill()
    }

    /// Its status, if it has ended. Does not block.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.std.try_wait()
    }

    /// Closes its standard input, parks until it ends, and returns its status: by a descriptor that
    /// stands for the process (pidfd). Where there is none (before Linux 5.3, or out of
    /// descriptors) the thread waits.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.std.try_wait()? {
            return Ok(status);
        }
        if self.pidfd.is_none() {
            match pidfd_open(Pid::from_child(&self.std), PidfdFlags::empty()) {
                Ok(fd) => self.pidfd = Some(Pollable::new(fd)),
                Err(_) => return self.std.wait(),
            }
        }
        let Some(pidfd) = &self.pidfd else { return self.std.wait() };
        let status = pidfd.io(Dir::Read, |_| match self.std.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(Errno::AGAIN),
            Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::CHILD)),
        })?;
        self.pidfd = None;
        Ok(status)
    }

    /// Closes its standard input, and returns what it has written until it has ended.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        let pipes = [out.as_ref().map(|p| p.pollable()), err.as_ref().map(|p| p.pollable())];
        let [stdout, stderr] = read_all(pipes)?;
        Ok(Output { status: self.wait()?, stdout, stderr })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop && matches!(self.std.try_wait(), Ok(None)) {
            let _ = self.std.kill(); // it may just have ended
            let _ = self.std.wait(); // at once, whatever context we are under
        }
    }
}

/// Reads from both to their ends, from whichever has something.
fn read_all(pipes: [Option<&Pollable>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut got = [Vec::new(), Vec::new()];
    let mut left = pipes;
    loop {
        let mut targets = Vec::new();
        for (pipe, got) in left.iter_mut().zip(&mut got) {
            let Some(p) = *pipe else { continue };
            let seen = p.seen(Dir::Read);
            if read_ready(p, got)? {
                *pipe = None;
            } else {
                targets.push(p.target(Dir::Read, seen));
            }
        }
        if targets.is_empty() {
            return Ok(got);
        }
        let context = IoContext::current();
        if wait_io(&targets, None, &context)? != Woken::Changed
            && let Some(e) = context.error()
        {
            return Err(e);
        }
    }
}

/// Reads what is there. True: that was all.
fn read_ready(p: &Pollable, got: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        got.reserve(16 << 10);
        let read = |fd: BorrowedFd<'_>| rustix::io::read(fd, rustix::buffer::spare_capacity(got));
        match p.attempt(Dir::Read, read) {
            Ok(0) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The end of a pipe that leads to a child's standard input. std: [`std::process::ChildStdin`].
pub struct ChildStdin(Pollable);

/// The end of a pipe from a child's standard output. std: [`std::process::ChildStdout`].
pub struct ChildStdout(Pollable);

/// The end of a pipe from a child's standard error. std: [`std::process::ChildStderr`].
pub struct ChildStderr(Pollable);

descriptor! {
    ChildStdin, std::process::ChildStdin, from_blocking;
    ChildStdout, std::process::ChildStdout, from_blocking;
    ChildStderr, std::process::ChildStderr, from_blocking;
}
writes!(ChildStdin, &ChildStdin);
reads!(ChildStdout, &ChildStdout, ChildStderr, &ChildStderr);
limits!(ChildStdin ChildStdout ChildStderr);
