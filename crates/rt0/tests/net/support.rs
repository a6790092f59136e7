//! What the tests of sockets share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use rt0::net::{SocketAddr, TcpListener, TcpStream};

pub(crate) fn local() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    (listener, addr)
}

/// The same on an address of this process's own: when it is closed nobody else listens there.
pub(crate) fn own_local() -> (TcpListener, SocketAddr) {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let listener = TcpListener::bind(SocketAddr::from(([127, a, b, c], 0))).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    (listener, addr)
}

/// An address that refuses, and is nobody else's as long as the rest is kept: a port that was freed
/// may be another test's a moment later.
pub(crate) fn refusing() -> (SocketAddr, impl Sized) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
    let (stream, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = socket_with(AddressFamily::INET, stream, flags, None).expect("a descriptor");
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let addr = getsockname(&socket).expect("it is bound").try_into().expect("of the internet");
    (addr, socket)
}

/// Both ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = local();
    let client = TcpStream::connect(addr).expect("somebody listens");
    let (server, from) = listener.accept().expect("somebody connects");
    assert_eq!(client.local_addr().expect("connected"), from);
    (client, server)
}

/// An address that does not answer, as long as the rest is kept.
pub(crate) fn silent() -> (SocketAddr, impl Sized) {
    let (full, addr) = local();
    rustix::net::listen(&full, 1).expect("it listens already");
    let mut queued = Vec::new();
    let timeout = std::time::Duration::from_millis(100);
    let e = loop {
        match TcpStream::connect_timeout(&addr, timeout) {
            Ok(s) => queued.push(s),
            Err(e) => break e,
        }
    };
    assert_eq!(e.kind(), std::io::ErrorKind::TimedOut);
    (addr, (full, queued))
}

/// What is open, but for what sysmon reads at times.
pub(crate) fn open_files() -> Vec<String> {
    let fds = std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let mut names: Vec<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with("/proc/"));
    names.sort();
    names
}
