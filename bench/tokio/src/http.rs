//! Web servers that say hello, for ever.

use axum::serve::ListenerExt;
use bench_common::http::{BODY, RESPONSE, Requests, answer, listening};
use bench_common::{Args, Took, exit_unsupported};
use std::convert::Infallible;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// `http_raw` is without a library, `http_lib` with the one of `lib=`.
pub(crate) async fn serve(args: &Args) -> io::Result<Took> {
    let library = match (args.bench.as_str(), args.text("lib")) {
        ("http_raw", None) => "none",
        ("http_lib", Some(library @ ("httparse" | "hyper" | "axum"))) => library,
        _ => exit_unsupported(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    listening(listener.local_addr()?);
    if library == "axum" {
        let router = axum::Router::new().fallback(|| async { BODY });
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, router).await?;
        unreachable!("nobody ends it");
    }
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match library {
            "none" => drop(tokio::spawn(by_hand(stream, answer))),
            "httparse" => drop(tokio::spawn(by_hand(stream, parse))),
            _ => drop(tokio::spawn(hyper(stream))),
        }
    }
}

async fn by_hand(
    mut stream: TcpStream,
    answer: fn(&[u8], &mut Vec<u8>) -> usize,
) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut out = Vec::new();
    loop {
        match stream.read(requests.room()).await? {
            0 => return Ok(()),
            n => requests.came_for(n, &mut out, answer),
        }
        stream.write_all(&out).await?;
    }
}

fn parse(from: &[u8], to: &mut Vec<u8>) -> usize {
    let mut used = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        match httparse::Request::new(&mut headers).parse(&from[used..]) {
            Ok(httparse::Status::Complete(len)) => {
                used += len;
                to.extend_from_slice(RESPONSE);
            }
            _ => return used,
        }
    }
}

async fn hyper(stream: TcpStream) -> hyper::Result<()> {
    let hello = hyper::service::service_fn(|_| async {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(BODY.as_bytes()));
        let mut response = hyper::Response::new(body);
        let text = hyper::header::HeaderValue::from_static("text/plain");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, text);
        Ok::<_, Infallible>(response)
    });
    let stream = hyper_util::rt::TokioIo::new(stream);
    hyper::server::conn::http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(stream, hello)
        .await
}
