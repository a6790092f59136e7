//! `rt0::sync::Mutex` and `Condvar`: std's behaviour, from goroutines and threads, mixed.

#![allow(clippy::disallowed_types, reason = "a test compares with std's locks")]

use rt0::sync::{Barrier, Condvar, Mutex, TryLockError};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn assert_send<T: Send + ?Sized>() {}
fn assert_sync<T: Sync + ?Sized>() {}

/// Panics in the critical section, without the hook's message in the test's output.
fn poison<T>(m: &Mutex<T>) {
    let r = catch_unwind(AssertUnwindSafe(|| {
        let _guard = m.lock();
        resume_unwind(Box::new("poison"));
    }));
    assert!(r.is_err());
}

#[test]
fn markers_are_stds() {
    assert_send::<Mutex<std::cell::Cell<u8>>>();
    assert_sync::<Mutex<std::cell::Cell<u8>>>();
    assert_sync::<rt0::sync::MutexGuard<'static, u8>>();
    assert_send::<Condvar>();
    assert_sync::<Condvar>();
    fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    unwind_safe::<Mutex<std::cell::Cell<u8>>>();
    unwind_safe::<Condvar>();
}

/// Compiles only if a guard is not `Send`: else two impls would apply.
#[test]
fn a_guard_is_not_send() {
    trait Ambiguous<A> {
        fn it() {}
    }
    struct IfSend;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<IfSend> for T {}
    <rt0::sync::MutexGuard<'static, u8> as Ambiguous<_>>::it();
}

#[test]
fn it_prints_as_stds() {
    let (ours, stds) = (Mutex::new(3), std::sync::Mutex::new(3));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(format!("{ours:#?}"), format!("{stds:#?}"));
    {
        let (_a, _b) = (ours.lock(), stds.lock());
        assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
        assert_eq!(format!("{_a:?}"), format!("{_b:?}"));
    }
    poison(&ours);
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _guard = stds.lock();
        resume_unwind(Box::new("poison"));
    }));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(format!("{:?}", ours.lock()), format!("{:?}", stds.lock()));
    assert_eq!(format!("{:?}", Condvar::new()), format!("{:?}", std::sync::Condvar::new()));
    assert_eq!(format!("{:?}", Barrier::new(2)), format!("{:?}", std::sync::Barrier::new(2)));
    let (ours, stds) = (Barrier::new(1).wait(), std::sync::Barrier::new(1).wait());
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
}

#[test]
fn the_data_comes_out() {
    static M: Mutex<u32> = Mutex::new(1);
    *M.lock().expect("not poisoned") += 1;
    assert_eq!(*M.lock().expect("not poisoned"), 2);
    let mut m = Mutex::from(vec![1]);
    m.get_mut().expect("not poisoned").push(2);
    assert_eq!(m.into_inner().expect("not poisoned"), [1, 2]);
    assert_eq!(*Mutex::<u8>::default().lock().expect("not poisoned"), 0);
    let unsized_one: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    unsized_one.lock().expect("not poisoned")[0] = 4;
    assert_eq!(&*unsized_one.lock().expect("not poisoned"), &[4, 2, 3]);
    let dropped = Arc::new(());
    drop(Mutex::new(Arc::clone(&dropped)));
    assert_eq!(Arc::strong_count(&dropped), 1);
}

#[test]
fn a_panic_poisons_it() {
    let mut m = Mutex::new(5);
    poison(&m);
    assert!(m.is_poisoned());
    assert_eq!(*m.lock().expect_err("poisoned").into_inner(), 5);
    assert!(matches!(m.try_lock(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(m.try_lock_for(MS), Err(TryLockError::Poisoned(_))));
    assert_eq!(*m.get_mut().expect_err("poisoned").into_inner(), 5);
    m.clear_poison();
    assert!(m.lock().is_ok());
    poison(&m);
    assert_eq!(m.into_inner().expect_err("poisoned").into_inner(), 5);
}

#[test]
fn a_lock_taken_while_unwinding_is_not_poisoned() {
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().expect("not poisoned") += 1;
        }
    }
    let m = Mutex::new(0);
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _locks = Locks(&m);
        resume_unwind(Box::new("unwind"));
    }));
    assert_eq!(*m.lock().expect("not poisoned"), 1);
}

#[rt0::test]
fn a_panic_in_another_goroutine_poisons_it_there_only() {
    let (m, other) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let held = other.lock().expect("not poisoned");
    let theirs = Arc::clone(&m);
    let _ = rt0::go(move || {
        let _guard = theirs.lock();
        resume_unwind(Box::new("poison"));
    })
    .join();
    drop(held);
    assert!(m.is_poisoned() && !other.is_poisoned());
}

#[rt0::test]
fn it_excludes_goroutines_and_threads() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let counts = Arc::new(Mutex::new((0_u64, 0_u64)));
        let body = |n: u64| {
            let counts = Arc::clone(&counts);
            move || {
                for i in 0..n {
                    let mut c = counts.lock().expect("not poisoned");
                    c.0 += 1;
                    if i % 64 == 0 {
                        rt0::gosched();
                    }
                    c.1 += 1;
                    assert_eq!(c.0, c.1);
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(body(2000))).collect();
        let gs: Vec<_> = (0..20).map(|_| rt0::go(body(1000))).collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        rt0::blocking(|| threads.into_iter().for_each(|t| t.join().expect("no panic")));
        assert_eq!(*counts.lock().expect("not poisoned"), (24_000, 24_000));
    }
}

#[rt0::test]
fn thousands_wait_for_one_and_for_one_each() {
    let one = Arc::new(Mutex::new(0));
    let each: Arc<Vec<Mutex<u32>>> = Arc::new((0..5000).map(|_| Mutex::new(0)).collect());
    let held: Vec<_> = each.iter().map(|m| m.lock().expect("not poisoned")).collect();
    let held_one = one.lock().expect("not poisoned");
    let gs: Vec<_> = (0..5000)
        .map(|i| {
            let (one, each) = (Arc::clone(&one), Arc::clone(&each));
            rt0::go(move || {
                *each[i].lock().expect("not poisoned") += 1;
                *one.lock().expect("not poisoned") += 1;
            })
        })
        .collect();
    rt0::time::sleep(20 * MS);
    held.into_iter().rev().for_each(drop);
    rt0::time::sleep(20 * MS);
    drop(held_one);
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    assert_eq!(*one.lock().expect("not poisoned"), 5000);
    assert!(each.iter().all(|m| *m.lock().expect("not poisoned") == 1));
}

/// Go: TestMutexFairness. A goroutine that holds the lock most of the time, in a loop.
#[rt0::test]
fn a_hog_lets_others_in() {
    // As many as there would be in five seconds.
    const MOST: u32 = 50_000;
    for procs in [1, 2] {
        rt0::set_gomaxprocs(procs);
        let m = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let hog = {
            let (m, stop) = (Arc::clone(&m), Arc::clone(&stop));
            rt0::go(move || {
                let mut turns = 0;
                while turns < MOST && !stop.load(Ordering::Relaxed) {
                    let _guard = m.lock();
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_micros(100) {}
                    turns += 1;
                }
                turns
            })
        };
        let others: Vec<_> = (0..10)
            .map(|_| {
                let m = Arc::clone(&m);
                rt0::go(move || {
                    for _ in 0..10 {
                        rt0::time::sleep(Duration::from_micros(100));
                        drop(m.lock());
                    }
                })
            })
            .collect();
        others.into_iter().for_each(|g| g.join().expect("no panic"));
        stop.store(true, Ordering::Relaxed);
        let turns = hog.join().expect("no panic");
        assert!(turns < MOST, "100 locks against a hog of {turns} turns");
    }
}

#[rt0::test]
fn try_lock_for_keeps_to_its_time() {
    let m = Arc::new(Mutex::new(0));
    assert!(m.try_lock_for(Duration::ZERO).is_ok());
    assert!(m.try_lock_for(Duration::MAX).is_ok());
    let held = m.lock().expect("not poisoned");
    assert!(matches!(m.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(m.try_lock_for(Duration::ZERO), Err(TryLockError::WouldBlock)));
    for on_thread in [false, true] {
        let theirs = Arc::clone(&m);
        let wait = move || {
            let start = Instant::now();
            assert!(matches!(theirs.try_lock_for(20 * MS), Err(TryLockError::WouldBlock)));
            assert!(start.elapsed() >= 20 * MS);
        };
        if on_thread {
            let t = thread::spawn(wait);
            rt0::blocking(|| t.join().expect("no panic"));
        } else {
            rt0::go(wait).join().expect("no panic");
        }
    }
    let theirs = Arc::clone(&m);
    let patient = rt0::go(move || *theirs.try_lock_for(Duration::MAX).expect("in time"));
    rt0::time::sleep(5 * MS);
    drop(held);
    assert_eq!(patient.join().expect("no panic"), 0);
}

/// Waiters that give up all the time do not take the lock away from those who stay.
#[rt0::test]
fn timeouts_race_with_unlocks() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let m = Arc::new(Mutex::new(0_usize));
        let got = Arc::new(AtomicUsize::new(0));
        let gs: Vec<_> = (0..16)
            .map(|i| {
                let (m, got) = (Arc::clone(&m), Arc::clone(&got));
                rt0::go(move || {
                    for n in 0..200_u64 {
                        let us = (n * 7 + i) % 60;
                        let r = if i % 4 == 0 {
                            Ok(m.lock().expect("not poisoned"))
                        } else {
                            m.try_lock_for(Duration::from_micros(us))
                        };
                        if let Ok(mut count) = r {
                            *count += 1;
                            got.fetch_add(1, Ordering::Relaxed);
                            if n % 8 == 0 {
                                rt0::time::sleep(Duration::from_micros(30));
                            }
                        }
                    }
                })
            })
            .collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        assert_eq!(*m.lock().expect("not poisoned"), got.load(Ordering::Relaxed));
    }
}

#[rt0::test]
fn a_condvar_passes_a_token_round() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let ring = Arc::new((Mutex::new(0_usize), Condvar::new()));
        let turn = |me: usize| {
            let ring = Arc::clone(&ring);
            move || {
                for _ in 0..200 {
                    let guard = ring.0.lock().expect("not poisoned");
                    let mut guard =
                        ring.1.wait_while(guard, |t| *t % 6 != me).expect("not poisoned");
                    *guard += 1;
                    ring.1.notify_all();
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|me| thread::spawn(turn(me))).collect();
        let gs: Vec<_> = (2..6).map(|me| rt0::go(turn(me))).collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        rt0::blocking(|| threads.into_iter().for_each(|t| t.join().expect("no panic")));
        assert_eq!(*ring.0.lock().expect("not poisoned"), 1200);
    }
}

#[rt0::test]
fn notify_one_wakes_the_longest_waiter() {
    /// How many wait or have waited, and who was woken.
    type State = (usize, Vec<usize>);
    let pair = Arc::new((Mutex::new(State::default()), Condvar::new()));
    let until = |done: &dyn Fn(&State) -> bool| {
        while !done(&pair.0.lock().expect("not poisoned")) {
            rt0::gosched();
        }
    };
    let gs: Vec<_> = (0..10)
        .map(|i| {
            let theirs = Arc::clone(&pair);
            let g = rt0::go(move || {
                let mut guard = theirs.0.lock().expect("not poisoned");
                guard.0 += 1;
                theirs.1.wait(guard).expect("not poisoned").1.push(i);
            });
            until(&|state| state.0 == i + 1);
            g
        })
        .collect();
    for i in 0..10 {
        pair.1.notify_one();
        until(&|state| state.1.len() == i + 1);
    }
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    assert_eq!(pair.0.lock().expect("not poisoned").1, (0..10).collect::<Vec<_>>());
}

#[rt0::test]
fn waits_of_a_condvar_end_in_time() {
    let (m, c) = (Mutex::new(0), Condvar::new());
    let start = Instant::now();
    let guard = m.lock().expect("not poisoned");
    let (guard, r) = c.wait_timeout(guard, 10 * MS).expect("not poisoned");
    assert!(r.timed_out() && start.elapsed() >= 10 * MS);
    let (guard, r) = c.wait_timeout(guard, Duration::ZERO).expect("not poisoned");
    assert!(r.timed_out());
    let (guard, r) = c.wait_timeout_while(guard, 5 * MS, |_| true).expect("not poisoned");
    assert!(r.timed_out());
    let (guard, r) = c.wait_timeout_while(guard, Duration::ZERO, |_| false).expect("fine");
    assert!(!r.timed_out());
    drop(guard);
    c.notify_all(); // nobody waits, nothing is stored
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&pair);
    let g = rt0::go(move || {
        let guard = theirs.0.lock().expect("not poisoned");
        theirs.1.wait_timeout_while(guard, Duration::MAX, |go| !*go).expect("fine").1.timed_out()
    });
    rt0::time::sleep(5 * MS);
    *pair.0.lock().expect("not poisoned") = true;
    pair.1.notify_one();
    assert!(!g.join().expect("no panic"));
}

#[rt0::test]
fn a_wait_tells_of_poison() {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let theirs = Arc::clone(&pair);
    let g = rt0::go(move || {
        let guard = theirs.0.lock().expect("not poisoned yet");
        theirs.1.wait(guard).is_err()
    });
    rt0::time::sleep(5 * MS);
    poison(&pair.0);
    pair.1.notify_one();
    assert!(g.join().expect("no panic"));
}

#[rt0::test]
fn a_barrier_has_one_leader_each_time() {
    let barrier = Arc::new(Barrier::new(10));
    let leaders = Arc::new(Mutex::new(HashMap::<usize, usize>::new()));
    let gs: Vec<_> = (0..10)
        .map(|_| {
            let (barrier, leaders) = (Arc::clone(&barrier), Arc::clone(&leaders));
            rt0::go(move || {
                for round in 0..50 {
                    if barrier.wait().is_leader() {
                        *leaders.lock().expect("not poisoned").entry(round).or_default() += 1;
                    }
                }
            })
        })
        .collect();
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    let leaders = leaders.lock().expect("not poisoned");
    assert!(leaders.len() == 50 && leaders.values().all(|n| *n == 1));
    assert!(Barrier::new(0).wait().is_leader());
}
