//! The example `redis`, by its protocol and with Redis' own programs.

#![forbid(unsafe_code)]

#[path = "examples/server.rs"]
#[allow(dead_code, reason = "shared with tests/net_idle.rs, which uses all of it")]
mod server;
#[path = "examples/support.rs"]
#[allow(dead_code, reason = "shared with tests/examples.rs, which uses all of it")]
mod support;
#[path = "examples/tools.rs"]
mod tools;

use server::{Server, ask};
use std::io::{Read, Write};
use std::process::Command;
use std::thread;
use support::run;
use tools::{tool, with_input};

fn start() -> Server {
    Server::start("redis", &["127.0.0.1:0"])
}

/// What the server answers to `commands`, on a connection of its own.
fn call(server: &Server, commands: &str) -> String {
    String::from_utf8(ask(server.connect(), commands.as_bytes())).expect("ASCII")
}

/// A command as clients send it.
fn array(words: &[&str]) -> String {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), words.collect::<String>())
}

#[test]
fn commands_do_what_redis_does() {
    let server = start();
    for (command, reply) in [
        ("PING", "+PONG"),
        ("ping hello", "$5\r\nhello"),
        ("SET n 41", "+OK"),
        ("INCR n", ":42"),
        ("DECRBY n 50", ":-8"),
        ("GET n", "$2\r\n-8"),
        ("APPEND n 0", ":3"),
        ("STRLEN n", ":3"),
        ("GET nothing", "$-1"),
        ("MSET a 1 b 2", "+OK"),
        ("MGET a nothing b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2"),
        ("DEL a a b nothing", ":2"),
        ("LPUSH l 2 1", ":2"),
        ("RPUSH l 3", ":3"),
        ("LRANGE l 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3"),
        ("LRANGE l -2 1", "*1\r\n$1\r\n2"),
        ("LRANGE l 5 9", "*0"),
        (
            "LRANGE l -9223372036854775808 9223372036854775807",
            "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3",
        ),
        ("LPOP l", "$1\r\n1"),
        ("RPOP l", "$1\r\n3"),
        ("LLEN l", ":1"),
        ("TYPE l", "+list"),
        ("LPOP l", "$1\r\n2"),
        ("EXISTS l n", ":1"), // a list without items is none
        ("HSET h f 1 g 2", ":2"),
        ("HSET h f 3", ":0"),
        ("HGET h f", "$1\r\n3"),
        ("HDEL h f x", ":1"),
        ("HGETALL h", "*2\r\n$1\r\ng\r\n$1\r\n2"),
        ("SADD s x x y", ":2"),
        ("SISMEMBER s x", ":1"),
        ("SREM s x", ":1"),
        ("SPOP s", "$1\r\ny"),
        ("SCARD s", ":0"),
        ("ZADD z 2 b 1.5 a inf c", ":3"),
        ("ZADD z 3 b -0 d", ":1"),
        ("ZADD z 4 e nan b", "-ERR value is not a valid float"),
        ("ZSCORE z b", "$1\r\n3"),
        ("ZSCORE z e", "$-1"),
        ("ZPOPMIN z 3", "*6\r\n$1\r\nd\r\n$1\r\n0\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$1\r\n3"),
        ("TYPE z", "+zset"),
        ("ZREM z c b", ":1"),
        ("EXISTS z", ":0"),
        ("ZPOPMIN z", "*0"),
        ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n"),
        ("COMMAND DOCS", "*0"),
        ("DBSIZE", ":2"),
        ("SET big 9223372036854775807", "+OK"),
        ("INCR big", "-ERR value is not an integer or out of range"),
        ("LPUSH n x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("GET", "-ERR wrong number of arguments for 'GET' command"),
        ("MSET a", "-ERR wrong number of arguments for 'MSET' command"),
        ("FLY away", "-ERR unknown command 'FLY'"),
        ("FLUSHALL", "+OK"),
        ("EXISTS n", ":0"),
    ] {
        assert_eq!(call(&server, &format!("{command}\r\n")), format!("{reply}\r\n"), "{command}");
        if command.starts_with("GET ") || command.starts_with("HGET ") {
            let words: Vec<_> = command.split(' ').collect();
            assert_eq!(call(&server, &array(&words)), format!("{reply}\r\n"), "{command}");
        }
    }
}

/// Commands come together, in pieces, and with a part that is missing when others can be answered.
#[test]
fn commands_may_come_in_any_pieces() {
    let server = start();
    let many = "INCR n\r\n".repeat(10_000) + &array(&["INCR", "n"]).repeat(10_000) + "\r\n";
    let replies: String = (1..=20_000).map(|n| format!(":{n}\r\n")).collect();
    assert!(call(&server, &many) == replies);

    let mut stream = server.connect();
    let mut expect = |text: &str, reply: &str| {
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut got = vec![0; reply.len()];
        stream.read_exact(&mut got).expect("it answers");
        assert_eq!(String::from_utf8_lossy(&got), reply);
    };
    expect("PING\n*1\r\n$4\r\nPI", "+PONG\r\n");
    for byte in ["N", "G", "\r"] {
        expect(byte, "");
    }
    expect("\n", "+PONG\r\n");
    expect("*2\r\n$4\r\nECHO\r\n$3\r\n\r\n\0\r\n*0\r\n", "$3\r\n\r\n\0\r\n");
    expect("QUIT\r\n", "+OK\r\n");
    assert_eq!(stream.read(&mut [0]).expect("no reset"), 0);
}

#[test]
fn what_is_malformed_ends_the_connection_only() {
    let server = start();
    for (text, error) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*-1\r\n", "invalid multibulk length"),
        ("*99999999\r\n", "invalid multibulk length"),
        ("*1\r\nPING\r\n", "expected '$'"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999\r\n", "invalid bulk length"),
        ("*1\r\n$4\r\nPINGPING", "a string is not as long as it says"),
    ] {
        assert_eq!(call(&server, text), format!("-ERR Protocol error: {error}\r\n"), "{text:?}");
    }
    // An argument that is announced and does not come costs no memory; an end in the middle is one.
    for text in ["*1\r\n$60000000\r\nx", "*1000000\r\n", "PING", "*1\r\n$4\r\n"] {
        assert_eq!(call(&server, text), "", "{text:?}");
    }
    let long = format!("PING {}", "x".repeat(70_000));
    let mut stream = server.connect();
    let _ = stream.write_all(long.as_bytes()); // it may have closed
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer); // what it has not read resets the connection
    assert!(b"-ERR Protocol error: too big inline request\r\n".starts_with(&answer));
    assert_eq!(call(&server, "PING\r\n"), "+PONG\r\n");
}

#[test]
fn increments_of_many_are_all_counted() {
    let server = start();
    thread::scope(|s| {
        for _ in 0..50 {
            s.spawn(|| assert_eq!(call(&server, &"INCR n\r\n".repeat(100)).lines().count(), 100));
        }
    });
    assert_eq!(call(&server, "GET n\r\n"), "$4\r\n5000\r\n");
}

#[test]
fn redis_cli_talks_to_it() {
    let Some(cli) = tool("redis-cli") else { return };
    let server = start();
    let (host, port) = server.1.split_once(':').expect("host:port");
    let cli = |args: &[&str], input: &str| {
        let mut command = Command::new(&cli);
        let out = with_input(command.args(["-h", host, "-p", port]).args(args), input);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{}", out.stdout);
        out.stdout
    };
    assert_eq!(cli(&["ping"], ""), "PONG\n");
    assert_eq!(cli(&["set", "key", "a value\nof two lines"], ""), "OK\n");
    assert_eq!(cli(&["get", "key"], ""), "a value\nof two lines\n");
    assert_eq!(cli(&["rpush", "list", "1", "2", "3"], ""), "3\n");
    assert_eq!(cli(&["lrange", "list", "0", "-1"], ""), "1\n2\n3\n");
    let script = "incr n\nincr n\nget n\nlpush n x\n";
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(cli(&[], script).trim_end(), format!("1\n2\n2\n{wrong}"));
    let all = cli(&["--pipe"], &array(&["INCR", "n"]).repeat(5_000));
    assert!(all.contains("errors: 0, replies: 5000"), "{all}");
    assert_eq!(cli(&["get", "n"], ""), "5002\n");
}

#[test]
fn redis_benchmark_runs_against_it() {
    let Some(benchmark) = tool("redis-benchmark") else { return };
    let server = start();
    let (host, port) = server.1.split_once(':').expect("host:port");
    for more in [&["-c", "50"][..], &["-c", "500", "-P", "16"], &["-c", "8", "--threads", "4"]] {
        let mut command = Command::new(&benchmark);
        command.args(["-h", host, "-p", port, "--csv", "-n", "1000"]).args(more); // all tests
        let out = run(&mut command);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{}", out.stdout);
        // A heading and a line for each test, of which version 7 has these.
        for test in [
            "PING_INLINE",
            "PING_MBULK",
            "SET",
            "GET",
            "INCR",
            "LPUSH",
            "RPUSH",
            "LPOP",
            "RPOP",
            "SADD",
            "HSET",
            "SPOP",
            "ZADD",
            "ZPOPMIN",
            "LRANGE_100 (first 100 elements)",
            "LRANGE_600 (first 600 elements)",
            "MSET (10 keys)",
        ] {
            let line = format!("\n\"{test}\",");
            assert!(out.stdout.contains(&line), "{test}: {}", out.stdout);
        }
    }
}
