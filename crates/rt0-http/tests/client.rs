//! `Client`, against our server and against others that behave in their own way.

#[path = "http/support.rs"]
mod support;

use rt0::context::{background, with_timeout};
use rt0::net::{SocketAddr, TcpListener, TcpStream};
use rt0::time::Duration;
use rt0_http::http::header::{CONNECTION, HOST, HeaderValue};
use rt0_http::http::{Method, Uri};
use rt0_http::{Body, Client, Request};
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{read_until, serve, tell};

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

fn request(method: Method, uri: &str, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(uri).expect("an address");
    request
}

/// A server that accepts, reads a head, and writes the next of `answers` for each request; an empty
/// one ends the connection. The number of connections is counted.
fn scripted(answers: &'static [&'static [&'static str]]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    rt0::go(move || {
        for answers in answers {
            let (mut stream, _) = listener.accept().expect("the test connects");
            accepted.fetch_add(1, Ordering::Relaxed);
            for answer in *answers {
                read_until(&mut stream, "\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("the client reads");
            }
        }
    });
    (addr, count)
}

#[rt0::test]
fn bodies_go_both_ways() {
    let server = serve(tell);
    let client = Client::new();
    let url = server.url("/a?b");
    assert_eq!(client.get(&url).expect("answered").into_body().text().expect("text"), "GET /a?b ");
    let long = "0123456789".repeat(20_000);
    let sized = || Body::from_sized_reader(Cursor::new("0123456789".repeat(20_000)), 200_000);
    let unsized_ = || Body::from_reader(Cursor::new("0123456789".repeat(20_000)));
    for body in [Body::from(long.clone()), sized(), unsized_()] {
        let response = client.request(request(Method::PUT, &url, body)).expect("answered");
        assert_eq!(response.into_body().text().expect("text"), format!("PUT /a?b {long}"));
    }
    let response = client.request(request(Method::HEAD, &url, Body::empty())).expect("answered");
    assert_eq!(response.headers()["content-length"], "10");
    assert!(response.body().is_empty());
}

#[rt0::test]
fn connections_are_kept_and_shared_by_clones() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &str = concat!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n"
    );
    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\
                            Content-Length: 2\r\n\r\nok";
    let (addr, count) = scripted(&[&[OK, CHUNKED, INTERIM, OK]]);
    for client in [Client::new()].iter().cycle().take(4).map(Client::clone) {
        let response = client.get(&format!("http://{addr}")).expect("answered");
        assert_eq!(response.into_body().text().expect("text"), "ok");
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[rt0::test]
fn connections_that_cannot_be_used_again_are_not() {
    let (addr, count) = scripted(&[
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"],
        &["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ]);
    let client = Client::new();
    for n in 1..=5 {
        let mut get = request(Method::GET, &format!("http://{addr}"), "");
        if n == 5 {
            get.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let response = client.request(get).expect("answered");
        assert_eq!(response.into_body().text().expect("text"), "ok");
        assert_eq!(count.load(Ordering::Relaxed), n);
    }
}

/// A second answer to one request comes when the connection has been kept already. Nobody asked for
/// it, so it must not be taken for the answer to the next request.
#[rt0::test]
fn what_comes_unasked_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let client = Client::new();
    let answer = |stream: &mut TcpStream, text: &str| {
        let len = text.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{text}")
            .expect("connected");
    };
    let get = || {
        let (client, url) = (client.clone(), url.clone());
        rt0::go(move || client.get(&url).and_then(|response| response.into_body().text()))
    };
    let asking = get();
    let (mut stream, _) = listener.accept().expect("the client connects");
    read_until(&mut stream, "\r\n\r\n");
    answer(&mut stream, "first");
    assert_eq!(asking.join().expect("no panic").expect("answered"), "first");
    answer(&mut stream, "unasked"); // loopback: it is there when the call returns
    let asking = get();
    let (mut fresh, _) = listener.accept().expect("the client connects again");
    read_until(&mut fresh, "\r\n\r\n");
    answer(&mut fresh, "second");
    assert_eq!(asking.join().expect("no panic").expect("answered"), "second");
}

/// The server has ended the connection that was kept.
#[rt0::test]
fn what_may_be_repeated_is() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (addr, count) = scripted(&[&[OK], &[OK], &[OK]]);
    let client = Client::new();
    let url = format!("http://{addr}");
    // The second and the third find a connection that has ended, or is about to.
    for method in [Method::GET, Method::GET, Method::DELETE] {
        let response = client.request(request(method, &url, "")).expect("answered");
        assert_eq!(response.into_body().text().expect("text"), "ok");
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[rt0::test]
fn malformed_responses_are_errors() {
    static BAD: &[&[&str]] = &[
        &["HTTP/2.0 200 OK\r\n\r\n"],
        &["nonsense\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nX : y\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
        &["HTTP/1.1 101 Switching Protocols\r\n\r\n"],
        &["HTTP/1.1 099 What\r\n\r\n"],
    ];
    let (addr, _) = scripted(BAD);
    let client = Client::new();
    for answer in BAD {
        let e = client.get(&format!("http://{addr}")).expect_err(answer[0]);
        assert_eq!(e.kind(), ErrorKind::InvalidData, "{answer:?}: {e}");
    }
    // These begin well.
    static SHORT: &[&[&str]] = &[
        &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    ];
    let (addr, _) = scripted(SHORT);
    for answer in SHORT {
        let response = client.get(&format!("http://{addr}")).expect(answer[0]);
        response.into_body().bytes().expect_err(answer[0]);
    }
    let (addr, _) = scripted(&[&[], &["HTTP/1.1 200"]]);
    for _ in 0..2 {
        let e = client.get(&format!("http://{addr}")).expect_err("no answer");
        assert!(matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{e}");
    }
}

#[rt0::test]
fn what_is_not_for_http_is_told() {
    let client = Client::new();
    for uri in ["", "/", "https://127.0.0.1/", "http:///", "x y", "127.0.0.1:80"] {
        let e = client.get(uri).expect_err(uri);
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{uri}: {e}");
    }
}

#[rt0::test]
fn the_host_is_said_once() {
    let server = serve(|request: Request| {
        let hosts = request.headers().get_all(HOST).iter().map(|v| format!("{v:?}"));
        rt0_http::Response::new(hosts.collect::<String>().into())
    });
    let client = Client::new();
    let text = |response: rt0_http::Response| response.into_body().text().expect("text");
    let port = server.addr.port();
    let uri = format!("http://u:p@127.0.0.1:{port}?x");
    assert_eq!(text(client.get(&uri).expect("answered")), format!("\"127.0.0.1:{port}\""));
    let mut get = request(Method::GET, &uri, "");
    get.headers_mut().insert(HOST, HeaderValue::from_static("other"));
    assert_eq!(text(client.request(get).expect("answered")), "\"other\"");
}

#[rt0::test]
fn contexts_end_requests_and_bodies() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let silent = rt0::go(move || {
        let (first, _) = listener.accept().expect("the test connects");
        let (mut second, _) = listener.accept().expect("the test connects");
        read_until(&mut second, "\r\n\r\n");
        second.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx").expect("connected");
        (first, second)
    });
    let client = Client::new();
    let url = format!("http://{addr}");
    let (ctx, _cancel) = with_timeout(&background(), Duration::from_millis(20));
    let e = ctx.io(|| client.get(&url)).expect_err("nobody answers");
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let response = client.get(&url).expect("answered");
    let (ctx, _cancel) = with_timeout(&background(), Duration::from_millis(20));
    let e = ctx.io(|| response.into_body().bytes()).expect_err("it does not end");
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let _: (TcpStream, TcpStream) = silent.join().expect("no panic");
}

/// The server answers and closes before it has read the body.
#[rt0::test]
fn an_early_answer_is_seen() {
    let server = support::start(rt0_http::Server::new(tell).max_body_bytes(10));
    let client = Client::new();
    let body = Body::from_sized_reader(io::repeat(b'x').take(150_000), 150_000);
    let response = client.request(request(Method::PUT, &server.url("/"), body)).expect("answered");
    assert_eq!(response.status(), 413);
}

#[rt0::test]
fn many_at_once() {
    let server = serve(tell);
    let client = Client::new();
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let (client, url) = (client.clone(), server.url(&format!("/{i}")));
            rt0::go(move || {
                for _ in 0..10 {
                    let response = client.get(&url).expect("answered");
                    let text = response.into_body().text().expect("text");
                    assert_eq!(text, format!("GET /{i} "));
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("no panic");
    }
    server.stop().expect("all are idle");
}
