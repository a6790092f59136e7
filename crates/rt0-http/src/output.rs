//! Writing messages: what is small goes out in one write, head and body.

use crate::body::{Body, Kind, Stream};
use crate::control::Control;
use crate::kit::Kit;
use crate::{Request, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A body up to this size is copied behind its head, and this much of a stream is read at a time.
const PIECE_BYTES: usize = 16 << 10;
/// So much is kept for the next message.
const KEPT_BYTES: usize = 32 << 10;
/// The other side has to take so much in each timeout.
const TIMED_BYTES: usize = 64 << 10;

pub(crate) struct Output<W> {
    to: W,
    limit: Option<(Arc<Control>, Duration)>,
    /// Whether anything of the message has gone.
    pub(crate) has_begun: bool,
}

/// What is answered to.
#[derive(Clone, Copy)]
pub(crate) struct To {
    pub(crate) version: Version,
    pub(crate) is_head: bool,
}

impl To {
    pub(crate) fn of(request: &Request) -> To {
        To { version: request.version(), is_head: request.method() == Method::HEAD }
    }
}

/// What the fields of a message say that matters here.
#[derive(Default)]
struct Said {
    close: bool,
    date: bool,
}

/// How the receiver finds the end of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(u64),
    /// As many as the sender of a head alone says.
    Theirs,
    Chunked,
    Close,
}

impl<W: Write> Output<W> {
    /// With a socket to control it by, the other side has to take each piece within `timeout`.
    pub(crate) fn new(to: W, limit: Option<(Arc<Control>, Duration)>) -> Output<W> {
        Output { to, limit, has_begun: false }
    }

    /// Answers to a request. The result is whether the connection can be kept.
    pub(crate) fn response(
        &mut self,
        kit: &mut Kit,
        mut response: Response,
        to: To,
        keep_alive: bool,
    ) -> io::Result<bool> {
        let status = response.status();
        let mut kind = std::mem::take(response.body_mut()).into_kind();
        let is_without =
            status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED || to.is_head;
        let length = match &kind {
            _ if status == StatusCode::NO_CONTENT => Length::Close,
            Kind::Bytes(bytes) if bytes.is_empty() && is_without => Length::Theirs,
            Kind::Bytes(bytes) => Length::Known(bytes.len() as u64),
            Kind::Stream(Stream { left: Some(left), .. }) => Length::Known(*left),
            Kind::Stream(_) if is_without || to.version == Version::HTTP_10 => Length::Close,
            Kind::Stream(_) => Length::Chunked,
        };
        let ends_by_close = length == Length::Close && !is_without;
        let out = &mut kit.out;
        self.begin(out);
        status_line(out, status);
        let said = fields(out, response.headers(), length);
        kit.spare.keep(response.headers_mut());
        let keep_alive = keep_alive && !said.close && !ends_by_close;
        if !said.date {
            out.extend_from_slice(kit.date.now());
        }
        if !keep_alive {
            out.extend_from_slice(b"connection: close\r\n");
        } else if to.version == Version::HTTP_10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if is_without {
            kind = Kind::default();
        }
        self.body(out, kind, length)?;
        Ok(keep_alive)
    }

    /// A request. `host` is for requests that do not say it.
    pub(crate) fn request(
        &mut self,
        parts: &http::request::Parts,
        host: &str,
        body: Body,
    ) -> io::Result<()> {
        let out = &mut Vec::new();
        let kind = body.into_kind();
        // RFC 9110, 8.6: a length of 0 is said where a body would have a meaning.
        let has_meaning = matches!(parts.method.as_str(), "POST" | "PUT" | "PATCH");
        let length = match &kind {
            Kind::Bytes(bytes) if bytes.is_empty() && !has_meaning => Length::Close,
            Kind::Bytes(bytes) => Length::Known(bytes.len() as u64),
            Kind::Stream(Stream { left: Some(left), .. }) => Length::Known(*left),
            Kind::Stream(_) => Length::Chunked,
        };
        self.begin(out);
        out.extend_from_slice(parts.method.as_str().as_bytes());
        out.push(b' ');
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        if !target.starts_with(['/', '*']) {
            out.push(b'/'); // a query alone
        }
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        if !parts.headers.contains_key(header::HOST) {
            out.extend_from_slice(b"host: ");
            out.extend_from_slice(host.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if fields(out, &parts.headers, length).close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.body(out, kind, length)
    }

    /// Nothing of the next message has gone.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        out.clear();
        self.has_begun = false;
    }

    fn body(&mut self, out: &mut Vec<u8>, kind: Kind, length: Length) -> io::Result<()> {
        match kind {
            Kind::Bytes(bytes) if bytes.len() <= PIECE_BYTES => {
                out.extend_from_slice(&bytes);
                self.send(out)
            }
            Kind::Bytes(bytes) => {
                let (first, rest) = bytes.split_at(PIECE_BYTES);
                out.extend_from_slice(first);
                self.send(out)?;
                self.write_all(rest)?;
                self.to.flush()
            }
            Kind::Stream(stream) if length == Length::Chunked => self.chunks(out, stream),
            Kind::Stream(stream) => self.stream(out, stream),
        }
    }

    fn stream(&mut self, out: &mut Vec<u8>, mut stream: Stream) -> io::Result<()> {
        loop {
            if stream.left == Some(0) && !out.is_empty() {
                return self.send(out);
            }
            let start = out.len();
            out.resize(start + PIECE_BYTES, 0);
            let n = read(&mut stream, &mut out[start..])?;
            out.truncate(start + n);
            self.send(out)?;
            if n == 0 || stream.left == Some(0) {
                return Ok(());
            }
        }
    }

    /// A chunk for each read.
    fn chunks(&mut self, out: &mut Vec<u8>, mut stream: Stream) -> io::Result<()> {
        const SIZE: usize = 6; // four digits and the end of the line
        loop {
            let start = out.len();
            out.resize(start + SIZE + PIECE_BYTES, 0);
            let n = read(&mut stream, &mut out[start + SIZE..])?;
            if n == 0 {
                out.truncate(start);
                out.extend_from_slice(b"0\r\n\r\n");
                return self.send(out);
            }
            out.truncate(start + SIZE + n);
            for (at, shift) in [12, 8, 4, 0].into_iter().enumerate() {
                out[start + at] = b"0123456789abcdef"[(n >> shift) & 15];
            }
            out[start + 4..start + SIZE].copy_from_slice(b"\r\n");
            out.extend_from_slice(b"\r\n");
            self.send(out)?;
        }
    }

    fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.has_begun = true;
        self.write_all(out)?;
        self.to.flush()?;
        if out.capacity() > KEPT_BYTES {
            *out = Vec::new();
        }
        out.clear();
        Ok(())
    }

    /// Nearly always one write takes all. Who is slow has a time for each piece.
    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        let n = self.write(data)?;
        if n == data.len() {
            return Ok(());
        }
        let result = data[n..].chunks(TIMED_BYTES).try_for_each(|piece| {
            if let Some((control, timeout)) = &self.limit
                && let Some(socket) = control.socket()
            {
                socket.set_write_deadline(Instant::now().checked_add(*timeout));
            }
            let mut rest = piece;
            while !rest.is_empty() {
                rest = &rest[self.write(rest)?..];
            }
            Ok(())
        });
        if let Some(socket) = self.limit.as_ref().and_then(|(control, _)| control.socket()) {
            socket.set_write_deadline(None);
        }
        result
    }

    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            match self.to.write(data) {
                Ok(0) if !data.is_empty() => return Err(ErrorKind::WriteZero.into()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The fields that the program has set, without those that are ours to set.
fn fields(out: &mut Vec<u8>, headers: &HeaderMap, length: Length) -> Said {
    let mut said = Said::default();
    for (name, value) in headers {
        said.date |= *name == header::DATE;
        let is_connection = *name == header::CONNECTION;
        said.close |= is_connection && has_close(value);
        let is_ours = (*name == header::CONTENT_LENGTH && length != Length::Theirs)
            || *name == header::TRANSFER_ENCODING
            || is_connection;
        if !is_ours {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    match length {
        Length::Known(n) => {
            out.extend_from_slice(b"content-length: ");
            push_decimal(out, n);
            out.extend_from_slice(b"\r\n");
        }
        Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Length::Theirs | Length::Close => {}
    }
    said
}

fn read(from: &mut Stream, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buf) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn push_decimal(buf: &mut Vec<u8>, n: u64) {
    let mut digits = [0; 20];
    let (mut at, mut n) = (digits.len(), n);
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return buf.extend_from_slice(&digits[at..]);
        }
    }
}

pub(crate) fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(has_close)
}

fn has_close(value: &HeaderValue) -> bool {
    let mut options = value.as_bytes().split(|b| *b == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
