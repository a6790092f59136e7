//! A web server that says hello.
//!
//!     http [ADDRESS]        127.0.0.1:8080 without one

use rt0::net::TcpListener;
use rt0_http::http::StatusCode;
use rt0_http::http::header::{CONTENT_TYPE, HeaderValue};
use rt0_http::{Request, Response, Server, answer};
use std::io;
use std::process::ExitCode;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    if args.next().is_some() {
        eprintln!("usage: http [ADDRESS]");
        return ExitCode::from(2);
    }
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("http: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    Server::new(hello).serve(&listener, &rt0::context::background())
}

fn hello(request: Request) -> Response {
    let (status, text) = match request.uri().path() {
        "/" => (StatusCode::OK, "Hello, World!"),
        _ => (StatusCode::NOT_FOUND, "there is nothing here\n"),
    };
    let mut response = answer(request, text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
