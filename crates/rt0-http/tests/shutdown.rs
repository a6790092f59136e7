//! How a server ends, and streams that are not TCP.

#[path = "http/support.rs"]
mod support;

use rt0::chan::bounded;
use rt0::context::{background, with_cancel};
use rt0::net::{Shutdown, TcpListener, UnixStream};
use rt0::time::Duration;
use rt0_http::{Request, Response, Server};
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use support::{parts, read_all, read_until, serve, start, tell};

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

#[rt0::test]
fn idle_connections_end_and_requests_in_flight_are_answered() {
    let (started, has_started) = bounded(1);
    let (go_on, may_go_on) = bounded::<()>(1);
    let server = serve(move |request: Request| {
        if request.uri().path() == "/slow" {
            started.send(()).expect("the test waits");
            may_go_on.recv().expect("the test says so");
        }
        tell(request)
    });
    let mut fresh = server.connect();
    let mut idle = server.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
    read_until(&mut idle, "GET / ");
    let mut busy = server.connect();
    let text = "PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo";
    busy.write_all(text.as_bytes()).expect("connected");
    has_started.recv().expect("the handler runs");

    server.cancel.cancel();
    assert_eq!(read_all(&mut fresh), "");
    assert_eq!(read_all(&mut idle), "");
    // The rest of the request may come now.
    busy.write_all(b"dy").expect("connected");
    go_on.send(()).expect("the handler waits");
    let answer = read_all(&mut busy);
    assert_eq!(parts(&answer), ("200", "PUT /slow body"));
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    server.join().expect("all have ended");
}

#[rt0::test]
fn the_grace_ends() {
    let (started, has_started) = bounded(1);
    let (go_on, may_go_on) = bounded::<()>(0);
    let server = start(
        Server::new(move |request: Request| {
            started.send(()).expect("the test waits");
            let _ = may_go_on.recv(); // until the test ends
            tell(request)
        })
        .grace(Duration::from_millis(20)),
    );
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
    has_started.recv().expect("the handler runs");
    let e = server.stop().expect_err("the handler goes on");
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(read_all(&mut stream), "");
    drop(go_on);
}

#[rt0::test]
fn a_listener_that_is_closed_ends_its_server() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let serving = Arc::clone(&listener);
    let serving = rt0::go(move || Server::new(tell).serve(&serving, &background()));
    listener.close();
    serving.join().expect("no panic").expect("that is an end like another");
}

/// Requests come and go while the server stops: each is answered, or its connection is ended.
#[rt0::test]
fn stopping_under_load_loses_no_answer_that_has_begun() {
    for _ in 0..10 {
        let server = serve(tell);
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let mut stream = server.connect();
                rt0::go(move || {
                    let mut answers = 0;
                    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                    while stream.write_all(text).is_ok() {
                        let mut answer = Vec::new();
                        while !answer.ends_with(b"GET / ") {
                            let mut byte = [0];
                            match std::io::Read::read(&mut stream, &mut byte) {
                                Ok(1) => answer.push(byte[0]),
                                _ => {
                                    assert!(answer.is_empty(), "{answer:?}");
                                    return answers;
                                }
                            }
                        }
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        rt0::time::sleep(Duration::from_millis(5));
        server.stop().expect("nobody is slow");
        for client in clients {
            let _: u32 = client.join().expect("no answer was cut off");
        }
    }
}

#[rt0::test]
fn any_stream_can_be_served() {
    let (mut client, stream) = UnixStream::pair().expect("a pair");
    let serving = rt0::go(move || Server::new(tell).serve_stream(stream, None, &background()));
    client
        .write_all(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nxy",
        )
        .expect("connected");
    client.shutdown(Shutdown::Write).expect("connected");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).expect("UTF-8");
    let (first, rest) = answer.split_once("\r\n\r\n").expect("two answers");
    assert_eq!((first, parts(rest)), ("HTTP/1.1 100 Continue", ("200", "PUT / xy")));
    serving.join().expect("no panic");
}

#[rt0::test]
fn a_stream_above_a_socket_ends_with_the_context() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (ctx, cancel) = with_cancel(&background());
    let serving = rt0::go(move || {
        let (stream, _) = listener.accept().expect("the test connects");
        let socket = Arc::new(stream.try_clone().expect("a second handle"));
        let respond = |_: Request| Response::new("hello".into());
        Server::new(respond).serve_stream(stream, Some(socket), &ctx);
    });
    let mut client = rt0::net::TcpStream::connect(addr).expect("somebody listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("connected");
    read_until(&mut client, "hello");
    cancel.cancel();
    assert_eq!(read_all(&mut client), "");
    serving.join().expect("no panic");
}
