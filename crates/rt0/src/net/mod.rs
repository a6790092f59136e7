//! Networking as in [`std::net`] and [`std::os::unix::net`], for goroutines: what blocks there
//! parks here, and other goroutines run on.
//!
//! Types and signatures are std's, so a program with a thread for each connection becomes one with
//! a goroutine for each by changing its imports. Everything works from plain threads as well, and
//! without the runtime.
//!
//! Beyond std: deadlines (`set_read_deadline`, `set_write_deadline`), which are moments instead of
//! durations, and `close`, which ends what other goroutines do with a socket. Both act at once on
//! who waits already. Where std reports a timeout as `WouldBlock`, it is `TimedOut` here, and
//! operations are not interrupted by signals. Streams can be taken in halves, one that reads and
//! one that writes (`split`, `into_split`).
//!
//! Sockets are non-blocking underneath, and close-on-exec. They are given to std, or as an
//! `OwnedFd`, in blocking mode. Go: package net.

mod addr;
mod connect;
mod halves;
mod lookup;
pub(crate) mod macros;
pub(crate) mod socket;
pub mod tcp;
mod udp;
pub mod unix;

pub use addr::ToSocketAddrs;
pub use lookup::lookup_host;
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
