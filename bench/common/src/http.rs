//! What servers and their load must agree on: one request, and one response.

use std::net::SocketAddr;

/// What the load sends.
pub const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// What a server without a library answers.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n\
    Content-Length: 13\r\n\r\nHello, World!";

/// The body that a library is given.
pub const BODY: &str = "Hello, World!";

/// Answers the requests at the beginning of `from`; how long they are.
pub fn answer(from: &[u8], to: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(at) = find_end(&from[used..]) {
        used += at;
        to.extend_from_slice(RESPONSE);
    }
    used
}

/// A buffer for the requests of a connection, answered by [`answer`].
pub struct Requests {
    buf: [u8; 4096],
    have: usize,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests { buf: [0; 4096], have: 0 }
    }
}

impl Requests {
    /// Where the next bytes go.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buf[self.have..]
    }

    /// `n` bytes have come. What is to be sent is put into `out`.
    pub fn came(&mut self, n: usize, out: &mut Vec<u8>) {
        self.came_for(n, out, answer);
    }

    /// The same, with another parser.
    pub fn came_for(
        &mut self,
        n: usize,
        out: &mut Vec<u8>,
        answer: impl FnOnce(&[u8], &mut Vec<u8>) -> usize,
    ) {
        self.have += n;
        out.clear();
        let used = answer(&self.buf[..self.have], out);
        self.buf.copy_within(used..self.have, 0);
        self.have -= used;
    }
}

/// How long the response at the beginning of `from` is, if all of it is there.
pub fn response_len(from: &[u8]) -> Option<usize> {
    let head = find_end(from)?;
    let body = from[..head].split(|c| *c == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let value = name.eq_ignore_ascii_case(b"content-length:").then_some(value)?;
        str::from_utf8(value).ok()?.trim().parse::<usize>().ok()
    });
    let len = head + body.unwrap_or(0);
    (from.len() >= len).then_some(len)
}

/// The end of the head.
fn find_end(from: &[u8]) -> Option<usize> {
    from.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Tells the runner where the server listens.
pub fn listening(at: SocketAddr) {
    println!("listening on {at}");
}
