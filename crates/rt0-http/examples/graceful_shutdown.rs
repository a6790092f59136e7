//! A web server that ends as a service should.
//!
//!     graceful_shutdown [ADDRESS [SECONDS]]        127.0.0.1:8080 and 10 without them
//!
//! On SIGTERM or Ctrl-C it accepts nobody any more, answers the requests that have begun, for
//! SECONDS at most, and exits with status 0. A second signal ends it at once.

use rt0::context::background;
use rt0::net::TcpListener;
use rt0::signal::{Signal, notify_context};
use rt0_http::http::StatusCode;
use rt0_http::{Request, Response, Server};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let grace = args.next().map_or(Ok(10.0), |seconds| seconds.parse());
    let (Ok(grace), None) = (grace.map(Duration::try_from_secs_f64), args.next()) else {
        eprintln!("usage: graceful_shutdown [ADDRESS [SECONDS]]");
        return ExitCode::from(2);
    };
    match grace.map_err(io::Error::other).and_then(|grace| serve(&address, grace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("graceful_shutdown: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str, grace: Duration) -> io::Result<()> {
    let (ctx, stop) = notify_context(&background(), &[Signal::TERM, Signal::INT])?;
    let listener = Arc::new(TcpListener::bind(address)?);
    println!("listening on {}", listener.local_addr()?);

    rt0::go({
        let (ctx, listener) = (ctx.clone(), Arc::clone(&listener));
        move || {
            let _ = ctx.done().recv();
            listener.close(); // who connects now is refused
            drop(stop); // the next signal does what it always does
            println!("{}, ending", ctx.cause().expect("the context has ended"));
        }
    });
    Server::new(echo).grace(grace).serve(&listener, &ctx)
}

/// Returns what it is sent.
fn echo(request: Request) -> Response {
    match request.into_body().bytes() {
        Ok(bytes) => Response::new(bytes.into()),
        Err(e) => {
            let mut response = Response::new(e.to_string().into());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}
