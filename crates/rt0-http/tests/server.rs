//! What a server does for a client that speaks well, or slowly.

#[path = "http/support.rs"]
mod support;

use rt0::net::TcpStream;
use rt0::sync::WaitGroup;
use rt0::time::{Duration, Instant};
use rt0_http::http::StatusCode;
use rt0_http::http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use rt0_http::{Body, Request, Response, Server};
use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use support::{parts, read_all, read_until, serve, start, tell};

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LAST: &str = "GET /last ";

#[rt0::test]
fn a_connection_is_kept_for_the_next_request() {
    let server = serve(tell);
    let mut stream = server.connect();
    for i in 0..100 {
        write!(stream, "GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
        let answer = read_until(&mut stream, &format!("GET /{i} "));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: "), "{answer}");
        assert!(answer.contains("\r\ndate: ") && !answer.contains("connection"), "{answer}");
    }
    stream.write_all(CLOSE.as_bytes()).expect("connected");
    assert_eq!(parts(&read_all(&mut stream)), ("200", LAST));
}

#[rt0::test]
fn clients_of_http_1_0_say_when_to_keep_a_connection() {
    let server = serve(tell);
    let answer = server.send("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").expect("connected");
    let answer = read_until(&mut stream, "GET / ");
    assert!(answer.contains("\r\nconnection: keep-alive\r\n"), "{answer}");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("connected");
    assert_eq!(parts(&read_all(&mut stream)).0, "200");
}

#[rt0::test]
fn requests_in_a_row_are_answered_in_order() {
    let server = serve(tell);
    let mut text = String::new();
    for i in 0..200 {
        text += &match i % 3 {
            0 => format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("PUT /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
            _ => format!(
                "PUT /{i} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nde\r\n1;x\r\nf\r\n0\r\nX: y\r\n\r\n"
            ),
        };
    }
    let answer = server.send(text + CLOSE);
    let mut rest = &answer[..];
    for i in 0..200 {
        let body = match i % 3 {
            0 => format!("GET /{i} "),
            1 => format!("PUT /{i} abc"),
            _ => format!("PUT /{i} def"),
        };
        let at = rest.find(&body).unwrap_or_else(|| panic!("{i}: {rest}"));
        rest = &rest[at + body.len()..];
    }
    assert_eq!(parts(rest), ("200", LAST));
}

#[rt0::test]
fn requests_may_come_byte_by_byte() {
    let server = serve(tell);
    let mut stream = server.connect();
    let text = "\r\nPUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                a;b=c\r\n0123456789\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n";
    for byte in text.bytes() {
        stream.write_all(&[byte]).expect("connected");
        rt0::gosched();
    }
    stream.write_all(CLOSE.as_bytes()).expect("connected");
    let answer = read_all(&mut stream);
    assert!(answer.contains("PUT /x 0123456789xHTTP/1.1 200"), "{answer}");
}

#[rt0::test]
fn lines_may_end_without_cr() {
    let server = serve(tell);
    assert_eq!(parts(&server.send("GET / HTTP/1.1\nHost: a\nConnection: close\n\n")).0, "200");
}

#[rt0::test]
fn targets_may_be_whole_addresses_and_an_asterisk() {
    let server = serve(tell);
    let ask = |line: &str| server.send(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let answer = ask("GET http://b/c?d HTTP/1.1");
    assert_eq!(parts(&answer), ("200", "GET http://b/c?d "));
    assert_eq!(parts(&ask("OPTIONS * HTTP/1.1")), ("200", "OPTIONS * "));
    assert_eq!(parts(&ask("FROBNICATE /x HTTP/1.1")), ("200", "FROBNICATE /x "));
}

/// By the path: a body of each kind, and headers that are not for the handler to set.
fn kinds(request: Request) -> Response {
    let mut response = Response::default();
    *response.body_mut() = match request.uri().path() {
        "/bytes" => "0123456789".into(),
        "/large" => vec![b'x'; 100_000].into(),
        "/stream" => Body::from_reader(Cursor::new("0123456789").chain(Cursor::new("x"))),
        "/sized" => Body::from_sized_reader(io::repeat(b'x'), 50_000),
        "/short" => Body::from_sized_reader(Cursor::new("x"), 2),
        "/fails" => Body::from_reader(Cursor::new("x").chain(Fails)),
        "/fails-at-once" => Body::from_reader(Fails),
        "/panics" => Body::from_reader(Panics),
        "/echo" => return Response::new(request.into_body()),
        _ => Body::empty(),
    };
    match request.uri().path() {
        "/204" => *response.status_mut() = StatusCode::NO_CONTENT,
        "/304" => *response.status_mut() = StatusCode::NOT_MODIFIED,
        "/100" => *response.status_mut() = StatusCode::CONTINUE,
        "/close" => {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("x, Close"));
        }
        "/lies" | "/head" => {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("77"));
            response.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {}
    }
    response
}

struct Fails;

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("as intended"))
    }
}

struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("as intended")
    }
}

#[rt0::test]
fn each_kind_of_body_is_framed_as_it_must_be() {
    let server = serve(kinds);
    let ask = |line: &str| server.send(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let cases = [
        ("GET /bytes HTTP/1.1", "200", "content-length: 10", "0123456789".to_owned()),
        ("GET /large HTTP/1.1", "200", "content-length: 100000", "x".repeat(100_000)),
        ("GET /sized HTTP/1.1", "200", "content-length: 50000", "x".repeat(50_000)),
        ("GET /none HTTP/1.1", "200", "content-length: 0", String::new()),
        ("GET /lies HTTP/1.1", "200", "content-length: 0", String::new()),
        (
            "GET /stream HTTP/1.1",
            "200",
            "transfer-encoding: chunked",
            "000a\r\n0123456789\r\n0001\r\nx\r\n0\r\n\r\n".to_owned(),
        ),
        ("GET /stream HTTP/1.0", "200", "", "0123456789x".to_owned()),
        ("HEAD /bytes HTTP/1.1", "200", "content-length: 10", String::new()),
        ("HEAD /sized HTTP/1.1", "200", "content-length: 50000", String::new()),
        ("HEAD /stream HTTP/1.1", "200", "", String::new()),
        ("HEAD /head HTTP/1.1", "200", "content-length: 77", String::new()),
        ("GET /204 HTTP/1.1", "204", "", String::new()),
        ("GET /304 HTTP/1.1", "304", "", String::new()),
    ];
    for (line, status, field, body) in cases {
        let answer = ask(line);
        assert_eq!(parts(&answer), (status, &*body), "{line}");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        let lengths = head.matches("content-length").count() + head.matches("encoding").count();
        assert_eq!(lengths, usize::from(!field.is_empty()), "{line}: {head}");
        assert!(head.contains(field), "{line}: {head}");
    }
}

#[rt0::test]
fn messages_without_a_body_do_not_end_the_connection() {
    let server = serve(kinds);
    let lines =
        ["HEAD /bytes", "HEAD /stream", "HEAD /none", "GET /204", "GET /304", "GET /stream"];
    for line in lines {
        let text = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = server.send(text + "GET /close HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{line}: {answer}");
        assert!(!answer[..answer.len() / 2].contains("connection: close"), "{line}: {answer}");
    }
}

#[rt0::test]
fn bodies_that_fail_are_seen_to_be_cut_off() {
    let server = serve(kinds);
    let ask = |path: &str| server.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(parts(&ask("/fails")), ("200", "0001\r\nx\r\n"));
    assert_eq!(parts(&ask("/short")), ("200", "x"));
    assert_eq!(parts(&ask("/fails-at-once")).0, "500");
    assert_eq!(parts(&ask("/panics")).0, "500");
    assert_eq!(parts(&ask("/100")).0, "500");
}

#[rt0::test]
fn a_body_can_be_sent_back_while_it_comes() {
    let server = serve(kinds);
    let mut stream = server.connect();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("connected");
    for i in 0..50 {
        // In one piece: what comes in pieces is sent back in pieces.
        stream.write_all(format!("4\r\n{i:04}\r\n").as_bytes()).expect("connected");
        read_until(&mut stream, &format!("0004\r\n{i:04}\r\n"));
    }
    stream.write_all(format!("0\r\n\r\n{CLOSE}").as_bytes()).expect("connected");
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
}

#[rt0::test]
fn who_expects_a_sign_to_go_on_gets_it_when_the_body_is_read() {
    let server = serve(|request: Request| match request.uri().path() {
        "/read" => tell(request),
        _ => Response::new("no".into()),
    });
    let text = |path| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut stream = server.connect();
    stream.write_all(text("/read").as_bytes()).expect("connected");
    assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(format!("x{CLOSE}").as_bytes()).expect("connected");
    let answer = read_all(&mut stream);
    assert!(answer.contains("PUT /read xHTTP/1.1 200"), "{answer}");
    // Without it, nobody knows whether the body comes: the connection ends.
    let answer = server.send(text("/ignore"));
    assert_eq!(parts(&answer), ("200", "no"));
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let long =
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(parts(&server.send(long)).0, "413");
}

#[rt0::test]
fn bodies_that_are_not_read_do_not_disturb_the_next_request() {
    let server = serve(|_: Request| Response::new("no".into()));
    for body in [1, 5_000, 60_000] {
        let text = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {body}\r\n\r\n{}{CLOSE}",
            "x".repeat(body)
        );
        assert_eq!(server.send(text).matches("HTTP/1.1 200 OK").count(), 2, "{body}");
    }
    // Too much to be read for nothing.
    let text = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{}{CLOSE}",
        "x".repeat(200_000)
    );
    assert_eq!(server.send(text).matches("HTTP/1.1 200 OK").count(), 1);
}

#[rt0::test]
fn a_body_that_outlives_its_request_ends_the_connection() {
    let (tx, rx) = rt0::chan::bounded(1);
    let server = serve(move |request: Request| {
        tx.send(request.into_body()).expect("the test waits");
        Response::new("kept".into())
    });
    let answer = server.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx");
    assert_eq!(parts(&answer), ("200", "kept"));
    let body = rx.recv().expect("the handler has run");
    body.bytes().expect_err("the connection has ended");
}

#[rt0::test]
fn a_handler_that_panics_is_500() {
    let server = serve(|request: Request| match request.uri().path() {
        "/panic" => panic!("as intended"),
        _ => tell(request),
    });
    for fields in ["", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
        let text = format!("PUT /panic HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let answer = server.send(text);
        assert_eq!(parts(&answer), ("500", "Internal Server Error"));
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    assert_eq!(parts(&server.send(CLOSE)), ("200", LAST));
}

const SOON: Duration = Duration::from_millis(50);

#[rt0::test]
fn heads_and_bodies_that_do_not_come_are_408() {
    let server = start(Server::new(tell).head_timeout(SOON).body_timeout(SOON));
    for text in [
        "G",
        "\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
    ] {
        assert_eq!(parts(&server.send(text)).0, "408", "{text:?}");
    }
}

/// A byte now and then does not help.
#[rt0::test]
fn a_head_has_its_time_as_a_whole() {
    let server = start(Server::new(tell).head_timeout(SOON * 4));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").expect("connected");
    let writer = stream.try_clone().expect("a second handle");
    rt0::go(move || {
        while (&writer).write_all(b"x").is_ok() {
            rt0::time::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(parts(&read_all(&mut stream)).0, "408");
}

#[rt0::test]
fn connections_that_say_nothing_end_without_an_answer() {
    let server = start(Server::new(tell).idle_timeout(SOON));
    assert_eq!(server.send(""), "");
    loop {
        let began = Instant::now();
        let mut stream = server.connect();
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut answer = String::new();
        if asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok_and(|n| n > 0) {
            return assert_eq!(parts(&answer), ("200", "GET / "));
        }
        // On a busy machine it may have said nothing for so long.
        assert!(began.elapsed() >= SOON, "{answer}");
    }
}

#[rt0::test]
fn who_does_not_read_is_cut_off() {
    let (tx, rx) = rt0::chan::bounded(1);
    let server = Server::new(move |_: Request| {
        let tx = tx.clone();
        Response::new(Body::from_reader(Endless { _tell: Tell(tx) }))
    });
    let server = start(server.write_timeout(SOON));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
    rx.recv().expect("the stream is dropped");
    drop(stream);
    server.stop().expect("no connection is left");
}

struct Tell(rt0::chan::Sender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

struct Endless {
    _tell: Tell,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(buf.len())
    }
}

#[rt0::test]
fn a_thousand_connections() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("up to the most");
    let n = limit.current.map_or(1000, |files| 1000.min(files as usize / 3));

    let server = serve(tell);
    let streams: Vec<TcpStream> = (0..n).map(|_| server.connect()).collect();
    let streams = Arc::new(streams);
    for round in 0..3 {
        let group = Arc::new(WaitGroup::new());
        for i in 0..n {
            let streams = Arc::clone(&streams);
            group.go(move || {
                let mut stream = &streams[i];
                write!(stream, "GET /{round}/{i} HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
                let end = format!("GET /{round}/{i} ");
                let mut answer = Vec::new();
                while !answer.ends_with(end.as_bytes()) {
                    let mut part = [0; 512];
                    let n = stream.read(&mut part).expect("connected");
                    assert_ne!(n, 0, "{}", String::from_utf8_lossy(&answer));
                    answer.extend_from_slice(&part[..n]);
                }
            });
        }
        group.wait();
    }
    server.stop().expect("all were idle");
}
