//! HTTP/1.1 in plain blocking code, on rt0's goroutines: a server and a client.
//!
//! ```
//! use rt0::net::TcpListener;
//! use rt0_http::{Client, Request, Response, Server};
//!
//! # #[rt0::main] fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let url = format!("http://{}/", listener.local_addr()?);
//! let (ctx, stop) = rt0::context::with_cancel(&rt0::context::background());
//! let server = Server::new(|_: Request| Response::new("Hello, World!".into()));
//! let serving = rt0::go(move || server.serve(&listener, &ctx));
//!
//! let client = Client::new();
//! let answer = client.get(&url)?.into_body().bytes()?;
//! assert_eq!(answer, "Hello, World!");
//!
//! stop.cancel();
//! serving.join().unwrap()?;
//! # Ok(()) }
//! ```
//!
//! Requests and responses are those of the [`http`] crate, with a [`Body`] that is bytes or a
//! stream. The server runs each connection in a goroutine of its own, and so the handler, which may
//! block as it likes. Go: package net/http.
//!
//! Not here: HTTP/2, upgrades, redirects, cookies, compression.

#![forbid(unsafe_code)]

mod body;
mod client;
mod conn;
mod control;
mod date;
mod head;
mod incoming;
mod input;
mod kit;
mod names;
mod output;
mod pool;
mod server;
mod stream;

pub use body::Body;
pub use client::Client;
pub use http;
pub use server::Server;

/// A request, with its body.
pub type Request = http::Request<Body>;
/// A response, with its body.
pub type Response = http::Response<Body>;

/// The answer to `request`: 200, and no header yet.
///
/// The same as [`Response::new`], but that its headers get the memory which those of the request
/// had: a server whose handlers answer so allocates nothing for most requests. The request is
/// dropped, with what was not read of its body.
///
/// ```
/// use rt0_http::http::header::{CONTENT_TYPE, HeaderValue};
/// use rt0_http::{Request, Response, answer};
///
/// fn hello(request: Request) -> Response {
///     let mut response = answer(request, "Hello, World!");
///     response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
///     response
/// }
/// # let mut request = Request::new("left".into());
/// # request.headers_mut().insert("x", HeaderValue::from_static("y"));
/// # let response = hello(request);
/// # assert_eq!(response.status(), 200);
/// # assert_eq!(response.headers().len(), 1);
/// # assert_eq!(response.into_body().text().unwrap(), "Hello, World!");
/// ```
pub fn answer(mut request: Request, body: impl Into<Body>) -> Response {
    let mut headers = std::mem::take(request.headers_mut());
    drop(request);
    headers.clear();
    let mut response = Response::new(body.into());
    *response.headers_mut() = headers;
    response
}
