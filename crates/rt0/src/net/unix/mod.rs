//! Sockets of this machine, as in [`std::os::unix::net`].
//!
//! Addresses are std's; those of the abstract namespace are made by
//! [`SocketAddrExt`].

mod datagram;
mod stream;

pub use datagram::UnixDatagram;
pub use std::os::unix::net::SocketAddr;
pub use stream::{
    Incoming, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, UnixListener, UnixStream,
    WriteHalf,
};

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::path::Path;
use std::time::Duration;

/// The kernel does not say when the queue of a listener, or of another datagram socket, has room.
const PACE: Option<Duration> = Some(Duration::from_millis(1));

/// std checks the path.
fn of_path(path: &Path) -> io::Result<SocketAddrUnix> {
    to_kernel(&SocketAddr::from_pathname(path)?)
}

fn to_kernel(addr: &SocketAddr) -> io::Result<SocketAddrUnix> {
    Ok(match (addr.as_pathname(), addr.as_abstract_name()) {
        (Some(path), _) => SocketAddrUnix::new(path)?,
        (_, Some(name)) => SocketAddrUnix::new_abstract_name(name)?,
        _ => SocketAddrUnix::new_unnamed(),
    })
}

/// rustix takes an address without a name for an abstract one, and panics at the longest path that
/// another process may choose.
fn from_kernel(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    let unnamed = || SocketAddr::from_pathname("");
    // A sender without a name may have no address at all.
    let Some(addr) = addr else { return unnamed() };
    match name(&addr) {
        [] => unnamed(),
        [0, name @ ..] => SocketAddr::from_abstract_name(name),
        path => {
            let path = path.split(|b| *b == 0).next().unwrap_or(path);
            // One that std has no room for is as good as none: it is another process's.
            SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)).or_else(|_| unnamed())
        }
    }
}

/// What follows the family.
#[allow(unsafe_code, reason = "an address of the kernel's as bytes")]
fn name(addr: &SocketAddrAny) -> &[u8] {
    // SAFETY: rustix promises so many initialised bytes there.
    let bytes = unsafe {
        core::slice::from_raw_parts(addr.as_ptr().cast::<u8>(), addr.addr_len() as usize)
    };
    bytes.get(size_of::<libc::sa_family_t>()..).unwrap_or(&[])
}

fn local_addr(s: &impl AsFd) -> io::Result<SocketAddr> {
    from_kernel(Some(rustix::net::getsockname(s)?))
}

fn peer_addr(s: &impl AsFd) -> io::Result<SocketAddr> {
    from_kernel(rustix::net::getpeername(s)?)
}

/// `UnixStream { fd: 3, local: …, peer: … }`, as std.
macro_rules! debug {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut s = f.debug_struct(stringify!($name));
                s.field("fd", &std::os::fd::AsRawFd::as_raw_fd(self));
                if let Ok(addr) = crate::net::unix::local_addr(&self.0) {
                    s.field("local", &addr);
                }
                if let Ok(addr) = crate::net::unix::peer_addr(&self.0) {
                    s.field("peer", &addr);
                }
                s.finish()
            }
        }
    )*};
}
use debug;
