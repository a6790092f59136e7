//! A web server that says hello, over TLS: rustls on the streams of rt0.
//!
//!     https ADDRESS CERTIFICATES KEY      https 127.0.0.1:8443 cert.pem key.pem
//!
//! To make a certificate of your own for a try:
//!
//!     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
//!         -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem

use rt0::context::background;
use rt0::net::{Shutdown, TcpListener, TcpStream};
use rt0_http::{Request, Response, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[rt0::main]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificates, key] = &args[..] else {
        eprintln!("usage: https ADDRESS CERTIFICATES KEY");
        return ExitCode::from(2);
    };
    match config(certificates, key).and_then(|config| Ok(serve(address, config)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("https: {e}");
            ExitCode::from(1)
        }
    }
}

fn config(certificates: &str, key: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let of = |file: &str, e: rustls::pki_types::pem::Error| format!("{file}: {e}");
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .map_err(|e| of(certificates, e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| of(key, e))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn serve(address: &str, config: Arc<ServerConfig>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let server = Arc::new(Server::new(hello));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) => {
                eprintln!("accept: {e}"); // too many open files: it passes
                rt0::time::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let (server, config) = (Arc::clone(&server), Arc::clone(&config));
        rt0::go(move || {
            let socket = Arc::new(stream);
            match ServerConnection::new(config) {
                // The handshake is part of the first read.
                Ok(tls) => {
                    let stream = Tls(StreamOwned::new(tls, Socket(Arc::clone(&socket))));
                    server.serve_stream(stream, Some(socket), &background());
                }
                Err(e) => eprintln!("{e}"),
            }
        });
    }
}

fn hello(request: Request) -> Response {
    let asked = format!("{} {}\n", request.method(), request.uri().path());
    match request.into_body().text() {
        Ok(body) => Response::new((asked + &body).into()),
        Err(e) => Response::new((asked + &e.to_string()).into()),
    }
}

/// The connection, which the server holds too: it sets deadlines, and ends it.
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS above it, whose end is said: the client knows that nothing was cut off.
struct Tls(StreamOwned<ServerConnection, Socket>);

impl Drop for Tls {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        // The client may have gone.
        while self.0.conn.wants_write() && self.0.conn.write_tls(&mut self.0.sock).is_ok() {}
        let _ = self.0.sock.0.shutdown(Shutdown::Write);
    }
}

impl Read for Tls {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Tls {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
