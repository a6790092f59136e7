//! epoll: which descriptors are ready.
//!
//! Go: netpoll_epoll.go. rustix waits in whole milliseconds where the kernel may be older than
//! 5.11; here `epoll_pwait2` is tried first, and a kernel without it waits in milliseconds.

#![allow(unsafe_code, reason = "RS1: the kernel fills a buffer of events")]

use super::raw::syscall;
use crate::atomic::{AtomicBool, Ordering};
use core::mem::MaybeUninit;
use rustix::event::epoll;
pub(crate) use rustix::event::epoll::EventFlags;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Events that one call takes. Go's number.
pub(crate) const MAX_EVENTS: usize = 128;

/// What one call of [`wait`] found.
pub(crate) struct Events {
    buf: [MaybeUninit<epoll::Event>; MAX_EVENTS],
    /// So many are there.
    len: usize,
}

impl Events {
    pub(crate) const fn new() -> Events {
        Events { buf: [MaybeUninit::uninit(); MAX_EVENTS], len: 0 }
    }

    /// Each event: the word it was registered with, and what is ready.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, EventFlags)> {
        self.buf[..self.len].iter().map(|event| {
            // SAFETY: the kernel has written the first `len`.
            let event = unsafe { event.assume_init() };
            (event.data.u64(), event.flags)
        })
    }
}

pub(crate) fn create() -> rustix::io::Result<OwnedFd> {
    epoll::create(epoll::CreateFlags::CLOEXEC)
}

/// Registers `fd`; its events carry `data`. One that is there already is registered anew.
pub(crate) fn add(
    ep: BorrowedFd<'_>,
    fd: BorrowedFd<'_>,
    data: u64,
    flags: EventFlags,
) -> rustix::io::Result<()> {
    let data = epoll::EventData::new_u64(data);
    match epoll::add(ep, fd, data, flags) {
        Err(rustix::io::Errno::EXIST) => epoll::modify(ep, fd, data, flags),
        result => result,
    }
}

/// Takes `fd` out.
pub(crate) fn delete(ep: BorrowedFd<'_>, fd: BorrowedFd<'_>) {
    // It fails if the descriptor was replaced behind our back; then there is nothing to take out.
    let _ = epoll::delete(ep, fd);
}

static NO_PWAIT2: AtomicBool = AtomicBool::new(false);

/// Waits for events, at most `timeout_ns` (`None`: for ever); an interrupted wait finds none.
pub(crate) fn wait(ep: BorrowedFd<'_>, events: &mut Events, timeout_ns: Option<i64>) {
    let fd = ep.as_raw_fd() as usize;
    let at = events.buf.as_mut_ptr() as usize;
    // ORDERING: idempotent
    let n = if timeout_ns == Some(0) || NO_PWAIT2.load(Ordering::Relaxed) {
        pwait(fd, at, timeout_ns)
    } else {
        match pwait2(fd, at, timeout_ns) {
            // A kernel before 5.11, or a filter that does not know the call.
            n if n == -(libc::ENOSYS as isize) || n == -(libc::EPERM as isize) => {
                NO_PWAIT2.store(true, Ordering::Relaxed); // ORDERING: idempotent
                pwait(fd, at, timeout_ns)
            }
            n => n,
        }
    };
    events.len = n.max(0) as usize;
}

fn pwait2(fd: usize, at: usize, timeout_ns: Option<i64>) -> isize {
    let timeout = timeout_ns.map(|ns| libc::timespec {
        tv_sec: ns.max(0) / 1_000_000_000,
        tv_nsec: ns.max(0) % 1_000_000_000,
    });
    let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref) as usize;
    // SAFETY: RS1: room for MAX_EVENTS events at `at`, a timespec or null; no signal mask.
    unsafe { syscall(libc::SYS_epoll_pwait2, [fd, at, MAX_EVENTS, timeout, 0, 0]) }
}

fn pwait(fd: usize, at: usize, timeout_ns: Option<i64>) -> isize {
    let ms = timeout_ns.map_or(-1, |ns| (ns.max(0) + 999_999) / 1_000_000);
    let ms = ms.min(i64::from(i32::MAX)) as usize;
    // SAFETY: RS1: room for MAX_EVENTS events at `at`; no signal mask.
    unsafe { syscall(libc::SYS_epoll_pwait, [fd, at, MAX_EVENTS, ms, 0, 0]) }
}
