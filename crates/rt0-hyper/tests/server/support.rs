//! Servers for tests, and clients: hyper's on goroutines, and curl.

use http_body::Body;
use hyper::client::conn::{http1, http2};
use rt0::context::{Cancel, background, with_cancel};
use rt0::future::block_on;
use rt0::net::{SocketAddr, TcpListener, TcpStream};
use rt0_hyper::{Executor, Io, Request, Response, Server, Timer};
use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};

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

pub(crate) fn start<S, B>(server: Server<S>) -> Running
where
    S: tower_service::Service<Request, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (ctx, cancel) = with_cancel(&background());
    let serving = rt0::go(move || server.serve(&listener, &ctx));
    Running { addr, cancel, serving }
}

impl Running {
    pub(crate) fn stop(self) -> io::Result<()> {
        self.cancel.cancel();
        self.join()
    }

    pub(crate) fn join(self) -> io::Result<()> {
        self.serving.join().expect("serving does not panic")
    }

    /// What curl gets, and its messages if it fails.
    pub(crate) fn curl(&self, path: &str, args: &[&str], body: &[u8]) -> String {
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(args)
            .arg(format!("http://{}{path}", self.addr))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        let _ = curl.stdin.take().expect("it is piped").write_all(body); // if it wants any
        let out = curl.wait_with_output().expect("curl ends");
        String::from_utf8(out.stdout).expect("UTF-8") + &String::from_utf8_lossy(&out.stderr)
    }
}

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

pub(crate) const BOTH: [Version; 2] = [Version::Http1, Version::Http2];

/// A connection of hyper's client, moved by a goroutine.
pub(crate) enum Client {
    Http1(http1::SendRequest<String>),
    Http2(http2::SendRequest<String>),
}

impl Client {
    pub(crate) fn new(addr: SocketAddr, version: Version) -> Client {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_nodelay(true).expect("connected");
        let io = Io::new(stream);
        match version {
            Version::Http1 => {
                let (client, connection) = block_on(http1::handshake(io)).expect("connected");
                rt0::go(move || block_on(connection));
                Client::Http1(client)
            }
            Version::Http2 => {
                let mut builder = http2::Builder::new(Executor);
                builder.timer(Timer);
                let (client, connection) = block_on(builder.handshake(io)).expect("connected");
                rt0::go(move || block_on(connection));
                Client::Http2(client)
            }
        }
    }

    /// The status and the body of an answer.
    pub(crate) fn send(&mut self, path: &str, body: &str) -> hyper::Result<(u16, String)> {
        let request = |uri: &str| {
            http::Request::put(uri).header("host", "here").body(body.to_owned()).expect("a request")
        };
        let answer = match self {
            Client::Http1(client) => block_on(async {
                client.ready().await?;
                client.send_request(request(path)).await
            }),
            Client::Http2(client) => {
                block_on(client.send_request(request(&format!("http://here{path}"))))
            }
        }?;
        let status = answer.status().as_u16();
        let body = rt0_hyper::read(answer.into_body())?;
        Ok((status, String::from_utf8(body.to_vec()).expect("UTF-8")))
    }
}

/// Says what it was asked: the version, the method, the path, and the body.
pub(crate) fn tell(request: Request) -> Response<String> {
    let asked = format!("{:?} {} {} ", request.version(), request.method(), request.uri().path());
    match rt0_hyper::read(request.into_body()) {
        Ok(body) => Response::new(asked + &String::from_utf8_lossy(&body)),
        Err(e) => Response::new(format!("{asked}{e}")),
    }
}
