//! A web server that says hello, for ever.

use bench_common::Took;
use bench_common::http::{Requests, listening};
use smol::io::{self, AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

/// Without a library.
pub(crate) async fn raw() -> io::Result<Took> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    listening(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        smol::spawn(answer(stream)).detach(); // the load closes
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut out = Vec::new();
    loop {
        match stream.read(requests.room()).await? {
            0 => return Ok(()),
            n => requests.came(n, &mut out),
        }
        stream.write_all(&out).await?;
    }
}
