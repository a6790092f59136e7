//! What all sockets have in common.

use crate::io::pollable::Pollable;
use crate::netpoll::desc::Dir;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
    SocketType, ipproto, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(super) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
/// No operation blocks, also if somebody has made the socket blocking behind our back; nor does one
/// raise a signal.
const RECV: RecvFlags = RecvFlags::DONTWAIT;
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A new socket.
pub(super) fn open(family: AddressFamily, kind: SocketType) -> io::Result<Pollable> {
    Ok(Pollable::new(rustix::net::socket_with(family, kind, FLAGS, None)?))
}

pub(super) fn family_of(addr: &SocketAddr) -> AddressFamily {
    match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

#[inline]
pub(crate) fn recv(s: &Pollable, buf: &mut [u8]) -> io::Result<usize> {
    match s.io(Dir::Read, |fd| rustix::net::recv(fd, &mut *buf, RECV).map(|(n, _)| n))? {
        0 => s.check_open().map(|()| 0), // not the other side's end
        n => Ok(n),
    }
}

/// The same for TCP.
#[inline]
pub(crate) fn recv_tcp(s: &Pollable, buf: &mut [u8]) -> io::Result<usize> {
    let len = buf.len();
    match s
        .io_stream(Dir::Read, len, |fd| rustix::net::recv(fd, &mut *buf, RECV).map(|(n, _)| n))?
    {
        0 => s.check_open().map(|()| 0), // not the other side's end
        n => Ok(n),
    }
}

/// The same for TCP.
#[inline]
pub(crate) fn send_tcp(s: &Pollable, buf: &[u8]) -> io::Result<usize> {
    s.io_stream(Dir::Write, buf.len(), |fd| rustix::net::send(fd, buf, SEND))
}

pub(super) fn peek(s: &Pollable, buf: &mut [u8]) -> io::Result<usize> {
    let flags = RECV | RecvFlags::PEEK;
    s.io(Dir::Read, |fd| rustix::net::recv(fd, &mut *buf, flags).map(|(n, _)| n))
}

#[inline]
pub(crate) fn send(s: &Pollable, buf: &[u8]) -> io::Result<usize> {
    s.io(Dir::Write, |fd| rustix::net::send(fd, buf, SEND))
}

pub(super) fn recv_vectored(s: &Pollable, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let n = bufs.len().min(MAX_SLICES);
    let got = s.io(Dir::Read, |fd| {
        let mut control = RecvAncillaryBuffer::default();
        rustix::net::recvmsg(fd, &mut bufs[..n], &mut control, RECV).map(|got| got.bytes)
    })?;
    if got == 0 {
        s.check_open()?;
    }
    Ok(got)
}

pub(super) fn send_vectored(s: &Pollable, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    s.io(Dir::Write, |fd| try_send(fd, bufs))
}

/// A try, for who waits otherwise.
pub(crate) fn try_recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> rustix::io::Result<usize> {
    rustix::net::recv(fd, buf, RECV).map(|(n, _)| n)
}

/// The same.
pub(crate) fn try_send(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
    rustix::net::sendmsg(fd, bufs, &mut SendAncillaryBuffer::default(), SEND)
}

/// The kernel's UIO_MAXIOV; more would be an error.
const MAX_SLICES: usize = 1024;

/// The address the other side of a datagram or connection came with.
pub(super) type From = Option<rustix::net::SocketAddrAny>;

pub(super) fn recv_from(s: &Pollable, buf: &mut [u8], peek: bool) -> io::Result<(usize, From)> {
    let flags = if peek { RECV | RecvFlags::PEEK } else { RECV };
    s.io(Dir::Read, |fd| rustix::net::recvfrom(fd, &mut *buf, flags).map(|(n, _, from)| (n, from)))
}

pub(super) fn send_to(
    s: &Pollable,
    buf: &[u8],
    to: &impl rustix::net::addr::SocketAddrArg,
    pace: Option<Duration>,
) -> io::Result<usize> {
    s.io_paced(Dir::Write, pace, |fd| rustix::net::sendto(fd, buf, SEND, to))
}

/// Two sockets of this machine that are connected to each other.
pub(super) fn pair(kind: SocketType) -> io::Result<(Pollable, Pollable)> {
    let (a, b) = rustix::net::socketpair(AddressFamily::UNIX, kind, FLAGS, None)?;
    Ok((Pollable::new(a), Pollable::new(b)))
}

/// How many connections wait to be accepted: as many as the system allows, as in Go.
pub(super) const BACKLOG: i32 = i32::MAX;

/// The next connection. One that was given up while it waited is passed over, as in Go.
pub(super) fn accept(s: &Pollable) -> io::Result<(Pollable, From)> {
    let (fd, from) = s.io(Dir::Read, |fd| {
        match rustix::net::acceptfrom_with(fd, FLAGS) {
            Err(rustix::io::Errno::CONNABORTED) => Err(rustix::io::Errno::INTR), // again
            result => result,
        }
    })?;
    Ok((Pollable::new(fd), from))
}

pub(super) fn shutdown(s: &impl AsFd, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => rustix::net::Shutdown::Read,
        Shutdown::Write => rustix::net::Shutdown::Write,
        Shutdown::Both => rustix::net::Shutdown::Both,
    };
    Ok(rustix::net::shutdown(s, how)?)
}

/// Ends all that others do with the socket, and the connection.
pub(super) fn close(s: &Pollable) {
    if s.close() {
        let _ = shutdown(s, Shutdown::Both); // ENOTCONN: there is none
    }
}

pub(super) fn take_error(s: &impl AsFd) -> io::Result<Option<io::Error>> {
    Ok(sockopt::socket_error(s)?.err().map(io::Error::from))
}

pub(super) fn local_addr(s: &impl AsFd) -> io::Result<SocketAddr> {
    ip(rustix::net::getsockname(s)?)
}

pub(super) fn peer_addr(s: &impl AsFd) -> io::Result<SocketAddr> {
    match rustix::net::getpeername(s)? {
        Some(addr) => ip(addr),
        None => Err(rustix::io::Errno::NOTCONN.into()),
    }
}

/// An address that is an IP address and a port.
pub(super) fn ip(addr: rustix::net::SocketAddrAny) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(addr)?)
}

/// A socket that may be one of another kind: std and `OwnedFd` do not tell.
pub(super) fn adopt(fd: OwnedFd) -> Pollable {
    let s = Pollable::from_blocking(fd);
    if !matches!(sockopt::socket_protocol(&s), Ok(Some(ipproto::TCP))) {
        s.try_always();
    }
    s
}
