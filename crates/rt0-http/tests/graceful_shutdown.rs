//! The example of that name, run as the program it is.
//!
//! `cargo test` builds it next to this test; `cargo test --test graceful_shutdown` alone does not.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: ChildStderr,
    address: String,
}

impl Server {
    fn start(seconds: &str) -> Server {
        let this = std::env::current_exe().expect("a path to this test");
        let profile = this.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        // Who started us may ignore some.
        let mut child = Command::new("env")
            .arg("--default-signal")
            .arg(profile.join("examples/graceful_shutdown"))
            .args(["127.0.0.1:0", seconds])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is built: cargo build --examples");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let errors = child.stderr.take().expect("piped");
        let mut line = String::new();
        out.read_line(&mut line).expect("text");
        let address = line.strip_prefix("listening on ").expect("its address").trim().to_owned();
        Server { child, out, errors, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("not zero");
        stream
    }

    /// A request that has begun, and lacks `missing` bytes of its body.
    fn begin(&self, missing: usize) -> TcpStream {
        let mut stream = self.connect();
        let head = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            missing + 2
        );
        stream.write_all(head.as_bytes()).expect("connected");
        let want = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut got = vec![0; want.len()];
        stream.read_exact(&mut got).expect("the handler reads the body");
        assert_eq!(got, want);
        stream.write_all(b"on").expect("connected");
        stream
    }

    fn kill(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("not zero");
        kill_process(pid, signal).expect("ours");
    }

    /// Until it says that it ends.
    fn kill_and_hear(&mut self, signal: Signal) -> String {
        self.kill(signal);
        let mut line = String::new();
        self.out.read_line(&mut line).expect("text");
        line
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("ours");
        let mut text = String::new();
        self.errors.read_to_string(&mut text).expect("text");
        (status, text)
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it closes the connection");
    text
}

#[test]
fn what_has_begun_is_answered() {
    for (signal, says) in [
        (Signal::TERM, "terminated signal received, ending\n"),
        (Signal::INT, "interrupt signal received, ending\n"),
    ] {
        let mut server = Server::start("60");
        let idle = server.connect();
        let mut busy: Vec<_> = (0..5).map(|_| server.begin(2)).collect();
        assert_eq!(server.kill_and_hear(signal), says);
        assert!(TcpStream::connect(&server.address).is_err(), "it accepts on");
        assert_eq!(rest(idle), "");
        for mut stream in busy.drain(..) {
            stream.write_all(b"ly").expect("connected");
            let answer = rest(stream);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nonly"), "{answer}");
        }
        let (status, errors) = server.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    }
}

#[test]
fn nobody_is_waited_for_longer_than_said() {
    let mut server = Server::start("0.1");
    let stuck = server.begin(1);
    server.kill_and_hear(Signal::TERM);
    let (status, errors) = server.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("1 connections were still busy"), "{errors}");
    drop(stuck);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start("60");
    let stuck = server.begin(1);
    server.kill_and_hear(Signal::INT);
    server.kill(Signal::INT);
    assert_eq!(server.end().0.signal(), Some(2));
    drop(stuck);
}
