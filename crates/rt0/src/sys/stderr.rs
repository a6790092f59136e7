//! Standard error without std's lock, buffer or allocation: usable on g0 and in signal handlers.
//!
//! Go: print.go, write_err.go.

use core::fmt::{self, Write};

/// A line of text on the stack; what does not fit is cut off.
pub(crate) struct Line<const N: usize> {
    buf: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    pub(crate) const fn new() -> Self {
        Line { buf: [0; N], len: 0 }
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(N - self.len);
        self.buf[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Buffers up to a line's worth, writes on overflow and on drop.
pub(crate) struct Stderr {
    line: Line<512>,
}

impl Stderr {
    pub(crate) fn new() -> Self {
        Stderr { line: Line::new() }
    }

    pub(crate) fn flush(&mut self) {
        let mut left = &self.line.buf[..self.line.len];
        while !left.is_empty() {
            match rustix::io::write(rustix::stdio::stderr(), left) {
                Ok(n) if n > 0 => left = &left[n..],
                Err(rustix::io::Errno::INTR) => {}
                _ => break, // stderr is closed or full: there is nowhere to say so
            }
        }
        self.line.len = 0;
    }
}

impl Write for Stderr {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut s = s;
        while !s.is_empty() {
            let room = self.line.buf.len() - self.line.len;
            if room == 0 {
                self.flush();
                continue;
            }
            let mut n = s.len().min(room);
            while !s.is_char_boundary(n) {
                n -= 1;
            }
            if n == 0 {
                self.flush();
                continue;
            }
            self.line.write_str(&s[..n])?;
            s = &s[n..];
        }
        Ok(())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.flush();
    }
}

/// `print!` of the runtime.
macro_rules! rtprint {
    ($($arg:tt)*) => {{
        use core::fmt::Write as _;
        let mut err = $crate::sys::stderr::Stderr::new();
        let _ = core::write!(err, $($arg)*);
    }};
}
pub(crate) use rtprint;
