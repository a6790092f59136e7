//! Looking names up: with a resolver of the test's in the place of libc's, which says how often it
//! was asked, and answers when it is told to.

#![allow(unsafe_code, reason = "defines libc's getaddrinfo")]
#![allow(clippy::disallowed_types, reason = "the resolver runs on any thread, as libc's does")]

mod again;

use rt0::context::{background, with_cancel, with_timeout};
use rt0::debug::{Party, waits};
use rt0::net::lookup_host;
use rt0::time::{Duration, Instant, sleep};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Resolver {
    /// `held-` names are not answered.
    holds: bool,
    /// How often each name was asked for.
    asked: BTreeMap<String, usize>,
    /// How many questions for each are open now.
    open: BTreeMap<String, usize>,
    most_of_one: usize,
    most: usize,
}

static RESOLVER: Mutex<Resolver> = Mutex::new(Resolver {
    holds: false,
    asked: BTreeMap::new(),
    open: BTreeMap::new(),
    most_of_one: 0,
    most: 0,
});
static RELEASED: Condvar = Condvar::new();

fn resolver() -> MutexGuard<'static, Resolver> {
    RESOLVER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver {
    fn running(&self) -> usize {
        self.open.values().sum()
    }
}

/// Of names in `.test` those with `held-` are answered when nothing is held any more, those with
/// `fails-` by EAI_AGAIN, others by 127.0.0.1. Every other name is libc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> c_int {
    type Function = unsafe extern "C" fn(
        *const c_char,
        *const c_char,
        *const libc::addrinfo,
        *mut *mut libc::addrinfo,
    ) -> c_int;
    // SAFETY: a name of libc's.
    let real = unsafe { libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr()) };
    // SAFETY: it is the function of this name, which has this type.
    let real = unsafe { std::mem::transmute::<*mut libc::c_void, Function>(real) };
    // SAFETY: the caller's.
    let name = unsafe { CStr::from_ptr(node) }.to_string_lossy().into_owned();
    let mut node = node;
    if name.ends_with(".test") {
        let mut r = resolver();
        *r.asked.entry(name.clone()).or_default() += 1;
        *r.open.entry(name.clone()).or_default() += 1;
        r.most_of_one = r.most_of_one.max(r.open[&name]);
        r.most = r.most.max(r.running());
        while r.holds && name.starts_with("held-") {
            r = RELEASED.wait(r).unwrap_or_else(PoisonError::into_inner);
        }
        *r.open.entry(name.clone()).or_default() -= 1;
        if name.starts_with("fails-") {
            return libc::EAI_AGAIN;
        }
        node = c"127.0.0.1".as_ptr();
    }
    // SAFETY: the caller's arguments, or a constant.
    unsafe { real(node, service, hints, found) }
}

/// One test at a time: there is one resolver, and one bound.
struct Held {
    _one: rt0::sync::MutexGuard<'static, ()>,
}

fn hold() -> Held {
    static ONE: rt0::sync::Mutex<()> = rt0::sync::Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    *resolver() = Resolver { holds: true, ..Resolver::default() };
    Held { _one: one }
}

fn release() {
    resolver().holds = false;
    RELEASED.notify_all();
}

impl Drop for Held {
    fn drop(&mut self) {
        release();
    }
}

fn eventually(what: &str, is: impl Fn(&Resolver) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is(&resolver()) {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(1));
    }
}

fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    lookup_host((name, port)).map(Iterator::collect)
}

fn answered(got: io::Result<Vec<SocketAddr>>, port: u16) {
    let want = SocketAddr::from(([127, 0, 0, 1], port));
    let got = got.expect("an answer");
    assert!(!got.is_empty() && got.iter().all(|a| *a == want), "{got:?}");
}

#[rt0::test]
fn equal_look_ups_are_made_once() {
    let _held = hold();
    let one = |i: u16| rt0::go(move || answered(look_up("held-equal.test", i), i));
    let first = one(0);
    eventually("the first asks", |r| r.running() == 1);
    let others: Vec<_> = (1..40).map(one).collect();
    let from_a_thread = std::thread::spawn(|| answered(look_up("held-equal.test", 99), 99));
    // Never a second question while one is open, whatever has begun by now.
    sleep(Duration::from_millis(50));
    assert_eq!(resolver().asked["held-equal.test"], 1);
    release();
    first.join().expect("no panic");
    others.into_iter().for_each(|o| o.join().expect("no panic"));
    from_a_thread.join().expect("no panic");
    assert_eq!(resolver().most_of_one, 1);
    // The next is another one: an answer is not kept.
    let before = resolver().asked["held-equal.test"];
    answered(look_up("held-equal.test", 1), 1);
    assert_eq!(resolver().asked["held-equal.test"], before + 1);
}

#[rt0::test]
fn so_many_at_once() {
    let _held = hold();
    let looking: Vec<_> = (0..200)
        .map(|i| rt0::go(move || answered(look_up(&format!("held-{i}.test"), 1), 1)))
        .collect();
    eventually("as many as may", |r| r.running() == 64);
    sleep(Duration::from_millis(30));
    assert_eq!(resolver().running(), 64);
    release();
    looking.into_iter().for_each(|l| l.join().expect("no panic"));
    let r = resolver();
    assert_eq!((r.most, r.asked.len()), (64, 200));
    assert!(r.asked.values().all(|n| *n == 1));
}

#[rt0::test]
fn errors_go_to_all_and_are_not_kept() {
    let _held = hold();
    let failing: Vec<_> = (0..20)
        .map(|_| rt0::go(|| look_up("fails-now.test", 1).expect_err("it fails").to_string()))
        .collect();
    for f in failing {
        let text = f.join().expect("no panic");
        assert!(text.starts_with("failed to lookup address information"), "{text}");
    }
    let before = resolver().asked["fails-now.test"];
    look_up("fails-now.test", 1).expect_err("it fails again");
    assert_eq!(resolver().asked["fails-now.test"], before + 1);
    let e = rt0::net::TcpStream::connect("fails-now.test:1").expect_err("no address");
    assert!(e.to_string().starts_with("failed to lookup"), "{e}");
    look_up("a\0b.test", 1).expect_err("no name");
}

/// Who gives up gets its own error; the look-up goes on for the others.
#[rt0::test]
fn who_waits_may_give_up() {
    let _held = hold();
    // The one that begins it gives up, others join and wait on.
    let (ctx, cancel) = with_cancel(&background());
    let first = rt0::go(move || ctx.io(|| look_up("held-left.test", 1)));
    eventually("it asks", |r| r.running() == 1);
    let stays = rt0::go(|| look_up("held-left.test", 2));
    let it = Party::Goroutine(stays.goroutine().id());
    while !waits().iter().any(|w| w.party == it && w.reason == "sync.WaitGroup.Wait") {
        sleep(Duration::from_millis(1));
    }
    let (short, _cancel) = with_timeout(&background(), Duration::from_millis(5));
    let connecting = short.io(|| rt0::net::TcpStream::connect(("held-left.test", 9)));
    assert_eq!(connecting.expect_err("too late").kind(), ErrorKind::TimedOut);
    // From now on at once.
    let e = short.io(|| look_up("held-left.test", 1)).expect_err("the context has ended");
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert!(!first.is_finished() && !stays.is_finished());
    cancel.cancel();
    let e = first.join().expect("no panic").expect_err("cancelled");
    let why = e.get_ref().and_then(|e| e.downcast_ref::<rt0::context::Error>());
    assert_eq!(why, Some(&rt0::context::Error::Cancelled), "{e}");
    assert_eq!(resolver().running(), 1);
    release();
    answered(stays.join().expect("no panic"), 2);
    assert_eq!(resolver().asked["held-left.test"], 1);

    // In time.
    let (long, _cancel) = with_timeout(&background(), Duration::from_secs(3600));
    answered(long.io(|| look_up("held-left.test", 3)), 3);
}

/// What nobody waits for when it is its turn is not asked for.
#[test]
fn nobody_waits_any_more() {
    // It counts goroutines.
    again::alone("nobody_waits_any_more", || rt0::run(nobody_waits));
}

fn nobody_waits() {
    let _held = hold();
    let before = rt0::num_goroutine();
    let busy: Vec<_> = (0..64)
        .map(|i| rt0::go(move || answered(look_up(&format!("held-{i}.test"), 1), 1)))
        .collect();
    eventually("no turn is free", |r| r.running() == 64);
    let (ctx, _cancel) = with_timeout(&background(), Duration::from_millis(10));
    let given_up: Vec<_> = (0..100)
        .map(|i| {
            let ctx = ctx.clone();
            rt0::go(move || ctx.io(|| look_up(&format!("held-late-{}.test", i % 50), 1)))
        })
        .collect();
    for g in given_up {
        let e = g.join().expect("no panic").expect_err("no turn is free");
        assert_eq!(e.kind(), ErrorKind::TimedOut);
    }
    // Somebody else for one of these names, in time.
    let stays = rt0::go(|| answered(look_up("held-late-7.test", 5), 5));
    release();
    busy.into_iter().for_each(|b| b.join().expect("no panic"));
    stays.join().expect("no panic");
    let end = Instant::now() + Duration::from_secs(60);
    while rt0::num_goroutine() > before {
        assert!(Instant::now() < end, "{} goroutines", rt0::num_goroutine());
        sleep(Duration::from_millis(1));
    }
    let r = resolver();
    let late: Vec<_> = r.asked.keys().filter(|name| name.contains("late")).collect();
    assert_eq!(late, ["held-late-7.test"]);
}

/// Threads alone, before the runtime has started.
#[test]
fn without_the_runtime() {
    again::alone("without_the_runtime", || {
        let _held = hold();
        let looking: Vec<_> = (0..8)
            .map(|i| std::thread::spawn(move || answered(look_up("held-plain.test", i), i)))
            .collect();
        let end = Instant::now() + Duration::from_secs(60);
        while resolver().running() == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20));
        release();
        looking.into_iter().for_each(|l| l.join().expect("no panic"));
        assert_eq!(resolver().most_of_one, 1);
        let (ctx, _cancel) = with_timeout(&background(), Duration::from_secs(3600));
        answered(ctx.io(|| look_up("held-plain.test", 1)), 1);
    });
}

#[test]
fn the_same_on_one_two_and_eight_ps() {
    again::on_ps(&[1, 2, 8]);
}
