//! TCP, and the halves of its streams.

use super::addr::{ToSocketAddrs, each_addr};
use super::halves::halves;
use super::macros::{descriptor_traits, limits, stream_io};
use super::{connect, socket};
use crate::io::pollable::Pollable;
use crate::sched::wait;
use rustix::net::{SocketType, sockopt};
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A TCP connection. std: [`std::net::TcpStream`]; Go: `net.TCPConn`.
///
/// Reading and writing park the goroutine until the kernel has or takes data. Several goroutines
/// may use it at once, by `&TcpStream`, which implements `Read` and `Write` too. It is closed when
/// the last handle is dropped.
pub struct TcpStream(pub(super) Pollable);

/// A TCP socket that accepts connections. std: [`std::net::TcpListener`]; Go: `net.TCPListener`.
///
/// Any number of goroutines may accept from it at once. It is closed when the last handle is
/// dropped; [`close`](TcpListener::close) ends what waits for it.
pub struct TcpListener(pub(super) Pollable);

descriptor_traits! {
    TcpStream, std::net::TcpStream;
    TcpListener, std::net::TcpListener;
}
limits!(TcpStream TcpListener);
stream_io!(TcpStream, recv_tcp, send_tcp);
halves!(
    TcpStream,
    SocketAddr,
    "let listener = rt0::net::TcpListener::bind(\"127.0.0.1:0\")?;
let stream = rt0::net::TcpStream::connect(listener.local_addr()?)?;
let (mut other, _) = listener.accept()?;
"
);

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// Parks until it does, or all have failed; the error is the last one's. If there are several
    /// addresses, the next is tried a quarter of a second after the last, and those of IPv4 and
    /// IPv6 take turns (RFC 8305). Go: `net.Dial`.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let addrs: Vec<_> = addr.to_socket_addrs()?.collect();
        Ok(TcpStream(connect::connect(&addrs, None)?))
    }

    /// Connects, or fails with `TimedOut` after `timeout`. A zero duration is an error.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            let text = "cannot set a 0 duration timeout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(TcpStream(connect::connect(&[*addr], wait::after(timeout))?))
    }

    /// The address of the other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_addr(&self.0)
    }

    /// The address of this side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(&self.0)
    }

    /// Ends one direction or both. Who waits to read or to write in it sees the end.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        socket::shutdown(&self.0, how)
    }

    /// Reads without taking the data; parks until there is some.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::peek(&self.0, buf)
    }

    /// Whether small writes are sent at once (TCP_NODELAY).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(&self.0, nodelay)?)
    }

    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_nodelay(&self.0)?)
    }

    /// Whether what was received is acknowledged at once (TCP_QUICKACK), until the kernel changes
    /// that by itself. std: `TcpStreamExt::set_quickack` of [`std::os::linux::net`].
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(&self.0, quickack)?)
    }

    /// See [`set_quickack`](Self::set_quickack).
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_quickack(&self.0)?)
    }

    /// How long the kernel goes on sending what was written after the socket is closed (SO_LINGER).
    /// `Some(Duration::ZERO)` resets the connection instead. `None`: in the background, as long as
    /// it takes.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(&self.0, linger)?)
    }

    /// See [`set_linger`](Self::set_linger).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(&self.0)?)
    }

    /// Lets the kernel find out whether the other side is still there when nothing was heard for
    /// `idle`, which counts in whole seconds; `None`: never. Go: `SetKeepAlivePeriod`.
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        sockopt::set_socket_keepalive(&self.0, idle.is_some())?;
        if let Some(idle) = idle {
            let idle = idle.max(Duration::from_secs(1));
            sockopt::set_tcp_keepidle(&self.0, idle)?;
            sockopt::set_tcp_keepintvl(&self.0, idle)?;
        }
        Ok(())
    }

    /// See [`set_keepalive`](Self::set_keepalive).
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        if !sockopt::socket_keepalive(&self.0)? {
            return Ok(None);
        }
        Ok(Some(sockopt::tcp_keepidle(&self.0)?))
    }

    /// How many routers a packet may pass (IP_TTL).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(&self.0, ttl)?)
    }

    /// See [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(&self.0)?)
    }
}

impl TcpListener {
    /// Listens at the first of the addresses that can be had. Port 0 stands for any free one. The
    /// address may be in use by connections that are being closed (SO_REUSEADDR). Go: `net.Listen`.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_addr(addr, |addr| listen(addr, Port::Own))
    }

    /// The same for an address that other listeners of the same user have too: the kernel spreads
    /// connections over them (SO_REUSEPORT).
    pub fn bind_reuseport<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_addr(addr, |addr| listen(addr, Port::Shared))
    }

    /// The address it listens at.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(&self.0)
    }

    /// The next connection, and where it comes from; parks until there is one.
    ///
    /// When the process has as many files open as it may (EMFILE), this fails at once and the
    /// connection stays where it is: wait before you try again.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (s, from) = socket::accept(&self.0)?;
        let addr = match from {
            Some(addr) => socket::ip(addr)?,
            None => socket::peer_addr(&s)?,
        };
        Ok((TcpStream(s), addr))
    }

    /// An iterator over the connections; it never ends.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// How many routers a packet may pass (IP_TTL).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(&self.0, ttl)?)
    }

    /// See [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(&self.0)?)
    }
}

/// Whether other listeners may have the same port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Own,
    Shared,
}

fn listen(addr: &SocketAddr, port: Port) -> io::Result<TcpListener> {
    let s = socket::open(socket::family_of(addr), SocketType::STREAM)?;
    sockopt::set_socket_reuseaddr(&s, true)?;
    if port == Port::Shared {
        sockopt::set_socket_reuseport(&s, true)?;
    }
    rustix::net::bind(&s, addr)?;
    rustix::net::listen(&s, socket::BACKLOG)?;
    Ok(TcpListener(s))
}

/// The connections of a [`TcpListener`]. std: [`std::net::Incoming`].
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(socket::accept(&self.listener.0).map(|(s, _)| TcpStream(s)))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("TcpStream");
        if let Ok(addr) = self.local_addr() {
            s.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            s.field("peer", &peer);
        }
        s.field("fd", &self.as_fd().as_raw_fd()).finish()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("TcpListener");
        if let Ok(addr) = self.local_addr() {
            s.field("addr", &addr);
        }
        s.field("fd", &self.as_fd().as_raw_fd()).finish()
    }
}
