//! A server that speaks Redis' protocol, for `redis-cli`, `redis-benchmark` and client libraries.
//!
//!     redis [ADDRESS]       127.0.0.1:6379 without one
//!
//! Strings, lists, hashes, sets and sorted sets, in memory. A goroutine for each connection: it
//! reads commands and writes replies, those that came together in one piece.

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

#[path = "redis/protocol.rs"]
mod protocol;
#[path = "redis/sorted.rs"]
mod sorted;
#[path = "redis/store.rs"]
mod store;

use protocol::{Link, Reply, next_command};
use rt0::net::{TcpListener, TcpStream};
use std::io::{self, BufReader};
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:6379".into());
    if args.next().is_some() {
        eprintln!("usage: redis [ADDRESS]");
        return ExitCode::from(2);
    }
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("redis: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let store = Arc::new(Store::default());
    loop {
        let (stream, from) = listener.accept()?;
        let store = Arc::clone(&store);
        rt0::go(move || {
            if let Err(e) = talk(&stream, &store) {
                eprintln!("{from}: {e}");
            }
        });
    }
}

fn talk(stream: &TcpStream, store: &Store) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(16 << 10, Link::new(stream));
    loop {
        let command = match next_command(&mut input) {
            Ok(Some(command)) => command,
            Ok(None) => return input.get_mut().flush(),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                let said = input.get_mut().reply(&Err(format!("ERR Protocol error: {e}")));
                return said.and_then(|()| input.get_mut().flush());
            }
            Err(e) => return Err(e),
        };
        let Some((name, args)) = command.split_first() else { continue };
        let name = String::from_utf8_lossy(name).to_uppercase();
        if name == "QUIT" {
            input.get_mut().reply(&Ok(Reply::Simple("OK")))?;
            return input.get_mut().flush();
        }
        input.get_mut().reply(&store.call(&name, args))?;
    }
}
