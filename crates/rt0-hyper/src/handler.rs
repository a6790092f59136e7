//! Handlers that block, as tower services.

use crate::Response;
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::Collect;
use rt0::context::{Cancel, background, with_cancel};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A tower service of a closure whose calls run in goroutines of their own, each in one: see
/// [`handler`].
pub struct Handler<F>(Arc<F>);

/// Makes a tower service of a function that may block: sleep, wait for a channel, query a database,
/// [`read`] the body of its request. Each call runs in a goroutine of its own.
///
/// Among the extensions of the request is a [`Context`](rt0::context::Context), which ends when
/// nobody waits for the answer any more: the client is gone. The call itself goes on. If it panics,
/// so does the future; a [`Server`](crate::Server) answers with 500.
///
/// The body of the request is of any kind: that of a [`Request`](crate::Request), which hyper's
/// servers hand over, or another one behind a layer or a router that has its own.
///
/// ```
/// use http_body_util::Full;
/// use hyper::body::Bytes;
/// use rt0_hyper::{handler, read};
/// use tower_service::Service;
///
/// # #[rt0::main] fn main() {
/// let mut echo = handler(|request: http::Request<Full<Bytes>>| {
///     rt0::time::sleep(std::time::Duration::from_millis(1)); // it may block
///     http::Response::new(read(request.into_body()).expect("it is here"))
/// });
/// let call = echo.call(http::Request::new("hello".into()));
/// assert_eq!(rt0::future::block_on(call).unwrap().into_body(), "hello");
/// # }
/// ```
pub fn handler<F, R, B>(f: F) -> Handler<F>
where
    F: Fn(http::Request<R>) -> Response<B> + Send + Sync + 'static,
    R: Send + 'static,
    B: Send + 'static,
{
    Handler(Arc::new(f))
}

/// Reads a whole body; blocks the goroutine. Where bodies may be too long, wrap them first, in
/// [`http_body_util::Limited`] for instance.
///
/// Not for a goroutine that moves the bytes itself: see the [crate](crate).
///
/// # Errors
/// The body's: of its connection, for one that has come.
pub fn read<B: Body>(body: B) -> Result<hyper::body::Bytes, B::Error> {
    let collect: Collect<B> = body.collect();
    rt0::future::block_on(collect).map(|all| all.to_bytes())
}

impl<F, R, B> tower_service::Service<http::Request<R>> for Handler<F>
where
    F: Fn(http::Request<R>) -> Response<B> + Send + Sync + 'static,
    R: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = HandlerFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// # Panics
    /// As [`rt0::go`].
    fn call(&mut self, mut request: http::Request<R>) -> HandlerFuture<B> {
        let (ctx, cancel) = with_cancel(&background());
        request.extensions_mut().insert(ctx);
        let f = Arc::clone(&self.0);
        // Caught here: if the future is gone, nobody joins, and a panic would end the process.
        let call = rt0::go(move || catch_unwind(AssertUnwindSafe(|| f(request))));
        HandlerFuture { call: call.into_future(), _cancel: cancel }
    }
}

/// The call of a [`Handler`]. Dropping it ends the context of the request.
#[must_use = "futures do nothing unless they are polled"]
pub struct HandlerFuture<B> {
    call: <rt0::JoinHandle<std::thread::Result<Response<B>>> as IntoFuture>::IntoFuture,
    _cancel: Cancel,
}

impl<B> Future for HandlerFuture<B> {
    type Output = Result<Response<B>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(cx).map(|joined| match joined {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
        })
    }
}

impl<F> Clone for Handler<F> {
    fn clone(&self) -> Self {
        Handler(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for Handler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for HandlerFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFuture").finish_non_exhaustive()
    }
}
