//! Descriptors of the runtime's own, and one that wakes who waits for descriptors.
//!
//! # Invariants
//! * `EF1`: made when first needed, and never closed: who uses one may be late.

#![allow(unsafe_code, reason = "EF1: a descriptor stored as a number")]

use crate::atomic::{AtomicU32, Ordering};
use rustix::event::EventfdFlags;
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::Result;

/// A descriptor plus 1; 0: not made.
pub(crate) struct LastingFd(AtomicU32);

impl LastingFd {
    pub(crate) const fn new() -> LastingFd {
        LastingFd(AtomicU32::new(0))
    }

    /// The descriptor, if it was made.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<BorrowedFd<'static>> {
        let fd = self.0.load(Ordering::Acquire).checked_sub(1)?; // ORDERING: pairs with set
        // SAFETY: EF1.
        Some(unsafe { BorrowedFd::borrow_raw(fd as i32) })
    }

    /// Once.
    pub(crate) fn set(&self, fd: OwnedFd) {
        self.0.store(fd.into_raw_fd() as u32 + 1, Ordering::Release); // ORDERING: pairs with get
    }
}

pub(crate) struct EventFd(LastingFd);

impl EventFd {
    pub(crate) const fn new() -> EventFd {
        EventFd(LastingFd::new())
    }

    /// The descriptor, made now if need be. One caller at a time.
    pub(crate) fn make(&self) -> Result<BorrowedFd<'static>> {
        loop {
            if let Some(fd) = self.0.get() {
                return Ok(fd);
            }
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            self.0.set(rustix::event::eventfd(0, flags)?);
        }
    }

    /// Makes it readable, if somebody made it.
    pub(crate) fn wake(&self) {
        if let Some(fd) = self.0.get() {
            let _ = rustix::io::write(fd, &1_u64.to_ne_bytes()); // EAGAIN: it is readable
        }
    }

    /// Takes all wake-ups.
    pub(crate) fn drain(&self) {
        if let Some(fd) = self.0.get() {
            let _ = rustix::io::read(fd, &mut [0_u8; 8]); // EAGAIN: somebody else has
        }
    }
}
