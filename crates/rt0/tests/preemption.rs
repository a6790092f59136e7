//! Goroutines that never call the runtime: they share the processor, leave sleepers on time, and do
//! not multiply threads. Each case runs in a process of its own, on one P.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "tests count with std's atomics and talk to their parent by stdout"
)]

mod again;
mod cpu;

use again::is_again;
use rt0::time::{Duration, Instant, sleep, sleep_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs the named test again with GOMAXPROCS=1 and `godebug` besides what GODEBUG says; what it
/// printed.
fn on_one_p(name: &str, godebug: &str) -> String {
    let godebug = &format!("{},{godebug}", std::env::var("GODEBUG").unwrap_or_default());
    again::again(name, &[("GOMAXPROCS", "1"), ("GODEBUG", godebug)])
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("proc is mounted").count()
}

/// Starts `n` goroutines that count until told to stop.
fn hogs(n: usize) -> (Arc<AtomicBool>, Vec<Arc<AtomicU64>>) {
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<_> = (0..n).map(|_| Arc::new(AtomicU64::new(0))).collect();
    for count in &counts {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(count));
        rt0::go(move || {
            while !stop.load(Ordering::Relaxed) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    (stop, counts)
}

#[test]
fn sleepers_beside_hogs_wake() {
    if !is_again("sleepers_beside_hogs_wake") {
        for godebug in ["", "asyncpreemptoff=1"] {
            on_one_p("sleepers_beside_hogs_wake", godebug);
        }
        return;
    }
    rt0::run(|| {
        let (stop, _) = hogs(4);
        let before = cpu::ticks();
        for _ in 0..20 {
            sleep(Duration::from_millis(5));
        }
        // Without preemption it would take for ever; the bound only has to tell that apart.
        let used = cpu::ticks() - before;
        assert!(used < 2000, "{used} ticks of 10 ms for 20 sleeps");
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn hogs_on_one_p_all_get_their_share() {
    if !is_again("hogs_on_one_p_all_get_their_share") {
        on_one_p("hogs_on_one_p_all_get_their_share", "");
        return;
    }
    rt0::run(|| {
        let (stop, counts) = hogs(4);
        cpu::sleep_beside(100);
        stop.store(true, Ordering::Relaxed);
        let counts: Vec<u64> = counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        assert!(counts.iter().all(|c| *c > 0), "one of four never ran: {counts:?}");
    });
}

#[test]
fn many_hogs_do_not_mean_many_threads() {
    if std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3")) {
        return; // each goroutine is a thread
    }
    if !is_again("many_hogs_do_not_mean_many_threads") {
        on_one_p("many_hogs_do_not_mean_many_threads", "");
        return;
    }
    rt0::run(|| {
        let (stop, counts) = hogs(300);
        cpu::sleep_beside(200);
        let n = threads();
        stop.store(true, Ordering::Relaxed);
        let ran = counts.iter().filter(|c| c.load(Ordering::Relaxed) > 0).count();
        assert!(n < 50, "{n} threads for 300 goroutines that compute");
        assert!(ran > 20, "only {ran} of 300 ran in 2 s of CPU");
    });
}

/// Eight goroutines make one short call after the other. One of them has the P when a timer falls
/// due; the sleeper runs before the next of them, not after all, and that one is asked to let it.
#[test]
fn sleepers_beside_short_calls_wake_within_a_turn() {
    const NAME: &str = "sleepers_beside_short_calls_wake_within_a_turn";
    const SLEEPS: u64 = 50;
    if !is_again(NAME) {
        for godebug in ["", "asyncpreemptoff=1"] {
            let text = on_one_p(NAME, godebug);
            let counts = text.lines().find_map(|l| l.strip_prefix("turns and reads: "));
            let counts = counts.and_then(|counts| counts.split_once(' '));
            let number = |n: &str| n.parse::<u64>().expect("the child counts");
            let (turns, reads) = counts.map(|(t, r)| (number(t), number(r))).expect("both");
            assert!(turns < 4 * SLEEPS, "{turns} turns of readers after {SLEEPS} sleeps were over");
            assert!(reads < 100_000 * SLEEPS, "{reads} reads after {SLEEPS} sleeps were over");
        }
        return;
    }
    rt0::run(|| {
        let start = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let due_ns = Arc::new(AtomicU64::new(u64::MAX)); // after the start
        let reads: Arc<[AtomicU64; 8]> = Arc::default(); // since then
        for i in 0..reads.len() {
            let (stop, reads, due_ns) =
                (Arc::clone(&stop), Arc::clone(&reads), Arc::clone(&due_ns));
            rt0::go(move || {
                let mut zero = std::fs::File::open("/dev/zero").expect("it is there");
                let mut page = [1; 4096];
                while !stop.load(Ordering::Relaxed) {
                    std::io::Read::read_exact(&mut zero, &mut page).expect("it has no end");
                    if start.elapsed().as_nanos() as u64 > due_ns.load(Ordering::Relaxed) {
                        reads[i].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let (mut turns, mut all) = (0, 0);
        for _ in 0..SLEEPS {
            let due = start.elapsed() + Duration::from_millis(1);
            due_ns.store(due.as_nanos() as u64, Ordering::Relaxed);
            sleep_until(start + due);
            due_ns.store(u64::MAX, Ordering::Relaxed);
            for n in reads.iter().map(|n| n.swap(0, Ordering::Relaxed)) {
                turns += u64::from(n > 0);
                all += n;
            }
        }
        println!("turns and reads: {turns} {all}");
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn registers_survive_preemption() {
    if !is_again("registers_survive_preemption") {
        on_one_p("registers_survive_preemption", "");
        return;
    }
    rt0::run(|| {
        let end = Instant::now() + Duration::from_secs(1);
        let all: Vec<_> = (1..=8u64)
            .map(|i| {
                rt0::go(move || {
                    while Instant::now() < end {
                        let floats = sum_of_roots(i);
                        assert_eq!(floats.to_bits(), sum_of_roots(i).to_bits(), "goroutine {i}");
                        assert_eq!(mixed(i), mixed(i), "goroutine {i}");
                    }
                })
            })
            .collect();
        for h in all {
            h.join().expect("no goroutine saw another's registers");
        }
    });
}

#[inline(never)]
fn sum_of_roots(seed: u64) -> f64 {
    (0..200_000u64).map(|k| ((k ^ seed) as f64).sqrt()).sum()
}

#[inline(never)]
fn mixed(seed: u64) -> u64 {
    (0..200_000u64).fold(seed, |x, k| (x ^ k).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31))
}

#[test]
fn schedtrace_prints_gos_line() {
    if !is_again("schedtrace_prints_gos_line") {
        let text = on_one_p("schedtrace_prints_gos_line", "schedtrace=20,scheddetail=0");
        let line = text.lines().find(|l| l.starts_with("SCHED ")).expect("a SCHED line");
        for part in [
            "ms: gomaxprocs=1 idleprocs=",
            " threads=",
            " spinningthreads=",
            " needspinning=",
            " idlethreads=",
            " runqueue=",
            " [ ",
            " ] schedticks=[ ",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        let detail = on_one_p("schedtrace_prints_gos_line", "schedtrace=20,scheddetail=1");
        for part in ["  P0: status=", "  M0: p=", "  G1: status=", "gcwaiting=false"] {
            assert!(detail.contains(part), "{part:?} is not in {detail}");
        }
        return;
    }
    rt0::run(|| {
        let (stop, _) = hogs(1);
        sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
}

/// A signal to a thread that sleeps in the kernel would end calls that are not restarted, such as a
/// receive with a timeout: only goroutines that compute are signalled.
#[test]
fn calls_that_block_are_not_interrupted() {
    if !is_again("calls_that_block_are_not_interrupted") {
        on_one_p("calls_that_block_are_not_interrupted", "");
        return;
    }
    rt0::run(|| {
        let (stop, _) = hogs(4);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                rt0::go(|| {
                    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
                    socket.set_read_timeout(Some(Duration::from_millis(150))).expect("a timeout");
                    for _ in 0..4 {
                        let e = socket.recv(&mut [0]).expect_err("nobody sends");
                        assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock, "{e}");
                    }
                })
            })
            .collect();
        for r in receivers {
            r.join().expect("no call is interrupted");
        }
        stop.store(true, Ordering::Relaxed);
    });
}
