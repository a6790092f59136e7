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

/// Until it may be signalled, and is asked to stop.
#[inline(never)]
#[allow(unsafe_code, reason = "the mask of a thread")]
fn refuses(deaf: &AtomicBool, stop: &AtomicBool) {
    // SAFETY: all zeroes are an empty set.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a set of this function's.
    unsafe { libc::sigfillset(&raw mut all) };
    let change = |how| {
        // SAFETY: this thread's own mask, which it has again before anything else runs here.
        unsafe { libc::pthread_sigmask(how, &raw const all, std::ptr::null_mut()) };
    };
    change(libc::SIG_BLOCK);
    while deaf.load(SeqCst) {
        black_box(());
    }
    change(libc::SIG_UNBLOCK);
    while !stop.load(SeqCst) {
        black_box(());
    }
}

/// Noted once without its stack, it would never be shown again: one that goes on for ever.
#[test]
fn who_refuses_is_noted_again_with_its_stack() {
    if !cfg!(feature = "backtrace") {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    rt0::run(|| {
        let flags = Arc::new([AtomicBool::new(true), AtomicBool::new(false)]);
        let [f, g] = [Arc::clone(&flags), Arc::clone(&flags)];
        let h = rt0::go(move || refuses(&f[0], &f[1]));
        let id = h.goroutine().id();
        let first = noted(id, ASKED, |_| true);
        assert!(!has_frame(&first, "refuses"), "{first}");
        g[0].store(false, SeqCst);
        let second = noted(id, ASKED, |s| has_frame(s, "refuses"));
        // It may have been preempted, as soon as that could be done, and then this is another
        // stretch.
        if second.lasted > first.lasted {
            assert!(second.number > first.number, "{first}{second}");
            assert!(slow().iter().all(|s| s.number != first.number), "it is shown twice");
        }
        g[1].store(true, SeqCst);
        h.join().expect("no panic");
        watch_slow(None);
    });
}

/// On a thread that hardly ever has a CPU.
#[inline(never)]
#[allow(unsafe_code, reason = "the policy of a thread")]
fn starves() {
    let _for_good = rt0::lock_os_thread();
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(first_cpu());
    rustix::thread::sched_setaffinity(None, &cpus).expect("one that it has");
    let begin = cpu_ms();
    // SAFETY: all zeroes are a parameter.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: this thread's own policy, and a parameter.
    assert_eq!(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) }, 0);
    while cpu_ms() < begin + 4 {
        black_box(());
    }
    let pause = rustix::thread::Timespec { tv_sec: 1, tv_nsec: 0 };
    let _ = rustix::thread::nanosleep(&pause);
}

/// Of this thread, by no marked call.
#[allow(unsafe_code, reason = "a clock")]
fn cpu_ms() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for a time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut t) };
    t.tv_sec * 1000 + t.tv_nsec / 1_000_000
}

fn first_cpu() -> usize {
    let cpus = rustix::thread::sched_getaffinity(None).expect("the thread's own");
    (0..rustix::thread::CpuSet::MAX_CPU).find(|n| cpus.is_set(*n)).expect("one at least")
}

/// A thread without a CPU cannot answer, and that is no refusal.
#[test]
fn who_has_no_cpu_is_noted_with_its_stack() {
    if !cfg!(feature = "backtrace") {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stop = Arc::new(AtomicBool::new(false));
    let s = Arc::clone(&stop);
    let hog = std::thread::spawn(move || {
        let mut cpus = rustix::thread::CpuSet::new();
        cpus.set(first_cpu());
        rustix::thread::sched_setaffinity(None, &cpus).expect("one that it has");
        while !s.load(SeqCst) {
            black_box(());
        }
    });
    rt0::run(move || {
        let h = rt0::go(starves);
        let first = noted(h.goroutine().id(), ASKED, |_| true);
        assert!(has_frame(&first, "starves"), "{first}");
        stop.store(true, SeqCst);
        h.join().expect("no panic");
        watch_slow(None);
    });
    hog.join().expect("no panic");
}
