//! The server: who accepts, and how it ends.

use crate::service::Caught;
use crate::{Executor, Io, Request, Response, Timer};
use http_body::Body;
use hyper_util::server::conn::auto::Builder;
use rt0::context::Context;
use rt0::future::block_on;
use rt0::net::{Shutdown, TcpListener, TcpStream};
use rt0::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How long an accept that failed waits before the next, at first and at last.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A socket that is closed over unread data resets, and the answer is lost. So what a client still
/// sends at the end, as one does whose request was refused, is read until it ends, or says nothing
/// for so long, or this much time has passed, or so many bytes.
const LINGER_SILENCE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// A server of HTTP/1 and of HTTP/2 without TLS, which it tells apart by the first bytes ("prior
/// knowledge").
///
/// Each connection has a goroutine, which polls it, and with it, in HTTP/1, the future of the
/// request; in HTTP/2 that has a goroutine of its own. Where a connection ends before the answer,
/// the future is dropped. Panics of the service are reported by std's hook and answered with 500;
/// an error of it, or a panic of a body, ends the connection or the stream. axum: `serve`.
#[must_use = "a server does nothing until it serves"]
pub struct Server<S> {
    service: S,
    http: Builder<Executor>,
    write_timeout: Duration,
    grace: Duration,
}

impl<S, B> Server<S>
where
    S: tower_service::Service<Request, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// A server that answers with what `service` answers.
    pub fn new(service: S) -> Server<S> {
        let mut http = Builder::new(Executor);
        http.http1().timer(Timer);
        http.http2().timer(Timer);
        Server {
            service,
            http,
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }

    /// hyper's own settings: limits, windows, timeouts. Executor and timers are set.
    pub fn http(mut self, set: impl FnOnce(&mut Builder<Executor>)) -> Server<S> {
        set(&mut self.http);
        self
    }

    /// How long a client may take to accept a piece of an answer (30 s).
    pub fn write_timeout(mut self, timeout: Duration) -> Server<S> {
        self.write_timeout = timeout.max(Duration::from_nanos(1)); // zero would be an error
        self
    }

    /// How long [`serve`](Self::serve) waits for requests in flight when it ends (10 s).
    pub fn grace(mut self, grace: Duration) -> Server<S> {
        self.grace = grace;
        self
    }

    /// Serves the connections of `listener` until `ctx` ends or the listener is closed. Then
    /// connections without a request end, the others after the answers to theirs; it returns when
    /// all have.
    ///
    /// While no more files can be opened, or there is no memory, it waits and tries again.
    ///
    /// # Errors
    /// Accepting has failed for good. `TimedOut`: connections were still busy after the
    /// [grace](Self::grace); they were cut off.
    pub fn serve(&self, listener: &TcpListener, ctx: &Context) -> io::Result<()> {
        let crowd = Arc::new(Crowd::default());
        let result = self.accept(listener, ctx, &crowd);
        crowd.stop();
        match crowd.wait(self.grace) {
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
            let started = match ctx.io(|| listener.accept()) {
                Ok((stream, _)) => self.start(stream, crowd),
                Err(_) if ctx.err().is_some() => return Ok(()),
                Err(e) if e.get_ref().is_some_and(|e| e.is::<rt0::io::Closed>()) => return Ok(()),
                Err(e) if is_final(&e) => return Err(e),
                Err(e) => Err(e),
            };
            if started.is_ok() {
                pause = PAUSE;
            } else {
                let _ = ctx.sleep(pause); // the loop looks at the context
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    fn start(&self, stream: TcpStream, crowd: &Arc<Crowd>) -> io::Result<()> {
        // A socket that has been reset already is found out by the first read.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(self.write_timeout));
        let stream = Arc::new(stream);
        let member = crowd.join(Arc::clone(&stream));
        let (http, service) = (self.http.clone(), Caught(self.service.clone()));
        rt0::Builder::new()
            .go(move || {
                let io = Io::new(Arc::clone(&stream));
                let serve = || {
                    let connection = http.serve_connection(io, service);
                    let mut connection = pin!(connection);
                    let (mut is_known, mut stops) = (false, false);
                    block_on(poll_fn(|cx| {
                        if !is_known {
                            is_known = true;
                            member.wake_at_stop(cx.waker()); // there is one for all polls
                        }
                        if !stops && member.crowd.is_stopped() {
                            stops = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        // What went wrong on a connection is its client's business.
                        connection.as_mut().poll(cx).map(drop)
                    }));
                };
                // A panic of a body: reported by the hook.
                if catch_unwind(AssertUnwindSafe(serve)).is_ok() {
                    linger(&stream, member.crowd.is_stopped());
                }
            })
            .map(drop)
    }
}

/// Reads what the client still sends, so that it can read the last answer. When the server stops it
/// is not waited for.
fn linger(mut socket: &TcpStream, stops: bool) {
    let _ = socket.set_nonblocking(true); // a setting of ours, which cannot fail
    let peeked = socket.peek(&mut [0]);
    let _ = socket.set_nonblocking(false);
    let lingers = match peeked {
        Ok(n) => n > 0,
        Err(e) => e.kind() == io::ErrorKind::WouldBlock && !stops,
    };
    if !lingers || socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let end = Instant::now() + LINGER;
    let mut buf = [0; 16 << 10];
    let mut left = LINGER_BYTES;
    while left > 0 {
        socket.set_read_deadline(Some(end.min(Instant::now() + LINGER_SILENCE)));
        match socket.read(&mut buf) {
            Ok(0) | Err(_) => return,
            Ok(n) => left = left.saturating_sub(n),
        }
    }
}

/// Whether the listener itself is wrong: EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP.
fn is_final(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(9 | 22 | 88 | 95))
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// The connections of a server.
#[derive(Default)]
struct Crowd {
    members: Mutex<Members>,
    left: Condvar,
    /// Set under the lock of `members`, after which wakers are woken.
    is_stopped: AtomicBool,
}

#[derive(Default)]
struct Members {
    next: u64,
    connections: HashMap<u64, Connection>,
}

struct Connection {
    socket: Arc<TcpStream>,
    /// Woken when the server stops.
    waker: Option<Waker>,
}

/// A connection that belongs to a crowd until this is dropped.
struct Member {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Crowd>, socket: Arc<TcpStream>) -> Member {
        let mut members = self.lock();
        let number = members.next;
        members.next += 1;
        members.connections.insert(number, Connection { socket, waker: None });
        Member { crowd: Arc::clone(self), number }
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire) // ORDERING: pairs with stop
    }

    fn stop(&self) {
        let mut members = self.lock();
        self.is_stopped.store(true, Ordering::Release); // ORDERING: pairs with is_stopped
        let wakers: Vec<_> =
            members.connections.values_mut().filter_map(|c| c.waker.take()).collect();
        drop(members);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until all are gone, but not longer than `grace`. Those that are left are cut off;
    /// their number is returned.
    fn wait(&self, grace: Duration) -> usize {
        let members = self.lock();
        let (members, _) = self
            .left
            .wait_timeout_while(members, grace, |members| !members.connections.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        members.connections.values().for_each(|c| c.socket.close());
        members.connections.len()
    }
}

impl Member {
    /// The waker is woken when the server stops, unless it has already.
    fn wake_at_stop(&self, waker: &Waker) {
        let waker = Some(waker.clone());
        if let Some(connection) = self.crowd.lock().connections.get_mut(&self.number) {
            connection.waker = waker;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.crowd.lock();
        let connection = members.connections.remove(&self.number);
        if self.crowd.is_stopped() && members.connections.is_empty() {
            self.crowd.left.notify_all();
        }
        drop(members);
        drop(connection);
    }
}
