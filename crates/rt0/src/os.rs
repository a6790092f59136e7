//! What is of this system only, as in [`std::os`]: std's, but for what waits.
//!
//! A program changes `std::os` to `rt0::os` in its imports and nothing else.

pub use std::os::raw;

/// Descriptors: std's. rt0's types have its traits.
pub mod fd {
    pub use std::os::fd::*;
}

/// What Linux has: std's.
pub mod linux {
    pub use std::os::linux::*;
}

/// What Unix has: std's, with sockets and commands of rt0's.
pub mod unix {
    pub use std::os::unix::*;

    /// Sockets of this machine: [`rt0::net::unix`](crate::net::unix).
    pub mod net {
        pub use crate::net::unix::*;
    }

    /// Processes: std's, with a [`CommandExt`](process::CommandExt) for rt0's commands.
    pub mod process {
        use crate::process::Command;
        use std::ffi::OsStr;
        use std::io;
        use std::os::unix::process::CommandExt as Std;
        pub use std::os::unix::process::*;

        mod sealed {
            pub trait Sealed {}
        }

        impl sealed::Sealed for Command {}

        /// What a [`Command`] can do on Unix. std: [`std::os::unix::process::CommandExt`].
        pub trait CommandExt: sealed::Sealed {
            /// Sets the child's user.
            fn uid(&mut self, id: u32) -> &mut Command;

            /// Sets the child's group.
            fn gid(&mut self, id: u32) -> &mut Command;

            /// Runs `f` in the child before it executes its program.
            ///
            /// # Safety
            /// `f` runs in the child of a fork, which has this thread alone: other goroutines and
            /// threads may have held any lock. So it may do only what a signal handler may, and
            /// must not wait as a goroutine does. See std's.
            #[allow(unsafe_code, reason = "as std's")]
            unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
            where
                F: FnMut() -> io::Result<()> + Send + Sync + 'static;

            /// Executes the program in the place of this one; returns only if that fails. Other
            /// goroutines and threads are gone without notice, and exit hooks do not run.
            fn exec(&mut self) -> io::Error;

            /// Sets what the program is told its name is.
            fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command;

            /// Puts the child into this group of processes; 0: into a new one.
            fn process_group(&mut self, pgroup: i32) -> &mut Command;
        }

        impl CommandExt for Command {
            fn uid(&mut self, id: u32) -> &mut Command {
                self.as_std_mut().uid(id);
                self
            }

            fn gid(&mut self, id: u32) -> &mut Command {
                self.as_std_mut().gid(id);
                self
            }

            #[allow(unsafe_code, reason = "as std's")]
            unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
            where
                F: FnMut() -> io::Result<()> + Send + Sync + 'static,
            {
                // SAFETY: the caller's promise.
                unsafe { self.as_std_mut().pre_exec(f) };
                self
            }

            fn exec(&mut self) -> io::Error {
                self.as_std_mut().exec()
            }

            fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
                self.as_std_mut().arg0(arg);
                self
            }

            fn process_group(&mut self, pgroup: i32) -> &mut Command {
                self.as_std_mut().process_group(pgroup);
                self
            }
        }
    }
}
