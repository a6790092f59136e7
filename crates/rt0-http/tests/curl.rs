//! curl and nc at servers of this crate: a client that nobody here wrote, and none at all.

#[path = "http/support.rs"]
mod http;
#[path = "../../rt0/tests/examples/support.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod support;
#[path = "../../rt0/tests/examples/tools.rs"]
mod tools;

use rt0_http::http::StatusCode;
use rt0_http::{Body, Request, Response, Server};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use support::Finished;
use tools::{tool, with_input};

fn curl(program: &Path, args: &[&str], input: &str) -> Finished {
    let mut command = Command::new(program);
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "60"]);
    with_input(command.args(args), input)
}

/// The path says what is asked for.
fn kinds(request: Request) -> Response {
    match request.uri().path() {
        "/chunks" => Response::new(Body::from_reader(request.into_body())),
        "/cut" => Response::new(Body::from_sized_reader(&b"short"[..], 100)),
        "/ignored" => Response::new("not read".into()),
        "/panic" => panic!("as it should"),
        "/empty" => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => http::tell(request),
    }
}

#[rt0::test]
fn curl_talks_to_the_server() {
    let Some(program) = tool("curl") else { return };
    let server = http::start(Server::new(kinds).max_body_bytes(1 << 20));
    let url = |path: &str| server.url(path);
    let curl = |args: &[&str], input: &str| curl(&program, args, input);
    let told = |args: &[&str], input: &str| {
        let out = curl(args, input);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{args:?}");
        out.stdout
    };
    assert_eq!(told(&[&url("/a"), &url("/b?c")], ""), "GET /a GET /b?c ");
    assert_eq!(told(&["-I", "-o", "/dev/null", "-w", "%{http_code}", &url("/")], ""), "200");
    assert_eq!(told(&["-0", "-d", "text", &url("/")], ""), "POST / text");
    assert_eq!(told(&["-w", "%{http_code}", &url("/empty")], ""), "204");
    let large = "0123456789".repeat(50_000);
    // A body without a length is sent in chunks; one of a megabyte waits for 100 Continue.
    assert!(told(&["-T", "-", &url("/up")], &large) == format!("PUT /up {large}"));
    assert!(told(&["-T", "-", &url("/chunks")], &large) == large);
    let expect = ["-H", "Expect: 100-continue", "--data-binary", "@-"];
    assert!(told(&[&expect[..], &[&url("/chunks")]].concat(), &large) == large);
    assert_eq!(told(&[&expect[..], &[&url("/ignored")]].concat(), &large), "not read");
    // Two requests on one connection: curl says how many it made.
    let reused =
        ["-o", "/dev/null", "-w", "%{num_connects}", &url("/x"), "-o", "/dev/null", &url("/y")];
    assert_eq!(told(&reused, ""), "10");
    let too_large = large.repeat(3);
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(told(&[&status[..], &expect, &[&url("/up")]].concat(), &too_large), "413");
    // It does not ask first.
    let unasked = ["-H", "Expect:", "--data-binary", "@-"];
    assert_eq!(told(&[&status[..], &unasked, &[&url("/up")]].concat(), &too_large), "413");
    assert_eq!(told(&[&status[..], &[&url("/panic")]].concat(), ""), "500");
    let long = format!("X: {}", "x".repeat(60_000));
    assert_eq!(told(&[&status[..], &["-H", &long, &url("/")]].concat(), ""), "431");
    assert_eq!(curl(&[&url("/cut")], "").code, Some(18), "curl sees that a part is missing");
    let many: Vec<_> = (0..100).map(|i| url(&format!("/{i}"))).collect();
    let mut args = vec!["-Z", "--parallel-max", "50"];
    args.extend(many.iter().map(String::as_str));
    let out = curl(&args, ""); // it shows its progress
    assert_eq!((out.code, out.stdout.matches("GET /").count()), (Some(0), 100), "{}", out.stderr);
    server.stop().expect("no connection is busy");
}

#[rt0::test]
fn nc_talks_to_the_server() {
    let Some(nc) = tool("nc") else { return };
    let server = http::serve(http::tell);
    let (ip, port) = (server.addr.ip().to_string(), server.addr.port().to_string());
    let text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
    let out = with_input(Command::new(&nc).args(["-N", "-w", "60", &ip, &port]), text);
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    assert_eq!(out.stdout.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{}", out.stdout);
    assert!(out.stdout.ends_with("GET /2 "), "{}", out.stdout);
    server.stop().expect("no connection is busy");
}

/// The client of this crate at a server that is a line of shell.
#[rt0::test]
fn the_client_talks_to_nc() {
    let Some(nc) = tool("nc") else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("it is bound");
    drop(free);
    let port = addr.port().to_string();
    let answer = "HTTP/1.0 200 Fine\nContent-Type: text/plain\n\nby hand";
    let serving = rt0::go(move || {
        with_input(Command::new(nc).args(["-l", "-N", "127.0.0.1", &port]), answer)
    });
    let url = format!("http://{addr}/page");
    let client = rt0_http::Client::new();
    let response = loop {
        match client.get(&url) {
            Ok(response) => break response,
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionRefused), // not yet
        }
    };
    let mut text = String::new();
    response.into_body().read_to_string(&mut text).expect("to the end");
    assert_eq!(text, "by hand");
    let out = serving.join().expect("no panic");
    assert!(out.stdout.starts_with("GET /page HTTP/1.1\r\n"), "{}", out.stdout);
}
