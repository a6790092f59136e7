//! Servers on goroutines against real clients: curl, and hyper's on goroutines.

#[path = "server/support.rs"]
mod support;

use rt0::chan::bounded;
use rt0::net::TcpStream;
use rt0::sync::WaitGroup;
use rt0::time::Duration;
use rt0_hyper::{Request, Response, Server, handler};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll};
use support::{BOTH, Client, Version, start, tell};

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

const HTTP2: &str = "--http2-prior-knowledge";

#[rt0::test]
fn curl_speaks_both_protocols() {
    let server = start(Server::new(handler(tell)));
    assert_eq!(server.curl("/a", &[], b""), "HTTP/1.1 GET /a ");
    assert_eq!(server.curl("/b", &[HTTP2], b""), "HTTP/2.0 GET /b ");
    let body = "0123456789".repeat(100_000);
    for (args, version) in
        [(&["--data-binary", "@-"][..], "1.1"), (&["--data-binary", "@-", HTTP2], "2.0")]
    {
        let answer = server.curl("/c", args, body.as_bytes());
        assert!(answer == format!("HTTP/{version} POST /c {body}"), "{} bytes", answer.len());
    }
    // Two requests over one connection: curl tells how many it has made. (Its 7.88 fails at a
    // second one of HTTP/2 with prior knowledge; hyper's client makes them below.)
    let other = format!("http://{}/e", server.addr);
    let answer = server.curl("/d", &["-w", "(%{num_connects})", &other], b"");
    assert_eq!(answer, "HTTP/1.1 GET /e (1)HTTP/1.1 GET /d (0)");
    server.stop().expect("nobody is connected");
}

#[rt0::test]
fn a_connection_carries_many_requests() {
    let server = start(Server::new(handler(tell)));
    for version in BOTH {
        let mut client = Client::new(server.addr, version);
        for n in 0..200 {
            let (status, text) = client.send("/x", &n.to_string()).expect("an answer");
            assert_eq!(status, 200);
            assert!(text.ends_with(&format!("PUT /x {n}")), "{text}");
        }
    }
    server.stop().expect("connections are idle");
}

/// As many handlers as there are requests block at the same time, and wait for each other.
#[rt0::test]
fn handlers_block_without_keeping_each_other() {
    const CONNECTIONS: i32 = 20;
    const STREAMS: i32 = 10;
    for version in BOTH {
        let all = Arc::new(WaitGroup::new());
        let streams = if version == Version::Http1 { 1 } else { STREAMS };
        all.add(CONNECTIONS * streams);
        let theirs = Arc::clone(&all);
        let server = start(Server::new(handler(move |request: Request| {
            theirs.done();
            theirs.wait();
            rt0::time::sleep(Duration::from_millis(1));
            tell(request)
        })));
        let addr = server.addr;
        rt0::scope(|s| {
            for _ in 0..CONNECTIONS {
                s.go(move || match Client::new(addr, version) {
                    Client::Http2(client) => rt0::scope(|s| {
                        for _ in 0..streams {
                            let mut client = Client::Http2(client.clone());
                            s.go(move || {
                                assert_eq!(client.send("/", "").expect("an answer").0, 200)
                            });
                        }
                    }),
                    mut client => assert_eq!(client.send("/", "").expect("an answer").0, 200),
                });
            }
        });
        server.stop().expect("all were answered");
    }
}

/// Sends back the body as it comes.
#[derive(Clone)]
struct Echo;

impl tower_service::Service<Request> for Echo {
    type Response = Response<hyper::body::Incoming>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        ready(Ok(Response::new(request.into_body())))
    }
}

#[rt0::test]
fn bodies_are_streamed() {
    let server = start(Server::new(Echo));
    let body = "abcdefghijklmnop".repeat(200_000); // more than any window or buffer
    for version in BOTH {
        let mut client = Client::new(server.addr, version);
        let (status, text) = client.send("/", &body).expect("an answer");
        assert!((status, &text) == (200, &body), "{version:?}: {status}, {} bytes", text.len());
    }
    // Before the request has ended its first part comes back.
    let mut stream = TcpStream::connect(server.addr).expect("it listens");
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
    stream.write_all(head.as_bytes()).expect("connected");
    let mut text = Vec::new();
    while !text.ends_with(b"\r\none\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        text.push(byte[0]);
    }
    stream.write_all(b"0\r\n\r\n").expect("connected");
    drop(stream);
    server.stop().expect("all were answered");
}

#[rt0::test]
fn panics_are_answered_with_500() {
    let blocking = start(Server::new(handler(|request: Request| {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        tell(request)
    })));
    let polled = start(Server::new(Echo));
    for server in [&blocking, &polled] {
        for version in BOTH {
            let mut client = Client::new(server.addr, version);
            assert_eq!(client.send("/panic", "").expect("an answer"), (500, String::new()));
            assert_eq!(client.send("/", "x").expect("the server goes on").0, 200);
        }
    }
    blocking.stop().expect("connections are idle");
    polled.stop().expect("connections are idle");
}

/// The client goes away before the answer: the request's context ends.
#[rt0::test]
fn a_lost_client_cancels_its_request() {
    for version in BOTH {
        let (started, has_started) = bounded(1);
        let (ended, has_ended) = bounded(1);
        let server = start(Server::new(handler(move |request: Request| {
            let ctx = request.extensions().get::<rt0::context::Context>().expect("it is there");
            started.send(()).expect("the test waits");
            ctx.done().recv().expect("its end comes");
            ended.send(()).expect("the test waits");
            tell(request)
        })));
        let socket = Arc::new(TcpStream::connect(server.addr).expect("it listens"));
        match version {
            Version::Http1 => {
                let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                (&*socket).write_all(text).expect("connected");
                has_started.recv().expect("the handler runs");
            }
            Version::Http2 => {
                use hyper::client::conn::http2;
                use rt0::future::block_on;
                let io = rt0_hyper::Io::new(Arc::clone(&socket));
                let shake = http2::handshake(rt0_hyper::Executor, io);
                let (mut client, connection) = block_on(shake).expect("connected");
                rt0::go(move || block_on(connection));
                let request = http::Request::get("http://a/").body(String::new());
                let answer = client.send_request(request.expect("a request"));
                let answer = rt0::future::spawn_future(answer);
                has_started.recv().expect("the handler runs");
                drop(answer);
            }
        }
        socket.close();
        has_ended.recv().expect("it was cancelled");
        server.stop().expect("nobody is connected");
    }
}

#[rt0::test]
fn a_server_ends_after_the_answers_in_flight() {
    for version in BOTH {
        let (started, has_started) = bounded(1);
        let (go_on, may_go_on) = bounded::<()>(1);
        let server = start(Server::new(handler(move |request: Request| {
            if request.uri().path() == "/slow" {
                started.send(()).expect("the test waits");
                may_go_on.recv().expect("the test says so");
            }
            tell(request)
        })));
        let mut fresh = TcpStream::connect(server.addr).expect("it listens");
        let mut idle = Client::new(server.addr, version);
        idle.send("/", "").expect("an answer");
        let mut busy = Client::new(server.addr, version);
        let answer = rt0::go(move || busy.send("/slow", "body"));
        has_started.recv().expect("the handler runs");

        server.cancel.cancel();
        assert_eq!(fresh.read(&mut [0]).expect("no reset"), 0, "{version:?}");
        while idle.send("/", "").is_ok() {
            rt0::time::sleep(Duration::from_millis(1));
        }
        go_on.send(()).expect("the handler waits");
        let (status, text) = answer.join().expect("no panic").expect("it was in flight");
        assert!(status == 200 && text.ends_with("PUT /slow body"), "{status} {text}");
        server.join().expect("all have ended");
    }
}

#[rt0::test]
fn the_grace_ends() {
    let (started, has_started) = bounded(1);
    let (go_on, may_go_on) = bounded::<()>(0);
    let serve = handler(move |request: Request| {
        started.send(()).expect("the test waits");
        let _ = may_go_on.recv(); // until the test ends
        tell(request)
    });
    let server = start(Server::new(serve).grace(Duration::from_millis(20)));
    let mut client = Client::new(server.addr, Version::Http1);
    let answer = rt0::go(move || client.send("/", ""));
    has_started.recv().expect("the handler runs");
    let e = server.stop().expect_err("the handler goes on");
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    answer.join().expect("no panic").expect_err("it was cut off");
    drop(go_on);
}

/// A client that goes on sending when the answer is there, to a handler that does not read.
#[rt0::test]
fn who_sends_too_much_gets_the_answer() {
    const LENGTH: usize = 1_500_000;
    let server = start(Server::new(handler(|_: Request| {
        let mut refusal = Response::new(String::from("too much"));
        *refusal.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        refusal
    })));
    let mut stream = TcpStream::connect(server.addr).expect("it listens");
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("connected");
    let mut start = [0; 1000];
    while !start.windows(8).any(|text| text == b"too much") {
        stream.peek(&mut start).expect("connected");
    }
    stream.write_all(&vec![b'x'; LENGTH]).expect("the server lingers");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("too much"), "{answer}");
    server.stop().expect("nobody is connected");
}

/// hyper's own limit, by our timer: a head that does not come is given up.
#[rt0::test]
fn a_slow_head_ends_its_connection() {
    let limit = Duration::from_millis(20);
    let server = Server::new(handler(tell)).http(|http| {
        http.http1().header_read_timeout(limit);
    });
    let server = start(server);
    let mut stream = TcpStream::connect(server.addr).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHo").expect("connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("no reset");
    assert!(!answer.contains("200"), "{answer}");
    server.stop().expect("nobody is connected");
}

#[rt0::test]
fn many_connections() {
    let server = start(Server::new(handler(tell)));
    let addr = server.addr;
    rt0::scope(|s| {
        for n in 0..300 {
            s.go(move || {
                let mut client = Client::new(addr, BOTH[n % 2]);
                for _ in 0..5 {
                    assert_eq!(client.send("/", "x").expect("an answer").0, 200);
                }
            });
        }
    });
    server.stop().expect("connections are idle");
}
