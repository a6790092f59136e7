//! Copying, by the kernel where it can.
//!
//! Go: `io.Copy` with `TCPConn.ReadFrom`; std does the same for its own types, by specialization.
//! Here the types are told apart by their `TypeId`.
//!
//! # Safety
//! * `CP1`: two types with the same `TypeId` differ in lifetimes only. What is read through a
//!   reference that was cast from one to the other is borrowed no longer than the original.

#![allow(unsafe_code, reason = "CP1: tells types apart that may borrow")]

use super::pipe::{PipeReader, PipeWriter};
use super::pollable::{Pollable, is_ready};
use crate::net::{TcpStream, UnixStream, socket, tcp, unix};
use crate::netpoll::desc::Dir;
use crate::sched::syscall::blocking;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use std::any::TypeId;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A read that fills this much is one of many: from then on the kernel copies.
const BUFFER_BYTES: usize = 16 << 10;
/// What is asked of the kernel at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies everything that `reader` has to `writer`, and returns how much that was. std:
/// [`std::io::copy`]; Go: `io.Copy`.
///
/// Between the streams of [`rt0::net`](crate::net) and their halves large amounts stay in the
/// kernel (splice), and so do files that go to one (sendfile), and all that goes between a
/// [pipe](crate::io::pipe) and a stream, a file or another pipe. Blocks as the two do.
pub fn copy<R: Read + ?Sized, W: Write + ?Sized>(
    reader: &mut R,
    writer: &mut W,
) -> io::Result<u64> {
    let pipes = (of_pipe_reader(reader), of_pipe_writer(writer));
    let copied = match (stream(reader).or(pipes.0), stream(writer).or(pipes.1)) {
        (Some(from), Some(to)) if pipes.0.is_none() && pipes.1.is_none() => {
            return between(from, to);
        }
        (Some(from), Some(to)) => return direct(from, to),
        (None, Some(to)) => match (file(reader), pipes.1) {
            (Some(file), Some(_)) => file_to_pipe(file, to)?,
            (Some(file), None) => send_file(file, to)?,
            (None, _) => 0,
        },
        (Some(from), None) => match (pipes.0, file(writer)) {
            (Some(_), Some(file)) => pipe_to_file(from, file)?,
            _ => 0,
        },
        (None, None) => 0,
    };
    // What the kernel does not do: the end of the file, a file of another kind.
    Ok(copied + io::copy(reader, writer)?)
}

/// The descriptor of a pipe's end to read from.
fn of_pipe_reader<T: ?Sized>(t: &T) -> Option<&Pollable> {
    of_type::<T, PipeReader>(t)
        .map(PipeReader::pollable)
        .or_else(|| of_type::<T, &PipeReader>(t).map(|p| p.pollable()))
}

/// The same of one to write to.
fn of_pipe_writer<T: ?Sized>(t: &T) -> Option<&Pollable> {
    of_type::<T, PipeWriter>(t)
        .map(PipeWriter::pollable)
        .or_else(|| of_type::<T, &PipeWriter>(t).map(|p| p.pollable()))
}

fn file<T: ?Sized>(t: &T) -> Option<&File> {
    of_type::<T, File>(t).or_else(|| of_type::<T, &File>(t).copied())
}

/// The descriptor of a stream of ours.
fn stream<T: ?Sized>(t: &T) -> Option<&Pollable> {
    of_type::<T, TcpStream>(t)
        .map(TcpStream::pollable)
        .or_else(|| of_type::<T, &TcpStream>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, UnixStream>(t).map(UnixStream::pollable))
        .or_else(|| of_type::<T, &UnixStream>(t).map(|s| s.pollable()))
        .or_else(|| half(t))
}

/// The same for what `split` and `into_split` make.
fn half<T: ?Sized>(t: &T) -> Option<&Pollable> {
    of_type::<T, tcp::ReadHalf<'_>>(t)
        .map(|s| s.pollable())
        .or_else(|| of_type::<T, tcp::WriteHalf<'_>>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, tcp::OwnedReadHalf>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, tcp::OwnedWriteHalf>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, unix::ReadHalf<'_>>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, unix::WriteHalf<'_>>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, unix::OwnedReadHalf>(t).map(|s| s.pollable()))
        .or_else(|| of_type::<T, unix::OwnedWriteHalf>(t).map(|s| s.pollable()))
}

/// `t`, if it is a `U`, up to lifetimes.
fn of_type<T: ?Sized, U>(t: &T) -> Option<&U> {
    if type_id::<T>() != type_id::<U>() {
        return None;
    }
    // SAFETY: CP1.
    Some(unsafe { &*core::ptr::from_ref(t).cast::<U>() })
}

/// The id of `T` with all its lifetimes `'static`.
fn type_id<T: ?Sized>() -> TypeId {
    trait Id {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T: ?Sized> Id for PhantomData<T> {
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let t: &dyn Id = &PhantomData::<T>;
    // SAFETY: a `PhantomData` holds nothing that could be used too long.
    let t = unsafe { core::mem::transmute::<&dyn Id, &(dyn Id + 'static)>(t) };
    t.id()
}

/// Both are streams: reads and writes while little comes, then splices.
fn between(from: &Pollable, to: &Pollable) -> io::Result<u64> {
    let mut buf = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        let n = match socket::recv(from, &mut buf)? {
            0 => return Ok(total),
            n => n,
        };
        let mut sent = 0;
        while sent < n {
            sent += socket::send(to, &buf[sent..n])?;
        }
        total += n as u64;
        if n == BUFFER_BYTES
            && let Ok(pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        {
            drop(buf);
            return Ok(total + through(&pipe, from, to)?);
        }
    }
}

fn through((out, into): &(OwnedFd, OwnedFd), from: &Pollable, to: &Pollable) -> io::Result<u64> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let mut total = 0;
    loop {
        // The pipe is empty, so EAGAIN is the reader's.
        let n = from.io(Dir::Read, |fd| splice(fd, None, into, None, CHUNK_BYTES, flags))?;
        if n == 0 {
            from.check_open()?;
            return Ok(total);
        }
        let mut left = n;
        while left > 0 {
            left -= to.io(Dir::Write, |fd| splice(out, None, fd, None, left, flags))?;
        }
        total += n as u64;
    }
}

/// What neither end of which a pipe blocks for.
const NOW: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// One of the two is a pipe, so nothing has to lie between them.
fn direct(from: &Pollable, to: &Pollable) -> io::Result<u64> {
    use rustix::io::Errno;
    let step =
        |from: BorrowedFd<'_>, to: BorrowedFd<'_>| splice(from, None, to, None, CHUNK_BYTES, NOW);
    let mut total = 0;
    loop {
        to.check_open()?;
        // EAGAIN is the reader's or the writer's, and each waits for its own.
        let n = from.io(Dir::Read, |fd| match step(fd, to.as_fd()) {
            Err(Errno::AGAIN) if is_ready(fd, Dir::Read) => Ok(None),
            result => result.map(Some),
        })?;
        let n = match n {
            Some(n) => Some(n),
            None => to.io(Dir::Write, |fd| match step(from.as_fd(), fd) {
                Err(Errno::AGAIN) if !is_ready(from.as_fd(), Dir::Read) => Ok(None),
                result => result.map(Some),
            })?,
        };
        match n {
            Some(0) => return from.check_open().map(|()| total),
            n => total += n.unwrap_or(0) as u64,
        }
    }
}

/// How much went; the rest is the caller's.
fn file_to_pipe(file: &File, to: &Pollable) -> io::Result<u64> {
    pipe_and_file(|| {
        // It does not wait for the pipe, but for the disk.
        to.io(Dir::Write, |fd| {
            not_this_file(blocking(|| splice(file, None, fd, None, CHUNK_BYTES, NOW)))
        })
    })
}

/// The same the other way round.
fn pipe_to_file(from: &Pollable, file: &File) -> io::Result<u64> {
    pipe_and_file(|| {
        from.io(Dir::Read, |fd| {
            not_this_file(blocking(|| splice(fd, None, file, None, CHUNK_BYTES, NOW)))
        })
    })
}

fn pipe_and_file(mut step: impl FnMut() -> io::Result<usize>) -> io::Result<u64> {
    let mut total = 0;
    loop {
        match step()? {
            0 => return Ok(total),
            n => total += n as u64,
        }
    }
}

/// A file of a kind for which the kernel does not do it: nothing went.
fn not_this_file(result: rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    use rustix::io::Errno;
    match result {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OVERFLOW | Errno::BADF) => Ok(0),
        result => result,
    }
}

/// How much went; the rest is the caller's.
fn send_file(file: &File, to: &Pollable) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let sent = to.io(Dir::Write, |fd| {
            // It does not wait for the stream, but for the disk.
            not_this_file(blocking(|| rustix::fs::sendfile(fd, file, None, CHUNK_BYTES)))
        })?;
        if sent == 0 {
            return Ok(total);
        }
        total += sent as u64;
    }
}
