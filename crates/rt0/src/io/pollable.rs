//! A descriptor whose operations wait without blocking the thread.
//!
//! Go: internal/poll `FD`. The descriptor is non-blocking. An operation is tried first, and only if
//! it would block does anything else happen (netpoll/gate.rs): so one that need not wait costs its
//! system call and two loads.
//!
//! The mode is not the descriptor's but the open file's, which other processes may share: a shell
//! its terminal, a pipeline its ends. They would find it non-blocking, and most programs take that
//! for an error. So what comes from elsewhere stays in the mode that it has: a blocking one is
//! tried when `poll` says that it will not block, which costs a second system call. If another
//! process is faster the operation blocks its thread, as one of a file does, until it is done.

use crate::context::io::IoContext;
use crate::netpoll::desc::{Dir, May, PollDesc};
use crate::netpoll::wait_io::{Target, Woken, wait_for_change, wait_io};
use crate::sched::syscall::blocking;
use crate::sched::wait;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub(crate) struct Pollable {
    pub(super) pd: &'static PollDesc,
    /// `None`: it was given away.
    fd: Option<OwnedFd>,
    mode: Mode,
}

/// Whose the mode of the open file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Ours: non-blocking, until the descriptor is given away.
    Own,
    /// Somebody else's: it is non-blocking.
    Nonblocking,
    /// Somebody else's: it is blocking.
    Blocking,
}

/// What a pipe has room for that is ready to be written to: PIPE_BUF.
const ROOM_BYTES: usize = 4096;

/// Whether an operation would not block now.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, dir: Dir) -> bool {
    let flags = if dir == Dir::Read { PollFlags::IN } else { PollFlags::OUT };
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // An error, or the end, is something too. What cannot be asked is tried.
    !matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(0) | Err(Errno::INTR))
}

/// An operation on a descriptor that was closed, by [`close`](crate::net::TcpListener::close) for
/// instance. Go: `net.ErrClosed`.
///
/// It is inside the `io::Error` of such an operation, whose kind is `NotConnected`:
/// `error.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>())`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed(());

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("use of closed file or network connection")
    }
}

impl std::error::Error for Closed {}

#[cold]
fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, Closed(()))
}

/// The operation's deadline has passed, or it waited for as long as it may.
#[cold]
pub(crate) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}

/// What came of a try.
pub(super) enum Attempt<T> {
    Done(io::Result<T>),
    /// Nothing was there, or it was not tried: wait for another count than this one, if it may.
    Nothing(usize, May),
}

/// Why one must not wait, if so.
pub(super) fn may_wait(may: May) -> io::Result<()> {
    match may {
        May::Try => Ok(()),
        May::TryOnce => Err(Errno::AGAIN.into()),
        May::Closed => Err(closed()),
        May::TimedOut => Err(timed_out()),
    }
}

impl Pollable {
    /// Takes a descriptor that is non-blocking already.
    pub(crate) fn new(fd: OwnedFd) -> Pollable {
        Pollable { pd: PollDesc::get(), fd: Some(fd), mode: Mode::Own }
    }

    /// Takes any descriptor, and leaves its mode alone.
    pub(crate) fn from_shared(fd: OwnedFd) -> Pollable {
        let flags = rustix::fs::fcntl_getfl(&fd);
        let nonblocking = flags.is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        let mode = if nonblocking { Mode::Nonblocking } else { Mode::Blocking };
        Pollable { pd: PollDesc::get(), fd: Some(fd), mode }
    }

    /// Takes a descriptor of a file that no other process has, and makes it non-blocking.
    pub(crate) fn from_blocking(fd: OwnedFd) -> Pollable {
        // It fails only for descriptors that are none.
        let _ = rustix::io::ioctl_fionbio(&fd, true);
        Pollable::new(fd)
    }

    /// The descriptor, as std's types want it: blocking, unless the user asked for the contrary.
    pub(crate) fn into_blocking(mut self) -> OwnedFd {
        let Some(fd) = self.fd.take() else { unreachable!("a Pollable is given away once") };
        if self.mode == Mode::Own && !self.pd.is_nonblocking() {
            let _ = rustix::io::ioctl_fionbio(&fd, false); // as in from_blocking
        }
        self.pd.put(fd.as_fd());
        fd
    }

    /// Another descriptor of the same file, close-on-exec; limits and the close are shared.
    pub(crate) fn try_clone(&self) -> io::Result<Pollable> {
        let fd = self.as_fd().try_clone_to_owned()?;
        debug_assert!(rustix::io::fcntl_getfd(&fd).is_ok_and(|f| f.contains(FdFlags::CLOEXEC)));
        Ok(Pollable { pd: self.pd.share(), fd: Some(fd), mode: self.mode })
    }

    /// One try of a read or write: EAGAIN if it would have to wait.
    #[inline]
    pub(crate) fn attempt<T>(
        &self,
        dir: Dir,
        op: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        if self.mode != Mode::Blocking {
            return op(self.as_fd());
        }
        if !is_ready(self.as_fd(), dir) {
            return Err(Errno::AGAIN);
        }
        blocking(|| op(self.as_fd()))
    }

    /// How much of `len` bytes to write at a time.
    #[inline]
    pub(crate) fn portion(&self, len: usize) -> usize {
        if self.mode == Mode::Blocking { len.min(ROOM_BYTES) } else { len }
    }

    /// Tries until the answer is not EAGAIN.
    #[inline]
    pub(crate) fn io<T>(
        &self,
        dir: Dir,
        op: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        self.run::<T, false>(dir, None, op, |_| false)
    }

    /// The same for what the kernel does not announce: tried again after `pace` at the latest.
    pub(crate) fn io_paced<T>(
        &self,
        dir: Dir,
        pace: Option<Duration>,
        op: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        self.run::<T, false>(dir, pace, op, |_| false)
    }

    /// The same for `len` bytes of a TCP stream. If fewer were there, or fewer had room, the next
    /// try would find nothing: it is not made until the kernel says that something has changed.
    #[inline]
    pub(crate) fn io_stream(
        &self,
        dir: Dir,
        len: usize,
        op: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> io::Result<usize> {
        self.run::<usize, true>(dir, None, op, |n| *n < len && *n > 0)
    }

    #[inline]
    fn run<T, const SKIPS: bool>(
        &self,
        dir: Dir,
        pace: Option<Duration>,
        mut op: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
        is_the_last: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let (mut since, mut waited) = (0, false);
        loop {
            match self.try_io::<T, SKIPS>(dir, waited, &mut op, &is_the_last) {
                Attempt::Done(result) => return result,
                Attempt::Nothing(seen, may) => self.wait(may, dir, seen, &mut since, pace)?,
            }
            waited = true;
        }
    }

    /// Tries, unless that is known to find nothing. `waited`: who asked the kernel instead of the
    /// gate has its answer.
    #[inline(always)]
    pub(super) fn try_io<T, const SKIPS: bool>(
        &self,
        dir: Dir,
        waited: bool,
        op: &mut impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
        is_the_last: &impl Fn(&T) -> bool,
    ) -> Attempt<T> {
        loop {
            let seen = self.pd.seen(dir);
            let may = self.pd.may(dir);
            let tries = match may {
                May::Try => waited || !(SKIPS && self.pd.is_used_up(dir, seen)),
                May::TryOnce => true,
                May::Closed | May::TimedOut => false,
            };
            if !tries {
                return Attempt::Nothing(seen, may);
            }
            return match op(self.as_fd()) {
                Err(Errno::AGAIN) => Attempt::Nothing(seen, may),
                Err(Errno::INTR) => continue,
                Err(e) => Attempt::Done(Err(self.check_open().err().unwrap_or(e.into()))),
                Ok(v) => {
                    if SKIPS && is_the_last(&v) {
                        self.pd.use_up(dir, seen);
                    }
                    Attempt::Done(Ok(v))
                }
            };
        }
    }

    /// The try found nothing, or was not made.
    #[inline(never)]
    fn wait(
        &self,
        may: May,
        dir: Dir,
        seen: usize,
        since: &mut i64,
        pace: Option<Duration>,
    ) -> io::Result<()> {
        may_wait(may)?;
        let limit = self.pd.limit(dir, since);
        if limit.is_none() && pace.is_none() && !IoContext::is_set() {
            let target = self.target(dir, seen);
            if let Some(done) = wait_for_change(&target) {
                return Ok(done?);
            }
        }
        self.wait_until(dir, seen, limit, pace)
    }

    #[cold]
    fn wait_until(
        &self,
        dir: Dir,
        seen: usize,
        limit: Option<i64>,
        pace: Option<Duration>,
    ) -> io::Result<()> {
        let next = pace.and_then(wait::after);
        let until = [limit, next].into_iter().flatten().min();
        let context = IoContext::current();
        match wait_io(&[self.target(dir, seen)], until, &context)? {
            Woken::Changed => Ok(()),
            Woken::TimedOut | Woken::Cancelled => match context.error() {
                Some(e) => Err(e),
                None if until != limit => Ok(()),
                None => Err(timed_out()),
            },
        }
    }

    /// It is no TCP stream: [`io_stream`](Self::io_stream) makes every try.
    pub(crate) fn try_always(&self) {
        self.pd.try_always();
    }

    /// For a wait for several.
    pub(crate) fn target(&self, dir: Dir, seen: usize) -> Target<'_> {
        Target { pd: self.pd, fd: self.as_fd(), dir, seen }
    }

    pub(crate) fn seen(&self, dir: Dir) -> usize {
        self.pd.seen(dir)
    }

    /// Go: SetReadDeadline, SetWriteDeadline.
    pub(crate) fn set_deadline(&self, dir: Dir, at: Option<Instant>) {
        // A moment beyond the clock's range is none.
        self.pd.set_deadline(dir, at.and_then(wait::at).unwrap_or(0));
    }

    /// std: set_read_timeout, set_write_timeout.
    pub(crate) fn set_timeout(&self, dir: Dir, timeout: Option<Duration>) -> io::Result<()> {
        let ns = match timeout {
            Some(Duration::ZERO) => {
                let text = "cannot set a 0 duration timeout";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            Some(timeout) => i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX),
            None => 0,
        };
        self.pd.set_timeout(dir, ns);
        Ok(())
    }

    pub(crate) fn timeout(&self, dir: Dir) -> Option<Duration> {
        match self.pd.timeout(dir) {
            0 => None,
            ns => Some(Duration::from_nanos(ns as u64)),
        }
    }

    pub(crate) fn set_nonblocking(&self, on: bool) {
        self.pd.set_nonblocking(on);
    }

    /// Every operation on it and its duplicates fails from now on; who waits, at once. The
    /// descriptor stays open until it is dropped, for somebody may be using its number. False: it
    /// was closed already.
    pub(crate) fn close(&self) -> bool {
        self.pd.close()
    }

    /// What was shut down by `close` between the look and the try is closed, too.
    #[cold]
    pub(crate) fn check_open(&self) -> io::Result<()> {
        if self.pd.is_closed() { Err(closed()) } else { Ok(()) }
    }
}

impl fmt::Debug for Pollable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fd.fmt(f)
    }
}

impl AsFd for Pollable {
    #[inline(always)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Some(fd) => fd.as_fd(),
            None => unreachable!("a Pollable is given away once"),
        }
    }
}

impl Drop for Pollable {
    fn drop(&mut self) {
        if let Some(fd) = &self.fd {
            self.pd.put(fd.as_fd());
        }
    }
}
