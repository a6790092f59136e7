//! `rt0::io::copy`, between whatever can be copied.

use rt0::io::copy;
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
