//! The example `https`, with rustls' client, curl and openssl. The certificate and its key are for
//! this test only.

#[path = "../../rt0/tests/examples/server.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod server;
#[path = "../../rt0/tests/examples/support.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod support;
#[path = "../../rt0/tests/examples/tools.rs"]
mod tools;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use server::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use support::{example, run};
use tools::{tool, with_input};

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/https/cert.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/https/key.pem");

fn start() -> Server {
    Server::start("https", &["127.0.0.1:0", CERTIFICATE, KEY])
}

fn config() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).expect("a certificate");
    roots.add(certificate).expect("it is one that can be trusted");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn connect(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::clone(config), name).expect("a client");
    StreamOwned::new(tls, server.connect())
}

/// Requests one after the other on a connection, and its end: an error, if it was not announced.
#[test]
fn rustls_talks_to_it() {
    let (server, config) = (start(), config());
    let body = "x".repeat(200_000);
    thread::scope(|s| {
        for _ in 0..20 {
            s.spawn(|| {
                let mut stream = connect(&server, &config);
                stream.write_all(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
                let mut answer = Vec::new();
                while !answer.ends_with(b"GET /a\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("it answers");
                    answer.push(byte[0]);
                }
                let head = "PUT /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
                let put = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(put.as_bytes()).expect("it reads");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("the end is announced");
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                assert!(answer.ends_with(&format!("PUT /b\n{body}")));
            });
        }
    });
}

#[test]
fn curl_talks_to_it() {
    let Some(curl) = tool("curl") else { return };
    let server = start();
    let port = server.1.rsplit(':').next().expect("host:port");
    let url = |path: &str| format!("https://localhost:{port}{path}");
    let curl = |args: &[&str], input: &str| {
        let mut command = Command::new(&curl);
        command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", CERTIFICATE]);
        with_input(command.args(args), input)
    };
    let out = curl(&[&url("/one"), &url("/two")], "");
    assert_eq!((out.code, &*out.stdout, &*out.stderr), (Some(0), "GET /one\nGET /two\n", ""));
    let large = "0123456789".repeat(20_000);
    let out = curl(&["-T", "-", &url("/put")], &large);
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    assert!(out.stdout == format!("PUT /put\n{large}"));
    // Not this server's certificate: nobody else has signed it.
    let out = run(Command::new("curl").args(["-q", "-sS", "--noproxy", "*", &url("/")]));
    assert_eq!((out.code, out.stdout.as_str()), (Some(60), ""), "{}", out.stderr);
}

#[test]
fn openssl_talks_to_it() {
    let Some(openssl) = tool("openssl") else { return };
    let server = start();
    let mut command = Command::new(openssl);
    command.args(["s_client", "-connect", &server.1, "-CAfile", CERTIFICATE, "-quiet"]);
    command.args(["-verify_return_error", "-verify_hostname", "localhost", "-ign_eof"]);
    let request = "GET /s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let out = with_input(&mut command, request);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(out.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{}", out.stdout);
    assert!(out.stdout.ends_with("\r\n\r\nGET /s\n"), "{}", out.stdout);
}

/// Who does not speak TLS, or ends in the middle, is sent away; the others are served.
#[test]
fn what_is_not_tls_does_no_harm() {
    let (server, config) = (start(), config());
    for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\u{16}\u{3}\u{1}", "", "\0\0\0\0\0\0\0\0"] {
        let mut stream = server.connect();
        stream.write_all(text.as_bytes()).expect("connected");
        stream.shutdown(std::net::Shutdown::Write).expect("connected");
        let _ = stream.read_to_end(&mut Vec::new()); // an alert, or a reset
    }
    let mut stream = connect(&server, &config);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the end is announced");
    assert!(answer.ends_with("GET /\n"), "{answer}");
}

#[test]
fn wrong_arguments_are_told() {
    for (args, code, message) in [
        (&["a"][..], 2, "usage: https"),
        (&["127.0.0.1:0", "/nowhere", KEY], 1, "https: /nowhere: "),
        (&["127.0.0.1:0", CERTIFICATE, CERTIFICATE], 1, "https: /"),
        (&["127.0.0.1:0", "/dev/null", KEY], 1, "https: "),
    ] {
        let out = run(Command::new(example("https")).args(args));
        assert_eq!((out.code, out.stdout.as_str()), (Some(code), ""), "{args:?}");
        assert!(out.stderr.starts_with(message), "{args:?}: {}", out.stderr);
    }
}
