//! Streams of rt0's as hyper and futures-io want them.

use hyper::rt::ReadBufCursor;
use rt0::io::{Polled, Stream};
use rt0::net::Shutdown;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream of rt0's for async code: hyper's [`Read`](hyper::rt::Read) and
/// [`Write`](hyper::rt::Write), and those of `futures-io`, above [`Polled`].
///
/// Its timeouts and deadlines hold, and it can be closed while it is in use: see [`Polled`]. It may
/// be used under any executor. Nothing is buffered: flushing does nothing.
#[derive(Debug)]
pub struct Io<S>(Polled<S>);

/// What a read asks the kernel for at most: it goes through the stack.
const CHUNK: usize = 8 << 10;

impl<S: Stream> Io<S> {
    /// Wraps the stream.
    pub fn new(stream: S) -> Io<S> {
        Io(Polled::new(stream))
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        self.0.get_ref()
    }

    /// The stream, which no task waits for any more.
    pub fn into_inner(self) -> S {
        self.0.into_inner()
    }
}

/// Ends the writing side.
fn end(stream: &impl Stream) -> Poll<io::Result<()>> {
    Poll::Ready(match stream.shutdown(Shutdown::Write) {
        // The other side was faster.
        Err(e) if e.kind() == ErrorKind::NotConnected => Ok(()),
        result => result,
    })
}

impl<S: Stream + Unpin> hyper::rt::Read for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; CHUNK];
        let len = buf.remaining().min(CHUNK);
        self.0.poll_read(cx, &mut chunk[..len]).map_ok(|n| buf.put_slice(&chunk[..n]))
    }
}

impl<S: Stream + Unpin> hyper::rt::Write for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        end(self.0.get_ref())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, bufs)
    }
}

impl<S: Stream + Unpin> futures_io::AsyncRead for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

impl<S: Stream + Unpin> futures_io::AsyncWrite for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        end(self.0.get_ref())
    }
}
