//! From the text of a head to the types of the `http` crate, and what it says of the message.
//!
//! Whatever two readers could understand in two ways is refused (RFC 9112, 11.2): more than one
//! length, a length besides an encoding, an encoding in HTTP/1.0, lines that go on.

use crate::Request;
use crate::incoming::Framing;
use crate::names;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, StatusCode, Uri, Version};
use std::mem::MaybeUninit;

/// More fields are refused.
const MAX_FIELDS: usize = 100;
/// Most heads have no more: a page of the stack is not touched for them.
const FEW_FIELDS: usize = 24;

/// What the head of a request says besides the request itself.
pub(crate) struct RequestHead {
    pub(crate) len: usize,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) awaits_continue: bool,
}

/// The head of a response.
pub(crate) struct ResponseHead {
    pub(crate) len: usize,
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
}

/// Whether `text`, of which the first `seen` bytes were looked at before, may have the end of a
/// head. It saves parsing a head again for each byte that comes.
pub(crate) fn may_end(text: &[u8], seen: usize) -> bool {
    let tail = &text[seen.saturating_sub(3)..];
    seen == 0 || tail.windows(2).any(|w| w == b"\n\n") || tail.windows(3).any(|w| w == b"\n\r\n")
}

/// For a head that is longer than allowed: which part is.
pub(crate) fn too_long(text: &[u8], max: usize) -> StatusCode {
    match text.trim_ascii_start().iter().position(|b| *b == b'\n') {
        Some(len) if len < max => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::URI_TOO_LONG,
    }
}

/// What heads are made in. It is used for one after the other.
#[derive(Default)]
pub(crate) struct Spare {
    /// The memory that the parts of heads are in.
    text: BytesMut,
    /// The request of the last head, until it is taken. Between two requests it has room for
    /// fields, but no field.
    pub(crate) request: Request,
}

/// So much is kept.
const KEPT_BYTES: usize = 8 << 10;
const KEPT_FIELDS: usize = 64;

impl Spare {
    /// Takes a map that was used, for its memory.
    pub(crate) fn keep(&mut self, headers: &mut HeaderMap) {
        if headers.capacity() <= KEPT_FIELDS {
            headers.clear();
            std::mem::swap(self.request.headers_mut(), headers);
        }
    }

    /// What there is of a request is not for the next one.
    #[cold]
    pub(crate) fn forget(&mut self) {
        self.request = Request::default();
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.request.headers().is_empty()
    }
}

/// The text in memory of its own: where that of the last one was, if it is gone.
fn copy(text: &[u8], memory: &mut BytesMut) -> Bytes {
    memory.extend_from_slice(text);
    let copy = memory.split().freeze();
    if copy.len() > KEPT_BYTES {
        *memory = BytesMut::new();
    }
    copy
}

/// Makes a request of a head, in `spare`. `None`: more has to come, and nothing was made. An error
/// is what to answer; what was made then is to be forgotten.
#[inline(never)] // the fields are on no frame that waits
pub(crate) fn request(
    text: &[u8],
    max: usize,
    spare: &mut Spare,
) -> Result<Option<RequestHead>, StatusCode> {
    let mut fields = [const { MaybeUninit::uninit() }; FEW_FIELDS];
    match request_with(text, max, &mut fields, spare) {
        Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => long_request(text, max, spare),
        result => result,
    }
}

#[cold]
#[inline(never)]
fn long_request(
    text: &[u8],
    max: usize,
    spare: &mut Spare,
) -> Result<Option<RequestHead>, StatusCode> {
    request_with(text, max, &mut [const { MaybeUninit::uninit() }; MAX_FIELDS], spare)
}

fn request_with<'a>(
    text: &'a [u8],
    max: usize,
    fields: &mut [MaybeUninit<httparse::Header<'a>>],
    spare: &mut Spare,
) -> Result<Option<RequestHead>, StatusCode> {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let mut parsed = httparse::Request::new(&mut []);
    let len = match parsed.parse_with_uninit_headers(text, fields) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return refused(e, text),
    };
    if len > max {
        return Err(too_long(text, max));
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(BAD) };
    let version = version(parsed.version);
    let text = &text[..len];
    let whole = Whole { bytes: copy(text, &mut spare.text), text };
    let method = Method::from_bytes(method.as_bytes()).or(Err(BAD))?;
    let uri = whole.uri(target).ok_or(BAD)?;
    check_target(&method, target, &uri)?;
    let request = &mut spare.request;
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    let facts = whole.fields(parsed.headers, request.headers_mut())?;

    if facts.hosts > 1 || (facts.hosts == 0 && version == Version::HTTP_11) {
        return Err(BAD);
    }
    if facts.expects_other && version == Version::HTTP_11 {
        return Err(StatusCode::EXPECTATION_FAILED);
    }
    let framing = facts.framing(version)?.unwrap_or(Framing::Length(0));
    let keep_alive = facts.keep_alive(version);
    let awaits_continue = facts.expects_continue && version == Version::HTTP_11;
    Ok(Some(RequestHead { len, framing, keep_alive, awaits_continue }))
}

/// What to answer to a head that httparse does not take.
#[cold]
fn refused(e: httparse::Error, text: &[u8]) -> Result<Option<RequestHead>, StatusCode> {
    match e {
        httparse::Error::TooManyHeaders => Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        // Which one it is, is known at the end of the line.
        httparse::Error::Version if !text.trim_ascii_start().contains(&b'\n') => Ok(None),
        httparse::Error::Version if names_a_version(text) => {
            Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED)
        }
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The same for the answer to a request with this method. An error: it is malformed.
pub(crate) fn response(text: &[u8], to: &Method) -> Result<Option<ResponseHead>, StatusCode> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let result = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        text,
        &mut fields,
    );
    let len = match result {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(StatusCode::BAD_GATEWAY),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(StatusCode::BAD_GATEWAY)?;
    let version = version(parsed.version);
    let whole = Whole { bytes: Bytes::copy_from_slice(&text[..len]), text: &text[..len] };
    let mut headers = HeaderMap::new();
    let facts = whole.fields(parsed.headers, &mut headers)?;
    let has_no_body = *to == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let framing = if has_no_body {
        Framing::Length(0)
    } else {
        facts.framing(version)?.unwrap_or(Framing::UntilClose)
    };
    let keep_alive = facts.keep_alive(version) && framing != Framing::UntilClose;
    Ok(Some(ResponseHead { len, status, version, headers, framing, keep_alive }))
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

/// Whether the first line ends as one of HTTP does, but of another version.
fn names_a_version(text: &[u8]) -> bool {
    let line = text.trim_ascii_start().split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', a, b'.', b]
        if a.is_ascii_digit() && b.is_ascii_digit() && !matches!((a, b), (b'1', b'0' | b'1')))
}

/// RFC 9112, 3.2: a path, a whole address, or an asterisk. Tunnels are not made.
fn check_target(method: &Method, target: &str, uri: &Uri) -> Result<(), StatusCode> {
    if *method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let is_good = match target {
        "*" => *method == Method::OPTIONS,
        _ => target.starts_with('/') || (uri.scheme().is_some() && uri.authority().is_some()),
    };
    if is_good { Ok(()) } else { Err(StatusCode::BAD_REQUEST) }
}

/// The head in memory of its own, of which the values are parts.
struct Whole<'a> {
    text: &'a [u8],
    bytes: Bytes,
}

impl Whole<'_> {
    /// The same bytes as `part`, which is a part of the text.
    fn part(&self, part: &[u8]) -> Bytes {
        if part.is_empty() {
            return Bytes::new();
        }
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        self.bytes.slice(start..start + part.len())
    }

    fn uri(&self, target: &str) -> Option<Uri> {
        if target == "/" {
            return Some(Uri::default());
        }
        Uri::from_maybe_shared(self.part(target.as_bytes())).ok()
    }

    fn fields(
        &self,
        fields: &[httparse::Header<'_>],
        headers: &mut HeaderMap,
    ) -> Result<Facts, StatusCode> {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        headers.reserve(fields.len());
        let mut facts = Facts::default();
        for field in fields {
            let name = names::parse(field.name.as_bytes()).or(Err(BAD))?;
            facts.learn(&name, field.value)?;
            let value = HeaderValue::from_maybe_shared(self.part(field.value)).or(Err(BAD))?;
            headers.append(name, value);
        }
        Ok(facts)
    }
}

/// What plain host names are made of.
static IN_HOSTS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        byte += 1;
    }
    table
};

/// What the fields say of the message and the connection.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    is_encoded: bool,
    /// The last encoding is `chunked`, which ends the body.
    is_chunked: bool,
    has_other_encoding: bool,
    close: bool,
    keep_alive: bool,
    hosts: u32,
    expects_continue: bool,
    expects_other: bool,
}

impl Facts {
    fn learn(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), StatusCode> {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        if *name == header::CONTENT_LENGTH {
            let length = decimal(value).ok_or(BAD)?;
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err(BAD);
            }
        } else if *name == header::TRANSFER_ENCODING {
            self.is_encoded = true;
            for coding in tokens(value) {
                if self.is_chunked || coding.is_empty() {
                    return Err(BAD);
                }
                if coding.eq_ignore_ascii_case(b"chunked") {
                    self.is_chunked = true;
                } else {
                    self.has_other_encoding = true;
                }
            }
        } else if *name == header::CONNECTION {
            for option in tokens(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == header::HOST {
            self.hosts += 1;
            let is_name = value.iter().all(|b| IN_HOSTS[usize::from(*b)]);
            let is_good =
                is_name || Authority::try_from(value).is_ok_and(|a| !a.as_str().contains('@'));
            return if is_good { Ok(()) } else { Err(BAD) };
        } else if *name == header::EXPECT {
            let is_continue = value.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= is_continue;
            self.expects_other |= !is_continue;
        }
        Ok(())
    }

    /// `None`: nothing is said.
    fn framing(&self, version: Version) -> Result<Option<Framing>, StatusCode> {
        if !self.is_encoded {
            return Ok(self.length.map(Framing::Length));
        }
        if self.length.is_some() || !self.is_chunked || version == Version::HTTP_10 {
            return Err(StatusCode::BAD_REQUEST);
        }
        if self.has_other_encoding {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        Ok(Some(Framing::Chunked))
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// Digits and nothing else.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}
