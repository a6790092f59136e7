//! What a message carries.

use bytes::{Buf, Bytes};
use std::fmt;
use std::io::{self, Read};

/// The body of a request or a response: bytes, or a stream that is read while it is sent.
///
/// It is a [`Read`] itself. The body of a request that a server got, and that of a response that a
/// client got, read from the connection; reading blocks until the other side has sent something.
#[derive(Default)]
pub struct Body(Kind);

pub(crate) enum Kind {
    Bytes(Bytes),
    Stream(Stream),
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Bytes(Bytes::new())
    }
}

pub(crate) struct Stream {
    pub(crate) from: Box<dyn Read + Send>,
    /// What is still to come, if that is known.
    pub(crate) left: Option<u64>,
}

impl Body {
    /// No bytes.
    pub fn empty() -> Body {
        Body::default()
    }

    /// What `from` gives until its end. It is sent in chunks, one for each `read`, at once; an
    /// error of `from` cuts the message off, so that the other side sees that it is not complete.
    pub fn from_reader(from: impl Read + Send + 'static) -> Body {
        Body(Kind::Stream(Stream { from: Box::new(from), left: None }))
    }

    /// The first `len` bytes of what `from` gives. That it ends before is an error.
    pub fn from_sized_reader(from: impl Read + Send + 'static, len: u64) -> Body {
        Body(Kind::Stream(Stream { from: Box::new(from), left: Some(len) }))
    }

    /// How many bytes it has still to give, if that is known.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Stream(stream) => stream.left,
        }
    }

    /// Whether it is known that nothing comes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// All of it; blocks until it is there.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn bytes(self) -> io::Result<Bytes> {
        match self.0 {
            Kind::Bytes(bytes) => Ok(bytes),
            Kind::Stream(mut stream) => {
                let mut all = Vec::new();
                stream.read_to_end(&mut all)?;
                Ok(all.into())
            }
        }
    }

    /// All of it, as text; blocks until it is there.
    ///
    /// # Errors
    /// Those of the stream; `InvalidData`: it is not UTF-8.
    pub fn text(self) -> io::Result<String> {
        String::from_utf8(self.bytes()?.into())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0
    }

    /// The same bytes again, where they are at hand.
    pub(crate) fn replay(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes.clone()),
            Kind::Stream(_) => None,
        }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Bytes(bytes) => {
                let n = buf.len().min(bytes.len());
                bytes.copy_to_slice(&mut buf[..n]);
                Ok(n)
            }
            Kind::Stream(stream) => stream.read(buf),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(left) = &mut self.left else { return self.from.read(buf) };
        let len = buf.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        match self.from.read(&mut buf[..len])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than said")),
            n => {
                *left -= n as u64;
                Ok(n)
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(Kind::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Bytes::from_static(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        text.as_bytes().into()
    }
}
