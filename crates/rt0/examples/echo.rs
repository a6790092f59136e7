//! An echo server: a goroutine for each connection.
//!
//!     echo [ADDRESS]        127.0.0.1:7007 without one

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::net::{TcpListener, TcpStream};
use std::io;
use std::process::ExitCode;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7007".into());
    if args.next().is_some() {
        eprintln!("usage: echo [ADDRESS]");
        return ExitCode::from(2);
    }
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("echo: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, from) = listener.accept()?;
        rt0::go(move || {
            if let Err(e) = echo(&stream) {
                eprintln!("{from}: {e}");
            }
        });
    }
}

fn echo(stream: &TcpStream) -> io::Result<u64> {
    let (mut reader, mut writer) = (stream, stream);
    rt0::io::copy(&mut reader, &mut writer)
}
