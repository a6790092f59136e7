//! UDP.

use super::addr::{ToSocketAddrs, each_addr, no_addresses};
use super::macros::{descriptor_traits, limits};
use super::socket;
use crate::io::pollable::Pollable;
use rustix::net::{SocketType, sockopt};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// A UDP socket. std: [`std::net::UdpSocket`]; Go: `net.UDPConn`.
///
/// Receiving parks the goroutine until a datagram is there, sending until there is room. Several
/// goroutines may use it at once; each datagram goes to one of them.
pub struct UdpSocket(Pollable);

descriptor_traits! { UdpSocket, std::net::UdpSocket; }
limits!(UdpSocket);

impl UdpSocket {
    /// A socket at the first of the addresses that can be had. Port 0 stands for any free one.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        each_addr(addr, |addr| {
            let s = socket::open(socket::family_of(addr), SocketType::DGRAM)?;
            rustix::net::bind(&s, addr)?;
            Ok(UdpSocket(s))
        })
    }

    /// Receives one datagram: how long it is, and where it comes from. What does not fit into `buf`
    /// is lost.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        from(socket::recv_from(&self.0, buf, false)?)
    }

    /// The same, but the datagram stays.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        from(socket::recv_from(&self.0, buf, true)?)
    }

    /// Sends a datagram to the first of the addresses.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let to = addr.to_socket_addrs()?.next().ok_or_else(no_addresses)?;
        socket::send_to(&self.0, buf, &to, None)
    }

    /// Sends to this address from now on, and receives from it only.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_addr(addr, |addr| Ok(rustix::net::connect(&self.0, addr)?))
    }

    /// Sends a datagram to the address of [`connect`](Self::connect).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        socket::send(&self.0, buf)
    }

    /// Receives a datagram from the address of [`connect`](Self::connect). What does not fit into
    /// `buf` is lost.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::recv(&self.0, buf)
    }

    /// The same, but the datagram stays.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        socket::peek(&self.0, buf)
    }

    /// The address of [`connect`](Self::connect).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_addr(&self.0)
    }

    /// The address of this side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(&self.0)
    }

    /// Whether it may send to broadcast addresses (SO_BROADCAST).
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_broadcast(&self.0, broadcast)?)
    }

    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(sockopt::socket_broadcast(&self.0)?)
    }

    /// Whether its multicasts come back to this machine (IP_MULTICAST_LOOP).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_loop(&self.0, on)?)
    }

    /// See [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        Ok(sockopt::ip_multicast_loop(&self.0)?)
    }

    /// How many routers its multicasts may pass (IP_MULTICAST_TTL).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_ttl(&self.0, ttl)?)
    }

    /// See [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        Ok(sockopt::ip_multicast_ttl(&self.0)?)
    }

    /// Whether its multicasts come back to this machine (IPV6_MULTICAST_LOOP).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ipv6_multicast_loop(&self.0, on)?)
    }

    /// See [`set_multicast_loop_v6`](Self::set_multicast_loop_v6).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        Ok(sockopt::ipv6_multicast_loop(&self.0)?)
    }

    /// Joins a group, at the interface with this address.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_add_membership(&self.0, group, interface)?)
    }

    /// Joins a group, at the interface with this number.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_add_membership(&self.0, group, interface)?)
    }

    /// Leaves a group.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_drop_membership(&self.0, group, interface)?)
    }

    /// Leaves a group.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_drop_membership(&self.0, group, interface)?)
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

/// An IP datagram always says where it comes from.
fn from((n, addr): (usize, socket::From)) -> io::Result<(usize, SocketAddr)> {
    match addr {
        Some(addr) => Ok((n, socket::ip(addr)?)),
        None => Err(rustix::io::Errno::AFNOSUPPORT.into()),
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("UdpSocket");
        if let Ok(addr) = self.local_addr() {
            s.field("addr", &addr);
        }
        s.field("fd", &self.as_fd().as_raw_fd()).finish()
    }
}
