//! What a server refuses, and with which status.

#[path = "http/support.rs"]
mod support;

use rt0_http::{Body, Response, Server};
use std::io::{self, Read, Write};
use support::{parts, read_all, serve, start, tell};

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

/// A request of which all is right but the part that the test is about.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

#[rt0::test]
fn malformed_heads_are_answered_and_end_the_connection() {
    let server = serve(tell);
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let cases: Vec<(String, &str)> = vec![
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"), // no Host
        (get("Host: b"), "400"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), "400"),
        (get("X: a\r\n b"), "400"), // a line that goes on
        (get("X : a"), "400"),
        (get(" X: a"), "400"),
        (get("X"), "400"),
        (get(": a"), "400"),
        (get("X: a\0b"), "400"),
        (get("X: a\rb"), "400"),
        (get("X\u{e9}: a"), "400"),
        ("GET\r\n\r\n".into(), "400"),
        ("GET /\r\n\r\n".into(), "400"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET / HTTX/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), "505"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "505"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), "505"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".into(), "501"),
        (get("Expect: miracles"), "417"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".into(), "400"), // TLS
    ];
    for (text, status) in cases {
        let answer = server.send(&text);
        assert_eq!(parts(&answer).0, status, "{text:?}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{text:?}: {answer}");
    }
}

#[rt0::test]
fn lengths_that_can_be_understood_in_two_ways_are_refused() {
    let server = serve(tell);
    for (fields, status) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", "400"),
        ("Content-Length: 1\r\nContent-Length: 2", "400"),
        ("Content-Length: 1, 1", "400"),
        ("Content-Length: +1", "400"),
        ("Content-Length: -1", "400"),
        ("Content-Length: 0x1", "400"),
        ("Content-Length: 1 1", "400"),
        ("Content-Length:", "400"),
        ("Content-Length: 18446744073709551616", "400"),
        ("Transfer-Encoding: chunked, chunked", "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "400"),
        ("Transfer-Encoding: chunked, gzip", "400"),
        ("Transfer-Encoding: gzip", "400"),
        ("Transfer-Encoding: identity", "400"),
        ("Transfer-Encoding: xchunked", "400"),
        ("Transfer-Encoding: \"chunked\"", "400"),
        ("Transfer-Encoding: chunked;q=1", "400"),
        ("Transfer-Encoding:", "400"),
        ("Transfer-Encoding: ,chunked", "400"),
        ("Transfer-Encoding: gzip, chunked", "501"),
        ("Content-Length: 18446744073709551615", "413"),
    ] {
        let answer = server.send(post(fields, "x"));
        assert_eq!(parts(&answer).0, status, "{fields:?}: {answer}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(parts(&server.send(old)).0, "400");
    // These can be understood in one way only.
    for fields in ["Content-Length: 1\r\nContent-Length: 1", "Content-Length: 01"] {
        let fields = format!("{fields}\r\nConnection: close");
        assert_eq!(parts(&server.send(post(&fields, "x"))), ("200", "POST / x"));
    }
}

#[rt0::test]
fn malformed_chunks_are_400_whatever_the_handler_returns() {
    let server = serve(tell);
    for body in [
        "\r\n\r\n",
        "x\r\n\r\n",
        "1\n\nx\n0\n\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        " 1\r\nx\r\n0\r\n\r\n",
        "1 x\r\nx\r\n0\r\n\r\n",
        "1;a\rb\r\nx\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "0000000000000001\r\nx\r\n0\r\n\r\n",
        "1\r\nx\r\n0\r\nnothing\r\n\r\n",
        "1\r\nx\r\n0\r\nX : y\r\n\r\n",
        "1\r\nx\r\n0\r\nX: y\r\n z\r\n\r\n",
    ] {
        let answer = server.send(post("Transfer-Encoding: chunked", body));
        assert_eq!(parts(&answer).0, "400", "{body:?}: {answer}");
    }
    let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "x".repeat(2000));
    assert_eq!(parts(&server.send(post("Transfer-Encoding: chunked", &long))).0, "400");
    let extended = |n| format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(999)).repeat(n));
    let fields = "Transfer-Encoding: chunked\r\nConnection: close";
    assert_eq!(
        parts(&server.send(post(fields, &extended(16)))),
        ("200", &*format!("POST / {}", "x".repeat(16)))
    );
    assert_eq!(parts(&server.send(post(fields, &extended(17)))).0, "400");
}

#[rt0::test]
fn bodies_that_end_early_are_400_and_heads_that_do_are_nothing() {
    let server = serve(tell);
    assert_eq!(parts(&server.send_all(post("Content-Length: 5", "x"))).0, "400");
    assert_eq!(parts(&server.send_all(post("Transfer-Encoding: chunked", "5\r\nx"))).0, "400");
    for text in ["", "GET", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n\r\n"] {
        assert_eq!(server.send_all(text), "", "{text:?}");
    }
}

#[rt0::test]
fn sizes_have_limits() {
    let server = start(Server::new(tell).max_head_bytes(1000).max_body_bytes(10));
    let get = |path: &str, fields: &str| {
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
    };
    assert_eq!(parts(&server.send(get(&"x".repeat(900), ""))).0, "200");
    assert_eq!(parts(&server.send(get(&"x".repeat(2000), ""))).0, "414");
    assert_eq!(parts(&server.send(get("", &format!("X: {}\r\n", "x".repeat(2000))))).0, "431");
    // The whole head is there at once, and a little too long.
    assert_eq!(parts(&server.send(get("", &format!("X: {}\r\n", "x".repeat(990))))).0, "431");
    let close = |fields: &str| format!("{fields}\r\nConnection: close");
    let chunked = close("Transfer-Encoding: chunked");
    for (fields, body, status) in [
        (close("Content-Length: 10"), "0123456789", "200"),
        (close("Content-Length: 11"), "0123456789x", "413"),
        (chunked.clone(), "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", "200"),
        (chunked.clone(), "5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n", "413"),
        (chunked, "fffffffffffffff\r\n01234", "413"),
    ] {
        let answer = server.send(post(&fields, body));
        assert_eq!(parts(&answer).0, status, "{body:?}: {answer}");
    }
    let server = serve(tell);
    let fields = |n| get("", &"X: y\r\n".repeat(n));
    assert_eq!(parts(&server.send(fields(98))).0, "200");
    assert_eq!(parts(&server.send(fields(99))).0, "431");
}

/// What a client writes that looks for an answer only when it has sent everything.
const UNASKED: usize = 1_500_000;

#[rt0::test]
fn who_sends_too_much_gets_the_answer() {
    let server = start(Server::new(tell).max_body_bytes(10));
    let length = format!("Content-Length: {UNASKED}");
    let chunked = "Transfer-Encoding: chunked";
    for (head, status) in [
        (post(&length, ""), "413"),
        (post(chunked, &format!("{UNASKED:x}\r\n")), "413"),
        (post(chunked, "x\r\n"), "400"),
        (post("Expect: miracles", ""), "417"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: ".into(), "431"),
        ("GET /".into(), "414"),
        ("GET / HTTP/2.0\r\n\r\n".into(), "505"),
    ] {
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).expect("the server reads");
        stream.write_all(&vec![b'x'; UNASKED]).expect("the server lingers");
        assert_eq!(parts(&read_all(&mut stream)).0, status, "{head:?}");
    }
    server.stop().expect("those who end are not waited for");
}

/// The handler runs, the connection is to end after it, and the next request comes meanwhile.
#[rt0::test]
fn an_answer_is_not_lost_over_what_comes_after_its_request() {
    let (called, calls) = rt0::chan::bounded(0);
    let (go_on, wait) = rt0::chan::bounded(0);
    let server = serve(move |_| {
        called.send(()).expect("the test waits");
        wait.recv().expect("the test goes on");
        Response::new("answer".into())
    });
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).expect("the server reads");
    calls.recv().expect("the handler is called");
    stream.write_all(request.as_bytes()).expect("connected");
    go_on.send(()).expect("the handler waits");
    assert_eq!(parts(&read_all(&mut stream)), ("200", "answer"));
}

/// The body of the request outlives the answer, which fails: its client is not kept waiting.
#[rt0::test]
fn an_answer_that_fails_ends_the_connection_wherever_the_body_is() {
    struct Fails(&'static [u8]);
    impl Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(io::Error::other("as it should")),
                n => Ok(n),
            }
        }
    }
    let (keep, kept) = rt0::chan::unbounded();
    let server = serve(move |request| {
        let fails_at_once = request.uri().path() == "/";
        keep.send(request.into_body()).expect("the test listens");
        Response::new(Body::from_reader(Fails(if fails_at_once { b"" } else { b"some" })))
    });
    for (path, status) in [("/some", "200"), ("/", "500")] {
        let mut stream = server.connect();
        let text = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx");
        stream.write_all(text.as_bytes()).expect("the server reads");
        assert_eq!(parts(&read_all(&mut stream)).0, status);
        let mut body = kept.recv().expect("the handler was called");
        assert!(body.read_to_end(&mut Vec::new()).is_err(), "it is not complete");
    }
}

/// Whatever comes, each connection is answered or ended, and the next one works.
#[rt0::test]
fn mutations_of_good_requests_do_no_harm() {
    let server = serve(tell);
    let good = "POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\
                Connection: close\r\nContent-Length: 2\r\n\r\nxy";
    let odd = [b'\r', b'\n', b'\0', b' ', b':', b',', b';', 0xff, b'0', b'9', b'f', b'\t'];
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % n
    };
    for _ in 0..1500 {
        let mut text = good.as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(text.len());
            match next(4) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, odd[next(odd.len())]),
                2 => text[at] = odd[next(odd.len())],
                _ => text.truncate(at + 1),
            }
        }
        let answer = server.send_all(&text);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    assert_eq!(server.send(good).matches("HTTP/1.1 200 OK").count(), 2);
    server.stop().expect("no connection is left");
}
