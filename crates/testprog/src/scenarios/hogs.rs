//! Goroutines that compute and never call, and what goes on beside them.

use super::{DONE, Entry, Run::Main};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[("UnfairLock", Main(unfair_lock))];

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
