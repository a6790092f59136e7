//! Dumps of a process that goes on, and what headers say of goroutines.

use super::{DONE, Entry, Run::Main, Run::Plain, number};
use rt0::debug::{Dump, set_label, with_labels};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("Minutes", Main(minutes)),
    ("PanicLabels", Main(panic_labels)),
    ("QuitLabels", Main(quit_labels)),
    ("ManyDumps", Main(many_dumps)),
    ("ManyQuit", Main(many_quit)),
    ("StuckQuit", Main(stuck_quit)),
    ("StuckDumps", Main(stuck_dumps)),
    ("PanicShown", Main(panic_shown)),
    ("PanicOwnHook", Main(panic_own_hook)),
    ("PanicShownInRun", Plain(|| rt0::run(panic_shown))),
    ("PanicOwnHookInRun", Plain(panic_own_hook_in_run)),
    ("PanicResumed", Main(panic_resumed)),
];

const LONG: Duration = Duration::from_secs(10_000);

fn start(name: &str, f: impl FnOnce() + Send + 'static) {
    drop(rt0::Builder::new().name(name.into()).go(f).expect("a goroutine"));
}

fn text(dump: Dump) -> String {
    let mut bytes = Vec::new();
    dump.write_to(&mut bytes).expect("a Vec takes all");
    String::from_utf8(bytes).expect("dumps are UTF-8")
}

/// Dumps until each of them has waited for a minute, and prints that dump.
fn minutes() -> ExitCode {
    let (keep, from) = rt0::chan::unbounded::<()>();
    start("receiver", move || {
        let _ = from.recv();
    });
    start("sleeper", || rt0::time::sleep(LONG));
    start("caller", || rt0::blocking(|| std::thread::sleep(LONG)));
    start("owner", || {
        let _guard = rt0::lock_os_thread();
        rt0::time::sleep(LONG);
    });
    let waits = |part: &&str| part.lines().next().is_some_and(|h| h.contains(" minutes"));
    loop {
        let all = text(Dump::new());
        if all.split("\n\n").filter(waits).count() == 4 {
            print!("{all}");
            break;
        }
        rt0::time::sleep(Duration::from_millis(10));
    }
    print!("{}", text(Dump::new().json(true)));
    drop(keep);
    DONE
}

fn panic_labels() -> ExitCode {
    with_labels(&[("job", "main's")], || {
        drop(rt0::go(|| {
            set_label("user", "ann");
            panic!("labelled");
        }));
    });
    rt0::time::sleep(LONG);
    DONE
}

fn quit_labels() -> ExitCode {
    with_labels(&[("job", "all"), ("a", "b c")], || start("labelled", || rt0::time::sleep(LONG)));
    set_label("of", "main");
    while !rt0::debug::waits().iter().any(|w| w.reason == "sleep") {
        rt0::time::sleep(Duration::from_millis(1));
    }
    quit();
    DONE
}

fn quit() {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::QUIT);
    rt0::time::sleep(LONG);
}

#[inline(never)]
fn waits_for_all(from: &rt0::chan::Receiver<()>) {
    black_box(from.recv().is_ok());
}

/// Goroutines that wait: the scenario's number of them.
fn many() -> u64 {
    let n = number(20_000);
    let (keep, from) = rt0::chan::unbounded::<()>();
    Box::leak(Box::new(keep));
    for _ in 0..n {
        let from = from.clone();
        drop(rt0::go(move || waits_for_all(&from)));
    }
    while !text_starts(Dump::new().grouped(true), &format!("{n} goroutines like this, [")) {
        rt0::time::sleep(Duration::from_millis(100));
    }
    n
}

fn text_starts(dump: Dump, with: &str) -> bool {
    text(dump).starts_with(with)
}

/// Counts what goes through it.
struct Counting {
    to: File,
    lines: u64,
    bytes: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.bytes += n as u64;
        self.lines += bytes[..n].iter().filter(|c| **c == b'\n').count() as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.expect("a number of pages") / 256
}

/// Dumps very many in each way, and says how long it took.
fn many_dumps() -> ExitCode {
    let n = many();
    let ways = [
        ("text", Dump::new()),
        ("text again", Dump::new()),
        ("system", Dump::new().system(true)),
        ("json", Dump::new().json(true)),
        ("grouped", Dump::new().grouped(true)),
    ];
    for (name, dump) in ways {
        let to = File::create("/dev/null").expect("it is there");
        let mut to = Counting { to, lines: 0, bytes: 0 };
        let (before, start) = (resident_mib(), Instant::now());
        dump.write_to(&mut to).expect("/dev/null takes all");
        let grown = resident_mib().saturating_sub(before);
        let took = start.elapsed();
        println!("{name}: {n} goroutines, {took:?}, {} bytes, {grown} MiB more", to.bytes);
        // Header and two lines for the maker, the functions, what is waited for, an empty line.
        let of_each = if name.starts_with("text") { 9 } else { u64::from(name == "json") };
        assert!(to.lines >= of_each * n, "{} lines for {n}", to.lines);
    }
    DONE
}

fn many_quit() -> ExitCode {
    many();
    quit();
    DONE
}

/// Goroutines that are where they will be.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

#[inline(never)]
fn has_the_streams() {
    let _both = (io::stderr().lock(), io::stdout().lock());
    ARRIVED.fetch_add(1, SeqCst);
    rt0::time::sleep(LONG);
    black_box(());
}

#[inline(never)]
fn is_in_malloc() {
    ARRIVED.fetch_add(1, SeqCst);
    loop {
        black_box((0..100).map(|i| Box::new([i; 100])).collect::<Vec<_>>());
    }
}

#[inline(never)]
fn is_in_a_call() {
    rt0::blocking(|| {
        ARRIVED.fetch_add(1, SeqCst);
        std::thread::sleep(LONG);
    });
    black_box(());
}

#[inline(never)]
fn spins() {
    ARRIVED.fetch_add(1, SeqCst);
    loop {
        black_box(());
    }
}

/// The standard streams are locked by a goroutine that sleeps, malloc's lock is mostly held, some
/// are in a call, and every P computes. A plain thread goes on with `f`.
fn stuck(f: fn()) -> ExitCode {
    let kinds: [(&str, fn()); 4] = [
        ("streams", has_the_streams),
        ("malloc", is_in_malloc),
        ("call", is_in_a_call),
        ("spins", spins),
    ];
    std::thread::spawn(move || {
        while ARRIVED.load(SeqCst) < 2 * kinds.len() - 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        f();
    });
    start("streams", has_the_streams);
    for (name, f) in kinds.iter().skip(1).chain(kinds.iter().skip(1)) {
        start(name, *f);
    }
    spins();
    DONE
}

/// From a thread that is no goroutine.
fn kill_self() {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::QUIT);
}

fn stuck_quit() -> ExitCode {
    stuck(kill_self)
}

fn stuck_dumps() -> ExitCode {
    stuck(|| {
        let mut last = String::new();
        for _ in 0..5 {
            last = text(Dump::new());
            assert!(last.contains("\"streams\":"), "{last}");
        }
        // Standard output is locked.
        let _ = rustix::io::write(rustix::stdio::stdout(), last.as_bytes());
        kill_self_at_once();
    })
}

/// Without exit hooks, which need the streams.
fn kill_self_at_once() {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
}

#[inline(never)]
fn panics_here() {
    if black_box(true) {
        panic!("seen once");
    }
}

fn panic_shown() -> ExitCode {
    drop(rt0::go(panics_here));
    rt0::time::sleep(LONG);
    DONE
}

fn panic_own_hook() -> ExitCode {
    std::panic::set_hook(Box::new(|_| eprintln!("own hook")));
    panic_shown()
}

/// The hook is there before the runtime is.
fn panic_own_hook_in_run() -> ExitCode {
    std::panic::set_hook(Box::new(|_| eprintln!("own hook")));
    rt0::run(panic_shown)
}

/// The hook has shown the stack of the panic that was caught; the one thrown after it is another.
fn panic_resumed() -> ExitCode {
    drop(rt0::go(|| {
        assert!(std::panic::catch_unwind(panics_here).is_err());
        throws_here();
    }));
    rt0::time::sleep(LONG);
    DONE
}

#[inline(never)]
fn throws_here() {
    if black_box(true) {
        std::panic::resume_unwind(Box::new("thrown"));
    }
}
