//! Connections, and their halves.

use super::{PACE, SocketAddr, debug, from_kernel, local_addr, of_path, peer_addr, to_kernel};
use crate::io::pollable::Pollable;
use crate::net::halves::halves;
use crate::net::macros::{descriptor_traits, limits, stream_io};
use crate::net::socket;
use crate::netpoll::desc::Dir;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::io;
use std::net::Shutdown;
use std::path::Path;

/// A connection to a socket of this machine. std: [`std::os::unix::net::UnixStream`]; Go:
/// `net.UnixConn`.
///
/// Reading and writing park the goroutine. Several goroutines may use it at once, by `&UnixStream`,
/// which implements `Read` and `Write` too.
pub struct UnixStream(Pollable);

/// A socket that accepts connections of this machine. std: [`std::os::unix::net::UnixListener`];
/// Go: `net.UnixListener`.
///
/// Its file stays when it is dropped, as with std.
pub struct UnixListener(Pollable);

descriptor_traits! {
    UnixStream, std::os::unix::net::UnixStream;
    UnixListener, std::os::unix::net::UnixListener;
}
limits!(UnixStream UnixListener);
stream_io!(UnixStream, recv, send);
halves!(UnixStream, SocketAddr, "let (stream, mut other) = rt0::net::UnixStream::pair()?;\n");
debug!(UnixStream UnixListener);

impl UnixStream {
    /// Connects to the socket with this file name; parks while its queue is full.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        connect(&of_path(path.as_ref())?)
    }

    /// Connects to the socket with this address.
    pub fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        connect(&to_kernel(addr)?)
    }

    /// Two sockets that are connected to each other.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = socket::pair(SocketType::STREAM)?;
        Ok((UnixStream(a), UnixStream(b)))
    }

    /// The address of this side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.0)
    }

    /// The address of the other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(&self.0)
    }

    /// Ends one direction or both. Who waits to read or to write in it sees the end.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        socket::shutdown(&self.0, how)
    }

    /// Reads without taking the data; parks until there is some.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::peek(&self.0, buf)
    }
}

fn connect(addr: &SocketAddrUnix) -> io::Result<UnixStream> {
    let s = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
    s.io_paced(Dir::Write, PACE, |fd| rustix::net::connect(fd, addr))?;
    Ok(UnixStream(s))
}

impl UnixListener {
    /// Listens at a new file.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        bind(&of_path(path.as_ref())?)
    }

    /// Listens at this address.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        bind(&to_kernel(addr)?)
    }

    /// The next connection, and where it comes from; parks until there is one.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (s, from) = socket::accept(&self.0)?;
        Ok((UnixStream(s), from_kernel(from)?))
    }

    /// An iterator over the connections; it never ends.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address it listens at.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.0)
    }
}

fn bind(addr: &SocketAddrUnix) -> io::Result<UnixListener> {
    let s = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
    rustix::net::bind(&s, addr)?;
    rustix::net::listen(&s, socket::BACKLOG)?;
    Ok(UnixListener(s))
}

/// The connections of a [`UnixListener`]. std: [`std::os::unix::net::Incoming`].
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(socket::accept(&self.listener.0).map(|(s, _)| UnixStream(s)))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
