//! Copying, by the kernel where it can.
//!
//! Go: `io.Copy` with `TCPConn.ReadFrom`; std does the same for its own types, by specialization.
//! Here the types are told apart by their `TypeId`.
//!
//! # Safety
//! * `CP1`: two types with the same `TypeId` differ in lifetimes only. What is read through a
//!   reference that was cast from one to the other is borrowed no longer than the original.

#![allow(unsafe_code, reason = "CP1: tells types apart that may borrow")]

use super::pollable::Pollable;
use crate::net::{TcpStream, UnixStream, socket, tcp, unix};
use crate::netpoll::desc::Dir;
use crate::sched::syscall::blocking;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use std::any::TypeId;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

/// A read that fills this much is one of many: from then on the kernel copies.
const BUFFER_BYTES: usize = 16 << 10;
/// What is asked of the kernel at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies everything that `reader` has to `writer`, and returns how much that was. std:
/// [`std::io::copy`]; Go: `io.Copy`.
///
/// Between the streams of [`rt0::net`](crate::net) and their halves large amounts stay in the
/// kernel (splice), and so do files that go to one (sendfile). Blocks as the two do.
pub fn copy<R: Read + ?Sized, W: Write + ?Sized>(
    reader: &mut R,
    writer: &mut W,
) -> io::Result<u64> {
    let Some(to) = stream(writer) else { return io::copy(reader, writer) };
    if let Some(from) = stream(reader) {
        return between(from, to);
    }
    let sent = match of_type::<R, File>(reader).or_else(|| of_type::<R, &File>(reader).copied()) {
        Some(file) => send_file(file, to)?,
        None => 0,
    };
    // What sendfile does not do: the end of the file, a file of another kind.
    Ok(sent + io::copy(reader, writer)?)
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

/// How much went; the rest is the caller's.
fn send_file(file: &File, to: &Pollable) -> io::Result<u64> {
    use rustix::io::Errno;
    let mut total = 0;
    loop {
        let sent = to.io(Dir::Write, |fd| {
            // It does not wait for the stream, but for the disk.
            match blocking(|| rustix::fs::sendfile(fd, file, None, CHUNK_BYTES)) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::OVERFLOW) => Ok(0), // not this file
                result => result,
            }
        })?;
        if sent == 0 {
            return Ok(total);
        }
        total += sent as u64;
    }
}
