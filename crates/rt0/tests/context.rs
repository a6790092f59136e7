//! Contexts: what ends them, what that wakes, and that nothing is lost by it.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

#[path = "chan/support.rs"]
mod support;

use rt0::chan::{Select, bounded, never, unbounded};
use rt0::context::{
    AcquireError, Cancel, Cause, Context, Error, LockError, RecvError, SendError, background,
    with_cancel, with_deadline, with_timeout, with_value, within,
};
use rt0::select;
use rt0::sync::{Condvar, Mutex, Notify, RwLock, Semaphore, WaitGroup};
use rt0::time::{Duration, Instant, sleep};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Counted, HOUR, KINDS, Kind, LONG, Task, ms, on_all_ps};

fn until(what: &str, mut f: impl FnMut() -> bool) {
    let start = Instant::now();
    while !f() {
        assert!(start.elapsed() < LONG, "waited too long: {what}");
        sleep(Duration::from_micros(200));
    }
}

#[rt0::test]
fn the_background_never_ends() {
    let ctx = background();
    assert_eq!((ctx.err(), ctx.deadline(), ctx.check()), (None, None, Ok(())));
    assert!(ctx.cause().is_none() && ctx.done().is_empty());
    assert_eq!(ctx.sleep(ms(1)), Ok(()));
    let (tx, rx) = bounded(1);
    assert_eq!(ctx.send(&tx, 5), Ok(()));
    assert_eq!(ctx.recv(&rx), Ok(5));
    drop(tx);
    assert_eq!(ctx.recv(&rx), Err(RecvError::Disconnected));
    assert!(ctx.after_func(|| panic!("it never ends")).stop());
    assert!(Context::default().err().is_none());
}

#[rt0::test]
fn the_end_goes_down_the_tree_and_not_up() {
    let (root, end_root) = with_cancel(&background());
    let (left, end_left) = with_cancel(&root);
    let (right, _keep) = with_timeout(&root, HOUR);
    let (leaf, _keep2) = with_cancel(&left);
    let valued = with_value(&leaf, 7_u8);
    end_left.cancel_with("enough");
    end_left.cancel();
    for ctx in [&left, &leaf, &valued] {
        assert_eq!(ctx.err(), Some(Error::Cancelled));
    }
    assert_eq!(leaf.cause().map(|c| c.to_string()).as_deref(), Some("enough"));
    assert_eq!((root.err(), right.err()), (None, None));
    let (late, _keep3) = with_cancel(&leaf);
    assert_eq!(late.err(), Some(Error::Cancelled), "made below one that has ended");
    assert_eq!(late.cause().map(|c| c.to_string()).as_deref(), Some("enough"));
    drop(end_root);
    assert_eq!(right.err(), Some(Error::Cancelled), "dropping the handle ends it");
    assert!(matches!(right.cause(), Some(Cause::Cancelled)));
    assert_eq!(left.cause().map(|c| c.to_string()).as_deref(), Some("enough"), "the first stays");
}

#[rt0::test]
fn a_kept_context_ends_with_its_parent() {
    let (root, end) = with_cancel(&background());
    let (child, keep) = with_cancel(&root);
    keep.keep();
    assert_eq!(child.err(), None);
    end.cancel();
    assert_eq!(child.err(), Some(Error::Cancelled));
}

#[rt0::test]
fn deadlines_are_the_earliest_and_never_early() {
    let now = Instant::now();
    let (outer, _o) = with_deadline(&background(), now + ms(20));
    let (longer, _l) = with_deadline(&outer, now + HOUR);
    let (shorter, _s) = with_deadline(&outer, now + ms(1));
    assert_eq!(longer.deadline(), outer.deadline());
    assert!(shorter.deadline() < outer.deadline());
    for ctx in [&shorter, &outer, &longer] {
        let deadline = ctx.deadline().expect("it has one");
        assert_eq!(ctx.sleep(HOUR), Err(Error::DeadlineExceeded));
        assert!(Instant::now() >= deadline);
        assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
        assert!(matches!(ctx.cause(), Some(Cause::DeadlineExceeded)));
    }
    let (past, cancel) = with_deadline(&background(), now);
    cancel.cancel_with("too late to be the cause");
    assert!(matches!(past.cause(), Some(Cause::DeadlineExceeded)));
    assert_eq!(past.recv(&never::<()>()), Err(RecvError::Context(Error::DeadlineExceeded)));
    for most in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
        let (ctx, _cancel) = with_timeout(&background(), most);
        assert_eq!((ctx.err(), ctx.sleep(ms(1))), (None, Ok(())));
        let (_tx, rx) = bounded::<()>(0);
        select! {
            recv(ctx.done()) -> _ => panic!("the end of time"),
            recv(rx) -> _ => panic!("nobody sends"),
            default(ms(1)) => {}
        }
    }
    let (none, _cancel) = with_timeout(&background(), Duration::ZERO);
    assert_eq!(none.sleep(Duration::ZERO), Err(Error::DeadlineExceeded));
}

#[rt0::test]
fn values_are_found_by_type_the_latest_first() {
    #[derive(Debug, PartialEq)]
    struct User(&'static str);
    let ctx = with_value(&background(), User("gopher"));
    let (child, cancel) = with_cancel(&with_value(&ctx, 5_u32));
    let inner = with_value(&child, User("ferris"));
    assert_eq!((inner.value(), child.value()), (Some(&User("ferris")), Some(&User("gopher"))));
    assert_eq!((inner.value::<u32>(), ctx.value::<u32>()), (Some(&5), None));
    cancel.cancel();
    let free = inner.without_cancel();
    assert_eq!((free.err(), free.value()), (None, Some(&User("ferris"))));
    assert_eq!(inner.err(), Some(Error::Cancelled));
}

#[rt0::test]
fn done_is_a_channel_for_select() {
    for kind in KINDS {
        let (ctx, cancel) = with_cancel(&background());
        let theirs = ctx.clone();
        let waiting = Task::start(kind, move || {
            let (_tx, rx) = bounded::<()>(0);
            select! {
                recv(theirs.done()) -> end => end.is_ok(),
                recv(rx) -> _ => false,
            }
        });
        sleep(ms(2));
        assert!(ctx.done().is_empty());
        cancel.cancel();
        assert!(waiting.join());
        assert!(ctx.done().recv().is_ok() && ctx.done().try_recv().is_ok(), "it stays");
        let (late, _cancel) = with_timeout(&background(), ms(2));
        let done = late.done().clone();
        drop((late, cancel));
        let waiting = Task::start(kind, move || done.recv_timeout(ms(50)).is_ok());
        assert!(waiting.join(), "a deadline needs nobody to look");
    }
}

/// A wait, and whether it ended as it should.
type WaitFn = fn(&Context) -> bool;

const CHANNEL_WAITS: &[(&str, WaitFn)] = &[
    ("sleep", |ctx| ctx.sleep(HOUR) == Err(Error::Cancelled)),
    ("recv", |ctx| {
        let (_tx, rx) = bounded::<()>(1);
        ctx.recv(&rx) == Err(RecvError::Context(Error::Cancelled))
    }),
    ("recv of never", |ctx| ctx.recv(&never::<()>()) == Err(RecvError::Context(Error::Cancelled))),
    ("recv of a timer", |ctx| {
        let timer = rt0::time::Timer::new(HOUR);
        ctx.recv(timer.receiver()).is_err() && timer.stop()
    }),
    ("send", |ctx| {
        let (tx, _rx) = bounded(0);
        ctx.send(&tx, 5) == Err(SendError::Context(Error::Cancelled, 5))
    }),
    ("select", |ctx| {
        let ((tx, _rx), (_tx, rx)) = (bounded::<()>(0), bounded::<()>(0));
        let mut set = Select::new();
        set.send(&tx);
        set.recv(&rx);
        matches!(ctx.select(&mut set), Err(Error::Cancelled))
    }),
];

const LOCK_WAITS: &[(&str, WaitFn)] = &[
    ("lock", |ctx| {
        let mutex = Mutex::new(());
        let _held = mutex.lock().expect("not poisoned");
        matches!(ctx.lock(&mutex), Err(LockError::Context(Error::Cancelled)))
    }),
    ("read", |ctx| {
        let lock = RwLock::new(());
        let _held = lock.write().expect("not poisoned");
        ctx.read(&lock).is_err()
    }),
    ("write", |ctx| {
        let lock = RwLock::new(());
        let held = lock.read().expect("not poisoned");
        let r = ctx.write(&lock).is_err();
        drop(held);
        r && lock.try_write().is_ok()
    }),
    ("acquire", |ctx| {
        let sem = Semaphore::new(1);
        let r = ctx.acquire_many(&sem, 2).err();
        r == Some(AcquireError::Context(Error::Cancelled)) && sem.try_acquire().is_ok()
    }),
    ("notified", |ctx| {
        let notify = Notify::new();
        let r = ctx.notified(&notify);
        notify.notify_one();
        r == Err(Error::Cancelled) && notify.notified_timeout(LONG)
    }),
    ("wait", |ctx| {
        let group = WaitGroup::new();
        group.add(1);
        let r = ctx.wait(&group);
        group.done();
        group.wait();
        group.add(2);
        group.add(-2);
        r == Err(Error::Cancelled)
    }),
    ("wait_cond", |ctx| {
        let (mutex, condvar) = (Mutex::new(5), Condvar::new());
        let guard = mutex.lock().expect("not poisoned");
        let (guard, r) = ctx.wait_cond(&condvar, guard).expect("not poisoned");
        *guard == 5 && r == Err(Error::Cancelled)
    }),
];

/// Each way to wait, started on a context that is ended from outside: the error, and nothing taken.
#[rt0::test]
fn every_wait_ends_with_its_context() {
    on_all_ps(|| {
        for (name, wait) in CHANNEL_WAITS.iter().chain(LOCK_WAITS) {
            for kind in KINDS {
                let (root, cancel) = with_cancel(&background());
                let (ctx, _keep) = with_cancel(&root);
                let theirs = ctx.clone();
                let wait = *wait;
                let waiting = Task::start(kind, move || wait(&theirs));
                sleep(Duration::from_micros(500));
                cancel.cancel();
                assert!(waiting.join(), "{name} on {kind:?}");
                assert!(Task::start(kind, move || wait(&ctx)).join(), "{name} after the end");
            }
        }
    });
}

/// What is ready is not asked when the context has ended; what was there stays.
#[rt0::test]
fn after_the_end_nothing_is_taken() {
    let (ctx, cancel) = with_cancel(&background());
    cancel.cancel();
    let (tx, rx) = bounded(2);
    tx.send(1).expect("open");
    assert!(ctx.recv(&rx).is_err());
    assert_eq!(ctx.send(&tx, 2).expect_err("ended").into_inner(), 2);
    assert_eq!(rx.len(), 1);
    let mutex = Mutex::new(());
    assert!(ctx.lock(&mutex).is_err() && mutex.try_lock().is_ok());
    let poisoned = Mutex::new(());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _held = poisoned.lock();
        std::panic::resume_unwind(Box::new(()))
    }));
    assert!(matches!(background().lock(&poisoned), Err(LockError::Poisoned(_))));
    let sem = Semaphore::new(1);
    sem.close();
    assert_eq!(background().acquire(&sem).err(), Some(AcquireError::Closed));
}

/// Every message is received or still there, however often the receivers are cancelled.
#[rt0::test]
fn cancelling_races_with_messages() {
    on_all_ps(|| {
        let live = Arc::new(AtomicUsize::new(0));
        let got = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = bounded(0);
        let stop = Arc::new(AtomicBool::new(false));
        let receivers: Vec<_> = (0..4)
            .map(|i| {
                let (rx, got, stop) = (rx.clone(), Arc::clone(&got), Arc::clone(&stop));
                Task::start(KINDS[usize::from(i == 3)], move || {
                    while !stop.load(Ordering::SeqCst) {
                        let (ctx, cancel) = with_cancel(&background());
                        let canceller = rt0::go(move || cancel.cancel());
                        got.fetch_add(usize::from(ctx.recv(&rx).is_ok()), Ordering::SeqCst);
                        canceller.join().expect("no panic");
                    }
                })
            })
            .collect();
        let mut sent = 0;
        for i in 0..500_u64 {
            let (ctx, _cancel) = with_timeout(&background(), Duration::from_micros(i % 50));
            match ctx.send(&tx, Counted::new(&live)) {
                Ok(()) => sent += 1,
                Err(SendError::Context(Error::DeadlineExceeded, _)) => {}
                Err(e) => panic!("{e}"),
            }
        }
        stop.store(true, Ordering::SeqCst);
        receivers.into_iter().for_each(Task::join);
        assert_eq!(got.load(Ordering::SeqCst), sent);
        assert_eq!(live.load(Ordering::SeqCst), 0, "each is dropped once");
    });
}

/// Who gives up a lock or a permit leaves it to others, who get it.
#[rt0::test]
fn cancelling_races_with_locks() {
    on_all_ps(|| {
        let shared = Arc::new((Mutex::new(0), RwLock::new(0), Semaphore::new(2)));
        let tasks: Vec<_> = (0..8_u64)
            .map(|i| {
                let shared = Arc::clone(&shared);
                Task::start(if i % 4 == 3 { Kind::Thread } else { Kind::Goroutine }, move || {
                    let (mutex, lock, sem) = &*shared;
                    let mut n = 0;
                    for round in 0..200 {
                        let d = Duration::from_micros((round * 7 + i) % 40);
                        let (ctx, _cancel) = with_timeout(&background(), d);
                        if let Ok(mut v) = ctx.lock(mutex) {
                            (*v, n) = (*v + 1, n + 1);
                        }
                        if let Ok(mut v) = ctx.write(lock) {
                            (*v, n) = (*v + 1, n + 1);
                        }
                        drop(ctx.read(lock));
                        drop(ctx.acquire_many(sem, 1 + (round % 2) as u32));
                    }
                    n
                })
            })
            .collect();
        let n: u64 = tasks.into_iter().map(Task::join).sum();
        let (mutex, lock, sem) = &*shared;
        assert_eq!(*mutex.lock().expect("ok") + *lock.write().expect("ok"), n);
        assert_eq!(sem.available_permits(), 2);
    });
}

#[rt0::test]
fn cancelling_races_with_groups_and_conditions() {
    on_all_ps(|| {
        for round in 0..100_u64 {
            let d = Duration::from_micros(round % 30);
            let group = Arc::new(WaitGroup::new());
            group.add(1);
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    let group = Arc::clone(&group);
                    rt0::go(move || within(d, |ctx| ctx.wait(&group)))
                })
                .collect();
            sleep(d);
            group.done();
            for w in waiters {
                let _either = w.join().expect("no misuse is seen");
            }
            group.wait();

            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let waiters: Vec<_> = (0..2)
                .map(|i| {
                    let pair = Arc::clone(&pair);
                    let d = if i == 0 { d } else { LONG };
                    rt0::go(move || {
                        within(d, |ctx| {
                            let mut ready = pair.0.lock().expect("ok");
                            let mut r = Ok(());
                            while !*ready && r.is_ok() {
                                (ready, r) = ctx.wait_cond(&pair.1, ready).expect("ok");
                            }
                            *ready || r.is_err()
                        })
                    })
                })
                .collect();
            sleep(d);
            *pair.0.lock().expect("ok") = true;
            pair.1.notify_all();
            for w in waiters {
                assert!(w.join().expect("no panic"));
            }
        }
    });
}

/// Thousands of children, waiting in all kinds of ways, ended by several threads at once.
#[rt0::test]
fn a_storm_of_cancels_wakes_thousands() {
    on_all_ps(|| {
        let (root, cancel) = with_cancel(&background());
        let cancel = Arc::new(cancel);
        let (_tx, rx) = bounded::<()>(0);
        let children: Vec<_> = (0..2000_u64)
            .map(|i| {
                let (ctx, keep) = with_timeout(&root, HOUR + ms(i));
                let rx = rx.clone();
                rt0::go(move || {
                    let _keep = keep;
                    match i % 3 {
                        0 => ctx.sleep(HOUR).is_err(),
                        1 => ctx.recv(&rx).is_err(),
                        _ => select! {
                            recv(ctx.done()) -> _ => ctx.err() == Some(Error::Cancelled),
                            recv(rx) -> _ => false,
                        },
                    }
                })
            })
            .collect();
        let cancellers: Vec<_> = (0..4)
            .map(|i| {
                let cancel = Arc::clone(&cancel);
                Task::start(KINDS[i % 2], move || cancel.cancel_with(format!("number {i}")))
            })
            .collect();
        cancellers.into_iter().for_each(Task::join);
        for child in children {
            assert!(child.join().expect("no panic"));
        }
        let cause = root.cause().expect("it has ended").to_string();
        assert!(cause.starts_with("number "), "{cause}");
    });
}

#[rt0::test]
fn children_race_with_the_end_of_their_parent() {
    on_all_ps(|| {
        for _ in 0..50 {
            let (root, cancel) = with_cancel(&background());
            let makers: Vec<_> = (0..4)
                .map(|i| {
                    let root = root.clone();
                    Task::start(KINDS[i % 2], move || {
                        let made: Vec<_> = (0..20).map(|_| with_cancel(&root)).collect();
                        made.iter().for_each(|(ctx, _)| {
                            assert_eq!(ctx.sleep(LONG), Err(Error::Cancelled));
                        });
                    })
                })
                .collect();
            cancel.cancel();
            makers.into_iter().for_each(Task::join);
        }
    });
}

#[rt0::test]
fn functions_run_once_at_the_end() {
    for kind in KINDS {
        let (tx, ran) = unbounded();
        let start = |ctx: &Context, n: u32| {
            let tx = tx.clone();
            ctx.after_func(move || tx.send((n, rt0::current().is_some())).expect("open"))
        };
        let (ctx, cancel) = with_cancel(&background());
        let (stopped, _kept) = (start(&ctx, 0), start(&ctx, 1));
        assert!(stopped.stop());
        Task::start(kind, move || cancel.cancel()).join();
        assert_eq!(ran.recv(), Ok((1, true)));
        let late = start(&ctx, 2);
        assert_eq!(ran.recv(), Ok((2, true)));
        assert!(!late.stop(), "it has run");

        let (timed, _cancel) = with_timeout(&background(), ms(2));
        let (child, _cancel2) = with_cancel(&timed);
        let (_a, _b) = (start(&timed, 3), start(&child, 3));
        assert_eq!((ran.recv(), ran.recv()), (Ok((3, true)), Ok((3, true))));
        assert!(ran.is_empty());
        let (hour, cancel) = with_timeout(&background(), HOUR);
        let (a, _b) = (start(&hour, 4), start(&hour, 5));
        assert!(a.stop());
        cancel.cancel();
        assert_eq!(ran.recv(), Ok((5, true)));
    }
}

#[rt0::test]
fn stopping_a_function_races_with_the_end() {
    on_all_ps(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let mut stopped = 0;
        for _ in 0..200 {
            let (ctx, cancel) = with_cancel(&background());
            let theirs = Arc::clone(&ran);
            let func = ctx.after_func(move || {
                theirs.fetch_add(1, Ordering::SeqCst);
            });
            let canceller = rt0::go(move || cancel.cancel());
            rt0::gosched();
            stopped += usize::from(func.stop());
            canceller.join().expect("no panic");
        }
        until("the functions", || ran.load(Ordering::SeqCst) + stopped >= 200);
        assert_eq!(ran.load(Ordering::SeqCst) + stopped, 200);
    });
}

/// A chain that is longer than a stack is deep; and what is dropped is gone, also from its parent.
#[rt0::test]
fn memory_of_children_goes_away() {
    let live = Arc::new(AtomicUsize::new(0));
    let (root, end) = with_cancel(&background());
    for _ in 0..10_000 {
        let (child, _cancel) = with_timeout(&with_value(&root, Counted::new(&live)), HOUR);
        let counted = Counted::new(&live);
        let _func = child.after_func(move || drop(counted));
    }
    until("the functions of those that ended", || live.load(Ordering::SeqCst) == 0);
    let (mut chain, mut keep) = (with_value(&root, Counted::new(&live)), Vec::new());
    for _ in 0..100_000 {
        let (child, cancel) = with_cancel(&chain);
        keep.push(cancel);
        chain = with_value(&child, 0_u8);
    }
    keep.into_iter().for_each(Cancel::keep);
    end.cancel();
    assert_eq!(chain.err(), Some(Error::Cancelled));
    drop(chain);
    assert_eq!(live.load(Ordering::SeqCst), 0);
    assert_eq!(root.err(), Some(Error::Cancelled));
}

#[rt0::test]
fn within_returns_what_its_closure_returns() {
    let (tx, rx) = bounded(1);
    tx.send(1).expect("open");
    assert_eq!(within(LONG, |ctx| ctx.recv(&rx)), Ok(1));
    let late = within(ms(1), |ctx| (ctx.recv(&rx), 5));
    assert_eq!(late, (Err(RecvError::Context(Error::DeadlineExceeded)), 5));
    let nested = within(LONG, |outer| {
        let (ctx, _cancel) = with_timeout(outer, Duration::ZERO);
        (ctx.check(), outer.check())
    });
    assert_eq!(nested, (Err(Error::DeadlineExceeded), Ok(())));
    within(Duration::MAX, |ctx| assert_eq!(ctx.sleep(ms(1)), Ok(())));
}

#[rt0::test]
fn errors_speak() {
    assert_eq!(Error::Cancelled.to_string(), "context canceled");
    assert_eq!(Error::DeadlineExceeded.to_string(), "context deadline exceeded");
    let kinds = [Error::Cancelled, Error::DeadlineExceeded].map(|e| io::Error::from(e).kind());
    assert_eq!(kinds, [io::ErrorKind::Other, io::ErrorKind::TimedOut]);
    let send = SendError::Context(Error::Cancelled, 1);
    assert_eq!((send.to_string().as_str(), send.into_inner()), ("context canceled", 1));
    assert_eq!(format!("{:?}", SendError::Disconnected(1)), "Disconnected(..)");
    let (ctx, cancel) = with_cancel(&background());
    cancel.cancel_with(io::Error::other("the disk is full"));
    let cause = ctx.cause().expect("it has ended");
    assert_eq!((cause.to_string().as_str(), cause.err()), ("the disk is full", Error::Cancelled));
    assert!(format!("{ctx:?}").contains("Cancelled"));
}

/// No runtime, no goroutine: a plain thread uses contexts as well.
#[test]
fn plain_threads_need_no_runtime() {
    let (ctx, cancel) = with_timeout(&background(), HOUR);
    let theirs = ctx.clone();
    let waiting = std::thread::spawn(move || theirs.sleep(HOUR));
    std::thread::sleep(ms(2));
    cancel.cancel();
    assert_eq!(waiting.join().expect("no panic"), Err(Error::Cancelled));
    let (short, _cancel) = with_timeout(&ctx.without_cancel(), ms(1));
    assert!(short.done().recv().is_ok());
}
