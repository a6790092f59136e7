//! One connection of a server, from its first request to its end.

use crate::body::Body;
use crate::control::Control;
use crate::head::{self, RequestHead};
use crate::incoming::{Decoder, Framing, Incoming};
use crate::input::Input;
use crate::kit::Kits;
use crate::output::Output;
use crate::server::Config;
use crate::{Request, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode, Version};
use rt0::net::{Shutdown, TcpStream};
use rt0::sync::{Mutex, PoisonError};
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a handler has left of a body is read, up to this much, so that the connection can be kept.
const DRAIN_BYTES: u64 = 64 << 10;
/// A socket that is closed over unread data resets, and the answer is lost. So what the other side
/// still sends is read after the last answer, until it ends, or says nothing for so long, or this
/// much time has passed, or so many bytes. nginx: `lingering_close`; Go: `closeWriteAndWait`.
const LINGER_SILENCE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

pub(crate) struct Conn<'a, W, F> {
    pub(crate) output: Output<W>,
    /// A second way to write, for `100 Continue`.
    pub(crate) writer: W,
    pub(crate) socket: Option<Arc<TcpStream>>,
    pub(crate) control: &'a Control,
    pub(crate) config: &'a Config,
    pub(crate) handler: &'a F,
    pub(crate) kits: &'a Kits,
    /// Whether the output has one of them.
    pub(crate) has_kit: bool,
}

/// How the wait for a request ends; without a status, nobody waits for an answer.
type Next = Result<RequestHead, Option<StatusCode>>;

/// What is left after a request.
enum After<R> {
    /// The connection goes on.
    Keep(Input<R>),
    Close,
    /// The other side may be sending still.
    Linger,
}

/// Where the body puts the input when it is done.
type Slot<R> = Arc<Mutex<Option<(Input<R>, Decoder)>>>;

/// The input during a request.
enum Held<R> {
    Here(Input<R>, Decoder),
    /// The body has it, or has put it there.
    Lent(Slot<R>),
}

impl<R> Held<R> {
    /// The status that the request deserves, if its body is wrong, and whether what is still to
    /// come of it may be waited for.
    fn verdict(&self) -> (Option<StatusCode>, bool) {
        let Held::Lent(slot) = self else { return (None, true) };
        match &*lock(slot) {
            None => (None, true),
            Some((_, decoder)) => {
                let is_short = !decoder.awaits_continue && decoder.at_least() <= DRAIN_BYTES;
                (decoder.failure(), is_short)
            }
        }
    }

    fn back(self) -> Option<(Input<R>, Decoder)> {
        match self {
            Held::Here(input, decoder) => Some((input, decoder)),
            Held::Lent(slot) => lock(&slot).take(),
        }
    }
}

impl<W, F> Conn<'_, W, F>
where
    W: Write + Clone + Send + 'static,
    F: Fn(Request) -> Response,
{
    /// Until the connection ends.
    pub(crate) fn run<R: Read + Send + 'static>(mut self, mut input: Input<R>) {
        let lingers = loop {
            match self.next(&mut input) {
                Err(None) => break false,
                Err(Some(status)) => {
                    self.reject(status, false);
                    break true;
                }
                Ok(head) => match self.answer(input, head) {
                    After::Keep(back) => input = back,
                    After::Close => break false,
                    After::Linger => break true,
                },
            }
            if input.buffered().is_empty() {
                self.give_kit();
                if !self.control.idle() {
                    break false;
                }
            }
        };
        self.give_kit();
        if lingers && let Some(socket) = &self.socket {
            linger(socket);
        }
    }

    fn take_kit(&mut self) {
        if !self.has_kit {
            self.output.kit = self.kits.take();
            self.has_kit = true;
        }
    }

    fn give_kit(&mut self) {
        if self.has_kit {
            self.kits.give(std::mem::take(&mut self.output.kit));
            self.has_kit = false;
        }
    }

    /// The next head.
    fn next<R: Read>(&mut self, input: &mut Input<R>) -> Next {
        let (mut seen, mut is_timed) = (0, false);
        loop {
            let text = input.buffered();
            if !text.is_empty() {
                self.control.busy();
                self.take_kit();
                if head::may_end(text, seen) {
                    match head::request(text, &mut self.output.kit.spare) {
                        Ok(None) => {}
                        Ok(Some(head)) if head.len > self.config.max_head => {
                            return Err(Some(too_long(text, self.config.max_head)));
                        }
                        Ok(Some(head)) => {
                            if is_timed {
                                input.clear_deadline();
                            }
                            input.consume(head.len);
                            return self.admit(head);
                        }
                        Err(status) => return Err(Some(status)),
                    }
                }
                seen = text.len();
                if seen >= self.config.max_head {
                    return Err(Some(too_long(text, self.config.max_head)));
                }
                if !is_timed {
                    input.set_deadline(self.config.head_timeout);
                    is_timed = true;
                }
            }
            match input.fill() {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::TimedOut && is_timed => {
                    return Err(Some(StatusCode::REQUEST_TIMEOUT));
                }
                Err(_) => return Err(None),
            }
        }
    }

    fn admit(&self, head: RequestHead) -> Next {
        match head.framing {
            Framing::Length(n) if n > self.config.max_body => {
                Err(Some(StatusCode::PAYLOAD_TOO_LARGE))
            }
            _ => Ok(head),
        }
    }

    fn answer<R: Read + Send + 'static>(&mut self, input: Input<R>, head: RequestHead) -> After<R> {
        let (is_head, version) = (head.method == Method::HEAD, head.version);
        let keep_alive = head.keep_alive;
        let mut decoder = Decoder::new(head.framing, self.config.max_body, self.config.max_head);
        decoder.awaits_continue = head.awaits_continue;

        let (body, held) = if decoder.is_done() {
            (Body::empty(), Held::Here(input, decoder))
        } else {
            let slot = Slot::default();
            (self.incoming(input, decoder, Arc::clone(&slot)), Held::Lent(slot))
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = version;
        *request.headers_mut() = head.headers;

        self.output.begin();
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let response = (self.handler)(request);
            self.send(response, held.verdict(), version, is_head, keep_alive)
        }));
        match answered {
            Ok(Ok(keep_alive)) => self.after(held.back(), keep_alive),
            // The handler has panicked, or the stream that it gave; std's hook has said so.
            Err(_) | Ok(Err(_)) => {
                let is_here = held.back().is_some();
                if !self.output.has_begun {
                    self.reject(StatusCode::INTERNAL_SERVER_ERROR, is_head);
                    return if is_here { After::Linger } else { self.end_at_once() };
                }
                if version == Version::HTTP_10
                    && let Some(socket) = &self.socket
                {
                    // Else the end of the connection might be that of the body.
                    let _ = socket.set_linger(Some(Duration::ZERO));
                }
                if is_here { After::Close } else { self.end_at_once() }
            }
        }
    }

    /// The body is somewhere else; nobody knows for how long.
    fn end_at_once<R>(&self) -> After<R> {
        if let Some(socket) = &self.socket {
            socket.close();
        }
        After::Close
    }

    fn incoming<R: Read + Send + 'static>(
        &self,
        input: Input<R>,
        decoder: Decoder,
        slot: Slot<R>,
    ) -> Body {
        let left = match decoder.at_least() {
            0 => None,
            n => Some(n),
        };
        let mut writer = self.writer.clone();
        let go_on = decoder.awaits_continue.then(|| {
            let go_on = move || {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                writer.flush()
            };
            Box::new(go_on) as Box<dyn FnOnce() -> io::Result<()> + Send>
        });
        let home = move |input, decoder| *lock(&slot) = Some((input, decoder));
        let incoming = Incoming::new(input, decoder, go_on, Box::new(home));
        match left {
            Some(len) => Body::from_sized_reader(incoming, len),
            None => Body::from_reader(incoming),
        }
    }

    /// The handler's response, or another one if the request turned out to be wrong.
    fn send(
        &mut self,
        response: Response,
        (mut status, is_short): (Option<StatusCode>, bool),
        version: Version,
        is_head: bool,
        keep_alive: bool,
    ) -> io::Result<bool> {
        if response.status().is_informational() {
            status = Some(StatusCode::INTERNAL_SERVER_ERROR); // it would be no answer
        }
        let keep_alive = keep_alive && is_short && !self.control.is_stopped();
        match status {
            None => self.output.response(response, version, is_head, keep_alive),
            Some(status) => self.output.response(refusal(status), version, is_head, false),
        }
    }

    /// The response has gone.
    fn after<R: Read>(&self, back: Option<(Input<R>, Decoder)>, keep_alive: bool) -> After<R> {
        let Some((mut input, mut decoder)) = back else {
            return self.end_at_once();
        };
        if keep_alive && !decoder.is_done() {
            drain(&mut input, &mut decoder);
        }
        match (decoder.is_done(), keep_alive) {
            (true, true) => After::Keep(input),
            (true, false) if input.buffered().is_empty() && !self.has_more() => After::Close,
            _ => After::Linger,
        }
    }

    /// Whether the other side has sent something that was not read.
    fn has_more(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        let _ = socket.set_nonblocking(true); // a setting of ours, which cannot fail
        let peeked = socket.peek(&mut [0]);
        let _ = socket.set_nonblocking(false);
        matches!(peeked, Ok(1))
    }

    fn reject(&mut self, status: StatusCode, is_head: bool) {
        // If it cannot be told, there is nobody to tell it to.
        let _ = self.output.response(refusal(status), Version::HTTP_11, is_head, false);
    }
}

fn lock<R>(slot: &Slot<R>) -> rt0::sync::MutexGuard<'_, Option<(Input<R>, Decoder)>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(status: StatusCode) -> Response {
    let mut response = Response::new(status.canonical_reason().unwrap_or_default().into());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// For a head that is longer than allowed: which part is.
fn too_long(text: &[u8], max: usize) -> StatusCode {
    match text.trim_ascii_start().iter().position(|b| *b == b'\n') {
        Some(len) if len < max => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::URI_TOO_LONG,
    }
}

/// Reads what a handler has left of a body, if it is not much. Its buffer is on no other's stack.
#[cold]
#[inline(never)]
fn drain<R: Read>(input: &mut Input<R>, decoder: &mut Decoder) {
    let mut buf = [0; 4 << 10];
    let mut left = DRAIN_BYTES;
    while left > 0 {
        match decoder.read(input, &mut buf) {
            Ok(0) | Err(_) => return,
            Ok(n) => left = left.saturating_sub(n as u64),
        }
    }
}

#[cold]
#[inline(never)] // as drain
fn linger(mut socket: &TcpStream) {
    if socket.shutdown(Shutdown::Write).is_err() {
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
