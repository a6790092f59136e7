//! `lock_os_thread`, and threads that end.

#![allow(clippy::disallowed_types, reason = "the tests are a user's code")]

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn gettid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Whether the thread exists and was made by the runtime.
fn is_worker(tid: i32) -> bool {
    let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    name.starts_with("rt0-")
}

/// The fallback in which each goroutine is a thread: none ever moves.
fn threads_of_their_own() -> bool {
    std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"))
}

/// Goroutines that note on which threads they run until the flag is up.
fn wanderers(n: usize, stop: &Arc<AtomicBool>) -> Vec<rt0::JoinHandle<HashSet<i32>>> {
    let wander = |stop: Arc<AtomicBool>| {
        move || {
            let mut seen = HashSet::new();
            while !stop.load(Ordering::SeqCst) {
                seen.insert(gettid());
                rt0::gosched();
                if seen.len().is_multiple_of(3) {
                    rt0::time::sleep(Duration::from_micros(50));
                }
            }
            seen
        }
    };
    (0..n).map(|_| rt0::go(wander(Arc::clone(stop)))).collect()
}

/// A locked goroutine that parks, yields, sleeps, blocks and is preempted.
fn stays_on_one_thread(rounds: u32) -> i32 {
    let _guard = rt0::lock_os_thread();
    let tid = gettid();
    for round in 0..rounds {
        match round % 5 {
            0 => rt0::gosched(),
            1 => rt0::time::sleep(Duration::from_micros(100)),
            2 => rt0::blocking(|| std::thread::sleep(Duration::from_micros(100))),
            3 => rt0::go(|| ()).join().expect("no panic"),
            _ => {
                let until = Instant::now() + Duration::from_millis(2);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        }
        assert_eq!(gettid(), tid, "moved after round {round}");
    }
    tid
}

#[test]
fn a_locked_goroutine_keeps_its_thread_and_has_it_alone() {
    for procs in [1, 2, 8] {
        rt0::run(|| {
            let was = rt0::set_gomaxprocs(procs);
            let stop = Arc::new(AtomicBool::new(false));
            let others = wanderers(20, &stop);
            let locked: Vec<_> = (0..4).map(|_| rt0::go(|| stays_on_one_thread(60))).collect();
            let tids: HashSet<i32> =
                locked.into_iter().map(|h| h.join().expect("it stays")).collect();
            stop.store(true, Ordering::SeqCst);
            for h in others {
                h.join().expect("no panic");
            }
            assert!(!tids.is_empty());
            rt0::set_gomaxprocs(was);
        });
    }
}

#[test]
fn nobody_else_runs_on_a_locked_thread() {
    rt0::run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let guard = rt0::lock_os_thread();
        let tid = gettid();
        let others = wanderers(50, &stop);
        for _ in 0..50 {
            rt0::time::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::SeqCst);
        for h in others {
            assert!(!h.join().expect("no panic").contains(&tid));
        }
        drop(guard);
    });
}

#[test]
fn guards_nest() {
    rt0::run(|| {
        let outer = rt0::lock_os_thread();
        let tid = gettid();
        {
            let _inner = rt0::lock_os_thread();
            rt0::time::sleep(Duration::from_millis(1));
        }
        rt0::time::sleep(Duration::from_millis(1));
        assert_eq!(gettid(), tid);
        drop(outer);
        // Free again: beside load it moves sooner or later.
        let stop = Arc::new(AtomicBool::new(false));
        let others = wanderers(20, &stop);
        let until = Instant::now() + Duration::from_secs(20);
        while gettid() == tid && Instant::now() < until && !threads_of_their_own() {
            rt0::time::sleep(Duration::from_micros(200));
        }
        assert!(gettid() != tid || threads_of_their_own());
        stop.store(true, Ordering::SeqCst);
        for h in others {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn a_goroutine_that_ends_locked_ends_its_thread() {
    rt0::run(|| {
        let workers = Arc::new(AtomicU32::new(0));
        for _ in 0..20 {
            let workers = Arc::clone(&workers);
            let tid = rt0::go(move || {
                // M 0's thread would stay; it runs goroutines too.
                std::mem::forget(rt0::lock_os_thread());
                let name = fs::read_to_string("/proc/thread-self/comm").expect("proc is mounted");
                workers.fetch_add(u32::from(name.starts_with("rt0-")), Ordering::SeqCst);
                gettid()
            })
            .join()
            .expect("no panic");
            let until = Instant::now() + Duration::from_secs(10);
            // M 0's thread is the harness's and stays; the others are named by the runtime.
            while is_worker(tid) {
                assert!(Instant::now() < until, "thread {tid} goes on");
                rt0::time::sleep(Duration::from_millis(1));
            }
        }
        assert!(workers.load(Ordering::SeqCst) > 0, "none ran on a worker");
    });
}

#[test]
fn locked_goroutines_hand_over_under_load() {
    // Two locked goroutines and free ones that unpark each other: no wake-up is lost.
    for procs in [1, 2, 8] {
        rt0::run(|| {
            let was = rt0::set_gomaxprocs(procs);
            let turns = Arc::new(AtomicU64::new(0));
            let ring: Arc<Mutex<Vec<rt0::Goroutine>>> = Arc::default();
            let n = 8;
            let body = |i: usize| {
                let (turns, ring) = (Arc::clone(&turns), Arc::clone(&ring));
                move || {
                    let _guard = i.is_multiple_of(2).then(rt0::lock_os_thread);
                    ring.lock().expect("no panic").push(rt0::current().expect("a goroutine"));
                    while turns.load(Ordering::SeqCst) < 4000 {
                        rt0::park();
                        turns.fetch_add(1, Ordering::SeqCst);
                        let ring = ring.lock().expect("no panic");
                        ring[(i + 1) % ring.len()].unpark();
                    }
                    for g in ring.lock().expect("no panic").iter() {
                        g.unpark();
                    }
                }
            };
            let handles: Vec<_> = (0..n).map(|i| rt0::go(body(i))).collect();
            while ring.lock().expect("no panic").len() < n {
                rt0::gosched();
            }
            for g in ring.lock().expect("no panic").iter() {
                g.unpark();
            }
            for h in handles {
                h.join().expect("no panic");
            }
            rt0::set_gomaxprocs(was);
        });
    }
}

#[test]
fn threads_that_nobody_needs_end() {
    rt0::run(|| {
        let many: Vec<_> = (0..60)
            .map(|_| rt0::go(|| rt0::blocking(|| std::thread::sleep(Duration::from_millis(200)))))
            .collect();
        let at_most = |n: usize, limit: Duration| {
            let until = Instant::now() + limit;
            loop {
                let now = fs::read_dir("/proc/self/task").expect("proc is mounted").count();
                if now <= n {
                    return;
                }
                assert!(Instant::now() < until, "{now} threads are left");
                rt0::time::sleep(Duration::from_millis(50));
            }
        };
        for h in many {
            h.join().expect("no panic");
        }
        // The Ms that stay, the runtime's two, and the harness's own.
        at_most(30, Duration::from_secs(20));
        // Threads come back when they are needed.
        let again: Vec<_> = (0..40)
            .map(|_| rt0::go(|| rt0::blocking(|| std::thread::sleep(Duration::from_millis(50)))))
            .collect();
        for h in again {
            h.join().expect("no panic");
        }
    });
}

#[test]
fn a_plain_thread_cannot_be_locked() {
    let t = std::thread::Builder::new().name("plain".into()).spawn(|| {
        std::panic::set_hook(Box::new(|_| ()));
        drop(rt0::lock_os_thread());
    });
    let e = t.expect("a thread").join().expect_err("it panics");
    let text = e.downcast_ref::<String>().expect("a message");
    assert_eq!(
        text,
        "rt0: lock_os_thread called on thread \"plain\", which is not a goroutine; start it with \
         rt0::go inside #[rt0::main]"
    );
    let _ = std::panic::take_hook();
}
