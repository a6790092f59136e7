//! Pipes.
//!
//! The ends of a pipe between two goroutines or two processes, as std's, and whatever else one can
//! read from or write to and wait for: a FIFO, a terminal, an eventfd, by `From<OwnedFd>`.

use super::pollable::Pollable;
use crate::net::macros::limits;
use crate::netpoll::desc::Dir;
use crate::sched::syscall::blocking;
use rustix::pipe::{PipeFlags, pipe_with};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Stdio;

/// The end of a pipe that is read from. std: [`std::io::PipeReader`]; Go: `os.File` of a pipe.
///
/// Reading parks the goroutine until there is something, or all writers are gone. By
/// `From<OwnedFd>` and `From<File>` it takes any descriptor that can be waited for: a FIFO, a
/// terminal, an eventfd.
pub struct PipeReader(Pollable);

/// The end of a pipe that is written to. std: [`std::io::PipeWriter`]; Go: `os.File` of a pipe.
///
/// Writing parks the goroutine until there is room. By `From<OwnedFd>` and `From<File>` it takes
/// any descriptor that can be waited for.
pub struct PipeWriter(Pollable);

/// A new pipe, close-on-exec. std: [`std::io::pipe`]; Go: `os.Pipe`.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((PipeReader(Pollable::new(reader)), PipeWriter(Pollable::new(writer))))
}

/// What both ends, and those of children, have.
macro_rules! descriptor {
    ($($name:ident, $std:ty, $take:ident;)*) => {$(
        impl $name {
            /// What it is made of.
            #[allow(dead_code, reason = "not each of them is waited for with others")]
            pub(crate) fn pollable(&self) -> &Pollable {
                &self.0
            }

            /// Everything that others do with it fails from now on, and what they do later; they
            /// are woken. The descriptor itself is closed when the last handle is dropped. Go:
            /// `File.Close`.
            pub fn close(&self) {
                self.0.close();
            }
        }

        impl AsFd for $name {
            /// The descriptor; it is in non-blocking mode, unless it was taken over.
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $name {
            /// The descriptor; it is in non-blocking mode, unless it was taken over.
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        impl IntoRawFd for $name {
            /// As [`OwnedFd::from`].
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl FromRawFd for $name {
            /// As `From<OwnedFd>`.
            #[allow(unsafe_code, reason = "std's: the caller promises that it owns the number")]
            unsafe fn from_raw_fd(fd: RawFd) -> $name {
                // SAFETY: the caller's promise.
                $name::from(unsafe { OwnedFd::from_raw_fd(fd) })
            }
        }

        impl From<$name> for OwnedFd {
            /// The descriptor, in blocking mode if it was made here, else in the mode that it had.
            fn from(p: $name) -> OwnedFd {
                p.0.into_blocking()
            }
        }

        impl From<OwnedFd> for $name {
            /// Takes it over. Its mode stays as it is, for whoever shares the open file would see
            /// it change, as a shell that shares its terminal: if it is a blocking one, each
            /// operation asks whether it would block first, and writes at most 4 KiB. When another
            /// process takes what was there just then, the operation blocks its thread, and
            /// neither a deadline nor [`close`](Self::close) ends it.
            fn from(fd: OwnedFd) -> $name {
                $name(Pollable::from_shared(fd))
            }
        }

        impl From<$std> for $name {
            /// Takes it over.
            fn from(p: $std) -> $name {
                $name(Pollable::$take(OwnedFd::from(p)))
            }
        }

        impl From<$name> for Stdio {
            /// For a child, as [`OwnedFd::from`].
            fn from(p: $name) -> Stdio {
                OwnedFd::from(p).into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("fd", &self.as_raw_fd()).finish()
            }
        }
    )*};
}
pub(crate) use descriptor;

/// `Read`, for the type and for references to it.
macro_rules! reads {
    ($($t:ty),*) => {$(
        impl Read for $t {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                crate::io::pipe::read(&self.0, buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                crate::io::pipe::read_vectored(&self.0, bufs)
            }
        }
    )*};
}
pub(crate) use reads;

/// `Write`, for the type and for references to it.
macro_rules! writes {
    ($($t:ty),*) => {$(
        impl Write for $t {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                crate::io::pipe::write(&self.0, buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                crate::io::pipe::write_vectored(&self.0, bufs)
            }

            /// Does nothing.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}
pub(crate) use writes;

descriptor! {
    PipeReader, std::io::PipeReader, from_shared;
    PipeWriter, std::io::PipeWriter, from_shared;
}
reads!(PipeReader, &PipeReader);
writes!(PipeWriter, &PipeWriter);
limits!(PipeReader PipeWriter);

impl PipeReader {
    /// Opens a FIFO, or another file that can be waited for, to read from.
    ///
    /// Opening a FIFO blocks until somebody has it open to write, and that takes a thread, as in
    /// Go: the kernel has no other way to wait for it. Reading parks, and deadlines and
    /// [`close`](Self::close) hold. What cannot be waited for, such as a file on a disk, blocks its
    /// thread while it is read. std: [`File::open`]; Go: `os.Open`.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<PipeReader> {
        Ok(PipeReader(opened(OpenOptions::new().read(true), path.as_ref())?))
    }

    /// Another handle of the same end.
    pub fn try_clone(&self) -> io::Result<PipeReader> {
        Ok(PipeReader(self.0.try_clone()?))
    }
}

impl PipeWriter {
    /// Opens a FIFO, or another file that can be waited for and exists, to write to.
    ///
    /// As [`PipeReader::open`]: opening a FIFO blocks until somebody has it open to read, writing
    /// parks.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<PipeWriter> {
        Ok(PipeWriter(opened(OpenOptions::new().write(true), path.as_ref())?))
    }

    /// Another handle of the same end.
    pub fn try_clone(&self) -> io::Result<PipeWriter> {
        Ok(PipeWriter(self.0.try_clone()?))
    }
}

/// What was opened here is no other's, so it may be non-blocking. Go: `newFile` with kindOpenFile.
fn opened(options: &OpenOptions, path: &Path) -> io::Result<Pollable> {
    let file = blocking(|| options.open(path))?;
    let kind = file.metadata()?.file_type();
    let waits = kind.is_fifo() || kind.is_char_device();
    let take = if waits { Pollable::from_blocking } else { Pollable::from_shared };
    Ok(take(OwnedFd::from(file)))
}

impl From<File> for PipeReader {
    /// Takes it over, as [`OwnedFd`]. What cannot be waited for, such as a file on a disk, blocks
    /// its thread while it is read.
    fn from(file: File) -> PipeReader {
        PipeReader::from(OwnedFd::from(file))
    }
}

impl From<File> for PipeWriter {
    /// Takes it over, as [`OwnedFd`].
    fn from(file: File) -> PipeWriter {
        PipeWriter::from(OwnedFd::from(file))
    }
}

pub(crate) fn read(p: &Pollable, buf: &mut [u8]) -> io::Result<usize> {
    p.io(Dir::Read, |_| p.attempt(Dir::Read, |fd| rustix::io::read(fd, &mut *buf)))
}

pub(crate) fn write(p: &Pollable, buf: &[u8]) -> io::Result<usize> {
    let buf = &buf[..p.portion(buf.len())];
    p.io(Dir::Write, |_| p.attempt(Dir::Write, |fd| rustix::io::write(fd, buf)))
}

pub(crate) fn read_vectored(p: &Pollable, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    p.io(Dir::Read, |_| p.attempt(Dir::Read, |fd| rustix::io::readv(fd, bufs)))
}

pub(crate) fn write_vectored(p: &Pollable, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let len = bufs.iter().map(|b| b.len()).sum();
    if p.portion(len) < len {
        let first = bufs.iter().find(|b| !b.is_empty());
        return write(p, first.map_or(&[], |b| b));
    }
    p.io(Dir::Write, |_| p.attempt(Dir::Write, |fd| rustix::io::writev(fd, bufs)))
}
