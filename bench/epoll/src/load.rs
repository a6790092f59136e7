//! Connections with one request under way on each.

use crate::Ready;
use crate::histogram::Histogram;
use bench_common::Args;
use bench_common::http::{REQUEST, response_len};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

struct Connection {
    stream: TcpStream,
    /// What has come of the response.
    got: Vec<u8>,
    sent: Instant,
}

/// What is measured from the end of the warm-up on.
struct Measured {
    since: Instant,
    server_ms: (f64, f64),
}

pub(crate) fn load(args: &Args) -> io::Result<()> {
    let port = u16::try_from(args.number("port", 0)).map_err(io::Error::other)?;
    let pid = args.number("pid", 0);
    let mut ready = Ready::new()?;
    let mut connections = Vec::new();
    for number in 0..args.n as usize {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.write_all(REQUEST)?;
        stream.set_nonblocking(true)?;
        ready.add(&stream, number)?;
        connections.push(Connection { stream, got: Vec::new(), sent: Instant::now() });
    }
    let warm = Instant::now() + Duration::from_millis(args.number("warm", 500));
    let end = warm + Duration::from_millis(args.number("ms", 2000));
    let mut measured: Option<Measured> = None;
    let mut took = Histogram::new();
    let mut buf = [0; 4096];
    loop {
        let now = Instant::now();
        if measured.is_none() && now >= warm {
            measured = Some(Measured { since: now, server_ms: cpu_ms(pid)? });
        }
        if let Some(measured) = measured.as_ref().filter(|_| now >= end) {
            report(args, &took, measured, now, cpu_ms(pid)?);
            return Ok(());
        }
        ready.each(|_, number| {
            let c = &mut connections[number];
            let n = match c.stream.read(&mut buf) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            };
            let is_whole = if c.got.is_empty() && response_len(&buf[..n]) == Some(n) {
                true // nearly always
            } else {
                c.got.extend_from_slice(&buf[..n]);
                response_len(&c.got) == Some(c.got.len())
            };
            if is_whole {
                c.got.clear();
                let now = Instant::now();
                if measured.is_some() {
                    took.add((now - c.sent).as_nanos() as u64);
                }
                c.sent = now;
                c.stream.write_all(REQUEST)?;
            }
            Ok(())
        })?;
    }
}

fn report(args: &Args, took: &Histogram, from: &Measured, now: Instant, cpu_ms: (f64, f64)) {
    let wall = now - from.since;
    let each = |ms: f64| ms * 1e6 / took.total.max(1) as f64;
    println!(
        "{{\"connections\":{},\"requests\":{},\"wall_ms\":{:.1},\"request_ns\":{:.1},\
         \"request_p50_us\":{:.1},\"request_p99_us\":{:.1},\"request_user_ns\":{:.1},\
         \"request_system_ns\":{:.1}}}",
        args.n,
        took.total,
        wall.as_secs_f64() * 1e3,
        each(wall.as_secs_f64() * 1e3),
        took.at(0.5) / 1e3,
        took.at(0.99) / 1e3,
        each(cpu_ms.0 - from.server_ms.0),
        each(cpu_ms.1 - from.server_ms.1),
    );
}

/// User and system time of the process `pid`, in ms; the kernel counts in steps of 10 ms.
fn cpu_ms(pid: u64) -> io::Result<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ms = |i: usize| fields.get(i).and_then(|ticks| ticks.parse().ok()).unwrap_or(0.0) * 10.0;
    Ok((ms(11), ms(12)))
}
