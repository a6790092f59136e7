//! Arguments, environment, file descriptors.
//!
//! Go: runtime1.go `goargs`, `goenvs`; runtime.go `gogetenv`; security_unix.go `secure`;
//! fds_unix.go `checkfds`.

use super::args;
use crate::debug::process::PROCESS;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{BorrowedFd, IntoRawFd};

/// Counts the arguments; `std::env::args` hands them out. Go: goargs sets argslice.
pub(crate) fn goargs() {
    let n = (0..).take_while(|i| args::arg(*i).is_some()).count();
    PROCESS.arguments.set(n as u64);
    PROCESS.set_program(args::arg(0).map_or(b"?", core::ffi::CStr::to_bytes));
}

/// Counts the initial environment. Go: goenvs sets envs.
pub(crate) fn goenvs() {
    PROCESS.variables.set(args::initial_vars() as u64);
}

/// A variable of the environment the process was started with: std's copy may be changing, and
/// reading it allocates. Go: gogetenv.
pub(crate) fn gogetenv(name: &[u8]) -> Option<&'static [u8]> {
    args::initial_var(name)
}

/// In a set-user-id process dumps would show memory to whoever started it. Go: secure, which forces
/// GOTRACEBACK=none.
pub(crate) fn secure() {
    crate::debug::vars::suppress_dumps(super::auxv::get().secure_mode());
}

/// Descriptors 0, 1 and 2 exist: a closed one is opened on /dev/null, or the next file that the
/// program opens would be its standard error. Go: checkfds. std does it too, in executables; a
/// library's process need not have passed there.
#[allow(unsafe_code, reason = "asks the kernel about three fixed descriptors")]
pub(crate) fn checkfds() {
    // SAFETY: the numbers are only passed to poll and fcntl; nothing is closed.
    let fds = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut asked = fds.each_ref().map(|fd| PollFd::new(fd, PollFlags::empty()));
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // RLIMIT_NOFILE may be too low even for that.
    let answered = rustix::event::poll(&mut asked, Some(&now)).is_ok();
    for (fd, borrowed) in (0..).zip(&fds) {
        let is_closed = match answered {
            true => asked[fd as usize].revents().contains(PollFlags::NVAL),
            false => rustix::io::fcntl_getfd(borrowed) == Err(rustix::io::Errno::BADF),
        };
        if !is_closed {
            continue;
        }
        let opened = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty());
        match opened.map(IntoRawFd::into_raw_fd) {
            Ok(got) if got == fd => {}
            Ok(_) => crate::throw::fatal("checkfds: /dev/null did not get the closed descriptor"),
            Err(e) => crate::throw::fatal_with(
                format_args!(
                    "unexpected error while checking standard file descriptor {fd}, errno={}",
                    e.raw_os_error()
                ),
                "cannot open standard fds",
            ),
        }
    }
}
