//! What every socket type has in the same words.

/// Conversions from and to descriptors, and to std's type of the same name.
macro_rules! descriptor_traits {
    ($($name:ident, $std:ty;)*) => {$(
        impl std::os::fd::AsFd for $name {
            /// The descriptor; it is in non-blocking mode.
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $name {
            /// The descriptor; it is in non-blocking mode.
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsFd::as_fd(self).as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $name {
            /// As [`OwnedFd::from`](std::os::fd::OwnedFd).
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::OwnedFd::from(self).into_raw_fd()
            }
        }

        impl std::os::fd::FromRawFd for $name {
            /// As `From<OwnedFd>`.
            #[allow(unsafe_code, reason = "std's: the caller promises that it owns the number")]
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> $name {
                // SAFETY: the caller's promise.
                $name::from(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
            }
        }

        impl From<$name> for std::os::fd::OwnedFd {
            /// The descriptor, in blocking mode unless `set_nonblocking` said otherwise. The mode
            /// is that of all duplicates: what uses one meanwhile may block its thread.
            fn from(s: $name) -> std::os::fd::OwnedFd {
                s.0.into_blocking()
            }
        }

        impl From<std::os::fd::OwnedFd> for $name {
            /// Takes a socket of this kind over, and makes it non-blocking underneath.
            fn from(fd: std::os::fd::OwnedFd) -> $name {
                $name(crate::net::socket::adopt(fd))
            }
        }

        impl From<$std> for $name {
            /// Takes it over. Its timeouts are not taken over, nor is its non-blocking mode.
            fn from(s: $std) -> $name {
                $name::from(std::os::fd::OwnedFd::from(s))
            }
        }

        impl From<$name> for $std {
            /// As [`OwnedFd::from`](std::os::fd::OwnedFd).
            fn from(s: $name) -> $std {
                <$std>::from(std::os::fd::OwnedFd::from(s))
            }
        }

        impl $name {
            /// Takes std's socket over: it waits as a goroutine does from now on. Its timeouts are
            /// not taken over, nor is its non-blocking mode.
            pub fn from_std(s: $std) -> $name {
                $name::from(s)
            }

            /// Gives the socket to std, in blocking mode unless
            /// [`set_nonblocking`](Self::set_nonblocking) said otherwise. The mode is that of all
            /// duplicates: what uses one meanwhile may block its thread.
            pub fn into_std(self) -> $std {
                self.into()
            }

            /// Another handle of the same socket, as std's `try_clone`. Timeouts, deadlines and
            /// [`close`](Self::close) are shared.
            pub fn try_clone(&self) -> std::io::Result<$name> {
                Ok($name(self.0.try_clone()?))
            }

            /// Whether operations fail with `WouldBlock` instead of waiting.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.0.set_nonblocking(nonblocking);
                Ok(())
            }

            /// The pending error of the socket, which is cleared.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                crate::net::socket::take_error(&self.0)
            }

            /// Ends the connection, if there is one, in both directions, and everything that other
            /// goroutines and threads do with this socket: they and all later operations, also of
            /// duplicates, fail with [`Closed`](crate::io::Closed). The descriptor itself is closed
            /// when the last handle is dropped. Go: `Conn.Close`.
            pub fn close(&self) {
                crate::net::socket::close(&self.0);
            }
        }
    )*};
}

/// Timeouts and deadlines of both directions.
macro_rules! limits {
    ($($name:ident)*) => {$(
        impl $name {
            /// How long an operation that reads may wait before it fails with `TimedOut`; `None`:
            /// for ever. Operations that wait already look at it too. A zero duration is an error.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.0.set_timeout(crate::netpoll::desc::Dir::Read, timeout)
            }

            /// The same for operations that write.
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.0.set_timeout(crate::netpoll::desc::Dir::Write, timeout)
            }

            /// What [`set_read_timeout`](Self::set_read_timeout) has set.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.0.timeout(crate::netpoll::desc::Dir::Read))
            }

            /// What [`set_write_timeout`](Self::set_write_timeout) has set.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.0.timeout(crate::netpoll::desc::Dir::Write))
            }

            /// From this moment on operations that read fail with `TimedOut`, also those that wait
            /// already, and also if there is something to read; `None` takes it away. Go:
            /// `SetReadDeadline`.
            pub fn set_read_deadline(&self, deadline: Option<std::time::Instant>) {
                self.0.set_deadline(crate::netpoll::desc::Dir::Read, deadline);
            }

            /// The same for operations that write.
            pub fn set_write_deadline(&self, deadline: Option<std::time::Instant>) {
                self.0.set_deadline(crate::netpoll::desc::Dir::Write, deadline);
            }

            /// Both at once. Go: `SetDeadline`.
            pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
                self.set_read_deadline(deadline);
                self.set_write_deadline(deadline);
            }
        }
    )*};
}

/// `Read` and `Write` for a stream and for references to it.
macro_rules! stream_io {
    ($name:ident, $recv:ident, $send:ident) => {
        stream_io!(@ $name, $recv, $send);
        stream_io!(@ &$name, $recv, $send);

        impl $name {
            /// What it is made of.
            pub(crate) fn pollable(&self) -> &crate::io::pollable::Pollable {
                &self.0
            }
        }
    };
    (@ $t:ty, $recv:ident, $send:ident) => {
        impl std::io::Read for $t {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                crate::net::socket::$recv(&self.0, buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                crate::net::socket::recv_vectored(&self.0, bufs)
            }
        }

        impl std::io::Write for $t {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                crate::net::socket::$send(&self.0, buf)
            }

            fn write_vectored(
                &mut self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                crate::net::socket::send_vectored(&self.0, bufs)
            }

            /// Does nothing.
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use limits;
pub(super) use {descriptor_traits, stream_io};
