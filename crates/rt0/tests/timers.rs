//! Timers, tickers, and the channels of the clock: Go's tests of package time in spirit.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod again;
#[path = "chan/support.rs"]
mod support;

use rt0::chan::{RecvTimeoutError, Select, after, at, bounded, never, tick};
use rt0::select;
use rt0::time::{Duration, Elapsed, Instant, Ticker, Timer, sleep, sleep_until, timeout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Counted, HOUR, KINDS, LONG, Task, ms, on_all_ps, turn_to_resize};

/// Calls `f` on a goroutine and on a plain thread.
fn everywhere(f: impl Fn() + Send + Sync + 'static) {
    let f = Arc::new(f);
    for kind in KINDS {
        let f = Arc::clone(&f);
        Task::start(kind, move || f()).join();
    }
}

#[rt0::test]
fn a_timer_gives_the_moment_it_was_due_and_is_never_early() {
    everywhere(|| {
        for us in [0, 1, 100, 2000, 10_000] {
            let start = Instant::now();
            let timer = Timer::new(Duration::from_micros(us));
            let due = timer.receiver().recv().expect("it is never closed");
            let now = Instant::now();
            assert!(due >= start + Duration::from_micros(us) && due <= now);
            assert!(timer.receiver().is_empty() && !timer.stop(), "one message");
        }
    });
}

#[rt0::test]
fn a_moment_that_has_passed_is_now() {
    everywhere(|| {
        let past = Instant::now().checked_sub(HOUR).unwrap_or_else(Instant::now);
        let timer = Timer::at(past);
        assert_eq!(timer.receiver().try_recv(), Ok(past));
        assert!(!timer.reset_at(past));
        assert_eq!(timer.receiver().recv(), Ok(past));
        assert!(!timer.reset_at(Instant::now() + ms(1)));
        assert!(timer.receiver().recv().is_ok());
        assert!(at(past).recv() == Ok(past));
        sleep_until(past);
    });
}

#[rt0::test]
fn the_longest_times_do_not_come() {
    everywhere(|| {
        for d in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 34)] {
            let timer = Timer::new(d);
            let wait = timer.receiver().recv_timeout(ms(2));
            assert_eq!(wait, Err(RecvTimeoutError::Timeout));
            assert!(timer.reset(d), "it was to come");
            assert!(timer.stop() && !timer.stop());
            assert!(after(d).recv_timeout(ms(1)).is_err());
            assert!(tick(d).recv_timeout(ms(1)).is_err());
            let ticker = Ticker::new(d);
            ticker.reset(d);
            assert!(ticker.receiver().recv_timeout(ms(1)).is_err());
            let func = Timer::after_func(d, || panic!("the end of time"));
            assert!(func.reset(d) && func.stop() && !func.stop());
        }
        assert!(never::<()>().recv_timeout(ms(1)).is_err());
    });
}

/// Nothing else is to come and no P runs, so it is looked whether that one is late.
#[rt0::test]
fn the_longest_time_is_not_overdue() {
    let func = Timer::after_func(Duration::MAX, || panic!("the end of time"));
    let (tx, rx) = bounded(0);
    let waker = std::thread::spawn(move || {
        std::thread::sleep(ms(50));
        tx.send(())
    });
    assert_eq!((rx.recv(), waker.join().expect("no panic")), (Ok(()), Ok(())));
    assert!(func.stop());
}

/// Go 1.23: also a message that is due but not received is taken back.
#[rt0::test]
fn stop_and_reset_in_every_order() {
    everywhere(|| {
        let timer = Timer::new(HOUR);
        assert!(timer.stop() && !timer.stop());
        assert!(!timer.reset(HOUR) && timer.reset(Duration::ZERO));
        assert_eq!(timer.receiver().len(), 1);
        assert!(timer.stop(), "due, not received");
        assert!(timer.receiver().is_empty());
        assert!(timer.receiver().try_recv().is_err(), "nothing stale");

        assert!(!timer.reset(Duration::ZERO));
        assert!(timer.reset(HOUR), "due, not received");
        assert!(timer.receiver().recv_timeout(ms(1)).is_err(), "nothing stale");
        assert!(timer.reset(ms(1)) && timer.receiver().recv().is_ok());
        assert!(!timer.reset(ms(1)), "it was received");
        assert!(timer.receiver().recv().is_ok());
        assert!(!timer.stop());
    });
}

/// Whoever waits follows the timer: to an earlier time, to a later one, to none, and back.
#[rt0::test]
fn a_receiver_that_waits_sees_the_change() {
    for kind in KINDS {
        let timer = Arc::new(Timer::new(HOUR));
        let rx = timer.receiver().clone();
        let receiver = Task::start(kind, move || rx.recv_timeout(LONG));
        sleep(ms(5));
        assert!(timer.reset(LONG * 2) && timer.stop());
        sleep(ms(5));
        let soon = Instant::now() + ms(5);
        assert!(!timer.reset_at(soon));
        assert_eq!(receiver.join(), Ok(soon));
        assert!(Instant::now() >= soon);
    }
}

#[rt0::test]
fn a_select_that_waits_sees_the_change() {
    for kind in KINDS {
        let timer = Arc::new(Timer::new(HOUR));
        let theirs = Arc::clone(&timer);
        let (_tx, silent) = bounded::<()>(0);
        let selecting = Task::start(kind, move || {
            let got = select! {
                recv(theirs.receiver()) -> due => due.is_ok(),
                recv(silent) -> _ => false,
                default(LONG) => false,
            };
            let mut ready = Select::new();
            ready.recv(&silent);
            let second = ready.recv(theirs.receiver());
            (got, ready.ready_timeout(LONG) == Ok(second))
        });
        sleep(ms(5));
        assert!(timer.stop());
        sleep(ms(5));
        assert!(!timer.reset(ms(1)));
        while !timer.receiver().is_empty() || timer.stop() {
            timer.reset(ms(1)); // perhaps before it was received
            sleep(ms(5));
        }
        timer.reset(ms(1));
        assert_eq!(selecting.join(), (true, true));
    }
}

/// Of a message and a stop exactly one happens; who stopped it finds the channel empty for ever.
#[rt0::test]
fn stopping_races_with_receiving() {
    on_all_ps(|| {
        for round in 0..200_u64 {
            let timer = Arc::new(Timer::new(Duration::from_micros(round % 100)));
            let rx = timer.receiver().clone();
            let kind = KINDS[usize::from(round % 16 == 0)];
            let receiver = Task::start(kind, move || rx.recv_timeout(ms(2)).is_ok());
            sleep(Duration::from_micros(round % 90));
            let stopped = timer.stop();
            assert!(timer.receiver().is_empty() && timer.receiver().try_recv().is_err());
            assert_eq!(receiver.join(), !stopped);
        }
    });
}

#[rt0::test]
fn resetting_races_with_receiving() {
    on_all_ps(|| {
        let timer = Arc::new(Timer::new(HOUR));
        let rx = timer.receiver().clone();
        let (tx, got) = bounded(0);
        let receiver = rt0::go(move || {
            while let Ok(due) = rx.recv() {
                if tx.send(due).is_err() {
                    return;
                }
            }
        });
        for round in 0..300_u64 {
            let when = Instant::now() + Duration::from_micros(round % 50);
            timer.reset_at(when);
            // Each message is of a reset, and of none that a later one has replaced.
            assert_eq!(got.recv(), Ok(when));
        }
        drop(got);
        timer.reset(Duration::ZERO);
        receiver.join().expect("no panic");
    });
}

#[rt0::test]
fn many_receivers_share_one_message() {
    on_all_ps(|| {
        let timer = Timer::new(ms(5));
        let got = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let (rx, got) = (timer.receiver().clone(), Arc::clone(&got));
                Task::start(KINDS[i % 2], move || {
                    got.fetch_add(usize::from(rx.recv_timeout(ms(30)).is_ok()), Ordering::SeqCst)
                })
            })
            .collect();
        for task in tasks {
            task.join();
        }
        assert_eq!(got.load(Ordering::SeqCst), 1);
    });
}

#[rt0::test]
fn a_function_runs_in_its_goroutine_and_again_after_a_reset() {
    everywhere(|| {
        let (tx, ran) = bounded(16);
        let start = Instant::now();
        let timer = Timer::after_func(ms(2), move || {
            let me = rt0::current().expect("a goroutine").id();
            tx.send((me, Instant::now())).expect("the test listens");
        });
        let (first, when) = ran.recv().expect("it runs");
        assert!(when >= start + ms(2));
        assert!(!timer.stop(), "it was started");
        assert!(!timer.reset(Duration::ZERO));
        let (second, _) = ran.recv().expect("it runs again");
        assert_ne!(first, second);
        assert!(!timer.reset(HOUR) && timer.reset(ms(1)));
        ran.recv().expect("at the earlier time");
        assert!(!timer.reset(HOUR) && timer.stop());
        assert!(timer.receiver().recv_timeout(ms(1)).is_err(), "no message");
        assert!(ran.try_recv().is_err());
    });
}

/// A function that was stopped does not run, one that was not runs once.
#[rt0::test]
fn stopping_races_with_the_function() {
    on_all_ps(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let mut stopped = 0;
        for round in 0..300_u64 {
            let theirs = Arc::clone(&ran);
            let timer = Timer::after_func(Duration::from_micros(round % 60), move || {
                theirs.fetch_add(1, Ordering::SeqCst);
            });
            sleep(Duration::from_micros(round % 50));
            stopped += usize::from(timer.stop());
        }
        let start = Instant::now();
        while ran.load(Ordering::SeqCst) + stopped < 300 && start.elapsed() < LONG {
            sleep(ms(1));
        }
        sleep(ms(5));
        assert_eq!(ran.load(Ordering::SeqCst) + stopped, 300);
    });
}

#[rt0::test]
fn a_dropped_timer_still_runs_its_function_and_a_stopped_one_frees_it() {
    let live = Arc::new(AtomicUsize::new(0));
    let (tx, ran) = bounded(1);
    let counted = Counted::new(&live);
    drop(Timer::after_func(ms(1), move || {
        let _kept = &counted;
        tx.send(()).expect("the test listens");
    }));
    ran.recv().expect("it runs");
    let timers: Vec<_> = (0..1000)
        .map(|_| {
            let counted = Counted::new(&live);
            Timer::after_func(HOUR, move || drop(Counted::new(&counted_live(&counted))))
        })
        .collect();
    assert!(timers.iter().all(Timer::stop));
    drop(timers);
    let start = Instant::now();
    while live.load(Ordering::SeqCst) != 0 {
        assert!(start.elapsed() < LONG, "{} closures live", live.load(Ordering::SeqCst));
        sleep(ms(1));
    }
}

fn counted_live(_: &Counted) -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

/// A timer that is earlier than all that is waited for wakes whoever waits.
#[rt0::test]
fn an_earlier_timer_is_not_held_up_by_a_later_one() {
    on_all_ps(|| {
        let long = rt0::go(|| after(HOUR).recv_timeout(ms(200)).is_err());
        sleep(ms(2));
        let start = Instant::now();
        let (tx, rx) = bounded(1);
        let timer = Timer::after_func(ms(1), move || tx.send(()).expect("the test listens"));
        rx.recv().expect("it runs");
        assert!(start.elapsed() < LONG);
        drop(timer);
        assert!(long.join().expect("no panic"));
    });
}

#[rt0::test]
fn a_ticker_keeps_its_rhythm_and_drops_what_is_not_taken() {
    everywhere(|| {
        let start = Instant::now();
        let period = ms(2);
        let ticker = Ticker::new(period);
        let first = ticker.receiver().recv().expect("never closed");
        assert!(first >= start + period);
        let taken = Instant::now();
        sleep(period * 10);
        let late = ticker.receiver().recv().expect("never closed");
        assert!(late >= first + period && late <= taken + period, "the tick that was due");
        assert!(ticker.receiver().len() <= 1);
        let next = ticker.receiver().recv().expect("never closed");
        assert!(next >= taken + period * 11, "those in between are dropped");
    });
}

#[rt0::test]
fn a_stopped_ticker_is_silent_until_it_is_reset() {
    everywhere(|| {
        let ticker = Ticker::new(ms(1));
        ticker.receiver().recv().expect("never closed");
        sleep(ms(3));
        ticker.stop();
        assert!(ticker.receiver().is_empty(), "nothing stale");
        assert!(ticker.receiver().recv_timeout(ms(5)).is_err());
        ticker.stop();
        let start = Instant::now();
        ticker.reset(ms(2));
        for _ in 0..3 {
            ticker.receiver().recv().expect("never closed");
        }
        assert!(start.elapsed() >= ms(6));
        ticker.reset(HOUR);
        assert!(ticker.receiver().try_recv().is_err());
    });
}

#[rt0::test]
fn a_ticker_of_no_time_is_refused() {
    for f in [|| drop(Ticker::new(Duration::ZERO)), || Ticker::new(HOUR).reset(Duration::ZERO)] {
        let payload = std::panic::catch_unwind(f).expect_err("it panics");
        let text = payload.downcast_ref::<&str>().expect("a text");
        assert!(text.starts_with("non-positive interval"), "{text}");
    }
    let spinning = tick(Duration::ZERO);
    assert!(spinning.recv().is_ok() && spinning.recv().is_ok());
}

/// Timers of a P that goes away move, those of every kind.
#[rt0::test]
fn timers_survive_resizing() {
    let _turn = turn_to_resize();
    let before = rt0::gomaxprocs();
    let done = Arc::new(AtomicUsize::new(0));
    let mut stopped = Vec::new();
    for i in 0..400_u64 {
        rt0::set_gomaxprocs([1, 8, 3, 2][i as usize % 4]);
        let (theirs, d) = (Arc::clone(&done), Duration::from_micros(500 * (i % 40)));
        drop(rt0::go(move || {
            after(d).recv().expect("never closed");
            theirs.fetch_add(1, Ordering::SeqCst);
        }));
        let theirs = Arc::clone(&done);
        drop(Timer::after_func(d, move || {
            theirs.fetch_add(1, Ordering::SeqCst);
        }));
        stopped.push(Timer::after_func(HOUR, || panic!("it was stopped")));
    }
    let start = Instant::now();
    while done.load(Ordering::SeqCst) < 800 {
        assert!(start.elapsed() < LONG, "{} of 800", done.load(Ordering::SeqCst));
        sleep(ms(1));
    }
    assert!(stopped.iter().all(Timer::stop));
    rt0::set_gomaxprocs(before);
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// A hundred thousand pending timers with functions, again and again: what they took is used again.
#[rt0::test]
fn memory_of_stopped_timers_is_used_again() {
    let round = || {
        let timers: Vec<_> = (0..100_000_u64)
            .map(|i| Timer::after_func(HOUR + Duration::from_nanos(i * 7919 % 1000), || ()))
            .collect();
        assert!(timers.iter().all(Timer::stop));
    };
    round();
    let after_one = resident_kib();
    for _ in 0..10 {
        round();
    }
    let after_more = resident_kib();
    // Ten times more would be some 200 MiB; the rest is other tests and malloc.
    assert!(after_more < after_one + (60 << 10), "{after_one} KiB, then {after_more}");
}

#[rt0::test]
fn timeouts_return_in_time_or_go_on_without_the_call() {
    everywhere(|| {
        assert_eq!(timeout(LONG, || 7), Ok(7));
        let ((tx, rx), (go_on, may_go_on)) = (bounded(1), bounded::<()>(0));
        let late = timeout(ms(1), move || {
            may_go_on.recv().expect("the test says so, when the time is over");
            tx.send("later").expect("the test listens");
        });
        let e: Elapsed = late.expect_err("it waits");
        go_on.send(()).expect("the call goes on");
        assert_eq!(e.to_string(), "deadline has elapsed");
        assert_eq!(std::io::Error::from(e).kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(rx.recv(), Ok("later"), "the call goes on");
    });
}

#[rt0::test]
fn timeouts_pass_panics_on() {
    let of = |f: fn()| std::panic::catch_unwind(move || timeout(LONG, f)).expect_err("it panics");
    assert_eq!(of(|| std::panic::resume_unwind(Box::new(5))).downcast_ref(), Some(&5));
    assert!(of(|| rt0::goexit()).is::<rt0::Goexit>());
}

/// In a process of its own: other tests here have goroutines.
#[test]
fn the_goroutine_that_starts_functions_is_not_counted() {
    again::alone("the_goroutine_that_starts_functions_is_not_counted", || {
        let counts = rt0::run(|| {
            let timer = Timer::after_func(HOUR, || ());
            let before = rt0::num_goroutine();
            let (tx, rx) = bounded(1);
            let soon = Timer::after_func(ms(1), move || {
                tx.send(rt0::num_goroutine()).expect("the test listens");
            });
            let inside = rx.recv();
            let _kept = (timer, soon);
            (before, inside)
        });
        assert_eq!(counts, (1, Ok(2)));
    });
}
