//! Datagrams.

use super::{PACE, SocketAddr, debug, from_kernel, local_addr, of_path, peer_addr, to_kernel};
use crate::io::pollable::Pollable;
use crate::net::macros::{descriptor_traits, limits};
use crate::net::socket;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::io;
use std::net::Shutdown;
use std::path::Path;

/// A datagram socket of this machine. std: [`std::os::unix::net::UnixDatagram`]; Go:
/// `net.UnixConn`.
///
/// No datagram is lost: who sends parks while the receiver's queue is full.
pub struct UnixDatagram(Pollable);

descriptor_traits! { UnixDatagram, std::os::unix::net::UnixDatagram; }
limits!(UnixDatagram);
debug!(UnixDatagram);

fn open() -> io::Result<UnixDatagram> {
    Ok(UnixDatagram(socket::open(AddressFamily::UNIX, SocketType::DGRAM)?))
}

fn bind(addr: &SocketAddrUnix) -> io::Result<UnixDatagram> {
    let s = open()?;
    rustix::net::bind(&s.0, addr)?;
    Ok(s)
}

impl UnixDatagram {
    /// A socket with a new file as its name.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        bind(&of_path(path.as_ref())?)
    }

    /// A socket with this address.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        bind(&to_kernel(addr)?)
    }

    /// A socket without a name.
    pub fn unbound() -> io::Result<UnixDatagram> {
        open()
    }

    /// Two sockets that are connected to each other.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = socket::pair(SocketType::DGRAM)?;
        Ok((UnixDatagram(a), UnixDatagram(b)))
    }

    /// Sends to this socket from now on, and receives from it only.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        Ok(rustix::net::connect(&self.0, &of_path(path.as_ref())?)?)
    }

    /// The same for an address.
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::connect(&self.0, &to_kernel(addr)?)?)
    }

    /// The address of this side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.0)
    }

    /// The address of the other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(&self.0)
    }

    /// Receives one datagram: how long it is, and where it comes from. What does not fit into `buf`
    /// is lost.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (n, from) = socket::recv_from(&self.0, buf, false)?;
        Ok((n, from_kernel(from)?))
    }

    /// The same, but the datagram stays.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (n, from) = socket::recv_from(&self.0, buf, true)?;
        Ok((n, from_kernel(from)?))
    }

    /// Receives one datagram. What does not fit into `buf` is lost.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::recv(&self.0, buf)
    }

    /// The same, but the datagram stays.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::peek(&self.0, buf)
    }

    /// Sends a datagram to the socket with this file name.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        socket::send_to(&self.0, buf, &of_path(path.as_ref())?, PACE)
    }

    /// Sends a datagram to the socket with this address.
    pub fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        socket::send_to(&self.0, buf, &to_kernel(addr)?, PACE)
    }

    /// Sends a datagram to the socket of [`connect`](Self::connect).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        socket::send(&self.0, buf)
    }

    /// Ends one direction or both.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        socket::shutdown(&self.0, how)
    }
}
