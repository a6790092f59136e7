//! The body of a message that is being received.
//!
//! The connection's [`Input`] moves into the body, and back where the body ends or is dropped: so
//! a body can go wherever the program likes, and nothing is locked.

use crate::input::Input;
use http::StatusCode;
use std::io::{self, ErrorKind, Read};

/// The longest line that begins a chunk, with its extensions.
const CHUNK_LINE_BYTES: usize = 1 << 10;
/// What those lines may have besides sizes, in a whole body: else a body of a few bytes could keep
/// its reader busy with megabytes.
const EXTENSION_BYTES: usize = 16 << 10;

/// Where a body ends. RFC 9112, 6.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// ```text
///  ChunkSize ──> Data ──> DataEnd ──> ChunkSize      Length ──┐
///      └──0──> Trailer ──> Done                  UntilClose ──┴──> Done
///  each ──error──> Failed
/// ```
#[derive(Clone, Copy)]
enum State {
    Length(u64),
    UntilClose,
    ChunkSize,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
    /// What a server answers.
    Failed(StatusCode),
}

/// What is still to be read of a body.
pub(crate) struct Decoder {
    state: State,
    /// Of a body in chunks, how much more is allowed.
    allowed: u64,
    /// The longest trailer.
    max_trailer: usize,
    /// How much more of extensions is read over.
    max_extensions: usize,
    /// The other side waits for `100 Continue` before it sends anything.
    pub(crate) awaits_continue: bool,
}

pub(crate) enum Fault {
    Io(io::Error),
    Malformed(&'static str),
    TooLarge,
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Fault {
        Fault::Io(e)
    }
}

fn ended() -> Fault {
    Fault::Io(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended inside a body"))
}

impl Decoder {
    pub(crate) fn new(framing: Framing, allowed: u64, max_trailer: usize) -> Decoder {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        let max_extensions = EXTENSION_BYTES;
        Decoder { state, allowed, max_trailer, max_extensions, awaits_continue: false }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What to answer to a request whose body was wrong.
    pub(crate) fn failure(&self) -> Option<StatusCode> {
        match self.state {
            State::Failed(status) => Some(status),
            _ => None,
        }
    }

    /// How much is to come at least.
    pub(crate) fn at_least(&self) -> u64 {
        match self.state {
            State::Length(n) | State::Data(n) => n,
            _ => 0,
        }
    }

    pub(crate) fn read<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buf: &mut [u8],
    ) -> io::Result<usize> {
        let result = self.step(input, buf);
        if self.is_done() || result.is_err() {
            input.clear_deadline();
        }
        result.map_err(|fault| {
            let (status, e) = match fault {
                Fault::Io(e) if e.kind() == ErrorKind::TimedOut => (StatusCode::REQUEST_TIMEOUT, e),
                Fault::Io(e) => (StatusCode::BAD_REQUEST, e),
                Fault::Malformed(text) => {
                    (StatusCode::BAD_REQUEST, io::Error::new(ErrorKind::InvalidData, text))
                }
                Fault::TooLarge => {
                    let text = "the body is larger than allowed";
                    let e = io::Error::new(ErrorKind::FileTooLarge, text);
                    (StatusCode::PAYLOAD_TOO_LARGE, e)
                }
            };
            self.state = State::Failed(status);
            e
        })
    }

    fn step<R: Read>(&mut self, input: &mut Input<R>, buf: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.state {
                State::Done => return Ok(0),
                State::Failed(_) => return Err(Fault::Malformed("reading the body has failed")),
                State::UntilClose => {
                    let n = input.read_timed(buf)?;
                    if n == 0 {
                        self.state = State::Done;
                    }
                    return Ok(n);
                }
                State::Length(left) => {
                    let n = some(input, buf, left)?;
                    let left = left - n as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(n);
                }
                State::Data(left) => {
                    let n = some(input, buf, left)?;
                    let left = left - n as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(n);
                }
                State::ChunkSize => {
                    let (size, extension) = line(input, CHUNK_LINE_BYTES, chunk_size)?;
                    let left = self.max_extensions.checked_sub(extension);
                    self.max_extensions = left.ok_or(Fault::Malformed("too many extensions"))?;
                    self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                    self.allowed = self.allowed.checked_sub(size).ok_or(Fault::TooLarge)?;
                }
                State::DataEnd => {
                    line(input, 2, |line| line.is_empty().then_some(()))?;
                    self.state = State::ChunkSize;
                }
                State::Trailer => {
                    let len = line(input, self.max_trailer, |line| {
                        (line.is_empty() || is_field(line)).then_some(line.len())
                    })?;
                    if len == 0 {
                        self.state = State::Done;
                    } else {
                        self.max_trailer = self.max_trailer.saturating_sub(len + 2);
                    }
                }
            }
        }
    }
}

/// Up to `left` bytes, and one at least.
fn some<R: Read>(input: &mut Input<R>, buf: &mut [u8], left: u64) -> Result<usize, Fault> {
    let len = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    match input.read_timed(&mut buf[..len])? {
        0 => Err(ended()),
        n => Ok(n),
    }
}

/// The next line, which ends with CR LF and has no other CR; `parse` gets it without its end.
fn line<R: Read, T>(
    input: &mut Input<R>,
    max: usize,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, Fault> {
    let mut searched = 0;
    loop {
        let buffered = input.buffered();
        if let Some(at) = buffered[searched..].iter().position(|b| *b == b'\n') {
            let len = searched + at + 1;
            let line = buffered[..len].strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
            let Some(parsed) = line.filter(|_| len <= max).and_then(parse) else {
                return Err(Fault::Malformed("a body is malformed"));
            };
            input.consume(len);
            return Ok(parsed);
        }
        searched = buffered.len();
        if searched >= max {
            return Err(Fault::Malformed("a line of a body is too long"));
        }
        if input.fill_timed()? == 0 {
            return Err(ended());
        }
    }
}

/// Digits, and perhaps an extension, which is not looked at; how long it is. RFC 9112, 7.1.
fn chunk_size(line: &[u8]) -> Option<(u64, usize)> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    let extension = rest.trim_ascii_start();
    if digits == 0 || digits > 15 || !(rest.is_empty() || extension.first() == Some(&b';')) {
        return None;
    }
    let size = size
        .iter()
        .try_fold(0, |n, digit| Some(n * 16 + u64::from((*digit as char).to_digit(16)?)))?;
    Some((size, rest.len()))
}

/// A field of a trailer. It is checked and left out.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|b| *b == b':') else { return false };
    http::HeaderName::from_bytes(&line[..colon]).is_ok()
        && http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).is_ok()
}

/// Where the input goes when the body ends, or is dropped.
type Home<R> = Box<dyn FnOnce(Input<R>, Decoder) + Send>;
/// Says `100 Continue`.
type Continue = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// The body, for its reader.
pub(crate) struct Incoming<R: Read> {
    inside: Option<(Input<R>, Decoder, Home<R>)>,
    go_on: Option<Continue>,
    is_whole: bool,
}

impl<R: Read> Incoming<R> {
    pub(crate) fn new(
        input: Input<R>,
        decoder: Decoder,
        go_on: Option<Continue>,
        home: Home<R>,
    ) -> Incoming<R> {
        Incoming { inside: Some((input, decoder, home)), go_on, is_whole: false }
    }
}

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let Some((input, decoder, _)) = &mut self.inside else {
            let text = "reading the body has failed";
            return if self.is_whole { Ok(0) } else { Err(io::Error::other(text)) };
        };
        if let Some(go_on) = self.go_on.take() {
            decoder.awaits_continue = false;
            go_on()?;
        }
        let result = decoder.read(input, buf);
        if (decoder.is_done() || result.is_err())
            && let Some((input, decoder, home)) = self.inside.take()
        {
            self.is_whole = decoder.is_done();
            home(input, decoder);
        }
        result
    }
}

impl<R: Read> Drop for Incoming<R> {
    fn drop(&mut self) {
        if let Some((input, decoder, home)) = self.inside.take() {
            home(input, decoder);
        }
    }
}
