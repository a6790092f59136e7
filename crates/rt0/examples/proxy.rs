//! A TCP proxy: two goroutines for each connection, one for each direction.
//!
//!     proxy LISTEN TARGET      proxy 127.0.0.1:8080 example.org:80

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::net::{Shutdown, TcpListener, TcpStream};
use std::io;
use std::process::ExitCode;

#[rt0::main]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target] = &args[..] else {
        eprintln!("usage: proxy LISTEN TARGET");
        return ExitCode::from(2);
    };
    match serve(listen, target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("proxy: {listen}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(listen: &str, target: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (client, from) = listener.accept()?;
        let target = target.to_owned();
        rt0::go(move || match TcpStream::connect(&*target) {
            Ok(server) => {
                let (up, down) = forward(&client, &server);
                eprintln!("{from}: {up} bytes up, {down} down");
            }
            Err(e) => eprintln!("{from}: {target}: {e}"),
        });
    }
}

/// Until both sides have ended; how much went each way.
fn forward(client: &TcpStream, server: &TcpStream) -> (u64, u64) {
    rt0::scope(|s| {
        let up = s.go(|| one_way(client, server));
        let down = one_way(server, client);
        (up.join().unwrap_or(0), down)
    })
}

/// The end of one side is passed on; an error ends the other side too.
fn one_way(mut from: &TcpStream, mut to: &TcpStream) -> u64 {
    let copied = rt0::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write); // it may have gone already
    copied.unwrap_or_else(|_| {
        from.close();
        0
    })
}
