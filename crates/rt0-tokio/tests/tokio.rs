//! tokio's own types, and a client that stands on them, from goroutines.

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rt0::net::TcpListener;
use rt0_http::http::{Request, Uri};
use rt0_http::{Response, Server};
use rt0_tokio::{block_on, spawn_future, with_tokio};
use std::future::Future;
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server on goroutines that sends back what comes.
fn echo() -> rt0::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    rt0::go(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            rt0::go(move || {
                let mut buf = [0; 1024];
                while let Ok(n @ 1..) = stream.read(&mut buf) {
                    stream.write_all(&buf[..n]).expect("connected");
                }
            });
        }
    });
    addr
}

#[rt0::test]
fn sockets_and_timers() {
    let addr = echo();
    rt0::scope(|s| {
        for n in 0..50_u32 {
            s.go(move || {
                let text = block_on(async {
                    let mut stream = TcpStream::connect(addr).await.expect("it listens");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    stream.write_all(&n.to_be_bytes()).await.expect("connected");
                    rt0::gosched(); // it may go on elsewhere, in the middle of a poll
                    stream.read_u32().await.expect("connected")
                });
                assert_eq!(text, n);
            });
        }
    });
}

/// A goroutine that blocks in a poll finds the runtime afterwards; others meanwhile do not.
#[rt0::test]
fn the_runtime_is_entered_for_the_polls_of_one_goroutine() {
    let is_entered = || tokio::runtime::Handle::try_current().is_ok();
    rt0::scope(|s| {
        for _ in 0..20 {
            s.go(|| {
                block_on(async {
                    for _ in 0..20 {
                        assert!(is_entered());
                        rt0::time::sleep(Duration::from_micros(200));
                        assert!(is_entered(), "lost on the way to another thread");
                        tokio::time::sleep(Duration::from_micros(200)).await;
                    }
                });
                assert!(!is_entered());
            });
            s.go(|| {
                for _ in 0..40 {
                    rt0::time::sleep(Duration::from_micros(150));
                    assert!(!is_entered(), "entered for another goroutine");
                }
            });
        }
    });
}

#[rt0::test]
fn timeouts_and_tasks() {
    let addr = echo();
    let late = block_on(async {
        let mut stream = TcpStream::connect(addr).await.expect("it listens");
        tokio::time::timeout(Duration::from_millis(3), stream.read_u8()).await
    });
    late.expect_err("nothing was sent");
    let task = spawn_future(async { tokio::spawn(async { 7 }).await.expect("no panic") });
    assert_eq!(task.join().expect("no panic"), 7);
    // Polled by a `block_on` that knows nothing of tokio.
    let slept = with_tokio(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        8
    });
    assert_eq!(rt0::future::block_on(slept), 8);
}

/// What tokio's clients do in destructors: they start a task that says goodbye.
struct NeedsRuntime(rt0::chan::Sender<()>);

impl Drop for NeedsRuntime {
    fn drop(&mut self) {
        let tell = self.0.clone();
        tokio::spawn(async move { tell.send(()) });
    }
}

/// Holds something until it is dropped, which is after it was polled.
struct Holds {
    _held: NeedsRuntime,
    is_ready: bool,
}

impl Future for Holds {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.is_ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[rt0::test]
fn futures_find_the_runtime_when_they_are_dropped() {
    let (tell, told) = rt0::chan::unbounded();
    let holds = |is_ready| Holds { _held: NeedsRuntime(tell.clone()), is_ready };
    block_on(holds(true));
    rt0::future::block_on(with_tokio(holds(true)));
    let mut cancelled = Box::pin(with_tokio(holds(false)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(cancelled.as_mut().poll(&mut cx).is_pending());
    drop(cancelled);
    drop(with_tokio(holds(false)));
    for _ in 0..4 {
        told.recv().expect("the task runs");
    }
}

/// All that lives waits for the sidecar: that is no deadlock.
#[rt0::test]
fn waiting_for_the_sidecar_is_no_deadlock() {
    block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
}

#[rt0::test]
fn a_client_made_for_tokio() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (ctx, stop) = rt0::context::with_cancel(&rt0::context::background());
    let server = Server::new(|request: rt0_http::Request| {
        Response::new(format!("you asked for {}", request.uri().path()).into())
    });
    let serving = rt0::go(move || server.serve(&listener, &ctx));
    let client: Client<HttpConnector, Empty<&'static [u8]>> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    rt0::scope(|s| {
        for n in 0..20 {
            let client = &client;
            s.go(move || {
                let uri: Uri = format!("http://{addr}/{n}").parse().expect("an address");
                let text = block_on(async {
                    let request = Request::get(uri).body(Empty::new()).expect("a request");
                    let answer = client.request(request).await.expect("an answer");
                    answer.into_body().collect().await.expect("a body").to_bytes()
                });
                assert_eq!(text, format!("you asked for /{n}"));
            });
        }
    });
    drop(client);
    stop.cancel();
    serving.join().expect("no panic").expect("nothing is in flight");
}
