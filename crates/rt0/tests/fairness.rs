//! No goroutine waits for ever behind others that keep each other running.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a test counts with std's atomics and talks to its parent by stdout"
)]

mod again;

use rt0::net::UnixStream;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Two goroutines that unpark each other take `runnext` every time; a third one in the ring of the
/// same P still has its turn. In a subprocess, because it needs GOMAXPROCS=1.
#[test]
fn a_ping_pong_pair_does_not_starve_the_ring() {
    const NAME: &str = "a_ping_pong_pair_does_not_starve_the_ring";
    if again::is_again(NAME) {
        return rt0::run(ping_pong_beside_a_third);
    }
    let text = again::again(NAME, &[("GOMAXPROCS", "1")]);
    let trips = text.lines().find_map(|l| l.strip_prefix("trips before the third: "));
    let trips: u64 = trips.and_then(|n| n.parse().ok()).expect("the child counts trips");
    assert!(trips < 10_000, "the third goroutine waited for {trips} round trips");
}

fn ping_pong_beside_a_third() {
    let ran = Arc::new(AtomicBool::new(false));
    let trips = Arc::new(AtomicU64::new(0));
    let ping = rt0::current().expect("run's closure is a goroutine");
    let pong = {
        let ran = Arc::clone(&ran);
        rt0::go(move || {
            while !ran.load(Ordering::SeqCst) {
                rt0::park();
                ping.unpark();
            }
        })
    };
    rt0::gosched();
    let third = {
        let ran = Arc::clone(&ran);
        let trips = Arc::clone(&trips);
        rt0::go(move || {
            println!("trips before the third: {}", trips.load(Ordering::SeqCst));
            ran.store(true, Ordering::SeqCst);
        })
    };
    while !ran.load(Ordering::SeqCst) && trips.load(Ordering::SeqCst) < 1_000_000 {
        pong.goroutine().unpark();
        rt0::park();
        trips.fetch_add(1, Ordering::SeqCst);
    }
    ran.store(true, Ordering::SeqCst);
    pong.goroutine().unpark();
    pong.join().expect("pong ends");
    third.join().expect("the third ends");
}

/// A tree of goroutines that are started and joined, over and over, runs out of turn; a goroutine
/// that was started before it still has its turn.
#[test]
fn a_tree_does_not_starve_the_ring() {
    const NAME: &str = "a_tree_does_not_starve_the_ring";
    if again::is_again(NAME) {
        return rt0::run(|| rt0::go(trees_beside_a_third).join().expect("no panic"));
    }
    let text = again::again(NAME, &[("GOMAXPROCS", "1")]);
    let trees = text.lines().find_map(|l| l.strip_prefix("trees before the third: "));
    let trees: u64 = trees.and_then(|n| n.parse().ok()).expect("the child counts trees");
    assert!(trees < 10_000, "the third goroutine waited for {trees} trees");
}

fn trees_beside_a_third() {
    let (ran, trees) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let third = {
        let (ran, trees) = (Arc::clone(&ran), Arc::clone(&trees));
        rt0::go(move || {
            println!("trees before the third: {}", trees.load(Ordering::SeqCst));
            ran.store(true, Ordering::SeqCst);
        })
    };
    while !ran.load(Ordering::SeqCst) && trees.load(Ordering::SeqCst) < 100_000 {
        assert_eq!(nodes(13), 377);
        trees.fetch_add(1, Ordering::SeqCst);
    }
    third.join().expect("the third ends");
}

/// Fibonacci numbers, a goroutine for each addition.
fn nodes(n: u64) -> u64 {
    if n < 2 {
        return 1;
    }
    let left = rt0::go(move || nodes(n - 1));
    nodes(n - 2) + left.join().expect("no panic")
}

/// A sleeper does not wait behind a long queue of goroutines that compute, and they do not wait for
/// ever behind sleepers that compute as well.
#[test]
fn who_wakes_goes_ahead_of_a_long_queue() {
    const NAME: &str = "who_wakes_goes_ahead_of_a_long_queue";
    if again::is_again(NAME) {
        return rt0::run(sleepers_beside_a_queue);
    }
    goes_ahead(NAME, "ran before the sleeper: ");
}

const JOBS: u64 = 200;

/// The test `name`, in a process with one P, says behind `prefix` how many jobs ran before those
/// that were woken. Who does not go ahead comes last each time. Who does may still lose its turn,
/// as any other: if the machine gives its thread no CPU for 10 ms, its time slice is over (seen in
/// each fifth process beside 24 loops). So one process of ten has to show it.
fn goes_ahead(name: &str, prefix: &str) {
    let ran = |_| {
        let text = again::again(name, &[("GOMAXPROCS", "1")]);
        let ran = text.lines().find_map(|l| l.strip_prefix(prefix)).map(str::parse);
        ran.and_then(Result::ok).expect("the child counts")
    };
    let mut all = Vec::new();
    let ahead = (0..10).map(ran).inspect(|n| all.push(*n)).any(|n: u64| n < JOBS / 8);
    assert!(ahead, "{all:?} goroutines {prefix}each time");
}

fn sleepers_beside_a_queue() {
    let compute = || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    };
    let ran = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| {
            let ran = Arc::clone(&ran);
            rt0::go(move || {
                compute();
                ran.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    rt0::time::sleep(Duration::from_millis(2));
    println!("ran before the sleeper: {}", ran.load(Ordering::SeqCst));
    let sleepers: Vec<_> = (0..3)
        .map(|_| {
            let done = Arc::clone(&done);
            rt0::go(move || {
                while !done.load(Ordering::SeqCst) {
                    rt0::time::sleep(Duration::from_nanos(1));
                    compute();
                }
            })
        })
        .collect();
    jobs.into_iter().for_each(|job| job.join().expect("no panic"));
    done.store(true, Ordering::SeqCst);
    sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("no panic"));
}

/// The same of goroutines that wait for a descriptor, beside a P that never runs out of work.
#[test]
fn who_can_read_goes_ahead_of_a_long_queue() {
    const NAME: &str = "who_can_read_goes_ahead_of_a_long_queue";
    if again::is_again(NAME) {
        return rt0::run(readers_beside_a_queue);
    }
    goes_ahead(NAME, "ran before the readers: ");
}

/// They are taken when the local queue is empty, or one by one in turns of 61.
const READERS: usize = 4;

fn readers_beside_a_queue() {
    let compute = |ms| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(ms) {
            std::hint::spin_loop();
        }
    };
    let ran = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    // How many jobs had run when each reader was written to: on a busy machine it takes a while.
    let written: Arc<[AtomicU64; READERS]> = Arc::default();
    let (mut clients, readers): (Vec<_>, Vec<_>) = (0..READERS)
        .map(|i| {
            let (client, mut server) = UnixStream::pair().expect("descriptors are free");
            let (ran, done, written) = (Arc::clone(&ran), Arc::clone(&done), Arc::clone(&written));
            let reader = rt0::go(move || {
                server.read_exact(&mut [0]).expect("the client writes");
                let before = ran.load(Ordering::SeqCst) - written[i].load(Ordering::SeqCst);
                // From now on each answers at once, computes, and is asked again.
                while !done.load(Ordering::SeqCst) {
                    server.write_all(&[0]).expect("the client reads");
                    compute(1);
                    server.read_exact(&mut [0]).expect("the client writes");
                }
                before
            });
            (client, reader)
        })
        .unzip();
    rt0::time::sleep(Duration::from_millis(10)); // all wait
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| {
            let ran = Arc::clone(&ran);
            rt0::go(move || {
                compute(2);
                ran.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for (client, written) in clients.iter_mut().zip(&*written) {
        written.store(ran.load(Ordering::SeqCst), Ordering::SeqCst);
        client.write_all(&[0]).expect("the reader waits");
    }
    // On threads, so that they need no P.
    let askers: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let done = Arc::clone(&done);
            let mut client =
                std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(client));
            std::thread::spawn(move || {
                client.set_nonblocking(false).expect("it is open");
                while !done.load(Ordering::SeqCst) && client.read_exact(&mut [0]).is_ok() {
                    client.write_all(&[0]).expect("the reader waits");
                }
                let _ = client.write_all(&[0]); // the reader may have ended
            })
        })
        .collect();
    jobs.into_iter().for_each(|job| job.join().expect("no panic"));
    done.store(true, Ordering::SeqCst);
    let before = readers.into_iter().map(|r| r.join().expect("no panic"));
    println!("ran before the readers: {}", before.max().expect("some"));
    askers.into_iter().for_each(|asker| asker.join().expect("no panic"));
}

/// Who starts many goroutines lets some of them run meanwhile, and each runs once; also if they
/// want a lock that the starter holds, whichever lock that is.
#[test]
fn who_starts_many_lets_them_run() {
    const NAME: &str = "who_starts_many_lets_them_run";
    if again::is_again(NAME) {
        return rt0::run(start_many);
    }
    let text = again::again(NAME, &[("GOMAXPROCS", "1")]);
    let most = text.lines().find_map(|l| l.strip_prefix("most at once: "));
    let most: u64 = most.and_then(|n| n.parse().ok()).expect("the child counts");
    // How many depends on how long they take (let_run.rs); never are all there before one has run.
    // Where each goroutine is a thread, nobody is made to wait for that.
    let are_threads = std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"));
    assert!(are_threads || most < MANY, "{most} goroutines were there and had not run");
}

/// A P that keeps brief goroutines for itself does not keep those behind one that computes: that
/// would cost them a time slice, 10 ms.
#[test]
fn who_is_queued_behind_brief_ones_is_not_kept() {
    const NAME: &str = "who_is_queued_behind_brief_ones_is_not_kept";
    if again::is_again(NAME) {
        return rt0::run(late_behind_brief_ones);
    }
    let text = again::again(NAME, &[("GOMAXPROCS", "2")]);
    let late = text.lines().find_map(|l| l.strip_prefix("late by, us: "));
    let late: u64 = late.and_then(|n| n.parse().ok()).expect("the child measures");
    // Where each goroutine is a thread nothing is kept, and those before it take longer than that.
    let are_threads = std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3"));
    assert!(are_threads || late < 5_000, "it waited for {late} us");
}

/// The least of some tries: others may want the CPUs as well.
fn late_behind_brief_ones() {
    let tries = (0..30).map(|_| {
        let brief: Vec<_> = (0..2000).map(|_| rt0::go(|| ())).collect();
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let computes = rt0::go(move || {
            let begin = Instant::now();
            while !seen.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            begin.elapsed().as_micros() as u64
        });
        let behind = rt0::go(move || ran.store(true, Ordering::SeqCst));
        let next = rt0::go(|| ()); // the newest goes first
        let late = computes.join().expect("it does not panic");
        brief
            .into_iter()
            .chain([behind, next])
            .for_each(|one| one.join().expect("it does not panic"));
        late
    });
    println!("late by, us: {}", tries.min().expect("some"));
}

const MANY: u64 = 800;

fn start_many() {
    println!("most at once: {}", most_at_once());
    let lock = Arc::new((rt0::sync::Mutex::new(0), std::sync::Mutex::new(0)));
    let held = (lock.0.lock().expect("not poisoned"), lock.1.lock().expect("not poisoned"));
    let all: Vec<_> = (0..MANY)
        .map(|i| {
            let lock = Arc::clone(&lock);
            rt0::go(move || {
                if i % 2 == 0 {
                    *lock.0.lock().expect("not poisoned") += 1;
                }
                *lock.1.lock().expect("not poisoned") += 1;
            })
        })
        .collect();
    drop(held);
    for one in all {
        one.join().expect("it does not panic");
    }
    assert_eq!(*lock.0.lock().expect("not poisoned"), MANY / 2);
    assert_eq!(*lock.1.lock().expect("not poisoned"), MANY);
}

/// Starts `MANY`; how many of them had not run at the worst moment.
fn most_at_once() -> u64 {
    let ran = Arc::new(AtomicU64::new(0));
    let (mut most, mut all) = (0, Vec::new());
    for i in 0..MANY {
        let counted = Arc::clone(&ran);
        all.push(rt0::go(move || counted.fetch_add(1, Ordering::SeqCst)));
        most = most.max(i + 1 - ran.load(Ordering::SeqCst));
    }
    for one in all {
        one.join().expect("it does not panic");
    }
    assert_eq!(ran.load(Ordering::SeqCst), MANY);
    most
}
