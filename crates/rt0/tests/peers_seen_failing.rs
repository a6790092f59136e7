//! Programs that were seen to fail on other runtimes. Each test is named after the peer and what
//! goes wrong there, and shows that it goes well here.
//!
//! All of them assert order and progress, never time: where a peer fails, the test would not end,
//! and [`PATIENCE`] ends it. Each runs alone in a process, once for each number of Ps that says
//! something different.
//!
//! Elsewhere: deadlocks, which may does not report, in testprog's scenarios; what takes how long
//! (may's wake-ups, Go's short sleeps, tickers beside loads) in bench/.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a test counts with std's atomics and talks to its parent by stderr"
)]

mod again;

use rt0::chan::{self, RecvTimeoutError, SendTimeoutError, TrySendError, bounded, unbounded};
use rt0::sync::Mutex;
use rt0::time::{Duration, Instant, sleep};
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::{env, fs, io, thread};

const PATIENCE: Duration = Duration::from_secs(60);
const ANY_PS: [&str; 3] = ["1", "2", "8"];

/// Runs the test `name` again, alone in a process, with each of the values for GOMAXPROCS; there,
/// runs `body` as a goroutine.
fn alone(name: &str, ps: &[&str], body: fn()) {
    if again::is_again(name) {
        thread::spawn(|| {
            thread::sleep(PATIENCE);
            eprintln!("no end after {PATIENCE:?}");
            std::process::abort();
        });
        return rt0::run(body);
    }
    for n in ps {
        again::again(name, &[("GOMAXPROCS", n)]);
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Computes, without ever calling the runtime, until `flag` is up.
fn spin_until(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        spin_loop();
    }
}

/// Starts a goroutine for each P that calls `occupy` until all of them have been in it at once, as
/// seen by one more goroutine.
fn occupy_every_p(occupy: fn(&AtomicBool)) {
    let n = rt0::gomaxprocs();
    let inside = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = (0..n)
        .map(|_| {
            let (inside, seen) = (Arc::clone(&inside), Arc::clone(&seen));
            rt0::go(move || {
                while !seen.load(SeqCst) {
                    inside.fetch_add(1, SeqCst);
                    occupy(&seen);
                    inside.fetch_sub(1, SeqCst);
                }
            })
        })
        .collect();
    let third = rt0::go(move || {
        while inside.load(SeqCst) < n {
            rt0::gosched();
        }
        seen.store(true, SeqCst);
    });
    third.join().expect("no panic");
    all.into_iter().for_each(|g| g.join().expect("no panic"));
}

/// may: "failed to alloc sys stack" at 100,000 coroutines, for each stack is a mapping or two.
#[test]
fn may_a_hundred_thousand_parked() {
    const N: usize = 100_000;
    if env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3")) {
        return eprintln!("each goroutine is a thread, and the kernel allows fewer of them");
    }
    alone("may_a_hundred_thousand_parked", &["2"], || {
        let parked = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicBool::new(false));
        let all: Vec<_> = (0..N)
            .map(|_| {
                let (parked, open) = (Arc::clone(&parked), Arc::clone(&open));
                rt0::go(move || {
                    parked.fetch_add(1, SeqCst);
                    while !open.load(SeqCst) {
                        rt0::park();
                    }
                })
            })
            .collect();
        while parked.load(SeqCst) < N {
            rt0::gosched();
        }
        open.store(true, SeqCst);
        all.iter().for_each(|g| g.goroutine().unpark());
        all.into_iter().for_each(|g| g.join().expect("no panic"));
    });
}

/// may: one thread runs whatever wakes from sleep, so one that wakes and spins delays all sleepers.
#[test]
fn may_a_sleeper_that_spins_when_it_wakes() {
    alone("may_a_sleeper_that_spins_when_it_wakes", &ANY_PS, || {
        let other_woke = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&other_woke);
        let spinner = rt0::go(move || {
            sleep(ms(10));
            spin_until(&flag);
        });
        let other = rt0::go(move || {
            sleep(ms(20));
            other_woke.store(true, SeqCst);
        });
        other.join().expect("no panic");
        spinner.join().expect("no panic");
    });
}

/// may: a send wakes no idle worker, so the receiver waits until the sender is done computing. Not
/// in rt0, and it does not take an idle P either.
#[test]
fn may_a_receiver_behind_a_busy_sender() {
    alone("may_a_receiver_behind_a_busy_sender", &ANY_PS, || {
        let (tx, rx) = unbounded::<Arc<AtomicBool>>();
        let receiver = rt0::go(move || rx.iter().for_each(|flag| flag.store(true, SeqCst)));
        for _ in 0..10 {
            let received = Arc::new(AtomicBool::new(false));
            tx.send(Arc::clone(&received)).expect("it is open");
            spin_until(&received);
        }
        drop(tx);
        receiver.join().expect("no panic");
    });
}

/// may: while two coroutines are in `thread::sleep` on two workers, no third one runs.
#[test]
fn may_two_in_thread_sleep() {
    alone("may_two_in_thread_sleep", &ANY_PS, || occupy_every_p(|_| thread::sleep(ms(200))));
}

/// may: while two coroutines spin on two workers, no third one runs.
#[test]
fn may_two_that_spin() {
    alone("may_two_that_spin", &ANY_PS, || occupy_every_p(spin_until));
}

/// may has no channel that holds a fast sender back.
#[test]
fn may_no_bounded_channel() {
    alone("may_no_bounded_channel", &ANY_PS, || {
        let (tx, rx) = bounded(2);
        assert_eq!([tx.try_send(0), tx.try_send(1)], [Ok(()); 2]);
        assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
        let sent = Arc::new(AtomicU64::new(2));
        let count = Arc::clone(&sent);
        let sender = rt0::go(move || {
            for n in 2..1000 {
                tx.send(n).expect("it is open");
                count.fetch_add(1, SeqCst);
            }
        });
        for n in 0..1000 {
            assert!(sent.load(SeqCst) <= n + 2, "more are sent than fit");
            assert_eq!(rx.recv(), Ok(n));
        }
        sender.join().expect("no panic");
    });
}

/// open-coroutine: `std::thread::sleep` is clock_nanosleep, which it does not know, so the sleeper
/// keeps its worker.
#[test]
fn open_coroutine_std_sleep_keeps_the_worker() {
    alone("open_coroutine_std_sleep_keeps_the_worker", &["1"], || {
        let asleep = Arc::new(AtomicBool::new(false));
        let trips = Arc::new(AtomicUsize::new(0));
        let ((ping, pinged), (pong, ponged)) = (bounded(0), bounded(0));
        let echo = rt0::go(move || pinged.iter().for_each(|n| pong.send(n).expect("it is open")));
        let pair = {
            let (asleep, trips) = (Arc::clone(&asleep), Arc::clone(&trips));
            rt0::go(move || {
                while trips.load(SeqCst) < 100 {
                    let before = asleep.load(SeqCst);
                    ping.send(1).expect("it is open");
                    ponged.recv().expect("it is open");
                    trips.fetch_add(usize::from(before && asleep.load(SeqCst)), SeqCst);
                }
            })
        };
        while trips.load(SeqCst) < 100 {
            asleep.store(true, SeqCst);
            thread::sleep(ms(50));
            asleep.store(false, SeqCst);
        }
        pair.join().expect("no panic");
        echo.join().expect("no panic");
    });
}

/// tokio#4730, #6315: one task that computes or blocks, after it has moved to another worker, takes
/// timers and IO with it, and everything stops although 31 of 32 workers idle.
#[test]
fn tokio_one_bad_task_halts_all_progress() {
    alone("tokio_one_bad_task_halts_all_progress", &["1", "2", "8", "32"], || {
        let (mut read, mut write) = io::pipe().expect("a pipe");
        let bad = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let begin = |what: Box<dyn FnOnce(&AtomicBool) + Send>| {
            let (bad, enough) = (Arc::clone(&bad), Arc::clone(&enough));
            rt0::go(move || {
                for _ in 0..5 {
                    sleep(ms(1)); // wherever it wakes
                }
                bad.fetch_add(1, SeqCst);
                what(&enough);
            })
        };
        let computes = begin(Box::new(spin_until));
        let blocks = begin(Box::new(move |_| drop(read.read_exact(&mut [0]))));
        let mut ticks = 0;
        while ticks < 20 {
            sleep(ms(1));
            ticks += usize::from(bad.load(SeqCst) == 2);
        }
        enough.store(true, SeqCst);
        write.write_all(&[1]).expect("the reader lives");
        computes.join().expect("no panic");
        blocks.join().expect("no panic");
    });
}

/// tokio#4941 (and #5686, #5712): what is woken goes into a slot of the worker's own, before its
/// queue. Two that wake each other for ever keep everybody else out.
#[test]
fn tokio_lifo_slot_starves_the_queue() {
    alone("tokio_lifo_slot_starves_the_queue", &["1"], || {
        let stop = Arc::new(AtomicBool::new(false));
        let ((ping, pinged), (pong, ponged)) = (bounded(0), bounded(0));
        let echo = rt0::go(move || pinged.iter().for_each(|n| pong.send(n).expect("it is open")));
        let pair = {
            let stop = Arc::clone(&stop);
            rt0::go(move || {
                while !stop.load(SeqCst) {
                    ping.send(1).expect("it is open");
                    ponged.recv().expect("it is open");
                }
            })
        };
        // Main is kept out too if a third goroutine is.
        for _ in 0..100 {
            rt0::go(|| ()).join().expect("no panic");
            rt0::gosched();
        }
        stop.store(true, SeqCst);
        pair.join().expect("no panic");
        echo.join().expect("no panic");
    });
}

/// tokio#4941: the slot cannot be robbed. Who wakes another and then computes keeps it waiting,
/// although other workers idle.
#[test]
fn tokio_lifo_slot_is_not_stolen() {
    alone("tokio_lifo_slot_is_not_stolen", &ANY_PS, || {
        for _ in 0..10 {
            let ran = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&ran);
            let parked = rt0::go(move || {
                rt0::park();
                flag.store(true, SeqCst);
            });
            rt0::gosched();
            parked.goroutine().unpark();
            spin_until(&ran);
            parked.join().expect("no panic");
        }
    });
}

/// tokio#2639: blocking on asynchronous work inside of asynchronous work panics, or with one worker
/// never ends.
#[test]
fn tokio_sync_over_async_panics() {
    fn deeper(left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        // A callback of a library that knows nothing of goroutines: std's channel, std's wait.
        let (tx, rx) = std::sync::mpsc::sync_channel(0);
        let other = rt0::go(move || tx.send(rt0::run(move || deeper(left - 1))));
        let below = rx.recv().expect("it is sent");
        other.join().expect("no panic").expect("it is received");
        below + 1
    }
    alone("tokio_sync_over_async_panics", &ANY_PS, || {
        assert_eq!(rt0::blocking(|| deeper(20)), 20);
    });
}

/// Oxide's RFD 609: a branch of `select!` that waits for a lock loses, but is not dropped. The lock
/// is handed to it, nobody polls it, and the branch that won waits for the same lock: for ever.
#[test]
fn tokio_futurelock() {
    alone("tokio_futurelock", &ANY_PS, || {
        let lock = Arc::new(Mutex::new(0));
        let (token, tokens) = bounded(1); // a lock by way of a channel
        for round in 0..20 {
            let held = lock.lock().expect("not poisoned");
            let (gave_up, given_up) = bounded(0);
            let (lock, token) = (Arc::clone(&lock), token.clone());
            let tokens = tokens.clone();
            let waiter = rt0::go(move || {
                assert!(lock.try_lock_for(ms(1)).is_err(), "it is held");
                rt0::select! {
                    recv(tokens) -> _ => panic!("there is none"),
                    recv(chan::after(ms(1))) -> _ => {}
                }
                gave_up.send(()).expect("main listens");
                *lock.lock().expect("not poisoned") += 1;
                assert_eq!(tokens.recv(), Ok(round));
            });
            given_up.recv().expect("the waiter lives");
            drop(held);
            token.send(round).expect("it is open");
            waiter.join().expect("no panic");
        }
        assert_eq!(*lock.lock().expect("not poisoned"), 20);
    });
}

/// Oxide's RFDs 397 and 400: a branch of `select!` that loses takes with it what it had already
/// received or was about to send.
#[test]
fn tokio_cancelled_branches_lose_messages() {
    const N: u64 = 5000;
    alone("tokio_cancelled_branches_lose_messages", &ANY_PS, || {
        let (tx, rx) = bounded(0);
        let (tick, ticks) = bounded(1);
        let sender = rt0::go(move || {
            for n in 0..N {
                let mut message = n;
                for patience in longer_and_longer() {
                    match tx.send_timeout(message, patience) {
                        Ok(()) => break,
                        Err(SendTimeoutError::Timeout(back)) => message = back,
                        Err(SendTimeoutError::Disconnected(_)) => panic!("it is open"),
                    }
                    assert_eq!(message, n, "another message came back");
                }
            }
        });
        let ticker = rt0::go(move || while tick.send(()).is_ok() {});
        for n in 0..N {
            let got = longer_and_longer().find_map(|patience| {
                rt0::select! {
                    recv(rx) -> got => Some(got.expect("there are more")),
                    recv(ticks) -> _ => match rx.recv_timeout(patience) {
                        Err(RecvTimeoutError::Disconnected) => panic!("{n} of {N} came"),
                        other => other.ok(),
                    },
                }
            });
            assert_eq!(got, Some(n));
        }
        drop(ticks);
        sender.join().expect("no panic");
        ticker.join().expect("no panic");
        assert!(rx.recv().is_err(), "one came twice");
    });
}

/// From nothing at all to a time in which the other side comes by on any machine.
fn longer_and_longer() -> impl Iterator<Item = Duration> {
    [0, 1, 5, 20].into_iter().chain((0..).map(|n| 50 << n)).map(Duration::from_micros)
}

/// tokio#1879, #2596: tasks cannot borrow from who spawns them, for nothing makes it outlive them.
/// Nor can goroutines in Go, or coroutines in may without `unsafe` (may#6).
#[test]
fn tokio_no_sound_scoped_tasks() {
    alone("tokio_no_sound_scoped_tasks", &ANY_PS, || {
        let mut squares = [0; 1000];
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rt0::scope(|s| {
                for (n, square) in squares.iter_mut().enumerate() {
                    s.go(move || {
                        sleep(Duration::from_micros(n as u64 % 100));
                        *square = n * n;
                    });
                }
                // What is borrowed is not given back before all have ended, not even now.
                std::panic::resume_unwind(Box::new("the scope's own panic"));
            })
        }));
        assert!(unwound.is_err());
        assert!(squares.into_iter().enumerate().all(|(n, square)| square == n * n));
    });
}

/// tokio#2926, #7266: reading files keeps a worker from its tasks, or takes a hop to another thread
/// for each read.
#[test]
fn tokio_file_io_blocks_or_is_slow() {
    alone("tokio_file_io_blocks_or_is_slow", &ANY_PS, || {
        occupy_every_p(|seen| {
            let path = env::current_exe().expect("the test's own path");
            while !seen.load(SeqCst) {
                assert!(fs::read(&path).is_ok_and(|bytes| !bytes.is_empty()));
            }
        });
    });
}

/// Go takes any number for GOMAXPROCS, and then makes that many Ps.
#[test]
fn go_gomaxprocs_is_not_clamped() {
    alone("go_gomaxprocs_is_not_clamped", &["1000000", "4097"], || {
        assert_eq!(rt0::gomaxprocs(), 4096);
        assert_eq!(rt0::set_gomaxprocs(usize::MAX), 4096);
        assert_eq!(rt0::gomaxprocs(), 4096);
        let all: Vec<_> = (0..100).map(|n| rt0::go(move || n)).collect();
        let sum: u32 = all.into_iter().map(|g| g.join().expect("no panic")).sum();
        assert_eq!(sum, 4950);
    });
}

/// Photon#1245, #1598, #1600: thieves loop for ever over a worker that may not be robbed, take from
/// a queue that has just become empty, take sleepers that somebody else wakes, lock in the order
/// opposite to those that end, and see workers that are half made or half gone.
///
/// `RT0_STRESS_SECS` seconds, 1 unless set, for each number of Ps.
#[test]
fn photon_stealing_while_workers_come_and_go() {
    alone("photon_stealing_while_workers_come_and_go", &ANY_PS, || {
        let secs = env::var("RT0_STRESS_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
        let end = Instant::now() + Duration::from_secs(secs).min(PATIENCE / 2);
        let mut all = vec![
            rt0::go(move || until(end, |turn| resize([1, 8, 2, 16, 3][turn % 5]))),
            rt0::go(move || until(end, |turn| resize([5, 1, 64][turn % 3]))),
        ];
        for _ in 0..4 {
            all.push(rt0::go(move || until(end, start_a_few)));
            all.push(rt0::go(move || until(end, wake_sleepers_early)));
            all.push(rt0::go(move || {
                let _nobody_else_may_run_it = rt0::lock_os_thread();
                until(end, |turn| match turn % 2 {
                    0 => rt0::gosched(),
                    _ => sleep(Duration::from_micros(100)),
                });
            }));
        }
        all.into_iter().for_each(|g| g.join().expect("no panic"));
    });
}

fn until(end: Instant, mut turn: impl FnMut(usize)) {
    (0..).take_while(|n| *n < 3 || Instant::now() < end).for_each(&mut turn);
}

fn resize(ps: usize) {
    rt0::set_gomaxprocs(ps);
    sleep(Duration::from_micros(300));
}

/// Fewer than there are thieves, and they end at once.
fn start_a_few(turn: usize) {
    let few: Vec<_> = (0..turn % 4).map(|n| rt0::go(move || n)).collect();
    let sum: usize = few.into_iter().map(|g| g.join().expect("no panic")).sum();
    assert_eq!(sum, [0, 0, 1, 3][turn % 4]);
}

/// Sleepers whose time comes about when they are woken.
fn wake_sleepers_early(turn: usize) {
    let (tx, rx) = bounded::<usize>(0);
    let sleepers: Vec<_> = (0..3)
        .map(|n| {
            let (rx, us) = (rx.clone(), (turn * 7 + n * 30) % 100);
            rt0::go(move || rx.recv_timeout(Duration::from_micros(us as u64)).is_ok())
        })
        .collect();
    drop(rx);
    let sent = (0..3).filter(|n| tx.send_timeout(*n, Duration::from_micros(50)).is_ok()).count();
    let woken = sleepers.into_iter().map(|g| g.join().expect("no panic"));
    assert_eq!(woken.filter(|got| *got).count(), sent);
}
