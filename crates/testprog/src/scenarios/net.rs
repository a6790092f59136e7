//! Connections that are closed, cloned, converted and given deadlines while others use them.
//!
//! Each connection has a number of its own, and each byte on it is told by that number and its
//! place. The numbers of descriptors are used again at once, by connections and by pipes that hold
//! other bytes. So a read from, or a write to, a descriptor that is somebody else's by then shows
//! up as a byte that does not belong there, or as an error that no socket gives.

#![allow(unsafe_code, reason = "from_raw_fd is one of the conversions")]

use super::{Entry, Run::Main, number};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rt0::chan::bounded;
use rt0::context::{background, with_timeout};
use rt0::io::pipe;
use rt0::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket, UnixStream};
use rt0::sync::Mutex;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[("NetStress", Main(stress))];

static STOP: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What was done.
macro_rules! counts {
    ($($name:ident),*) => {
        $(static $name: AtomicU64 = AtomicU64::new(0);)*
        fn report() {
            $(eprint!("{} {}, ", stringify!($name).to_lowercase(), $name.load(SeqCst));)*
            eprintln!("Ps {}", rt0::gomaxprocs());
        }
    };
}
counts!(CONNECTED, NOT_CONNECTED, ACCEPTED, LISTENERS, CONVERTED, CLONED, CLOSED, LATE, BYTES);

fn count(what: &AtomicU64, n: u64) {
    what.fetch_add(n, Relaxed);
}

/// The byte at this place of that connection: its number, then the place, in turns.
fn byte(tag: u64, at: u64) -> u8 {
    let word = if at % 16 < 8 { tag } else { at / 16 };
    word.to_le_bytes()[at as usize % 8]
}

const MAGIC: u64 = 0x5afe << 48;

fn new_tag() -> u64 {
    MAGIC | NEXT.fetch_add(1, Relaxed)
}

fn check(what: &str, tag: u64, at: u64, got: &[u8]) {
    for (at, b) in (at..).zip(got) {
        assert_eq!(*b, byte(tag, at), "{what}: not byte {at} of {tag:x}");
    }
    count(&BYTES, got.len() as u64);
}

/// True: the deadline. Else the connection has ended, in a way that it may.
fn is_late(e: &io::Error) -> bool {
    use ErrorKind as E;
    let ended =
        [E::NotConnected, E::ConnectionReset, E::BrokenPipe, E::ConnectionAborted, E::TimedOut];
    assert!(ended.contains(&e.kind()), "no error of a socket: {e:?}");
    if e.kind() == E::TimedOut {
        count(&LATE, 1);
    }
    e.kind() == E::TimedOut
}

/// What both kinds of stream have.
trait Stream: Send + Sync + Sized + 'static {
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn send(&self, buf: &[u8]) -> io::Result<usize>;
    fn limit(&self, dir: Shutdown, at: Option<Instant>);
    fn close(&self);
    fn end(&self, how: Shutdown);
    fn again(&self) -> io::Result<Self>;
    /// Through another type and back.
    fn around(self, how: u32) -> Self;
}

macro_rules! stream {
    ($($name:ident)*) => {$(
        impl Stream for $name {
            fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                let mut s = self;
                s.read(buf)
            }

            fn send(&self, buf: &[u8]) -> io::Result<usize> {
                let mut s = self;
                s.write(buf)
            }

            fn limit(&self, dir: Shutdown, at: Option<Instant>) {
                match dir {
                    Shutdown::Read => self.set_read_deadline(at),
                    Shutdown::Write => self.set_write_deadline(at),
                    Shutdown::Both => self.set_deadline(at),
                }
            }

            fn close(&self) {
                $name::close(self);
            }

            fn end(&self, how: Shutdown) {
                let _ = self.shutdown(how); // it may be reset
            }

            fn again(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn around(self, how: u32) -> Self {
                count(&CONVERTED, 1);
                match how % 3 {
                    0 => $name::from_std(self.into_std()),
                    1 => $name::from(OwnedFd::from(self)),
                    // SAFETY: the number was just given to us.
                    _ => unsafe { $name::from_raw_fd(self.into_raw_fd()) },
                }
            }
        }
    )*};
}
stream!(TcpStream UnixStream);

/// Sends the bytes up to `end`. How far it came.
fn send(s: &impl Stream, tag: u64, mut at: u64, end: u64) -> u64 {
    let bytes: Vec<u8> = (at..end).map(|at| byte(tag, at)).collect();
    let start = at;
    while at < end {
        match s.send(&bytes[(at - start) as usize..]) {
            Ok(n) => at += n as u64,
            Err(e) if is_late(&e) => s.limit(Shutdown::Write, None),
            Err(_) => break,
        }
    }
    at
}

/// Receives the bytes up to `end`. How far it came.
fn recv(s: &impl Stream, tag: u64, mut at: u64, end: u64) -> u64 {
    let mut buf = [0; 2000];
    while at < end {
        let n = buf.len().min((end - at) as usize);
        match s.recv(&mut buf[..n]) {
            Ok(0) => break,
            Ok(n) => {
                check("a client", tag, at, &buf[..n]);
                at += n as u64;
            }
            Err(e) if is_late(&e) => s.limit(Shutdown::Read, None),
            Err(_) => break,
        }
    }
    at
}

/// Sends back what comes, which is a client's.
fn serve(s: &impl Stream, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut tag, mut at, mut buf) = (0, 0, [0; 3000]);
    loop {
        if rng.random_ratio(1, 8) {
            s.limit(Shutdown::Both, moment(&mut rng));
        }
        let n = match s.recv(&mut buf) {
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if is_late(&e) => {
                s.limit(Shutdown::Both, None);
                continue;
            }
            Err(_) => return,
        };
        for b in &buf[..n] {
            if at < 8 {
                tag |= u64::from(*b) << (8 * at);
                assert!(at < 7 || tag & MAGIC == MAGIC, "no client's: {tag:x}");
            }
            at += 1;
        }
        if at >= 8 {
            check("a server", tag, at - n as u64, &buf[..n]);
        }
        s.limit(Shutdown::Write, None);
        let mut sent = 0;
        while sent < n {
            match s.send(&buf[sent..n]) {
                Ok(more) => sent += more,
                Err(e) if is_late(&e) => {}
                Err(_) => return,
            }
        }
    }
}

/// None, past, or within some milliseconds.
fn moment(rng: &mut SmallRng) -> Option<Instant> {
    let ns = 1_u64 << rng.random_range(0..22);
    (!rng.random_ratio(1, 4)).then(|| Instant::now() + Duration::from_nanos(ns))
}

/// Deadlines, clones, and in the end (`is_last`) the close, while others read and write.
fn disturb(s: &Arc<impl Stream>, rng: &mut SmallRng, is_last: bool) {
    let dirs = [Shutdown::Read, Shutdown::Write, Shutdown::Both];
    for _ in 0..rng.random_range(0..12) {
        match rng.random_range(0..6) {
            0 | 1 => s.limit(dirs[rng.random_range(0..3)], moment(rng)),
            2 => rt0::gosched(),
            3 => rt0::time::sleep(Duration::from_nanos(1 << rng.random_range(0..20))),
            _ => {
                let clone = s.again().expect("a descriptor is left");
                clone.limit(dirs[rng.random_range(0..3)], moment(rng));
                count(&CLONED, 1);
            }
        }
    }
    if !is_last {
        return s.limit(Shutdown::Both, None);
    }
    count(&CLOSED, 1);
    if rng.random() {
        s.limit(Shutdown::Both, None);
    }
    match rng.random_range(0..4) {
        0 => {
            s.end(Shutdown::Both);
            s.limit(Shutdown::Both, None); // a past one comes before the end
        }
        1 => s.again().expect("a descriptor is left").close(),
        _ => s.close(),
    }
}

/// A client's connection from its beginning to its end.
fn live(mut s: impl Stream, rng: &mut SmallRng) {
    let (tag, mut at) = (new_tag(), 0);
    let rounds = rng.random_range(1..4);
    for round in 1..=rounds {
        let (end, is_last) = (at + rng.random_range(1..40_000), round == rounds);
        let shared = Arc::new(s);
        let (writing, reading) = (Arc::clone(&shared), Arc::clone(&shared));
        let writer = rt0::go(move || send(&*writing, tag, at, end));
        let reader = rt0::go(move || recv(&*reading, tag, at, end));
        disturb(&shared, rng, is_last);
        let both = [writer, reader].map(|h| h.join().expect("nobody panics"));
        if is_last || both != [end, end] {
            return;
        }
        at = end;
        s = match Arc::try_unwrap(shared) {
            Ok(s) => s,
            Err(_) => unreachable!("both have ended"),
        };
        // A clone sees it go and come back.
        let clone = s.again().expect("a descriptor is left");
        let how = rng.random();
        let meanwhile = rt0::go(move || {
            clone.limit(Shutdown::Both, Some(Instant::now()));
            clone.limit(Shutdown::Both, None);
        });
        s = s.around(how);
        meanwhile.join().expect("nobody panics");
    }
}

/// Who listens now.
static ADDRESS: Mutex<Option<SocketAddr>> = Mutex::new(None);

/// Listeners come and go while they are accepted from and connected to.
fn listen(mut rng: SmallRng) {
    while !STOP.load(SeqCst) {
        // An address of our own: nobody else answers when it is gone.
        let listener = Arc::new(TcpListener::bind("127.23.57.11:0").expect("a port"));
        *ADDRESS.lock().expect("nobody panics") = listener.local_addr().ok();
        count(&LISTENERS, 1);
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let (listener, seed) = (Arc::clone(&listener), rng.random());
                rt0::go(move || accept(&listener, seed))
            })
            .collect();
        for _ in 0..rng.random_range(0..5) {
            listener.set_read_deadline(moment(&mut rng));
            rt0::time::sleep(Duration::from_millis(rng.random_range(0..20)));
        }
        let closing = rt0::go(move || listener.close());
        accepting.into_iter().for_each(|a| a.join().expect("nobody panics"));
        closing.join().expect("nobody panics");
    }
}

fn accept(listener: &TcpListener, seed: u64) {
    let mut servers = Vec::new();
    loop {
        match listener.accept() {
            Ok((s, _)) => {
                count(&ACCEPTED, 1);
                servers.push(rt0::go(move || serve(&s, seed)));
            }
            Err(e) if is_late(&e) => listener.set_read_deadline(None),
            Err(_) => break,
        }
    }
    servers.into_iter().for_each(|s| s.join().expect("nobody panics"));
}

fn clients(mut rng: SmallRng) {
    while !STOP.load(SeqCst) {
        if rng.random_ratio(1, 3) {
            let (near, far) = UnixStream::pair().expect("two descriptors");
            let seed = rng.random();
            let server = rt0::go(move || serve(&far, seed));
            count(&CONNECTED, 1);
            live(near, &mut rng);
            server.join().expect("nobody panics");
            continue;
        }
        let Some(to) = *ADDRESS.lock().expect("nobody panics") else {
            rt0::gosched();
            continue;
        };
        // Some give up while it is being connected.
        let limit = Duration::from_nanos(1 << rng.random_range(10..36));
        let (ctx, _cancel) = with_timeout(&background(), limit);
        match ctx.io(|| TcpStream::connect(to)) {
            Ok(s) => {
                count(&CONNECTED, 1);
                live(s, &mut rng);
            }
            Err(e) => {
                count(&NOT_CONNECTED, 1);
                let may =
                    [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset, ErrorKind::TimedOut];
                assert!(may.contains(&e.kind()), "{e:?}");
            }
        }
    }
}

/// Pipes and datagrams, closed while they are read.
fn others(mut rng: SmallRng) {
    while !STOP.load(SeqCst) {
        let tag = new_tag();
        let (reader, mut writer) = pipe().expect("two descriptors");
        let reader = Arc::new(reader);
        let reading = Arc::clone(&reader);
        let reading = rt0::go(move || {
            let (mut at, mut buf) = (0, [0; 300]);
            loop {
                match (&*reading).read(&mut buf) {
                    Ok(0) => return,
                    Ok(n) => check("a pipe", tag, at, &buf[..n]),
                    Err(e) if is_late(&e) => continue,
                    Err(_) => return,
                }
                at += 300;
            }
        });
        for at in (0..rng.random_range(0..20)).map(|n| n * 300) {
            let bytes: Vec<u8> = (at..at + 300).map(|at| byte(tag, at)).collect();
            reader.set_read_deadline(moment(&mut rng));
            writer.write_all(&bytes).expect("somebody reads");
        }
        reader.set_read_deadline(None);
        if rng.random() {
            reader.close()
        } else {
            drop(writer)
        }
        reading.join().expect("nobody panics");

        let [a, b] = [0, 1].map(|_| UdpSocket::bind("127.23.57.12:0").expect("a port"));
        let from = b.local_addr().expect("bound");
        a.connect(from).expect("an address");
        let a = Arc::new(a);
        let receiving = Arc::clone(&a);
        let receiving = rt0::go(move || {
            let mut buf = [0; 64];
            loop {
                match receiving.recv(&mut buf) {
                    Ok(n) => check("a datagram", tag, 0, &buf[..n]),
                    Err(e) if is_late(&e) => rt0::gosched(),
                    Err(_) => return,
                }
            }
        });
        let datagram: Vec<u8> = (0..64).map(|at| byte(tag, at)).collect();
        for _ in 0..rng.random_range(0..10) {
            b.send_to(&datagram, a.local_addr().expect("bound")).expect("room");
            a.set_read_deadline(moment(&mut rng));
        }
        a.close();
        receiving.join().expect("nobody panics");
    }
}

/// Takes the numbers of what was just closed, and holds what is nobody's.
fn reuse() {
    while !STOP.load(SeqCst) {
        let (r, mut w) = std::io::pipe().expect("two descriptors");
        let (mut a, mut b) = std::os::unix::net::UnixStream::pair().expect("two descriptors");
        let file = File::open("/proc/self/exe").expect("procfs is mounted");
        w.write_all(&[0xee; 64]).expect("room");
        a.write_all(&[0xee; 64]).expect("room");
        b.write_all(&[0xee; 64]).expect("room");
        rt0::gosched();
        // And nobody has written to, or taken from, ours.
        let mut got = [0; 65];
        for (name, n) in [
            ("a pipe", (&r).read(&mut got)),
            ("a socket", (&a).read(&mut got)),
            ("a socket", (&b).read(&mut got)),
        ] {
            assert_eq!(n.expect("it is there"), 64, "{name} of ours");
        }
        drop(file);
    }
}

fn open_files() -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").flatten();
    // Not what sysmon reads at times.
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    links.filter(|link| !link.starts_with("/proc")).count()
}

/// `NetStress [SECONDS [SEED]]`. It ends with a deadlock, which the runtime finds only if nobody is
/// thought to wait for a descriptor any more.
fn stress() -> ExitCode {
    let seed = std::env::args().nth(3).and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    drop(TcpStream::connect("127.23.57.11:1")); // opens what stays open
    let (mut a, b) = pipe().expect("two descriptors");
    a.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    a.read(&mut [0]).expect_err("nothing comes");
    drop((a, b));
    let before = open_files();
    let mut next = || SmallRng::from_rng(&mut rng);
    let mut all: Vec<_> = (0..6).map(|_| next()).map(|r| rt0::go(move || clients(r))).collect();
    all.extend((0..2).map(|_| next()).map(|r| rt0::go(move || others(r))));
    all.push({
        let rng = next();
        rt0::go(move || listen(rng))
    });
    all.push(rt0::go(reuse));
    rt0::time::sleep(Duration::from_secs(number(2)));
    STOP.store(true, SeqCst);
    all.into_iter().for_each(|h| h.join().expect("nobody panics"));
    // A goroutine counts for a moment after it was joined.
    let end = Instant::now() + Duration::from_secs(60);
    while (rt0::num_goroutine(), open_files()) != (1, before) {
        let left = (rt0::num_goroutine(), open_files());
        assert!(Instant::now() < end, "{left:?} goroutines and files, not (1, {before})");
        rt0::time::sleep(Duration::from_millis(1));
    }
    report();
    println!("OK");
    let (_tx, rx) = bounded::<()>(0);
    let _ = rx.recv();
    ExitCode::FAILURE
}
