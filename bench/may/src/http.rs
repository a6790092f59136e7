//! Web servers that say hello, for ever.

use bench_common::Took;
use bench_common::http::{BODY, Requests, listening};
use may::go;
use may::net::{TcpListener, TcpStream};
use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io::{self, Read, Write};

/// Without a library.
pub(crate) fn raw() -> io::Result<Took> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listening(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        drop(go!(move || answer(stream))); // the load closes
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut out = Vec::new();
    loop {
        match stream.read(requests.room())? {
            0 => return Ok(()),
            n => requests.came(n, &mut out),
        }
        stream.write_all(&out)?;
    }
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        response.header("Content-Type: text/plain");
        response.body(BODY);
        Ok(())
    }
}

/// may_minihttp. It does not say which port it was given, so it is told one that was free.
pub(crate) fn library() -> io::Result<Took> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let server = HttpServer(Hello).start(address)?;
    listening(address);
    server.wait();
    unreachable!("nobody ends it")
}
