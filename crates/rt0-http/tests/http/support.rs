//! Servers for tests, and a client that sends what it is told.

#![allow(dead_code, reason = "each test file uses a part of it")]

use rt0::context::{Cancel, background, with_cancel};
use rt0::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use rt0_http::{Request, Response, Server};
use std::io::{self, Read, Write};
use std::process::Command;

const VARIABLE: &str = "RT0_TEST_ALONE";

/// Runs all tests of the calling file again, on so many Ps.
pub(crate) fn on_ps(numbers: &[u32]) {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    for n in numbers {
        let this = std::env::current_exe().expect("this test");
        let mut command = Command::new(this);
        command.env("GOMAXPROCS", n.to_string()).env(VARIABLE, "1");
        let out = command.output().expect("the test starts");
        let [text, errors] = [&out.stdout, &out.stderr].map(|b| String::from_utf8_lossy(b));
        assert!(out.status.success(), "{n} Ps: {}\n{text}\n{errors}", out.status);
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) cancel: Cancel,
    serving: rt0::JoinHandle<io::Result<()>>,
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).expect("the server listens");
        stream.set_nodelay(true).expect("connected"); // tests write in small pieces
        stream
    }

    /// What the server answers to `text` until it closes.
    pub(crate) fn send(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_ref()).expect("the server reads");
        read_all(&mut stream)
    }

    /// The same, if nothing more comes after `text`.
    pub(crate) fn send_all(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_ref()).expect("the server reads");
        stream.shutdown(Shutdown::Write).expect("connected");
        read_all(&mut stream)
    }

    pub(crate) fn stop(self) -> io::Result<()> {
        self.cancel.cancel();
        self.join()
    }

    pub(crate) fn join(self) -> io::Result<()> {
        self.serving.join().expect("serving does not panic")
    }
}

pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("no reset");
    String::from_utf8(answer).expect("UTF-8")
}

/// Reads until what was read ends with `end`.
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|e| {
            panic!("{e} after {:?}", String::from_utf8_lossy(&text));
        });
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("UTF-8")
}

pub(crate) fn serve<F>(handler: F) -> Running
where
    F: Fn(Request) -> Response + Send + Sync + 'static,
{
    start(Server::new(handler))
}

pub(crate) fn start<F>(server: Server<F>) -> Running
where
    F: Fn(Request) -> Response + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (ctx, cancel) = with_cancel(&background());
    let serving = rt0::go(move || server.serve(&listener, &ctx));
    Running { addr, cancel, serving }
}

/// Says what it was asked: the method, the path, and the body.
pub(crate) fn tell(request: Request) -> Response {
    let asked = format!("{} {} ", request.method(), request.uri());
    match request.into_body().text() {
        Ok(body) => Response::new((asked + &body).into()),
        Err(e) => Response::new(format!("{asked}{e}").into()),
    }
}

/// The status of an answer, and its body.
pub(crate) fn parts(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    (head.get(9..12).unwrap_or("none"), body)
}
