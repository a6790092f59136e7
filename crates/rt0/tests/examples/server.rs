//! The examples that are servers.

use super::support::example;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A server that is killed at the end, and where it listens.
pub(crate) struct Server(Child, pub(crate) String);

impl Server {
    pub(crate) fn start(name: &str, args: &[&str]) -> Server {
        let mut child = Command::new(example(name))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let out = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("listening on ").expect("its address").trim().to_owned();
        Server(child, address)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.1).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("not zero");
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `stream` answers to `data`, sent by another thread.
pub(crate) fn ask(stream: TcpStream, data: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    thread::scope(|s| {
        s.spawn(|| {
            (&stream).write_all(data).expect("it reads");
            stream.shutdown(Shutdown::Write).expect("connected");
        });
        (&stream).read_to_end(&mut back).expect("it answers");
    });
    back
}
