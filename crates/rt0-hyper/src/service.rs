//! A tower service as hyper's, whose panics are answers.

use crate::{Request, Response};
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use http_body_util::{Either, Empty};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) struct Caught<S>(pub(crate) S);

/// What the service answers, or nothing.
pub(crate) type Answer<B> = Either<B, Empty<<B as Body>::Data>>;

impl<S, B> hyper::service::Service<Request> for Caught<S>
where
    S: tower_service::Service<Request, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: 'static,
    B: Body,
{
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = CaughtFuture<B, S::Error>;

    fn call(&self, request: Request) -> Self::Future {
        let mut service = self.0.clone();
        CaughtFuture(Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }))
    }
}

pub(crate) struct CaughtFuture<B, E>(Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>);

impl<B: Body, E> Future for CaughtFuture<B, E> {
    type Output = Result<Response<Answer<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(polled) => polled.map_ok(|response| response.map(Either::Left)),
            // std's hook has reported it.
            Err(_) => Poll::Ready(Ok(failed())),
        }
    }
}

fn failed<B: Body>() -> Response<Answer<B>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
