//! The client, and the connections that it keeps.

use crate::body::Body;
use crate::head::{self, ResponseHead};
use crate::incoming::{Decoder, Incoming};
use crate::input::Input;
use crate::output::{Output, says_close};
use crate::pool::Pool;
use crate::stream::Tcp;
use crate::{Request, Response};
use http::uri::Scheme;
use http::{Method, StatusCode, Uri};
use rt0::net::TcpStream;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

const MAX_HEAD_BYTES: usize = 64 << 10;
/// Answers that only say that one is to come.
const MAX_INTERIM: usize = 16;

/// An HTTP/1.1 client, which keeps connections for the next request to the same host. Clones share
/// them. Go: `http.Client`, without redirects.
///
/// A call blocks until the head of the response is there; the body is read from the connection,
/// which is kept when its end was seen. There are no timeouts but those of a context:
///
/// ```no_run
/// # use rt0::context::{background, with_timeout};
/// # use std::time::Duration;
/// # fn f() -> std::io::Result<()> {
/// let client = rt0_http::Client::new();
/// let (ctx, _cancel) = with_timeout(&background(), Duration::from_secs(5));
/// let page = ctx.io(|| client.get("http://example.org/")?.into_body().text())?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Client {
    pool: Arc<Pool>,
}

impl Client {
    /// A client without connections.
    pub fn new() -> Client {
        Client::default()
    }

    /// How long a connection is kept without a request (30 s), then it is closed; for all clones.
    /// Go: `Transport.IdleConnTimeout`.
    pub fn idle_timeout(self, timeout: Duration) -> Client {
        self.pool.set_timeout(timeout);
        self
    }

    /// Closes the connections that are kept; those with a request are not concerned. Clones have
    /// the same. Go: `Client.CloseIdleConnections`.
    pub fn close_idle_connections(&self) {
        self.pool.clear();
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// As [`request`](Self::request); `InvalidInput` also if `uri` is not one.
    pub fn get(&self, uri: &str) -> io::Result<Response> {
        let uri = Uri::try_from(uri).map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        self.request(request)
    }

    /// Sends a request, and returns the response as soon as its head is there.
    ///
    /// `Host`, `Content-Length` and `Transfer-Encoding` are set as needed. A kept connection may
    /// have ended meanwhile: requests that may be repeated (RFC 9110, 9.2.2) and whose body is
    /// bytes are sent again then.
    ///
    /// # Errors
    /// `InvalidInput`: the address is not of the kind `http://host/path`; `InvalidData`: the
    /// response is malformed or its head too long; else those of the connection.
    pub fn request(&self, request: Request) -> io::Result<Response> {
        let (parts, body) = request.into_parts();
        let host = host(&parts.uri, &parts.method)?;
        let again = body.replay().filter(|_| parts.method.is_idempotent());
        if let Some(kept) = self.pool.take(&host.key) {
            match self.exchange(kept, &parts, &host, body) {
                Err(Failed::Stale(e)) => match again {
                    Some(bytes) => {
                        let fresh = connect(&host.key)?;
                        return self.exchange(fresh, &parts, &host, bytes.into()).map_err(of);
                    }
                    None => return Err(e),
                },
                result => return result.map_err(of),
            }
        }
        let fresh = connect(&host.key)?;
        self.exchange(fresh, &parts, &host, body).map_err(of)
    }

    fn exchange(
        &self,
        mut input: Input<Tcp>,
        parts: &http::request::Parts,
        host: &Host,
        body: Body,
    ) -> Result<Response, Failed> {
        let mut output = Output::new(input.source().clone(), None);
        let sent = output.request(parts, &host.text, body);
        drop(output);
        let sent = match sent {
            Err(e) if !matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                return Err(Failed::For(e));
            }
            sent => sent, // a server may answer before it has read all, and close
        };
        let was_sent = sent.is_ok();
        let head = read_head(&mut input, &parts.method);
        let head = match (head, sent) {
            (Ok(head), _) => head,
            (Err(Failed::Stale(_)), Err(e)) => return Err(Failed::Stale(e)),
            (Err(e), _) => return Err(e),
        };
        Ok(self.response(input, head, host, was_sent && !says_close(&parts.headers)))
    }

    fn response(
        &self,
        input: Input<Tcp>,
        head: ResponseHead,
        host: &Host,
        keep_alive: bool,
    ) -> Response {
        let decoder = Decoder::new(head.framing, u64::MAX, MAX_HEAD_BYTES);
        let keep_alive = head.keep_alive && keep_alive;
        let (pool, key) = (Arc::clone(&self.pool), host.key.clone());
        let home = move |input: Input<Tcp>, decoder: Decoder| {
            if decoder.is_done() && keep_alive && input.buffered().is_empty() {
                pool.put(key, input);
            }
        };
        let body = if decoder.is_done() {
            home(input, decoder);
            Body::empty()
        } else {
            let left = decoder.at_least();
            let incoming = Incoming::new(input, decoder, None, Box::new(home));
            if left > 0 {
                Body::from_sized_reader(incoming, left)
            } else {
                Body::from_reader(incoming)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        response
    }
}

/// Why there is no response.
enum Failed {
    /// The connection ended before anything of it came, as one does that was kept too long.
    Stale(io::Error),
    For(io::Error),
}

fn of(failed: Failed) -> io::Error {
    match failed {
        Failed::Stale(e) | Failed::For(e) => e,
    }
}

/// The head of the answer, after those that say that it is to come.
fn read_head(input: &mut Input<Tcp>, method: &Method) -> Result<ResponseHead, Failed> {
    let malformed = |text| Failed::For(io::Error::new(ErrorKind::InvalidData, text));
    for _ in 0..MAX_INTERIM {
        let mut seen = 0;
        let head = loop {
            let text = input.buffered();
            if !text.is_empty() && head::may_end(text, seen) {
                let head = head::response(text, method);
                if let Some(head) = head.or(Err(malformed("the response is malformed")))? {
                    break head;
                }
            }
            seen = text.len();
            if seen >= MAX_HEAD_BYTES {
                return Err(malformed("the head of the response is too long"));
            }
            match input.fill() {
                Ok(0) => {
                    let text = "the connection ended before the response";
                    let e = io::Error::new(ErrorKind::UnexpectedEof, text);
                    return Err(if seen == 0 { Failed::Stale(e) } else { Failed::For(e) });
                }
                Ok(_) => {}
                Err(e) if seen == 0 && e.kind() == ErrorKind::ConnectionReset => {
                    return Err(Failed::Stale(e));
                }
                Err(e) => return Err(Failed::For(e)),
            }
        };
        input.consume(head.len);
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(malformed("the server changes the protocol"));
        }
        if !head.status.is_informational() {
            return Ok(head);
        }
    }
    Err(malformed("the response does not come"))
}

fn connect(key: &str) -> io::Result<Input<Tcp>> {
    let stream = TcpStream::connect(key)?;
    stream.set_nodelay(true)?;
    Ok(Input::new(Tcp(Arc::new(stream)), None, None))
}

struct Host {
    /// With the port: where to connect.
    key: String,
    /// What the server is told.
    text: String,
}

fn host(uri: &Uri, method: &Method) -> io::Result<Host> {
    let wrong = |text| Err(io::Error::new(ErrorKind::InvalidInput, text));
    if uri.scheme() != Some(&Scheme::HTTP) {
        return wrong("the address does not begin with http://");
    }
    if *method == Method::CONNECT {
        return wrong("tunnels are not made");
    }
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return wrong("the address names no host");
    };
    let port = uri.port_u16();
    Ok(Host {
        key: format!("{host}:{}", port.unwrap_or(80)),
        text: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
