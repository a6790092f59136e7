//! Connections of the loopback device, both ends of which are tasks.

use bench_common::{Span, Took, each_of};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn;

/// How many connections there are at once.
const CONNECTIONS: u64 = 64;

/// 64 bytes there and back, one request after the other on each connection.
pub(crate) async fn tcp_echo(n: u64) -> io::Result<Took> {
    let (each, all) = each_of(n, CONNECTIONS);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(address).await?);
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        servers.push(spawn(async move {
            let mut buf = [0; 4096];
            loop {
                match stream.read(&mut buf).await? {
                    0 => return io::Result::Ok(()),
                    n => stream.write_all(&buf[..n]).await?,
                }
            }
        }));
    }
    let span = Span::start();
    let clients: Vec<_> = clients
        .into_iter()
        .map(|mut stream| {
            spawn(async move {
                stream.set_nodelay(true)?;
                let mut buf = [b'x'; 64];
                for _ in 0..each {
                    stream.write_all(&buf).await?;
                    stream.read_exact(&mut buf).await?;
                }
                io::Result::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await.expect("it does not panic")?;
    }
    let took = span.stop(all);
    for server in servers {
        server.await.expect("it does not panic")?;
    }
    Ok(took)
}
