//! The examples, run as the programs they are.
//!
//! `cargo test` builds them next to this test; `cargo test --test examples` alone does not.

#![forbid(unsafe_code)]

#[path = "examples/elf.rs"]
mod elf;
#[path = "examples/server.rs"]
#[allow(dead_code, reason = "shared with tests/net_idle.rs, which uses all of it")]
mod server;
#[path = "examples/support.rs"]
mod support;
#[path = "examples/tools.rs"]
mod tools;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use server::{Server, ask};
use support::{TempDir, example, run, wait_until};
use tools::{tool, with_input};

#[test]
fn hello_prints_hello_go() {
    let out = run(&mut Command::new(example("hello")));
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "Hello Go\n", ""));
}

/// The program is caught in the middle of its `println!`: a write to a pipe that is full blocks.
#[test]
fn hello_runs_on_one_thread() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("a second handle");
    thread::spawn(move || while filler.write_all(&[b'.'; 4096]).is_ok() {});
    let room = rustix::pipe::fcntl_getpipe_size(&writer).expect("a pipe") as u64;
    let has_none = || rustix::io::ioctl_fionread(&reader).expect("a pipe") == room;
    wait_until("the pipe is full", has_none);

    let mut child = Command::new(example("hello")).stdout(writer).spawn().expect("hello starts");
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let in_write =
        || fs::read_to_string(proc.join("syscall")).is_ok_and(|s| s.starts_with("1 0x1 "));
    wait_until("hello blocks in its write", in_write);
    let tasks = fs::read_dir(proc.join("task")).expect("a list of threads").count();

    let mut seen = String::new();
    while !seen.contains("Hello Go\n") {
        let mut chunk = [0; 4096];
        let n = reader.read(&mut chunk).expect("the pipe is open");
        seen.push_str(std::str::from_utf8(&chunk[..n]).expect("ASCII"));
    }
    assert!(child.wait().expect("hello ends").success());
    assert_eq!(tasks, 1, "threads while main ran");
}

/// No test flag or build flag asks for it: the entry is the work of rt0's build script.
#[test]
fn hello_enters_at_rt0_amd64_linux() {
    if !cfg!(rt0_entry) {
        return;
    }
    let image = fs::read(example("hello")).expect("hello is readable");
    let entry = elf::entry(&image).expect("an ELF header");
    let symbol = elf::symbol(&image, "_rt0_amd64_linux").expect("the symbol table names it");
    assert_eq!((symbol.value, symbol.is_global), (entry, true), "entry is {entry:#x}");
}

#[test]
fn million_parks_and_wakes_all() {
    let out = run(Command::new(example("million")).arg("20000"));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("20000 goroutines parked: "), "{lines:?}");
    assert!(lines[1].starts_with("20000 goroutines woken and joined: "), "{lines:?}");
}

#[test]
fn skynet_sums_its_leaves() {
    // A power of ten, a tree with uneven branches, and a lone leaf.
    for (leaves, sum) in [(10_000, 49_995_000), (12_345, 76_193_340), (1, 0)] {
        let out = run(Command::new(example("skynet")).arg(leaves.to_string()));
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
        assert!(out.stdout.starts_with(&format!("sum {sum} in ")), "{}", out.stdout);
    }
}

#[test]
fn sieve_finds_primes() {
    for (n, last) in [("1", "2\n"), ("20", "\n71\n"), ("200", "\n1223\n"), ("0", "")] {
        let out = run(Command::new(example("sieve")).arg(n));
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
        assert!(out.stdout.ends_with(last), "{}", out.stdout);
        assert_eq!(out.stdout.lines().count().to_string(), n);
    }
}

#[test]
fn pipeline_does_every_job_or_stops() {
    let out = run(&mut Command::new(example("pipeline")));
    let all = "1000 results, sum 332833500\n";
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), all, ""));
    for n in ["1", "50", "999"] {
        let out = run(Command::new(example("pipeline")).arg(n));
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
        assert!(out.stdout.starts_with(&format!("{n} results, sum ")), "{}", out.stdout);
    }
}

#[test]
fn bad_arguments_are_told_and_exit_with_2() {
    let cases: [(&str, &[&str], &str); 18] = [
        ("echo", &["a", "b"], "usage: echo"),
        ("proxy", &["a"], "usage: proxy"),
        ("proxy", &[], "usage: proxy"),
        ("chat", &["a", "b"], "usage: chat"),
        ("redis", &["a", "b"], "usage: redis"),
        ("sieve", &["many"], "usage: sieve"),
        ("pipeline", &["1", "2"], "usage: pipeline"),
        ("million", &["0"], "usage: million"),
        ("million", &["many"], "usage: million"),
        ("million", &["1", "2"], "usage: million"),
        ("skynet", &["0"], "usage: skynet"),
        ("skynet", &["-1"], "usage: skynet"),
        ("skynet", &["4294967296"], "usage: skynet"),
        ("wordcount", &[], "wordcount: no directory given\nusage: wordcount"),
        ("wordcount", &["a", "b"], "wordcount: more than one directory\nusage: wordcount"),
        ("wordcount", &["--fast", "."], "wordcount: unknown option --fast\nusage: wordcount"),
        ("wordcount", &["/does/not/exist"], "wordcount: /does/not/exist: No such file"),
        ("wordcount", &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "wordcount: /"),
    ];
    for (name, args, message) in cases {
        let out = run(Command::new(example(name)).args(args));
        assert_eq!((out.code, out.stdout.as_str()), (Some(2), ""), "{name} {args:?}");
        assert!(out.stderr.starts_with(message), "{name} {args:?}: {}", out.stderr);
    }
}

#[test]
fn wordcount_agrees_on_this_repository() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/").to_owned();
    assert_counts(&crates, &[], &top_ten(&crates));
    assert_counts(&crates, &["--threads"], &top_ten(&crates));
}

/// More files than a process may usually open, and words that only a careful count gets right.
#[test]
fn wordcount_agrees_on_ten_thousand_files() {
    let tree = TempDir::new("wordcount");
    let mut seed = 1_u64;
    for file in 0..10_000 {
        let dir = tree.path().join(format!("{:02}/{}", file % 100, file % 7));
        fs::create_dir_all(&dir).expect("a directory");
        let mut text = String::new();
        for _ in 0..20 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let rank = (seed >> 33) % 1000 * ((seed >> 43) % 1000) / 5000;
            text.push_str(&format!(
                "Word{rank}{}",
                ["-", "\n", "\r\n", ", ", "_"][rank as usize % 5]
            ));
        }
        fs::write(dir.join(format!("{file}.txt")), text).expect("a file");
    }
    fs::write(tree.path().join("utf8"), "ÄÄ ää straße\u{a0}STRASSE 東京、東京 ").expect("a file");
    fs::write(tree.path().join("binary"), b"word1\xff\xfeword1\0word1").expect("a file");
    fs::write(tree.path().join("empty"), b"").expect("a file");
    std::os::unix::fs::symlink("..", tree.path().join("00/loop")).expect("a link");

    let expected = top_ten(tree.path());
    assert_counts(tree.path(), &[], &expected);
    assert_counts(tree.path(), &["--threads"], &expected);
}

#[test]
fn wordcount_reports_what_it_cannot_read_and_goes_on() {
    let tree = TempDir::new("unreadable");
    fs::write(tree.path().join("a"), "one two two").expect("a file");
    fs::write(tree.path().join("b"), "never seen").expect("a file");
    fs::create_dir(tree.path().join("c")).expect("a directory");
    fs::write(tree.path().join("d"), "two").expect("a file");
    let locked = [tree.path().join("b"), tree.path().join("c")];
    for path in &locked {
        fs::set_permissions(path, Permissions::from_mode(0o000)).expect("our own file");
    }

    let bin = TempDir::new("bin");
    let mut program = example("wordcount");
    let is_root = fs::read(&locked[0]).is_ok();
    if is_root {
        // Permissions do not bind root, so the program runs as nobody, from where nobody may read.
        let copy = bin.path().join("wordcount");
        fs::copy(&program, &copy).expect("a copy");
        fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).expect("our own directory");
        fs::set_permissions(tree.path(), Permissions::from_mode(0o755)).expect("our own directory");
        program = copy;
    }
    for args in [&[][..], &["--threads"]] {
        let mut command = Command::new(&program);
        if is_root {
            command.uid(65534);
        }
        let out = run(command.args(args).arg(tree.path()));
        assert_eq!(out.code, Some(1), "{}", out.stderr);
        assert_eq!(out.stdout, "        3 two\n        1 one\n");
        let reports: Vec<_> = out.stderr.lines().collect();
        assert_eq!(reports.len(), 2, "{reports:?}");
        for path in &locked {
            let report = format!("wordcount: {}: Permission denied", path.display());
            assert!(reports.iter().any(|r| r.starts_with(&report)), "{reports:?}");
        }
    }
    fs::set_permissions(&locked[1], Permissions::from_mode(0o755)).expect("our own directory");
}

/// Runs wordcount where at most 300 files may be open.
fn assert_counts(dir: &Path, options: &[&str], expected: &str) {
    let limited = "ulimit -n 300 && exec \"$0\" \"$@\"";
    let out = run(Command::new("sh")
        .args(["-c", limited])
        .arg(example("wordcount"))
        .args(options)
        .arg(dir)
        .stdin(Stdio::null()));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{options:?}");
    assert_eq!(out.stdout, expected, "{options:?}");
}

/// The expected output, found in another way than the example's: whole files, char by char.
fn top_ten(dir: &Path) -> String {
    fn count(dir: &Path, counts: &mut BTreeMap<String, u64>) {
        for entry in fs::read_dir(dir).expect("a readable directory") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("its type");
            if kind.is_dir() {
                count(&entry.path(), counts);
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).expect("a readable file");
                let mut word = String::new();
                for c in String::from_utf8_lossy(&bytes).to_lowercase().chars().chain([' ']) {
                    if c.is_alphanumeric() {
                        word.push(c);
                    } else if !word.is_empty() {
                        *counts.entry(std::mem::take(&mut word)).or_default() += 1;
                    }
                }
            }
        }
    }
    let mut counts = BTreeMap::new();
    count(dir, &mut counts);
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: equal counts stay in order
    words.iter().take(10).map(|(word, count)| format!("{count:>9} {word}\n")).collect()
}

#[test]
fn examples_of_waiting_end_as_they_should() {
    for (name, says) in [
        ("dining_philosophers", "5000 meals, 10000 uses of forks\n"),
        ("rate_limiter", "30 requests, never faster than allowed: true\n"),
        ("pub_sub", "every subscriber knows of all 1000 messages\n"),
    ] {
        let out = run(&mut Command::new(example(name)));
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), says, ""));
    }
}

#[test]
fn echo_and_proxy_return_every_byte() {
    let echo = Server::start("echo", &["127.0.0.1:0"]);
    let proxy = Server::start("proxy", &["127.0.0.1:0", &echo.1]);
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| ((i * 31) >> 7) as u8).collect();
    thread::scope(|s| {
        for server in [&echo, &proxy] {
            for size in [0, 1, 5_000, large.len()] {
                let data = &large[..size];
                s.spawn(move || assert!(ask(server.connect(), data) == data, "{size} bytes"));
            }
        }
    });
    drop(echo);
    assert_eq!(ask(proxy.connect(), b""), b"", "nobody is behind it");
}

#[test]
fn chat_says_what_is_said_to_the_room() {
    let chat = Server::start("chat", &["127.0.0.1:0"]);
    let join = |name: &str| {
        let stream = chat.connect();
        writeln!(&stream, "{name}").expect("it reads");
        let mut lines = io::BufRead::lines(io::BufReader::new(stream.try_clone().expect("one")));
        assert_eq!(lines.next().expect("a line").expect("text"), format!("* {name} is here"));
        (stream, move || lines.next().map(|line| line.expect("text")))
    };
    let (mut ann, mut ann_hears) = join("ann");
    let (mut bob, mut bob_hears) = join("bob");
    assert_eq!(ann_hears().as_deref(), Some("* bob is here"));
    writeln!(bob, "hello").expect("it reads");
    assert_eq!(ann_hears().as_deref(), Some("bob: hello"));
    assert_eq!(bob_hears().as_deref(), Some("bob: hello"));
    writeln!(ann, "/join attic").expect("it reads");
    assert_eq!(bob_hears().as_deref(), Some("* ann has left"));
    assert_eq!(ann_hears().as_deref(), Some("* ann is here"));
    writeln!(bob, "nobody hears this\n/who").expect("it reads");
    assert_eq!(bob_hears().as_deref(), Some("bob: nobody hears this"));
    assert_eq!(bob_hears().as_deref(), Some("* bob"));
    writeln!(ann, "/quit").expect("it reads");
    assert_eq!(ann_hears(), None);
    // One who does not read what is said is put out; the others go on.
    let (carl, _) = join("carl");
    rustix::net::sockopt::set_socket_recv_buffer_size(&carl, 4096).expect("a socket");
    assert_eq!(bob_hears().as_deref(), Some("* carl is here"));
    let line = "x".repeat(1000);
    loop {
        for _ in 0..50 {
            bob.write_all(format!("{line}\n").as_bytes()).expect("it reads");
            assert_eq!(bob_hears(), Some(format!("bob: {line}")));
        }
        bob.write_all(b"/who\n").expect("it reads");
        if bob_hears().expect("he is still there") == "* bob" {
            return;
        }
    }
}

#[test]
fn nc_talks_to_echo_proxy_and_chat() {
    let Some(nc) = tool("nc") else { return };
    let nc = |server: &Server, input: &str| {
        let (host, port) = server.1.split_once(':').expect("host:port");
        let out = with_input(Command::new(&nc).args(["-N", "-w", "60", host, port]), input);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
        out.stdout
    };
    let echo = Server::start("echo", &["127.0.0.1:0"]);
    let proxy = Server::start("proxy", &["127.0.0.1:0", &echo.1]);
    let text = "a line\nand another\n".repeat(10_000);
    assert!(nc(&echo, &text) == text);
    assert!(nc(&proxy, &text) == text);
    let chat = Server::start("chat", &["127.0.0.1:0"]);
    // Its own lines wait for the goroutine that writes, and may be cut off by the end.
    let heard = nc(&chat, "ann\nhello\n/quit\n");
    assert!("* ann is here\nann: hello\n".starts_with(&heard), "{heard:?}");
}
