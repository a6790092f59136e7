//! Goroutines that compute and never call, and what goes on beside them.

use super::{DONE, Entry, Run::Main, number};
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("UnfairLock", Main(unfair_lock)),
    ("ManyHogs", Main(many_hogs)),
    ("ManyJobs", Main(many_jobs)),
];

/// Goroutines that compute until this is dropped.
struct Hogs(Arc<AtomicBool>);

impl Hogs {
    fn start(n: usize) -> Hogs {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..n {
            let stop = Arc::clone(&stop);
            rt0::go(move || {
                while !stop.load(Ordering::Relaxed) {
                    compute(10_000);
                }
            });
        }
        Hogs(stop)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn compute(steps: u64) {
    let mut step = 0_u64;
    while black_box(step) < steps {
        step += 1;
    }
}

/// Beside 8 hogs, three goroutines use a lock of std's and lose their P whenever they have it. Each
/// gets it in the end, although none of them waits for the others. Prints how often it was had.
fn unfair_lock() -> ExitCode {
    const USERS: u32 = 3;
    const TURNS: u32 = 30;
    let _hogs = Hogs::start(8);
    let turns_had = Arc::new(Mutex::new(0));
    let users: Vec<_> = (0..USERS)
        .map(|_| {
            let turns_had = Arc::clone(&turns_had);
            rt0::go(move || {
                let mut turns = 0;
                loop {
                    let mut had = turns_had.lock().expect("no panic");
                    thread::sleep(Duration::from_millis(1));
                    if turns < TURNS {
                        (turns, *had) = (turns + 1, *had + 1);
                    } else if *had == USERS * TURNS {
                        return;
                    }
                    drop(had);
                    compute(5_000);
                }
            })
        })
        .collect();
    users.into_iter().for_each(|user| user.join().expect("no panic"));
    println!("{}", turns_had.lock().expect("no panic"));
    DONE
}

/// The most threads that there were, as a thread sees it that looks now and then.
#[derive(Clone)]
struct Threads(Arc<AtomicUsize>);

impl Threads {
    fn watch() -> Threads {
        let most = Threads(Arc::default());
        let seen = most.clone();
        thread::spawn(move || {
            loop {
                let tasks = fs::read_dir("/proc/self/task").expect("procfs is mounted");
                seen.0.fetch_max(tasks.count(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        most
    }

    fn most(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Beside as many endless hogs as the argument says, goroutine 1 sleeps 5 ms thirty times, and
/// as often starts a goroutine and waits for it. Prints the most threads that there were, then in
/// ms the longest sleep, the longest wait, and the time for all.
fn many_hogs() -> ExitCode {
    let threads = Threads::watch();
    let _hogs = Hogs::start(number(2000) as usize);
    let ms_of = |f: &dyn Fn()| {
        let start = Instant::now();
        f();
        start.elapsed().as_millis()
    };
    let (mut sleep, mut wait) = (0, 0);
    let all = Instant::now();
    for _ in 0..30 {
        sleep = sleep.max(ms_of(&|| rt0::time::sleep(Duration::from_millis(5))));
        wait = wait.max(ms_of(&|| rt0::go(|| compute(1)).join().expect("no panic")));
    }
    println!("{} {sleep} {wait} {}", threads.most(), all.elapsed().as_millis());
    DONE
}

/// As many goroutines as the argument says compute for 5 ms each, beside a ticker of 10 ms. Prints
/// the most threads that there were, the ticks, the longest pause between two, and the time for
/// all, in ms.
fn many_jobs() -> ExitCode {
    let start = Instant::now();
    compute(1_000_000);
    let steps = 5_000_000 * 1_000_000 / start.elapsed().as_nanos() as u64;
    let threads = Threads::watch();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let ticker = rt0::go(move || {
        let (mut ticks, mut longest, mut last) = (0, 0, Instant::now());
        while !stopped.load(Ordering::Relaxed) {
            rt0::time::sleep(Duration::from_millis(10));
            longest = longest.max(last.elapsed().as_millis());
            (ticks, last) = (ticks + 1, Instant::now());
        }
        (ticks, longest)
    });
    let start = Instant::now();
    let jobs: Vec<_> = (0..number(2000)).map(|_| rt0::go(move || compute(steps))).collect();
    jobs.into_iter().for_each(|job| job.join().expect("no panic"));
    let ms = start.elapsed().as_millis();
    stop.store(true, Ordering::Relaxed);
    let (ticks, longest) = ticker.join().expect("no panic");
    println!("{} {ticks} {longest} {ms}", threads.most());
    DONE
}
