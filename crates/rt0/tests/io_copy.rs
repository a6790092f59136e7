//! `rt0::io::copy`, between whatever can be copied.

use rt0::io::{copy, pipe};
use rt0::net::{Shutdown, TcpListener, TcpStream, UnixStream};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    (client, listener.accept().expect("a connection").0)
}

fn data(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 / 5) as u8).collect()
}

/// What comes out at the end of `a -> b`, copied, `c -> d`.
macro_rules! through {
    ($from:expr, $to:expr, $n:expr) => {{
        let ((mut a, b), (c, mut d)) = ($from, $to);
        let n = $n;
        let writer = rt0::go(move || {
            a.write_all(&data(n)).expect("it reads");
            a.shutdown(Shutdown::Write).expect("connected");
            a
        });
        let copier = rt0::go(move || {
            let copied = copy(&mut &b, &mut &c).expect("no error");
            c.shutdown(Shutdown::Write).expect("connected");
            (copied, b, c)
        });
        let mut got = Vec::new();
        d.read_to_end(&mut got).expect("it ends");
        let (copied, _b, _c) = copier.join().expect("no panic");
        writer.join().expect("no panic");
        assert_eq!(copied, n as u64);
        assert!(got == data(n), "{n} bytes");
    }};
}

#[rt0::test]
fn streams() {
    for n in [0, 1, 1000, 16 << 10, (16 << 10) + 1, 5_000_000] {
        through!(tcp(), tcp(), n);
        through!(tcp(), UnixStream::pair().expect("two sockets"), n);
        through!(UnixStream::pair().expect("two sockets"), tcp(), n);
    }
}

#[rt0::test]
fn files_and_memory() {
    let path = std::env::temp_dir().join(format!("rt0-copy-{}", std::process::id()));
    std::fs::write(&path, data(3_000_000)).expect("a new file");
    let mut file = File::open(&path).expect("it is there");
    file.seek(SeekFrom::Start(1_000_000)).expect("a file");
    let (mut near, mut far) = tcp();
    let reader = rt0::go(move || {
        let mut got = Vec::new();
        far.read_to_end(&mut got).expect("it ends");
        got
    });
    assert_eq!(copy(&mut file, &mut near).expect("no error"), 2_000_000);
    assert_eq!(copy(&mut &file, &mut near).expect("no error"), 0, "it is at its end");
    // A file without a size, which sendfile may not know.
    let mut status = File::open("/proc/self/status").expect("procfs is mounted");
    let n = copy(&mut status, &mut near).expect("no error");
    assert!(n > 100);
    assert_eq!(copy(&mut Cursor::new(b"end"), &mut near).expect("no error"), 3);
    drop(near);
    let got = reader.join().expect("no panic");
    assert!(got[..2_000_000] == data(3_000_000)[1_000_000..]);
    assert!(got.ends_with(b"end") && got.len() as u64 == 2_000_003 + n);
    std::fs::remove_file(&path).expect("ours");
    let mut out = Vec::new();
    copy(&mut Cursor::new(data(100_000)), &mut out).expect("no error");
    assert!(out == data(100_000));
}

#[rt0::test]
fn an_error_of_either_side_is_told() {
    let ((a, mut b), (mut c, d)) = (tcp(), tcp());
    drop(d);
    let writer = rt0::go(move || while (&a).write_all(&[0; 65536]).is_ok() {});
    assert!(copy(&mut b, &mut c).is_err(), "nobody reads");
    drop(b);
    writer.join().expect("no panic");
    let ((a, b), (c, _d)) = (tcp(), tcp());
    b.close();
    assert!(copy(&mut &b, &mut &c).is_err(), "closed");
    drop(a);
}

/// How many `read` calls this process has made: those of a copy by hand are among them, and those
/// from sockets are not.
fn reads() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?; // not every kernel counts
    text.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

const MANY: usize = 8 << 20;

/// Of those that count reads, or make many, one at a time.
static READING: rt0::sync::Mutex<()> = rt0::sync::Mutex::new(());

/// Not a read for each 8 KiB; other tests read meanwhile, but less.
fn by_the_kernel(copies: impl FnOnce()) {
    let before = reads();
    copies();
    if let (Some(before), Some(after)) = (before, reads()) {
        let made = after - before;
        assert!(made < (MANY / (8 << 10)) as u64 / 2, "{made} reads for {MANY} bytes");
    }
}

#[rt0::test]
fn pipes_and_streams() {
    let _alone = READING.lock();
    for n in [0, 1, 70_000, MANY] {
        by_the_kernel(|| {
            let ((reader, mut writer), (mut near, mut far)) = (pipe().expect("fds"), tcp());
            let writing = rt0::go(move || writer.write_all(&data(n)).expect("it reads"));
            let getting = rt0::go(move || {
                let mut got = Vec::new();
                far.read_to_end(&mut got).expect("it ends");
                got
            });
            assert_eq!(copy(&mut &reader, &mut near).expect("no error"), n as u64);
            drop(near);
            writing.join().expect("no panic");
            assert!(getting.join().expect("no panic") == data(n), "{n} bytes out of a pipe");
        });
    }
    // Into a pipe, from there into another one, and out of that by hand.
    let n = 3_000_000;
    let (mut near, mut far) = tcp();
    let ((r1, mut w1), (mut r2, mut w2)) = (pipe().expect("fds"), pipe().expect("fds"));
    let writing = rt0::go(move || near.write_all(&data(n)).expect("it reads"));
    let first = rt0::go(move || copy(&mut far, &mut w1).expect("no error"));
    let second = rt0::go(move || copy(&mut &r1, &mut w2).expect("no error"));
    let mut got = Vec::new();
    r2.read_to_end(&mut got).expect("it ends");
    writing.join().expect("no panic");
    let copied = (first.join().expect("no panic"), second.join().expect("no panic"));
    assert!(copied == (n as u64, n as u64) && got == data(n), "{copied:?}");
}

#[rt0::test]
fn pipes_and_files() {
    let _alone = READING.lock();
    let path = std::env::temp_dir().join(format!("rt0-copy-pipe-{}", std::process::id()));
    by_the_kernel(|| {
        let (reader, mut writer) = pipe().expect("fds");
        let writing = rt0::go(move || writer.write_all(&data(MANY)).expect("it reads"));
        let mut file = File::create(&path).expect("a new file");
        assert_eq!(copy(&mut &reader, &mut file).expect("no error"), MANY as u64);
        writing.join().expect("no panic");
    });
    assert!(std::fs::read(&path).expect("it is there") == data(MANY));
    let mut file = File::open(&path).expect("it is there");
    file.seek(SeekFrom::Start(1)).expect("a file");
    let (mut reader, mut writer) = pipe().expect("fds");
    let copying = rt0::go(move || copy(&mut file, &mut writer).expect("no error"));
    let mut got = Vec::new();
    reader.read_to_end(&mut got).expect("it ends");
    assert_eq!(copying.join().expect("no panic"), MANY as u64 - 1);
    assert!(got == data(MANY)[1..]);
    // The kernel splices nothing into a file that is appended to.
    let mut file = File::options().append(true).open(&path).expect("it is there");
    let (mut reader, mut writer) = pipe().expect("fds");
    writer.write_all(b"end").expect("there is room");
    drop(writer);
    assert_eq!(copy(&mut reader, &mut file).expect("no error"), 3);
    assert!(std::fs::read(&path).expect("it is there").ends_with(b"end"));
    std::fs::remove_file(&path).expect("ours");
}

#[rt0::test]
fn a_pipe_without_a_reader_or_closed_is_an_error() {
    let ((r1, mut w1), (r2, mut w2)) = (pipe().expect("fds"), pipe().expect("fds"));
    w1.write_all(&[0; 1000]).expect("there is room");
    drop(r2);
    assert!(copy(&mut &r1, &mut w2).is_err(), "nobody reads");
    let (_r3, mut w3) = pipe().expect("fds");
    r1.close();
    assert!(copy(&mut &r1, &mut w3).is_err(), "closed");
}
