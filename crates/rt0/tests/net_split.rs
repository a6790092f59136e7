//! Streams in halves.

mod again;
#[path = "net/support.rs"]
mod support;

use rt0::net::{TcpStream, UnixStream, tcp, unix};
use rt0::time::{Duration, Instant, sleep};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use support::{open_files, pair};

fn data(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 % 251) as u8).collect()
}

/// Both directions at once, more than there is room for, through halves of every kind.
macro_rules! both_ways {
    ($name:ident, $pair:expr) => {
        #[rt0::test]
        fn $name() {
            let (mut a, b) = $pair;
            let (mut from_a, mut to_a) = b.into_split();
            let (want, size) = (data(3_000_000), 3_000_000);
            let writing = {
                let want = want.clone();
                rt0::go(move || to_a.write_all(&want).expect("it reads")) // and drops its half
            };
            let reading = rt0::go(move || {
                let mut got = Vec::new();
                from_a.read_to_end(&mut got).expect("to the end");
                got
            });
            let (mut reader, mut writer) = a.split();
            rt0::scope(|s| {
                s.go(|| {
                    for part in want.chunks(100_000) {
                        writer.write_all(part).expect("it reads");
                    }
                    writer.flush().expect("nothing to do");
                    writer.shutdown().expect("connected");
                });
                let mut got = Vec::new();
                reader.read_to_end(&mut got).expect("the half was dropped");
                assert!(got == want, "{} of {size}", got.len());
            });
            writing.join().expect("no panic");
            assert!(reading.join().expect("no panic") == want);
            assert_eq!(a.read(&mut [0]).expect("the end"), 0);
        }
    };
}

both_ways!(both_ways_of_a_tcp_stream, pair());
both_ways!(both_ways_of_a_unix_stream, UnixStream::pair().expect("two sockets"));

/// As tokio: the half that writes ends its direction, the other one nothing.
#[rt0::test]
fn dropping_halves() {
    let (mut a, b) = pair();
    let (mut reader, mut writer) = b.into_split();
    writer.write_all(b"last").expect("room");
    drop(writer);
    let mut text = String::new();
    a.read_to_string(&mut text).expect("text and the end");
    assert_eq!(text, "last");
    a.write_all(b"more").expect("its other direction is open");
    reader.read_exact(&mut [0; 4]).expect("it comes");
    drop(reader);
    // Now it is closed: sooner or later there is nobody to write to.
    let end = Instant::now() + Duration::from_secs(60);
    while a.write_all(b"x").is_ok() {
        assert!(Instant::now() < end, "it goes on");
        sleep(Duration::from_millis(1));
    }

    let (mut a, b) = pair();
    let (reader, mut writer) = b.into_split();
    drop(reader);
    a.write_all(b"nobody reads it").expect("room");
    writer.write_all(b"still open").expect("room");
    a.read_exact(&mut [0; 10]).expect("it comes");

    // `forget` says nothing to the other side.
    let (mut a, b) = UnixStream::pair().expect("two sockets");
    let (mut reader, writer) = b.into_split();
    writer.forget();
    a.set_read_timeout(Some(Duration::from_millis(10))).expect("not zero");
    assert_eq!(a.read(&mut [0]).expect_err("nothing").kind(), ErrorKind::TimedOut);
    a.write_all(b"x").expect("room");
    reader.read_exact(&mut [0]).expect("it comes");

    // Borrowed halves say nothing at all.
    let (mut a, mut b) = pair();
    let _ = b.split();
    b.write_all(b"x").expect("open");
    a.read_exact(&mut [0]).expect("it comes");
}

#[rt0::test]
fn halves_are_reunited() {
    let (mut a, b) = pair();
    let (c, d) = pair();
    let from = b.peer_addr().expect("connected");
    let ((b_reader, b_writer), (c_reader, c_writer)) = (b.into_split(), c.into_split());
    let tcp::ReuniteError(b_reader, c_writer) = b_reader.reunite(c_writer).expect_err("strangers");
    let e = b_writer.reunite(c_reader).expect_err("strangers");
    assert_eq!(e.to_string(), "tried to reunite halves that are not from the same stream");
    let tcp::ReuniteError(c_reader, b_writer) = e;
    let mut b: TcpStream = b_reader.reunite(b_writer).expect("of one stream");
    let mut c = c_writer.reunite(c_reader).expect("of one stream");
    assert_eq!(b.peer_addr().expect("connected"), from);
    // Nothing was shut down.
    b.write_all(b"x").expect("open");
    a.read_exact(&mut [0]).expect("it comes");
    c.write_all(b"x").expect("open");
    (&d).read_exact(&mut [0]).expect("it comes");
    let (r, w): (unix::OwnedReadHalf, unix::OwnedWriteHalf) =
        UnixStream::pair().expect("two sockets").0.into_split();
    drop(r.reunite(w).expect("of one stream"));
}

#[rt0::test]
fn halves_have_limits_addresses_and_vectors() {
    let (mut a, b) = pair();
    let (reader, writer) = b.into_split();
    assert_eq!(reader.peer_addr().expect("connected"), a.local_addr().expect("connected"));
    assert_eq!(writer.local_addr().expect("connected"), a.peer_addr().expect("connected"));
    let ms = Some(Duration::from_millis(5));
    reader.set_read_timeout(ms).expect("not zero");
    writer.set_write_timeout(ms).expect("not zero");
    let limits = (reader.read_timeout().expect("set"), writer.write_timeout().expect("set"));
    assert_eq!(limits, (ms, ms));
    let (mut reader, mut writer) = (reader, writer);
    assert_eq!(reader.read(&mut [0]).expect_err("nothing").kind(), ErrorKind::TimedOut);
    let full = loop {
        if let Err(e) = writer.write(&[0; 65536]) {
            break e;
        }
    };
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    writer.set_write_deadline(Some(Instant::now()));
    reader.set_read_timeout(None).expect("a socket");
    let waiting = rt0::go(move || (reader.read(&mut [0; 8]).map(drop), reader));
    a.write_all(b"x").expect("room");
    let (read, mut reader) = waiting.join().expect("no panic");
    read.expect("it comes");
    reader.set_read_deadline(Some(Instant::now()));
    assert_eq!(reader.read(&mut [0]).expect_err("past").kind(), ErrorKind::TimedOut);
    reader.as_ref().set_nodelay(true).expect("the stream itself");

    let (mut a, b) = UnixStream::pair().expect("two sockets");
    let (mut reader, mut writer) = b.split();
    assert!(reader.peer_addr().expect("a socket").is_unnamed());
    let n = writer.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")]).expect("room");
    assert_eq!(n, 4);
    let (mut x, mut y) = ([0; 1], [0; 8]);
    a.read_exact(&mut y[..4]).expect("it comes");
    assert_eq!(&y[..4], b"abcd");
    a.write_all(b"efg").expect("room");
    assert_eq!(reader.peek(&mut x).expect("it comes"), 1);
    let mut slices = [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)];
    assert_eq!(reader.read_vectored(&mut slices).expect("it comes"), 3);
    assert_eq!((&x, &y[..2]), (b"e", &b"fg"[..]));
}

/// A proxy as it is written with halves: each direction a goroutine's, by `io::copy`.
#[rt0::test]
fn halves_are_copied() {
    let (mut client, proxy) = pair();
    let (upstream, mut server) = UnixStream::pair().expect("two sockets");
    let (mut from_client, mut to_client) = proxy.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let up = rt0::go(move || rt0::io::copy(&mut from_client, &mut to_server));
    let down = rt0::go(move || rt0::io::copy(&mut from_server, &mut to_client));
    let echo = rt0::go(move || {
        let mut got = Vec::new();
        server.read_to_end(&mut got).expect("to the end");
        server.write_all(&got).expect("it reads");
    });
    let want = data(1_500_000);
    client.write_all(&want).expect("it reads");
    client.shutdown(rt0::net::Shutdown::Write).expect("connected");
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("to the end");
    assert!(got == want);
    echo.join().expect("no panic");
    for copied in [up, down] {
        assert_eq!(copied.join().expect("no panic").expect("no error"), want.len() as u64);
    }
}

#[test]
fn halves_leave_nothing_behind() {
    again::alone("halves_leave_nothing_behind", || {
        rt0::run(|| {
            let round = || {
                let (a, b) = pair();
                let (mut ar, aw) = a.into_split();
                let (br, mut bw) = b.into_split();
                let waiting = rt0::go(move || ar.read(&mut [0; 4]).map(drop));
                rt0::gosched();
                bw.write_all(b"x").expect("room");
                waiting.join().expect("no panic").expect("it comes");
                drop((aw, br, bw));
            };
            round();
            // The poller has descriptors from the first wait on, which a round may do without.
            let (mut silent, _other) = pair();
            silent.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
            silent.read(&mut [0; 4]).expect_err("nobody writes");
            let before = open_files();
            (0..200).for_each(|_| round());
            assert_eq!(open_files(), before);
        });
    });
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
