//! One connection of a server, from its first request to its end.
//!
//! Between two requests of a connection there are those of all others, and its stack is no longer
//! in the nearest cache. So what waits for a request has small frames, and what makes the answer is
//! in functions of its own: they use the part of the stack that the wait has used, and the kit.

use crate::body::Body;
use crate::control::Control;
use crate::head::{self, RequestHead};
use crate::incoming::{Decoder, Framing, Incoming};
use crate::input::Input;
use crate::kit::{Kit, Kits};
use crate::output::{Output, To};
use crate::server::Config;
use crate::{Request, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{StatusCode, Version};
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
    pub(crate) control: &'a Control,
    pub(crate) config: &'a Config,
    pub(crate) handler: &'a F,
    pub(crate) kits: &'a Kits,
}

/// How the wait for a request ends; without a status, nobody waits for an answer.
type Next = Result<RequestHead, Option<StatusCode>>;

/// What is left after a request.
#[derive(Clone, Copy)]
enum After {
    /// The connection goes on.
    Keep,
    Close,
    /// The other side may be sending still.
    Linger,
}

/// Where a body puts the input when it is done. The connection has none meanwhile.
type Slot<R> = Arc<Mutex<Option<(Input<R>, Decoder)>>>;

/// What came of a request's body.
#[derive(Clone, Copy)]
struct Verdict {
    /// What the request deserves, if its body is wrong.
    status: Option<StatusCode>,
    /// Whether what is still to come of it may be waited for.
    is_short: bool,
}

impl Verdict {
    fn of<R>(lent: Option<&Slot<R>>) -> Verdict {
        match lent.map(lock).as_deref() {
            Some(Some((_, decoder))) => Verdict {
                status: decoder.failure(),
                is_short: !decoder.awaits_continue && decoder.at_least() <= DRAIN_BYTES,
            },
            _ => Verdict { status: None, is_short: true },
        }
    }
}

impl<W, F> Conn<'_, W, F>
where
    W: Write + Clone + Send + 'static,
    F: Fn(Request) -> Response,
{
    /// Until the connection ends.
    pub(crate) fn run<R: Read + Send + 'static>(mut self, input: Input<R>) {
        let (mut held, mut kit) = (Some(input), None);
        let lingers = loop {
            let Some(input) = &mut held else { break false };
            let head = match self.next(input, &mut kit) {
                Ok(head) => head,
                Err(None) => break false,
                Err(Some(status)) => {
                    let kit = self.kit(&mut kit);
                    self.reject(kit, status, false);
                    break true;
                }
            };
            let used = self.kit(&mut kit);
            match self.answer(&mut held, head, used) {
                After::Keep => {}
                After::Close => break false,
                After::Linger => break true,
            }
            if held.as_ref().is_none_or(|input| input.buffered().is_empty()) {
                kit.take().into_iter().for_each(|kit| self.kits.give(kit));
                if !self.control.idle() {
                    break false;
                }
            }
        };
        kit.into_iter().for_each(|kit| self.kits.give(kit));
        if lingers && let Some(socket) = self.control.socket() {
            linger(socket);
        }
    }

    fn kit<'k>(&self, kit: &'k mut Option<Box<Kit>>) -> &'k mut Kit {
        kit.get_or_insert_with(|| self.kits.take())
    }

    /// The next head; the request that it is of is in the kit then.
    #[inline(never)] // see the module's documentation
    fn next<R: Read>(&self, input: &mut Input<R>, kit: &mut Option<Box<Kit>>) -> Next {
        let (mut seen, mut is_timed) = (0, false);
        loop {
            let text = input.buffered();
            if !text.is_empty() {
                self.control.busy();
                if head::may_end(text, seen) {
                    match head::request(text, self.config.max_head, &mut self.kit(kit).spare) {
                        Ok(None) => {}
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
                    return Err(Some(head::too_long(text, self.config.max_head)));
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

    #[inline(never)] // see the module's documentation
    fn answer<R: Read + Send + 'static>(
        &mut self,
        held: &mut Option<Input<R>>,
        head: RequestHead,
        kit: &mut Kit,
    ) -> After {
        let to = To::of(&kit.spare.request);
        let lent = self.lend(held, &head, kit.spare.request.body_mut());
        self.output.begin(&mut kit.out);
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let response = (self.handler)(std::mem::take(&mut kit.spare.request));
            self.send(kit, response, Verdict::of(lent.as_ref()), to, head.keep_alive)
        }));
        let unread = take_back(held, lent);
        match answered {
            Ok(Ok(keep_alive)) => self.after(held.as_mut(), unread, keep_alive),
            // The handler has panicked, or the stream that it gave; std's hook has said so.
            Err(_) | Ok(Err(_)) => {
                if !self.output.has_begun {
                    self.reject(kit, StatusCode::INTERNAL_SERVER_ERROR, to.is_head);
                    return if held.is_some() { After::Linger } else { self.end_at_once() };
                }
                if to.version == Version::HTTP_10
                    && let Some(socket) = self.control.socket()
                {
                    // Else the end of the connection might be that of the body.
                    let _ = socket.set_linger(Some(Duration::ZERO));
                }
                if held.is_some() { After::Close } else { self.end_at_once() }
            }
        }
    }

    /// The body is somewhere else; nobody knows for how long.
    fn end_at_once(&self) -> After {
        if let Some(socket) = self.control.socket() {
            socket.close();
        }
        After::Close
    }

    /// Gives the input to the body of a request that has one.
    fn lend<R: Read + Send + 'static>(
        &self,
        held: &mut Option<Input<R>>,
        head: &RequestHead,
        body: &mut Body,
    ) -> Option<Slot<R>> {
        let has_body = head.framing != Framing::Length(0);
        let input = held.take_if(|_| has_body)?;
        let mut decoder = Decoder::new(head.framing, self.config.max_body, self.config.max_head);
        decoder.awaits_continue = head.awaits_continue;
        let slot = Slot::default();
        *body = self.incoming(input, decoder, Arc::clone(&slot));
        Some(slot)
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
        kit: &mut Kit,
        response: Response,
        verdict: Verdict,
        to: To,
        keep_alive: bool,
    ) -> io::Result<bool> {
        let keep_alive = keep_alive && verdict.is_short && !self.control.is_stopped();
        match verdict.status {
            // An informational one would be no answer.
            None if response.status().is_informational() => {
                let refusal = refusal(StatusCode::INTERNAL_SERVER_ERROR);
                self.output.response(kit, refusal, to, false)
            }
            None => self.output.response(kit, response, to, keep_alive),
            Some(status) => self.output.response(kit, refusal(status), to, false),
        }
    }

    /// The response has gone.
    fn after<R: Read>(
        &self,
        held: Option<&mut Input<R>>,
        unread: Option<Decoder>,
        keep_alive: bool,
    ) -> After {
        let Some(input) = held else { return self.end_at_once() };
        let is_read = unread.is_none_or(|mut decoder| {
            if keep_alive && !decoder.is_done() {
                drain(input, &mut decoder);
            }
            decoder.is_done()
        });
        match (is_read, keep_alive) {
            (true, true) => After::Keep,
            (true, false) if input.buffered().is_empty() && !self.has_more() => After::Close,
            _ => After::Linger,
        }
    }

    /// Whether the other side has sent something that was not read.
    fn has_more(&self) -> bool {
        let Some(socket) = self.control.socket() else { return false };
        let _ = socket.set_nonblocking(true); // a setting of ours, which cannot fail
        let peeked = socket.peek(&mut [0]);
        let _ = socket.set_nonblocking(false);
        matches!(peeked, Ok(1))
    }

    fn reject(&mut self, kit: &mut Kit, status: StatusCode, is_head: bool) {
        kit.spare.forget();
        // If it cannot be told, there is nobody to tell it to.
        let to = To { version: Version::HTTP_11, is_head };
        let _ = self.output.response(kit, refusal(status), to, false);
    }
}

/// Puts the input back where it was before `lend`, if the body is done with it. The result is what
/// of the body was not read.
fn take_back<R>(held: &mut Option<Input<R>>, lent: Option<Slot<R>>) -> Option<Decoder> {
    let (input, decoder) = lock(&lent?).take()?;
    *held = Some(input);
    Some(decoder)
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
