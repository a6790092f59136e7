//! Servers of this crate among clients that mean no good, in processes of their own.

#[path = "../../rt0/tests/examples/server.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod server;
#[path = "../../rt0/tests/examples/support.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod support;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use server::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use support::wait_until;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs").count()
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).expect("connected");
    let mut answer = Vec::new();
    while !answer.ends_with(b"Hello, World!") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
}

/// The kernel accepts for a server that cannot. It waits until it can, and then serves those too.
#[test]
fn a_server_without_descriptors_recovers() {
    let server = Server::start("http", &["127.0.0.1:0"]);
    let before = open_files(&server) + 2; // it opens a poll set
    ask(&mut server.connect());
    let pid = Pid::from_raw(server.id() as i32);
    let old = getrlimit(Resource::Nofile);
    // More than those that it was started with, whatever their numbers.
    let numbers = fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs").flatten();
    let numbers = numbers.filter_map(|fd| fd.file_name().to_str()?.parse::<usize>().ok());
    let most = numbers.max().expect("one at least") + 34;
    let few = Rlimit { current: Some(most as u64), maximum: old.maximum };
    prlimit(pid, Resource::Nofile, few).expect("ours");
    let mut streams: Vec<_> = (0..most + 50).map(|_| server.connect()).collect();
    wait_until("all are used", || open_files(&server) == most);
    let (mut late, mut served) = (streams.pop().expect("many"), streams.drain(..10));
    served.by_ref().for_each(|mut stream| ask(&mut stream));
    drop(served);
    // The places of the ten are taken by those after them, and again there is none.
    wait_until("all are used", || open_files(&server) == most);
    ask(&mut streams[0]);
    drop(streams);
    ask(&mut late);
    drop(late);
    wait_until("nothing is left", || open_files(&server) <= before);
    ask(&mut server.connect());
}

/// Who resets in the middle of a request, or of an answer, or before any, costs nothing but that.
#[test]
fn floods_of_resets_leave_nothing_behind() {
    let server = Server::start("http", &["127.0.0.1:0"]);
    let before = open_files(&server) + 2; // it opens a poll set
    ask(&mut server.connect());
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                for i in 0..100 {
                    let mut stream = server.connect();
                    let sent = &REQUEST.repeat(20)[..3 * i];
                    // It may have refused what came, and ended.
                    let _ = stream.write_all(sent);
                    if i % 3 == 0 && sent.len() >= REQUEST.len() {
                        let _ = stream.read(&mut [0; 10]);
                    }
                    let zero = Some(std::time::Duration::ZERO);
                    if i % 3 != 1 {
                        rustix::net::sockopt::set_socket_linger(&stream, zero).expect("a socket");
                    }
                }
            });
        }
    });
    wait_until("nothing is left", || open_files(&server) <= before);
    ask(&mut server.connect());
}

/// Those who send a byte now and then take nobody's place.
#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let server = Server::start("http", &["127.0.0.1:0"]);
    let mut slow: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for byte in &REQUEST[..REQUEST.len() - 1] {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("there is time left");
        }
        ask(&mut server.connect());
    }
    for mut stream in slow {
        stream.write_all(b"\n").expect("there is time left");
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
}
