//! What was read from a connection and not used yet.

use crate::control::Control;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Enough for the head of most messages.
const BUFFER_BYTES: usize = 4 << 10;
/// So much of a body has to come in each [`Limit::timeout`].
const PIECE_BYTES: usize = 64 << 10;

pub(crate) struct Input<R> {
    from: R,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    limit: Option<Limit>,
}

/// How long the other side may take.
struct Limit {
    control: Arc<Control>,
    timeout: Duration,
    /// How long it may be silent meanwhile; `None`: the socket has a timeout always.
    silence: Option<Duration>,
    /// What is left, of the time and of the bytes of this piece. Only waiting for the other side
    /// counts.
    left: Duration,
    bytes: usize,
    /// Whether the socket has a deadline.
    is_set: bool,
}

impl<R: Read> Input<R> {
    /// With a socket to control it by, a piece of a body may take as long as `timeout`, and the
    /// other side be silent inside a message for as long as `silence`.
    pub(crate) fn new(
        from: R,
        limit: Option<(Arc<Control>, Duration)>,
        silence: Option<Duration>,
    ) -> Input<R> {
        let limit = limit.map(|(control, timeout)| Limit {
            control,
            timeout,
            silence,
            left: timeout,
            bytes: 0,
            is_set: false,
        });
        Input { from, buf: Vec::new(), start: 0, end: 0, limit }
    }

    pub(crate) fn source(&self) -> &R {
        &self.from
    }

    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
    }

    /// Reads once, behind what is there; 0 is the end. The caller bounds what is buffered.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buf.len() {
            if self.start > 0 {
                self.buf.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buf.resize((self.buf.len() * 2).max(BUFFER_BYTES), 0);
            }
        }
        let n = read(&mut self.from, &mut self.buf[self.end..])?;
        self.end += n;
        Ok(n)
    }

    /// The same, as a part of a body.
    pub(crate) fn fill_timed(&mut self) -> io::Result<usize> {
        let began = self.limit.as_mut().map(Limit::begin);
        let result = self.fill();
        self.count(began, &result);
        result
    }

    /// A part of a body: from the buffer, or else from the connection.
    pub(crate) fn read_timed(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if buf.len() < BUFFER_BYTES {
                if self.fill_timed()? == 0 {
                    return Ok(0);
                }
            } else {
                let began = self.limit.as_mut().map(Limit::begin);
                let result = read(&mut self.from, buf);
                self.count(began, &result);
                return result;
            }
        }
        let n = buf.len().min(self.end - self.start);
        buf[..n].copy_from_slice(&self.buf[self.start..self.start + n]);
        self.consume(n);
        Ok(n)
    }

    fn count(&mut self, began: Option<Instant>, result: &io::Result<usize>) {
        if let (Some(limit), Some(began), Ok(n)) = (&mut self.limit, began, result) {
            limit.left = limit.left.saturating_sub(began.elapsed());
            limit.bytes = limit.bytes.saturating_sub(*n);
        }
    }

    /// From now on reads fail after `timeout`.
    pub(crate) fn set_deadline(&mut self, timeout: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.set(Instant::now().checked_add(timeout));
        }
    }

    /// A head, or a body, is complete.
    pub(crate) fn clear_deadline(&mut self) {
        if let Some(limit) = &mut self.limit {
            limit.bytes = 0;
            if limit.is_set {
                limit.set(None);
            }
        }
    }
}

impl Limit {
    fn begin(&mut self) -> Instant {
        if self.bytes == 0 {
            (self.left, self.bytes) = (self.timeout, PIECE_BYTES);
        }
        let now = Instant::now();
        self.set(now.checked_add(self.left));
        now
    }

    /// None: it may take as long as it likes.
    fn set(&mut self, deadline: Option<Instant>) {
        let is_set = deadline.is_some();
        if let Some(socket) = self.control.socket() {
            socket.set_read_deadline(deadline);
            if self.silence.is_some() && self.is_set != is_set {
                let silence = self.silence.filter(|_| is_set);
                let _ = socket.set_read_timeout(silence); // only zero is an error
            }
        }
        self.is_set = is_set;
    }
}

fn read(from: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buf) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
