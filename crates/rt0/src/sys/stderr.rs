//! Standard error without std's lock, buffer or allocation: usable on g0 and in signal handlers.
//!
//! Go: print.go, write_err.go; debug.SetCrashOutput.
//!
//! # Safety
//! * `SO1`: the crash descriptor is open as long as it is in `CRASH_FD`, which owns it, and for
//!   good if it was there when `DYING` was set. Who reads it has set `DYING` before; who takes it
//!   away looks at that afterwards.

#![allow(unsafe_code, reason = "SO1: a descriptor in a static")]

use crate::atomic::{AtomicBool, AtomicI32, Ordering};
use core::fmt::{self, Write};
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// A line of text on the stack; what does not fit is cut off.
#[derive(Clone, Copy)]
pub(crate) struct Line<const N: usize> {
    buf: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    pub(crate) const fn new() -> Self {
        Line { buf: [0; N], len: 0 }
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(N - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Buffers up to a line's worth, writes on overflow and on drop.
pub(crate) struct Stderr {
    line: Line<512>,
}

impl Stderr {
    pub(crate) fn new() -> Self {
        Stderr { line: Line::new() }
    }

    pub(crate) fn flush(&mut self) {
        let bytes = &self.line.buf[..self.line.len];
        write_all(rustix::stdio::stderr(), bytes);
        // ORDERING: after DYING, SO1
        let copy = if DYING.load(Ordering::SeqCst) { CRASH_FD.load(Ordering::SeqCst) } else { -1 };
        if copy >= 0 {
            // SAFETY: SO1.
            write_all(unsafe { BorrowedFd::borrow_raw(copy) }, bytes);
        }
        self.line.len = 0;
    }
}

fn write_all(to: BorrowedFd<'_>, bytes: &[u8]) {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(to, left) {
            Ok(n) if n > 0 => left = &left[n..],
            Err(rustix::io::Errno::INTR) => {}
            _ => break, // closed or full: there is nowhere to say so
        }
    }
}

/// A descriptor that gets a copy of the last report, or -1 (SO1). Go: crashFD.
static CRASH_FD: AtomicI32 = AtomicI32::new(-1);
/// The last report is being written.
static DYING: AtomicBool = AtomicBool::new(false);

/// Chooses where a copy of the last report goes; the old choice is returned, unless the last report
/// is being written: it may be going there, and the process is about to end.
pub(crate) fn set_crash_fd(fd: Option<OwnedFd>) -> Option<OwnedFd> {
    let new = fd.map_or(-1, IntoRawFd::into_raw_fd);
    let old = CRASH_FD.swap(new, Ordering::SeqCst); // ORDERING: before DYING, SO1
    // ORDERING: after CRASH_FD, SO1
    let is_ours = old >= 0 && !DYING.load(Ordering::SeqCst);
    // SAFETY: SO1: it was given away here, and nobody writes to it.
    is_ours.then(|| unsafe { OwnedFd::from_raw_fd(old) })
}

/// From now on a copy of what is written goes to the crash descriptor.
pub(crate) fn begin_last_report() {
    DYING.store(true, Ordering::SeqCst); // ORDERING: before CRASH_FD, SO1
}

impl Write for Stderr {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut s = s;
        while !s.is_empty() {
            let room = self.line.buf.len() - self.line.len;
            if room == 0 {
                self.flush();
                continue;
            }
            let mut n = s.len().min(room);
            while !s.is_char_boundary(n) {
                n -= 1;
            }
            if n == 0 {
                self.flush();
                continue;
            }
            self.line.write_str(&s[..n])?;
            s = &s[n..];
        }
        Ok(())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.flush();
    }
}

/// `print!` of the runtime.
macro_rules! rtprint {
    ($($arg:tt)*) => {{
        use core::fmt::Write as _;
        let mut err = $crate::sys::stderr::Stderr::new();
        let _ = core::write!(err, $($arg)*);
    }};
}
pub(crate) use rtprint;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_the_last_report_may_go_to_stays_open() {
        let open = || OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there"));
        assert!(set_crash_fd(Some(open())).is_none());
        assert!(set_crash_fd(Some(open())).is_some(), "nobody reads it");
        begin_last_report();
        let given = set_crash_fd(None);
        DYING.store(false, Ordering::SeqCst); // ORDERING: as in begin_last_report
        assert!(given.is_none(), "a report may be on its way there");
    }
}
