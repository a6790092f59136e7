//! Reports of all goroutines: what there is to show, and how much of it is shown.

use super::{DONE, Entry, Run::Main};
use std::hint::black_box;
use std::io::Read;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("Quit", Main(quit)),
    ("QuitIgnored", Main(quit_ignored)),
    ("QuitOnThread", Main(quit_on_thread)),
    ("PanicWithOthers", Main(panic_with_others)),
    ("SetTraceback", Main(set_traceback)),
    ("CrashOutput", Main(crash_output)),
    ("Slow", Main(slow)),
];

const LONG: Duration = Duration::from_secs(60);

/// Goroutines that are on their way to where they stay.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

fn arrive() {
    ARRIVED.fetch_add(1, SeqCst);
}

#[inline(never)]
fn sleeper() {
    arrive();
    rt0::time::sleep(LONG);
    black_box(());
}

/// Standard error is a pipe to the test, and nobody writes to this one.
#[inline(never)]
fn reader() {
    let (mut from, _to) = std::io::pipe().expect("two descriptors");
    arrive();
    let _ = from.read(&mut [0]);
    black_box(());
}

#[inline(never)]
fn blocked() {
    arrive();
    let _ = rt0::blocking(|| {
        rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 60, tv_nsec: 0 })
    });
    black_box(());
}

#[inline(never)]
fn receiver() {
    let (_to, from) = rt0::chan::unbounded::<()>();
    arrive();
    let _ = from.recv();
    black_box(());
}

#[inline(never)]
fn locker() {
    static LOCK: rt0::sync::Mutex<()> = rt0::sync::Mutex::new(());
    let guard = LOCK.lock();
    arrive();
    black_box(LOCK.lock().is_ok());
    drop(guard);
}

#[inline(never)]
fn owner() {
    let _guard = rt0::lock_os_thread();
    arrive();
    rt0::time::sleep(LONG);
    black_box(());
}

#[inline(never)]
fn hog() {
    arrive();
    loop {
        black_box(());
    }
}

/// Most of the time it is in malloc.
#[inline(never)]
fn holder() {
    arrive();
    loop {
        black_box(vec![black_box(7_u8); 100_000]);
    }
}

/// One of each kind, then SIGQUIT.
fn quit() -> ExitCode {
    let all: [(&str, fn()); 8] = [
        ("sleeper", sleeper),
        ("reader", reader),
        ("blocked", blocked),
        ("receiver", receiver),
        ("locker", locker),
        ("owner of a thread", owner),
        ("hog", hog),
        ("holder of malloc's lock", holder),
    ];
    for (name, f) in all {
        drop(rt0::Builder::new().name(name.into()).go(f).expect("a goroutine"));
    }
    while ARRIVED.load(SeqCst) < all.len() {
        rt0::time::sleep(Duration::from_millis(1));
    }
    until_wait(&[
        ("sleep", 2),
        ("syscall: read", 1),
        ("syscall", 1),
        ("chan receive", 1),
        ("sync.Mutex.Lock", 1),
    ]);
    kill_self();
    rt0::time::sleep(LONG);
    DONE
}

/// Until as many as that wait, each for its reason: they may have got no further than `arrive`.
fn until_wait(reasons: &[(&str, usize)]) {
    let is_so = |(reason, n): &(&str, usize)| {
        rt0::debug::waits().iter().filter(|w| w.reason == *reason).count() >= *n
    };
    while !reasons.iter().all(is_so) {
        rt0::time::sleep(Duration::from_millis(1));
    }
}

fn kill_self() {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::QUIT);
}

fn quit_ignored() -> ExitCode {
    kill_self();
    rt0::time::sleep(Duration::from_millis(50));
    println!("still here");
    DONE
}

fn panic_with_others() -> ExitCode {
    drop(rt0::go(sleeper));
    rt0::time::sleep(Duration::from_millis(20));
    drop(rt0::go(|| panic!("seen")));
    rt0::time::sleep(LONG);
    DONE
}

fn argument() -> String {
    std::env::args().nth(2).unwrap_or_default()
}

fn set_traceback() -> ExitCode {
    rt0::debug::set_traceback(&argument());
    panic_with_others()
}

fn crash_output() -> ExitCode {
    let file = std::fs::File::create(argument()).expect("a new file");
    assert!(rt0::debug::set_crash_output(Some(file.into())).is_none());
    eprintln!("this is no report");
    drop(rt0::go(|| panic!("seen twice")));
    rt0::time::sleep(LONG);
    DONE
}

/// In a system call, and not by libc.
#[inline(never)]
fn asleep() {
    let long = rustix::thread::Timespec { tv_sec: 60, tv_nsec: 0 };
    let _ = rustix::thread::nanosleep(&long);
    black_box(());
}

#[inline(never)]
fn slow_hog() {
    loop {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            black_box(());
        }
        rt0::time::sleep(Duration::from_micros(100));
    }
}

/// SIGQUIT and SIGURG come at once to a thread of std's, which has 8 KiB for their handlers. The
/// kernel's frames take most of that.
#[allow(unsafe_code, reason = "signals of one thread")]
fn quit_on_thread() -> ExitCode {
    const BOTH: [i32; 2] = [libc::SIGURG, libc::SIGQUIT];
    let both = || {
        // SAFETY: all zeroes are an empty set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        for signal in BOTH {
            // SAFETY: a set of this function's, and a signal.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        let change = |how| {
            // SAFETY: this thread's own mask; the old one is not asked for.
            unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
        };
        change(libc::SIG_BLOCK);
        for signal in BOTH {
            // SAFETY: it has a handler, which runs when both are there.
            unsafe { libc::raise(signal) };
        }
        change(libc::SIG_UNBLOCK);
    };
    let quits = std::thread::spawn(both);
    quits.join().expect("no panic");
    DONE
}

/// One of each kind that stays on its thread; ends when all of them are noted, or with an argument
/// when all are printed, which it passes on to standard output.
fn slow() -> ExitCode {
    let all: [(&str, fn()); 4] =
        [("reader", reader), ("blocked", blocked), ("asleep", asleep), ("slow_hog", slow_hog)];
    for (name, f) in all {
        drop(rt0::Builder::new().name(name.into()).go(f).expect("a goroutine"));
    }
    if std::env::args().nth(2).is_none() {
        let noted = |name| rt0::debug::slow().iter().any(|s| s.stack.contains(name));
        while !all.iter().all(|(name, _)| noted(name)) {
            rt0::time::sleep(Duration::from_millis(1));
        }
        return DONE;
    }
    // Until all of them have been printed with their stacks.
    let (mut from, to) = std::io::pipe().expect("two descriptors");
    rustix::stdio::dup2_stderr(to).expect("a descriptor");
    let (mut text, mut buf) = (String::new(), [0; 4096]);
    let printed = |text: &str, name: &str| text.contains(&format!("::{name}(...)\n"));
    while !all.iter().all(|(name, _)| printed(&text, name)) || !text.ends_with("\n\n") {
        let n = from.read(&mut buf).expect("a pipe that is open");
        text.push_str(&String::from_utf8_lossy(&buf[..n]));
    }
    print!("{text}");
    DONE
}
