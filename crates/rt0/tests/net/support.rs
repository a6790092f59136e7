//! What the tests of sockets share.

use rt0::net::{SocketAddr, TcpListener, TcpStream};

pub(crate) fn local() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    (listener, addr)
}

/// Both ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = local();
    let client = TcpStream::connect(addr).expect("somebody listens");
    let (server, from) = listener.accept().expect("somebody connects");
    assert_eq!(client.local_addr().expect("connected"), from);
    (client, server)
}
