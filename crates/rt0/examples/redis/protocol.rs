//! RESP, Redis' protocol, in its version 2.

use rt0::net::TcpStream;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

/// The longest command in one line.
const LINE: u64 = 64 << 10;
/// The longest argument, and the most of them. Redis allows more.
const ARGUMENT: u64 = 64 << 20;
const ARGUMENTS: u64 = 1 << 20;
/// Replies that wait for the end of the commands that came together.
const REPLIES: usize = 64 << 10;

/// What a command returns.
pub(crate) enum Reply {
    Simple(&'static str),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Reply::Simple(text) => write!(out, "+{text}\r\n"),
            Reply::Int(n) => write!(out, ":{n}\r\n"),
            Reply::Nil => out.write_all(b"$-1\r\n"),
            Reply::Bulk(bytes) => {
                write!(out, "${}\r\n", bytes.len())?;
                out.write_all(bytes)?;
                out.write_all(b"\r\n")
            }
            Reply::Array(items) => {
                write!(out, "*{}\r\n", items.len())?;
                items.iter().try_for_each(|item| item.write(out))
            }
        }
    }
}

/// The connection below the buffer of commands: before it waits for more of them, it sends the
/// replies to the last ones.
pub(crate) struct Link<'a> {
    stream: &'a TcpStream,
    replies: Vec<u8>,
}

impl<'a> Link<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Link<'a> {
        Link { stream, replies: Vec::new() }
    }

    pub(crate) fn reply(&mut self, reply: &Result<Reply, String>) -> io::Result<()> {
        match reply {
            Ok(reply) => reply.write(&mut self.replies)?,
            Err(text) => write!(self.replies, "-{text}\r\n")?,
        }
        if self.replies.len() > REPLIES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies)?;
            self.replies.clear();
        }
        Ok(())
    }
}

impl Read for Link<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        self.stream.read(buf)
    }
}

/// The next command and its arguments; `None` at the end of the connection. It may be empty.
///
/// A command is an array of strings, or one line of words.
pub(crate) fn next_command(input: &mut BufReader<Link<'_>>) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(line) = next_line(input)? else { return Ok(None) };
    let Some(count) = line.strip_prefix(b"*") else {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return Ok(Some(words.map(<[u8]>::to_vec).collect()));
    };
    let count = number(count, ARGUMENTS, "invalid multibulk length")?;
    let mut command = Vec::new(); // not as large as somebody says who may send nothing
    for _ in 0..count {
        let line = next_line(input)?.ok_or(ErrorKind::UnexpectedEof)?;
        let len = line.strip_prefix(b"$").ok_or_else(|| wrong("expected '$'"))?;
        let len = number(len, ARGUMENT, "invalid bulk length")?;
        let mut argument = Vec::new();
        input.take(len + 2).read_to_end(&mut argument)?;
        if argument.len() as u64 != len + 2 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !argument.ends_with(b"\r\n") {
            return Err(wrong("a string is not as long as it says"));
        }
        argument.truncate(argument.len() - 2);
        command.push(argument);
    }
    Ok(Some(command))
}

/// A line without its end.
fn next_line(input: &mut BufReader<Link<'_>>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(LINE).read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_none() {
        return match line.len() as u64 {
            0 => Ok(None),
            LINE => Err(wrong("too big inline request")),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        };
    }
    line.pop_if(|last| *last == b'\r');
    Ok(Some(line))
}

fn number(text: &[u8], most: u64, error: &'static str) -> io::Result<u64> {
    let text = str::from_utf8(text).map_err(|_| wrong(error))?;
    text.parse().ok().filter(|n| *n <= most).ok_or_else(|| wrong(error))
}

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}
