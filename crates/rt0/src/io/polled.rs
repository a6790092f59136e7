//! Streams for async code: polls instead of waits.
//!
//! A poll is a try and, if that finds nothing, a wait that is begun and left behind: the same steps
//! as in a read that parks (netpoll/gate.rs), with a task (future/task.rs) in the place of the
//! goroutine's ticket. So one descriptor may be read by async code, written by a goroutine that
//! blocks, and closed or given a deadline by a third.

use super::pollable::{Attempt, Pollable, may_wait, timed_out};
use crate::atomic::{AtomicI64, Ordering};
use crate::future::task::{Source, Task};
use crate::net::{Shutdown, TcpStream, UnixStream, socket};
use crate::netpoll::desc::{Dir, PollDesc};
use crate::netpoll::in_child;
use crate::netpoll::wait_io::{one_less, one_more};
use crate::sched::wait::Wait;
use crate::sched::wake::wake_from_outside;
use crate::sys::nanotime;
use rustix::fd::{AsFd, BorrowedFd};
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// A stream that can be polled: [`TcpStream`], [`UnixStream`], and an `Arc` of one.
pub trait Stream: sealed::Stream {
    /// Ends one direction or both. Who waits to read or to write in it sees the end.
    ///
    /// # Errors
    /// Those of [`TcpStream::shutdown`].
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

mod sealed {
    use super::Pollable;

    pub trait Stream {
        /// Whether a read that got less than it asked for has emptied it.
        const SKIPS: bool;

        fn of(&self) -> Of<'_>;
    }

    pub struct Of<'a>(pub(super) &'a Pollable);
}

macro_rules! stream {
    ($name:ident, $skips:expr) => {
        impl Stream for $name {
            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                $name::shutdown(self, how)
            }
        }

        impl sealed::Stream for $name {
            const SKIPS: bool = $skips;

            fn of(&self) -> sealed::Of<'_> {
                sealed::Of(self.pollable())
            }
        }
    };
}

stream!(TcpStream, true);
stream!(UnixStream, false);

impl<S: Stream> Stream for Arc<S> {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        S::shutdown(self, how)
    }
}

impl<S: Stream> sealed::Stream for Arc<S> {
    const SKIPS: bool = S::SKIPS;

    fn of(&self) -> sealed::Of<'_> {
        S::of(self)
    }
}

/// A stream for async code, which is polled by it and blocks nothing. It is what the IO types of
/// async libraries are made of; `rt0-hyper` has those of `hyper` and `futures-io`.
///
/// It may be polled under any executor, on any thread, while the runtime runs. Each direction keeps
/// one waker, that of the last poll which returned `Pending`: a task may read and another one
/// write at a time. Goroutines may use the same stream meanwhile, through
/// [`get_ref`](Self::get_ref): what they read is not seen here. Wakers are woken by a goroutine of
/// the runtime's, one after the other: one that blocks keeps the others waiting.
///
/// The stream's timeouts and deadlines hold here, too, and `close` ends what waits, both with the
/// errors that they have elsewhere. The end of a [context](crate::context::Context::io) does not:
/// drop the future. Once this is dropped no waker is woken any more, unless one was being woken at
/// that moment. A timeout goes on from one poll to the next until one of them finds something,
/// whether or not they belong to one read. Go has no counterpart.
///
/// ```
/// use rt0::future::block_on;
/// use rt0::io::{Polled, Write};
/// use rt0::net::UnixStream;
/// use std::future::poll_fn;
///
/// # #[rt0::main] fn main() -> std::io::Result<()> {
/// let (a, mut b) = UnixStream::pair()?;
/// let a = Polled::new(a);
/// rt0::go(move || b.write_all(b"hello").unwrap());
/// let mut buf = [0; 8];
/// let n = block_on(poll_fn(|cx| a.poll_read(cx, &mut buf)))?;
/// assert_eq!(buf[..n], *b"hello");
/// # Ok(()) }
/// ```
pub struct Polled<S> {
    halves: [Half; 2], // first: they go before the descriptor (PD3)
    stream: S,
}

/// What waits for one direction.
#[derive(Default)]
struct Half {
    /// Made when first needed.
    task: OnceLock<Arc<Task>>,
    /// When the operation under way first had to wait; 0: there is none.
    since: AtomicI64,
}

impl<S: Stream> Polled<S> {
    /// Makes a stream ready to be polled. Costs nothing until a poll finds nothing.
    pub fn new(stream: S) -> Polled<S> {
        Polled { halves: Default::default(), stream }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, which no task waits for any more.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Reads, if there is something to read or the end has been reached (0 bytes). std:
    /// [`Read::read`](std::io::Read::read).
    ///
    /// # Errors
    /// As [`Read::read`](std::io::Read::read) of the stream, and if the runtime does not run.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let len = buf.len();
        match self.poll(Dir::Read, len, cx, |fd| socket::try_recv(fd, buf)) {
            // Not the other side's end, if it was closed here.
            Poll::Ready(Ok(0)) => Poll::Ready(self.stream.of().0.check_open().map(|()| 0)),
            polled => polled,
        }
    }

    /// Writes as much as there is room for. std: [`Write::write`](std::io::Write::write).
    ///
    /// # Errors
    /// As [`Write::write`](std::io::Write::write) of the stream, and if the runtime does not run.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// The same for several buffers, one after the other.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write).
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll(Dir::Write, len, cx, |fd| socket::try_send(fd, bufs))
    }

    /// `len`: the bytes that `op` asks for.
    fn poll(
        &self,
        dir: Dir,
        len: usize,
        cx: &mut Context<'_>,
        mut op: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let (half, of) = (&self.halves[dir as usize], self.stream.of().0);
        let is_the_last = |n: &usize| S::SKIPS && *n < len && *n > 0;
        loop {
            let result = match of.try_io::<usize, true>(dir, false, &mut op, &is_the_last) {
                Attempt::Done(result) => result,
                Attempt::Nothing(seen, may) => {
                    match may_wait(may).and_then(|()| half.wait(of, dir, seen, cx)) {
                        Ok(Waits::Yes) => return Poll::Pending,
                        Ok(Waits::No) => continue,
                        Err(e) => Err(e),
                    }
                }
            };
            half.since.store(0, Ordering::Relaxed); // ORDERING: see Half::wait
            return Poll::Ready(result);
        }
    }
}

/// Whether a wait has begun.
enum Waits {
    Yes,
    /// Something has changed: try again.
    No,
}

impl Half {
    /// The try found nothing: leaves the waker to be woken by a change since `seen`.
    #[cold]
    fn wait(
        &self,
        of: &Pollable,
        dir: Dir,
        seen: usize,
        cx: &mut Context<'_>,
    ) -> io::Result<Waits> {
        if in_child() {
            return Err(io::ErrorKind::Unsupported.into()); // nobody is there to wake it
        }
        let task = self.task(of.pd, dir)?;
        // ORDERING: of who polls this direction, one at a time; else a timeout is less exact
        let mut since = self.since.load(Ordering::Relaxed);
        let limit = of.pd.limit(dir, &mut since);
        self.since.store(since, Ordering::Relaxed); // ORDERING: see the load
        if limit.is_some_and(|when| when <= nanotime()) {
            return Err(timed_out());
        }
        one_more(); // if it is armed: until `ended`
        let Some(armed) = task.arm(cx.waker(), limit) else {
            one_less();
            return Ok(Waits::Yes);
        };
        let wait = armed.wait;
        let joined = of.pd.join(of.as_fd(), dir, seen, wait, true);
        if let Ok(true) = joined {
            if !wait.is_waiting() {
                of.pd.part(dir, wait); // the deadline may have come before it had joined
            }
            if crate::tls::getg().is_none() {
                wake_from_outside(); // NP3
            }
            return Ok(Waits::Yes);
        }
        // If the deadline was faster, the task fires for nothing.
        if let Ok(Some(waker)) = task.disarm(armed)
            && !waker.will_wake(cx.waker())
        {
            waker.wake(); // another poll's, which came between
        }
        joined.map_err(io::Error::from).map(|_| Waits::No)
    }

    fn task(&self, pd: &'static PollDesc, dir: Dir) -> io::Result<&Arc<Task>> {
        if let Some(task) = self.task.get() {
            return Ok(task);
        }
        let task = Task::new(Box::new(Direction { pd, dir }))?;
        Ok(self.task.get_or_init(|| task))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.retire();
        }
    }
}

struct Direction {
    pd: &'static PollDesc,
    dir: Dir,
}

impl Source for Direction {
    fn part(&self, wait: Wait) {
        self.pd.part(self.dir, wait);
    }

    fn ended(&self) {
        one_less();
    }
}

impl<S: fmt::Debug> fmt::Debug for Polled<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Polled").field(&self.stream).finish()
    }
}
