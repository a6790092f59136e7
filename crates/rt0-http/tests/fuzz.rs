//! Thousands of requests and responses that are nearly right, made from a seed; a failure names it.
//!
//! `RT0_FUZZ_SECS` makes it go on for so long; `RT0_FUZZ_SEED` begins with another seed.

#[path = "http/support.rs"]
mod http;

use rt0::context::background;
use rt0::net::TcpListener;
use rt0_http::{Client, Server};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CASES: u64 = 3000;

/// Calls `case` with seed after seed.
fn each_seed(cases: u64, case: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let first = number("RT0_FUZZ_SEED").unwrap_or(1);
    let end = number("RT0_FUZZ_SECS").map(|secs| Instant::now() + Duration::from_secs(secs));
    let more = |done| end.map_or(done < cases, |end| Instant::now() < end);
    (0..).take_while(|done| more(*done)).for_each(|done| case(first + done));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Once in a while, something that does not belong there.
    fn mutated(&mut self, mut text: Vec<u8>) -> Vec<u8> {
        let odd = b"\r\n\0 :,;\xff09fF\t\"%\x7f/";
        for _ in 0..[0, 0, 1, 1, 2, 4][self.below(6)] {
            let at = self.below(text.len().max(1));
            match self.below(6) {
                _ if text.is_empty() => {}
                0 => drop(text.remove(at)),
                1 => text.insert(at, odd[self.below(odd.len())]),
                2 => text[at] = odd[self.below(odd.len())],
                3 => text[at] ^= 1 << self.below(8),
                4 => {
                    let piece = text[at..(at + 1 + self.below(20)).min(text.len())].to_vec();
                    let to = self.below(text.len());
                    drop(text.splice(to..to, piece));
                }
                _ => text.truncate(at + 1),
            }
        }
        text
    }

    fn fields(&mut self, text: &mut String) {
        for _ in 0..self.below(4) {
            let name =
                self.one(&["X-A", "accept", "Connection", "Cookie", "TE", "Trailer", "Upgrade"]);
            let value =
                self.one(&["", "a", "close", "keep-alive, x", " spaced \t", "0", "\"q\"", "h2c"]);
            text.push_str(&format!("{name}: {value}{}", self.one(&["\r\n", "\r\n", "\r\n", "\n"])));
        }
    }

    /// How long the body is, in one way or the other, the end of the head, and the body.
    fn body(&mut self, text: &mut String) {
        let body = "0123456789abcdef".repeat(self.below(3));
        match self.below(5) {
            0 => text.push_str("\r\n"),
            1 | 2 => text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len())),
            3 => {
                text.push_str("Transfer-Encoding: chunked\r\n\r\n");
                for piece in body.as_bytes().chunks(1 + self.below(20)) {
                    let piece = String::from_utf8_lossy(piece);
                    let extra = self.one(&["", "", ";a=b", ";a=\"b\"", " "]);
                    text.push_str(&format!("{:x}{extra}\r\n{piece}\r\n", piece.len()));
                }
                text.push_str(self.one(&["0\r\n\r\n", "0\r\nX: y\r\n\r\n", "00\r\n\r\n", ""]));
            }
            _ => {
                let len =
                    self.one(&["5", "-1", "+5", "5, 5", "18446744073709551616", "0x5", "999"]);
                text.push_str(&format!("Content-Length: {len}\r\n\r\n{body}"));
            }
        }
    }

    fn requests(&mut self) -> Vec<u8> {
        let mut text = String::new();
        for _ in 0..=self.below(3) {
            let method =
                self.one(&["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "get", "M-X"]);
            let target =
                self.one(&["/", "/a?b=c", "*", "http://a/b", "//", "/%00", "a", "/\u{e9}"]);
            let version = self.one(&["1.1", "1.1", "1.1", "1.0", "2.0", "0.9", "1.10"]);
            text.push_str(&format!("{method} {target} HTTP/{version}\r\n"));
            text.push_str(self.one(&["Host: a\r\n", "Host: a\r\n", "Host: a:80\r\n", ""]));
            text.push_str(self.one(&["", "", "Expect: 100-continue\r\n"]));
            self.fields(&mut text);
            self.body(&mut text);
        }
        let mut text = self.mutated(text.into_bytes());
        // A head that does not end may be refused before its end is missed.
        text.extend_from_slice(b"\r\n\r\n");
        text
    }

    fn response(&mut self) -> Vec<u8> {
        let status =
            self.one(&["200 OK", "204 No", "304 Not", "100 Continue", "404", "999 x", "20 x"]);
        let mut text = format!("HTTP/{} {status}\r\n", self.one(&["1.1", "1.1", "1.0", "2.0"]));
        self.fields(&mut text);
        self.body(&mut text);
        self.mutated(text.into_bytes())
    }
}

/// A connection whose other side sends these pieces, then ends, and keeps what it gets.
struct Scripted {
    pieces: std::vec::IntoIter<Vec<u8>>,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.pieces.next() else { return Ok(0) };
        let n = piece.len().min(buf.len());
        buf[..n].copy_from_slice(&piece[..n]);
        if n < piece.len() {
            let mut left = vec![piece.split_off(n)];
            left.extend(self.pieces.by_ref());
            self.pieces = left.into_iter();
        }
        Ok(n)
    }
}

impl Write for Scripted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.got.lock().expect("no panic").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the server says to `text`, cut into pieces of at most `most` bytes, but for the dates.
fn answers(text: &[u8], most: usize) -> String {
    let got = Arc::new(Mutex::new(Vec::new()));
    let pieces: Vec<_> = text.chunks(most).map(<[u8]>::to_vec).collect();
    let stream = Scripted { pieces: pieces.into_iter(), got: Arc::clone(&got) };
    Server::new(http::tell).max_body_bytes(100).serve_stream(stream, None, &background());
    let got = String::from_utf8(got.lock().expect("no panic").clone()).expect("text");
    got.split_inclusive('\n').filter(|line| !line.starts_with("date: ")).collect()
}

/// Whether `text` is responses from end to end, of which only the last may be a refusal.
fn are_responses(mut text: &str) -> bool {
    while !text.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(len)) = head.parse(text.as_bytes()) else { return false };
        let field = |name: &str| {
            head.headers.iter().find(|h| h.name == name).map(|h| String::from_utf8_lossy(h.value))
        };
        let is_last = field("connection").is_some_and(|value| value == "close");
        let is_refusal = head.code.is_some_and(|code| code >= 400);
        let body: usize = field("content-length").map_or(0, |n| n.parse().expect("a length"));
        text = &text[len..];
        // What a HEAD is answered says how long the body would be.
        text = if text.starts_with("HTTP/1.1 ") { text } else { text.get(body..).unwrap_or("") };
        if is_refusal && !(is_last && text.is_empty()) {
            return false;
        }
    }
    true
}

/// However the bytes come, the answers are the same, and they are HTTP.
#[rt0::test]
fn requests_are_understood_in_one_way_only() {
    each_seed(CASES, |seed| {
        let mut random = Random(seed);
        let text = random.requests();
        let whole = answers(&text, usize::MAX);
        assert!(are_responses(&whole), "seed {seed}: {}\n{whole}", text.escape_ascii());
        for most in [1, 2 + random.below(30)] {
            let pieces = answers(&text, most);
            // `100 Continue` is said only where the body is not there yet.
            let same = |text: &str| text.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
            let (whole, pieces) = (same(&whole), same(&pieces));
            assert_eq!(whole, pieces, "seed {seed}, by {most}: {}", text.escape_ascii());
        }
    });
}

/// Each response is one or an error, and what was wrong with it is gone with its connection.
#[rt0::test]
fn responses_do_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let client = Client::new();
    each_seed(CASES / 3, |seed| {
        let mut random = Random(seed);
        let text = random.response();
        rt0::scope(|s| {
            let asking =
                s.go(|| client.get(&url).and_then(|response| response.into_body().bytes()));
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            for piece in text.chunks(1 + random.below(100)) {
                if stream.write_all(piece).is_err() {
                    break; // it has seen enough
                }
            }
            drop(stream);
            if let Err(e) = asking.join().expect("no panic") {
                let known =
                    [ErrorKind::InvalidData, ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(known.contains(&e.kind()), "seed {seed}: {e:?}: {}", text.escape_ascii());
            }
        });
    });
}
