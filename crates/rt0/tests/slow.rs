//! Goroutines that stay on their thread for long are noted, and said to be over when they are.

use rt0::debug::{Slow, SlowKind, slow, slow_counts, watch_slow};
use rt0::time::sleep;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// One test at a time has the threshold to itself.
static ALONE: rt0::sync::Mutex<()> = rt0::sync::Mutex::new(());

/// Longer than any test: nothing is noted.
const NEVER: Option<Duration> = Some(Duration::from_secs(10_000));

/// What is noted of goroutine `id`, with `threshold`, once it is as `wanted`. Nothing is noted
/// while somebody looks, nor afterwards: to find the names may take longer than the threshold, so
/// that who looks is slow, too, and pushes what it looks for out of the ring.
fn noted(id: u64, threshold: Option<Duration>, wanted: impl Fn(&Slow) -> bool) -> Slow {
    loop {
        watch_slow(threshold);
        sleep(Duration::from_millis(20));
        watch_slow(NEVER);
        if let Some(s) = slow().into_iter().find(|s| s.goroutine == id && wanted(s)) {
            return s;
        }
    }
}

/// Runs `f` until it is noted as `kind`, with `threshold` and as is wanted, and until that is over.
fn check(
    kind: SlowKind,
    threshold: Option<Duration>,
    f: fn(&AtomicBool),
    is_wanted: impl Fn(&Slow) -> bool + Send,
) -> Slow {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    rt0::run(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let s = Arc::clone(&stop);
        let h = rt0::Builder::new().name("slow one".into()).go(move || f(&s)).expect("a goroutine");
        let id = h.goroutine().id();
        let first = noted(id, threshold, |s| s.kind == kind && is_wanted(s));
        let number = first.number;
        let least = threshold.unwrap_or(Duration::from_millis(20));
        assert!(first.lasted >= least, "{first:?}");
        assert!(first.stack.starts_with(&format!("goroutine {id} [")), "{first}");
        assert!(first.stack.contains("] \"slow one\":\n"), "{first}");
        assert!(first.stack.contains("\ncreated by rt0::go in goroutine "), "{first}");
        stop.store(true, SeqCst);
        h.join().expect("no panic");
        let over = noted(id, NEVER, |s| s.number == number && s.is_over);
        assert!(over.lasted >= least, "{over:?}");
        watch_slow(None);
        first
    })
}

const ASKED: Option<Duration> = Some(Duration::from_millis(5));

/// Again and again: a thread that gets no CPU when it is to be held is noted without its stack.
#[inline(never)]
fn computes(stop: &AtomicBool) {
    while !stop.load(SeqCst) {
        let start = Instant::now();
        while !stop.load(SeqCst) && start.elapsed() < Duration::from_millis(100) {
            black_box(());
        }
        sleep(Duration::from_micros(100));
    }
}

#[inline(never)]
fn sleeps(stop: &AtomicBool) {
    while !stop.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[inline(never)]
fn is_in_a_call(stop: &AtomicBool) {
    rt0::blocking(|| {
        while !stop.load(SeqCst) {
            black_box(());
        }
    });
    black_box(());
}

#[inline(never)]
fn sleeps_unseen(stop: &AtomicBool) {
    let pause = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    while !stop.load(SeqCst) {
        let _ = rustix::thread::nanosleep(&pause);
    }
}

fn has_frame(s: &Slow, function: &str) -> bool {
    s.stack.contains(&format!("\nslow::{function}(...)\n"))
}

#[test]
fn who_computes() {
    let before = slow_counts().running;
    let is_whole = |s: &Slow| !cfg!(feature = "backtrace") || has_frame(s, "computes");
    let s = check(SlowKind::Running, ASKED, computes, is_whole);
    assert_eq!(s.call, None);
    assert!(s.to_string().contains("ms without yielding\ngoroutine "), "{s}");
    assert!(slow_counts().running > before);
}

#[test]
fn who_is_in_a_function_of_libc() {
    let is_seen = cfg!(feature = "interpose");
    let s = check(if is_seen { SlowKind::Call } else { SlowKind::Asleep }, ASKED, sleeps, |_| true);
    assert_eq!(s.call.as_deref(), Some("clock_nanosleep"), "{s}");
    // Without interposition std's frames need rbp.
    assert!(!cfg!(feature = "backtrace") || !is_seen || has_frame(&s, "sleeps"), "{s}");
}

#[test]
fn who_is_in_a_blocking_call() {
    let s = check(SlowKind::Call, ASKED, is_in_a_call, |_| true);
    assert_eq!(s.call.as_deref(), Some("rt0::blocking"));
    assert!(!cfg!(feature = "backtrace") || has_frame(&s, "is_in_a_call"), "{s}");
}

#[test]
fn who_sleeps_without_having_said_so() {
    let s = check(SlowKind::Asleep, ASKED, sleeps_unseen, |_| true);
    assert_eq!(s.call.as_deref(), Some("nanosleep"), "{s}");
    assert!(s.to_string().contains("ms asleep, system call nanosleep ("), "{s}");
}

/// By default there are no stacks, for which threads would have to be signalled.
#[test]
fn without_being_asked() {
    let s = check(SlowKind::Call, None, is_in_a_call, |_| true);
    assert!(!has_frame(&s, "is_in_a_call"), "{s}");
}
