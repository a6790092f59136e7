//! hyper 1 on rt0's goroutines: HTTP/1 and HTTP/2, servers and clients, and tower's services.
//!
//! ```
//! use rt0::net::TcpListener;
//! use rt0_hyper::{Request, Response, Server, handler};
//!
//! # #[rt0::main] fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let (ctx, stop) = rt0::context::with_cancel(&rt0::context::background());
//! let hello = handler(|_: Request| Response::new(String::from("Hello, World!")));
//! let serving = rt0::go(move || Server::new(hello).serve(&listener, &ctx));
//! # drop(stop);
//! serving.join().unwrap()
//! # }
//! ```
//!
//! A [`Server`] runs each connection in a goroutine, and each request of HTTP/2 in one of its own.
//! It serves what is a tower service: an axum router (without axum's feature `tokio`), or a plain
//! closure made one by [`handler`], whose calls run in goroutines that may block as they like.
//!
//! For what else hyper can do there are the parts: [`Io`] around a stream, [`Executor`], [`Timer`],
//! and [`rt0::future`]. A client:
//!
//! ```
//! use hyper::client::conn::http1;
//! use rt0::future::{block_on, spawn_future};
//! use rt0_hyper::{Io, read};
//!
//! # fn get(addr: rt0::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
//! let io = Io::new(rt0::net::TcpStream::connect(addr)?);
//! let (mut client, connection) = block_on(http1::handshake(io))?;
//! rt0::go(move || block_on(connection)); // moves the bytes
//! let request = http::Request::get("/").header("host", "example.org").body(String::new())?;
//! let answer = block_on(client.send_request(request))?;
//! let body = read(answer.into_body())?;
//! # drop(body);
//! # Ok(()) }
//! ```
//!
//! Async code that is polled on a goroutine may block it. But what it waits for must not need that
//! goroutine: in HTTP/1 the connection's goroutine polls the handler's future and moves its bytes,
//! so an async handler awaits the body of its request; one that blocks is a [`handler`].

#![forbid(unsafe_code)]

mod handler;
mod io;
mod rt;
mod server;
mod service;

pub use handler::{Handler, HandlerFuture, handler, read};
pub use http;
pub use hyper;
pub use io::Io;
pub use rt::{Executor, Sleep, Timer};
pub use server::Server;

/// A request that has come, with the body that is still to come.
pub type Request = http::Request<hyper::body::Incoming>;
/// A response.
pub type Response<B> = http::Response<B>;
