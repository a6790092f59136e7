//! Ten thousand connections that wait: what they cost.

#[path = "examples/server.rs"]
#[allow(dead_code, reason = "shared with tests/examples.rs, which uses all of it")]
mod server;
#[path = "examples/support.rs"]
#[allow(dead_code, reason = "shared with tests/examples.rs, which uses all of it")]
mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use support::wait_until;

const CONNECTIONS: u64 = 10_000;
/// Main, sysmon, the template, and some that wait for work.
const OTHER_THREADS: u64 = 8;

fn field(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// CPU time, in ticks of 10 ms.
fn ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("it runs");
    let fields = stat.rsplit(')').next().expect("a name in parentheses").split_whitespace();
    fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
}

#[test]
fn ten_thousand_connections_cost_memory_only() {
    if std::env::var_os("GODEBUG").is_some_and(|mode| mode == "tlsmode=3") {
        return; // a thread each
    }
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("up to the most");
    // This side and the server's have a limit each.
    let n = CONNECTIONS.min(most.map_or(CONNECTIONS, |files| files.saturating_sub(100)));
    let server = Server::start("echo", &["127.0.0.1:0"]);
    let mut streams = Vec::new();
    let ask = |mut stream: &TcpStream| {
        stream.write_all(b"x").expect("connected");
        stream.read_exact(&mut [0]).expect("it echoes");
    };
    let connect = |streams: &mut Vec<TcpStream>| {
        streams.push(server.connect());
        ask(&streams[streams.len() - 1]);
    };
    (0..100).for_each(|_| connect(&mut streams));
    let before = field(&server, "VmRSS:");
    (100..n).for_each(|_| connect(&mut streams));
    let ps = rt0::num_cpu() as u64;
    wait_until("the threads are few", || field(&server, "Threads:") <= ps + OTHER_THREADS);
    let each = (field(&server, "VmRSS:") - before) * 1024 / (n - 100);
    // A goroutine of two pages, its tables, and `io::copy`'s buffer of 16 KiB.
    assert!(each <= 40_000, "{each} bytes for each connection");
    wait_until("it is idle", || {
        let before = ticks(&server);
        thread::sleep(Duration::from_secs(1));
        ticks(&server) <= before + 1
    });
    streams.iter().for_each(ask);
    drop(streams);
    let files = || fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs").count();
    wait_until("all are gone", || files() < 20);
}
