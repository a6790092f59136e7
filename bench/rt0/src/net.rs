//! Connections of the loopback device, both ends of which are goroutines.

use bench_common::{Span, Took, each_of};
use rt0::net::{TcpListener, TcpStream};
use std::io::{self, Read, Write};

/// How many connections there are at once.
const CONNECTIONS: u64 = 64;

/// 64 bytes there and back, one request after the other on each connection.
pub(crate) fn tcp_echo(n: u64) -> io::Result<Took> {
    let (each, all) = each_of(n, CONNECTIONS);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(address)?);
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        servers.push(rt0::go(move || -> io::Result<()> {
            let mut buf = [0; 4096];
            loop {
                match stream.read(&mut buf)? {
                    0 => return Ok(()),
                    n => stream.write_all(&buf[..n])?,
                }
            }
        }));
    }
    let span = Span::start();
    let clients: Vec<_> = clients
        .into_iter()
        .map(|mut stream| {
            rt0::go(move || -> io::Result<()> {
                stream.set_nodelay(true)?;
                let mut buf = [b'x'; 64];
                for _ in 0..each {
                    stream.write_all(&buf)?;
                    stream.read_exact(&mut buf)?;
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().expect("it does not panic")?;
    }
    let took = span.stop(all);
    for server in servers {
        server.join().expect("it does not panic")?;
    }
    Ok(took)
}
