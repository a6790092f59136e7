//! An axum router without tokio's runtime: HTTP/1 and HTTP/2.
//!
//!     axum [ADDRESS]        127.0.0.1:8080 without one
//!
//!     curl http://127.0.0.1:8080/hello/you
//!     curl --http2-prior-knowledge http://127.0.0.1:8080/hello/you
//!
//! One URL at a time: curl 7.88, which is Debian 12's, ends with status 16 at the second request on
//! a connection of HTTP/2 without TLS, whatever the server is.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use rt0::net::TcpListener;
use rt0_hyper::Server;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    if args.next().is_some() {
        eprintln!("usage: axum [ADDRESS]");
        return ExitCode::from(2);
    }
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("axum: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let router = Router::new()
        .route("/", get("Hello, World!"))
        .route("/hello/{name}", get(hello))
        .route("/reverse", post(reverse));
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    Server::new(router).serve(&listener, &rt0::context::background())
}

/// A handler may block its goroutine, as in a sleep of rt0's, without keeping anybody.
async fn hello(Path(name): Path<String>) -> String {
    rt0::time::sleep(Duration::from_millis(1));
    format!("Hello, {name}!")
}

/// What it awaits comes through the goroutine of the connection.
async fn reverse(body: String) -> String {
    let work = rt0::go(move || body.chars().rev().collect());
    work.await.unwrap_or_default()
}
