//! Web servers that say hello, for ever.

use bench_common::Took;
use bench_common::http::{BODY, Requests, listening};
use rt0::net::{TcpListener, TcpStream};
use rt0_http::http::header::{CONTENT_TYPE, HeaderValue};
use rt0_http::{Request, Server, answer};
use std::io::{self, Read, Write};

/// Without a library.
pub(crate) fn raw() -> io::Result<Took> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listening(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        drop(rt0::go(move || serve(stream))); // the load closes
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
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

/// rt0-http.
pub(crate) fn library() -> io::Result<Took> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listening(listener.local_addr()?);
    let hello = |request: Request| {
        let mut response = answer(request, BODY);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    };
    Server::new(hello).serve(&listener, &rt0::context::background())?;
    unreachable!("nobody ends it")
}
