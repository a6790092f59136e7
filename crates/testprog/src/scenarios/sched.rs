//! Order, fairness, progress, idleness and load.

use super::{DONE, Entry, Run::Main, number};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("Order", Main(order)),
    ("UnmarkedSleeps", Main(unmarked_sleeps)),
    ("StdMutexContention", Main(std_mutex_contention)),
    ("Hogs", Main(hogs)),
    ("Idle", Main(idle)),
    ("Threads", Main(threads)),
    ("Stress", Main(stress)),
];

/// The last one made runs first, the others in the order they were made.
fn order() -> ExitCode {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handles: Vec<_> = (0..10)
        .map(|n: u32| {
            let seen = Arc::clone(&seen);
            rt0::go(move || seen.lock().expect("no panic").push(n.to_string()))
        })
        .collect();
    for h in handles {
        h.join().expect("no panic");
    }
    println!("{}", seen.lock().expect("no panic").join(" "));
    DONE
}

/// Eight goroutines sleep in std, for longer than the program lives, and another one five times a
/// ms. Prints how long that took in ms of a thread that sleeps them one by one: while the machine
/// pauses, so does it.
fn unmarked_sleeps() -> ExitCode {
    let ms = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&ms);
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(1));
            theirs.fetch_add(1, Ordering::SeqCst);
        }
    });
    for _ in 0..8 {
        drop(rt0::go(|| thread::sleep(Duration::from_secs(3600))));
    }
    let others = rt0::go(|| (0..5).for_each(|_| rt0::time::sleep(Duration::from_millis(1))));
    others.join().expect("no panic");
    println!("{}", ms.load(Ordering::SeqCst));
    DONE
}

/// Goroutines wait in a std Mutex on the only P while its owner sleeps.
fn std_mutex_contention() -> ExitCode {
    let lock = Arc::new(Mutex::new(0_u32));
    let handles: Vec<_> = (0..8)
        .map(|_| {
            let lock = Arc::clone(&lock);
            rt0::go(move || {
                for _ in 0..3 {
                    let mut guard = lock.lock().expect("no panic");
                    rt0::time::sleep(Duration::from_millis(2));
                    *guard += 1;
                }
            })
        })
        .collect();
    for h in handles {
        h.join().expect("no panic");
    }
    println!("{}", lock.lock().expect("no panic"));
    DONE
}

/// Four goroutines compute without a call; prints the longest of twenty 5 ms sleeps, in ms of CPU
/// that the process used meanwhile.
fn hogs() -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    let total = Arc::new(AtomicU64::new(0));
    let hogs: Vec<_> = (0..4)
        .map(|_| {
            let (stop, total) = (Arc::clone(&stop), Arc::clone(&total));
            rt0::go(move || {
                let mut n = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    n = n.wrapping_mul(3).wrapping_add(1);
                }
                total.fetch_add(n | 1, Ordering::Relaxed);
            })
        })
        .collect();
    let mut longest = 0;
    for _ in 0..20 {
        let before = cpu_ms();
        rt0::time::sleep(Duration::from_millis(5));
        longest = longest.max(cpu_ms() - before);
    }
    stop.store(true, Ordering::SeqCst);
    for h in hogs {
        h.join().expect("no panic");
    }
    println!("{longest}");
    DONE
}

/// Milliseconds of CPU that the process has used.
fn cpu_ms() -> i64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec * 1000 + t.tv_nsec / 1_000_000
}

/// Nanoseconds of CPU that each thread of the process has used.
fn cpu_ns() -> BTreeMap<OsString, u64> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs is mounted");
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let ns = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        (task.file_name(), ns.unwrap_or(0))
    };
    tasks.filter_map(Result::ok).map(of).collect()
}

/// Prints the µs of CPU that an idle second costs.
fn idle() -> ExitCode {
    let warm: Vec<_> = (0..1000).map(|_| rt0::go(rt0::gosched)).collect();
    for h in warm {
        h.join().expect("no panic");
    }
    for _ in 0..100 {
        drop(rt0::go(rt0::park));
        drop(rt0::go(|| rt0::time::sleep(Duration::from_secs(3600))));
    }
    // Until the runtime's background work is done.
    rt0::time::sleep(Duration::from_millis(500));
    let before = cpu_ns();
    rt0::time::sleep(Duration::from_secs(1));
    // Threads that nobody needs end meanwhile.
    let used =
        |(tid, ns): (OsString, u64)| ns.saturating_sub(before.get(&tid).copied().unwrap_or(0));
    println!("{}", cpu_ns().into_iter().map(used).sum::<u64>() / 1000);
    DONE
}

/// Threads: at the start, and with 10,000 sleeping goroutines.
fn threads() -> ExitCode {
    let count = || fs::read_dir("/proc/self/task").expect("procfs is mounted").count();
    let start = count();
    for _ in 0..10_000 {
        drop(rt0::go(|| rt0::time::sleep(Duration::from_secs(3600))));
    }
    rt0::time::sleep(Duration::from_millis(50));
    println!("{start} {}", count());
    DONE
}

/// Rounds of 20,000 goroutines that do a bit of everything, for as many seconds as the argument
/// says.
fn stress() -> ExitCode {
    const GOROUTINES: u64 = 20_000;
    let end = Instant::now() + Duration::from_secs(number(2));
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        let handles: Vec<_> = (0..GOROUTINES).map(|n| rt0::go(move || mixed(n))).collect();
        let sum: u64 = handles.into_iter().map(|h| h.join().expect("no panic")).sum();
        assert_eq!(sum, GOROUTINES * (GOROUTINES - 1) / 2);
        rounds += 1;
    }
    println!("ok");
    DONE
}

fn mixed(n: u64) -> u64 {
    match n % 8 {
        0 => rt0::gosched(),
        1 => rt0::time::sleep(Duration::from_micros(n % 3000)),
        2 => return rt0::go(move || n).join().expect("no panic"),
        3 => {
            let parked = rt0::go(rt0::park);
            parked.goroutine().unpark();
            parked.join().expect("no panic");
        }
        4 if n % 400 == 4 => rt0::blocking(|| thread::sleep(Duration::from_micros(100))),
        5 => {
            let r = rt0::go(|| rt0::goexit()).join().map(|()| 0);
            assert!(r.is_err_and(|p| p.is::<rt0::Goexit>()));
        }
        6 => {
            let mut local = n;
            rt0::scope(|s| {
                s.go(|| local += 1);
            });
            return local - 1;
        }
        _ => {}
    }
    n
}
