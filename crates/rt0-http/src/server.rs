//! The server: what may be set, and who accepts.

use crate::conn::Conn;
use crate::control::{Control, Crowd, Socket};
use crate::input::Input;
use crate::kit::Kits;
use crate::output::Output;
use crate::stream::{Other, Served};
use crate::{Request, Response};
use rt0::context::{Context, background, with_cancel};
use rt0::net::{TcpListener, TcpStream};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long an accept that failed waits before the next, at first and at last.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An HTTP/1.1 server: a handler, and limits for those that it serves.
///
/// The handler runs in the goroutine of the connection. If it panics, the answer is 500 and the
/// connection ends; std's panic hook reports it. What is malformed, or beyond a limit, is answered
/// with the status that RFC 9110 has for it, and never reaches the handler, unless it is found
/// while the handler reads the body: reading fails then, and what the handler returns is replaced.
///
/// Of the response, the headers are sent as they are, but for those that say how the message ends:
/// `Content-Length`, `Transfer-Encoding` and `Connection`, of which only `close` counts. A body
/// that the handler has not read is read for it if it is short. Go: `http.Server`.
pub struct Server<F> {
    handler: Arc<F>,
    config: Arc<Config>,
    kits: Arc<Kits>,
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) max_head: usize,
    pub(crate) max_body: u64,
    pub(crate) head_timeout: Duration,
    body_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
    grace: Duration,
}

impl<F> Server<F>
where
    F: Fn(Request) -> Response + Send + Sync + 'static,
{
    /// A server that answers with what `handler` returns.
    pub fn new(handler: F) -> Server<F> {
        let config = Config {
            max_head: 32 << 10,
            max_body: 16 << 20,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        };
        Server { handler: Arc::new(handler), config: Arc::new(config), kits: Arc::default() }
    }

    fn with(mut self, set: impl FnOnce(&mut Config)) -> Server<F> {
        set(Arc::make_mut(&mut self.config));
        self
    }

    /// The longest head of a request (32 KiB); there are 100 fields at most. Beyond: 431, or 414.
    pub fn max_head_bytes(self, bytes: usize) -> Server<F> {
        self.with(|config| config.max_head = bytes)
    }

    /// The longest body of a request (16 MiB). Beyond: 413.
    pub fn max_body_bytes(self, bytes: u64) -> Server<F> {
        self.with(|config| config.max_body = bytes)
    }

    /// How long the head of a request may take from its first byte (10 s). Beyond: 408.
    pub fn head_timeout(self, timeout: Duration) -> Server<F> {
        self.with(|config| config.head_timeout = timeout)
    }

    /// How long the server may have to wait for each 64 KiB of a body (30 s). Beyond: 408.
    pub fn body_timeout(self, timeout: Duration) -> Server<F> {
        self.with(|config| config.body_timeout = timeout)
    }

    /// How long the client may take to accept each 64 KiB of a response (30 s).
    pub fn write_timeout(self, timeout: Duration) -> Server<F> {
        self.with(|config| config.write_timeout = timeout)
    }

    /// How long a connection may be silent, between two requests or anywhere else (60 s). Between
    /// two requests to a listener's server a quarter more, for all are looked at together.
    pub fn idle_timeout(self, timeout: Duration) -> Server<F> {
        self.with(|config| config.idle_timeout = timeout)
    }

    /// How long [`serve`](Self::serve) waits for requests in flight when it ends (10 s).
    pub fn grace(self, grace: Duration) -> Server<F> {
        self.with(|config| config.grace = grace)
    }

    /// Serves the connections of `listener` until `ctx` ends or the listener is closed. Then
    /// connections without a request end, the others after the answer to theirs; it returns when
    /// all have. With a context of [`notify_context`](rt0::signal::notify_context) that is what
    /// SIGTERM does; the example `graceful_shutdown` shows it. Until the listener is closed, the
    /// kernel goes on accepting, for nobody.
    ///
    /// While no more files can be opened, or there is no memory, it waits and tries again.
    ///
    /// # Errors
    /// Accepting has failed for good. `TimedOut`: connections were still busy after the
    /// [grace](Self::grace); they were cut off.
    pub fn serve(&self, listener: &TcpListener, ctx: &Context) -> io::Result<()> {
        let crowd = Arc::new(Crowd::default());
        let (sweeping, end) = with_cancel(&background());
        let (idle, timeout) = (Arc::clone(&crowd), self.config.idle_timeout);
        let sweeper = rt0::Builder::new()
            .go(move || idle.sweep(timeout, |pause| sweeping.sleep(pause).is_ok()))?;
        let result = self.accept(listener, ctx, &crowd);
        end.cancel();
        let _ = sweeper.join(); // it does not panic
        crowd.stop();
        match crowd.wait(self.config.grace) {
            0 => result,
            n => {
                let text = format!("{n} connections were still busy at the end of the server");
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    fn accept(&self, listener: &TcpListener, ctx: &Context, crowd: &Arc<Crowd>) -> io::Result<()> {
        let mut pause = PAUSE;
        while ctx.err().is_none() {
            let failed = match ctx.io(|| listener.accept()) {
                Ok((stream, _)) => self.start(stream, crowd).err(),
                Err(_) if ctx.err().is_some() => return Ok(()),
                Err(e) if e.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>()) => return Ok(()),
                Err(e) if is_final(&e) => return Err(e),
                Err(e) => Some(e),
            };
            if failed.is_some() {
                let _ = ctx.sleep(pause); // the loop looks at the context
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else {
                pause = PAUSE;
            }
        }
        Ok(())
    }

    fn start(&self, stream: TcpStream, crowd: &Arc<Crowd>) -> io::Result<()> {
        let member = crowd.join(Control::new(Socket::Own(stream)));
        let server = Server {
            handler: Arc::clone(&self.handler),
            config: Arc::clone(&self.config),
            kits: Arc::clone(&self.kits),
        };
        rt0::Builder::new()
            .go(move || {
                let stream = Served(Arc::clone(&member.control));
                server.run(stream, &member.control, Some(server.silence()));
            })
            .map(drop)
    }

    /// Serves one connection, in this goroutine, until it ends or `ctx` does: a TCP connection, or
    /// a stream above one, such as that of TLS.
    ///
    /// `socket` is the connection at the bottom. Its deadlines are set, and it is used to end what
    /// waits when `ctx` ends. Without it, the limits of time do not hold, and the end of `ctx` is
    /// seen after the next request only.
    pub fn serve_stream<S>(&self, stream: S, socket: Option<Arc<TcpStream>>, ctx: &Context)
    where
        S: Read + Write + Send + 'static,
    {
        if let Some(socket) = &socket {
            // Nobody sweeps a connection that is served alone.
            let _ = socket.set_read_timeout(Some(self.silence()));
        }
        let socket = socket.map_or(Socket::Unknown, Socket::Shared);
        let control = Arc::new(Control::new(socket));
        let stop = Arc::clone(&control);
        let stop = ctx.after_func(move || stop.stop());
        self.run(Other::new(stream), &control, None);
        stop.stop();
    }

    /// `silence`: how long the client may be silent inside a message, if the socket has no timeout.
    fn run<S>(&self, stream: S, control: &Arc<Control>, silence: Option<Duration>)
    where
        S: Read + Write + Clone + Send + 'static,
    {
        let config = &*self.config;
        if let Some(socket) = control.socket() {
            // A socket that has been reset already is found out by the first read.
            let _ = socket.set_nodelay(true);
            let _ = socket.set_write_timeout(Some(at_least_something(config.write_timeout)));
        }
        let limit = |timeout| control.socket().map(|_| (Arc::clone(control), timeout));
        let input = Input::new(stream.clone(), limit(config.body_timeout), silence);
        let output = Output::new(stream.clone(), limit(config.write_timeout));
        let (handler, kits) = (&*self.handler, &*self.kits);
        Conn { output, writer: stream, control, config, handler, kits }.run(input);
    }

    fn silence(&self) -> Duration {
        at_least_something(self.config.idle_timeout)
    }
}

/// Zero would be an error.
fn at_least_something(timeout: Duration) -> Duration {
    timeout.max(Duration::from_nanos(1))
}

/// Whether the listener itself is wrong: EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP.
fn is_final(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(9 | 22 | 88 | 95))
}

impl<F> fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
