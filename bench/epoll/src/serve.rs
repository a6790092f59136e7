//! A server without a runtime.

use crate::Ready;
use bench_common::http::{answer, listening};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut ready = Ready::new()?;
    ready.add(&listener, 0)?;
    let mut streams: HashMap<usize, TcpStream> = HashMap::new();
    let mut buf = [0; 4096];
    let mut out = Vec::new();
    let mut next = 1;
    listening(listener.local_addr()?);
    loop {
        ready.each(|set, number| {
            if number == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let data = rustix::event::epoll::EventData::new_u64(next as u64);
                    rustix::event::epoll::add(set, &stream, data, crate::EventFlags::IN)?;
                    streams.insert(next, stream);
                    next += 1;
                }
                return Ok(());
            }
            let Some(stream) = streams.get_mut(&number) else { return Ok(()) };
            // The load sends whole requests, each in one piece.
            match stream.read(&mut buf) {
                Ok(n) if n > 0 => {
                    out.clear();
                    answer(&buf[..n], &mut out);
                    stream.write_all(&out)
                }
                _ => {
                    streams.remove(&number);
                    Ok(())
                }
            }
        })?;
    }
}
