//! `try_scope`: the first error, what it ends, and that all have ended when it returns.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use rt0::chan::bounded;
use rt0::context::{Context, Error, background, with_cancel, with_deadline, with_timeout};
use rt0::time::{Duration, Instant, sleep};
use rt0::{TryScope, try_scope};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const HOUR: Duration = Duration::from_secs(3600);

/// Tests that resize take turns.
static RESIZE: Mutex<()> = Mutex::new(());

/// Runs `f` on one, two and eight Ps, and on a plain thread.
fn everywhere(f: impl Fn() + Sync) {
    let _turn = RESIZE.lock().unwrap_or_else(|e| e.into_inner());
    let before = rt0::gomaxprocs();
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        f();
    }
    thread::scope(|s| drop(s.spawn(&f).join()));
    rt0::set_gomaxprocs(before);
}

#[derive(Debug, PartialEq)]
enum Failed {
    Context(Error),
    Number(usize),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Failed {
        Failed::Context(e)
    }
}

#[rt0::test]
fn without_errors_it_is_a_scope() {
    everywhere(|| {
        let mut parts = [0; 10];
        let r = try_scope(&background(), |s| {
            for (i, part) in parts.iter_mut().enumerate() {
                s.go(move || {
                    *part = i;
                    Ok::<_, Failed>(())
                });
            }
            Ok("done")
        });
        assert_eq!((r, parts.iter().sum()), (Ok("done"), 45));
    });
}

#[rt0::test]
fn the_first_error_ends_the_others_and_is_returned() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let r = try_scope(&background(), |s| {
            for _ in 0..50 {
                let (ctx, ended) = (s.context(), &ended);
                s.go(move || {
                    let r = ctx.sleep(HOUR);
                    let cause = ctx.cause().expect("it has ended").to_string();
                    assert_eq!(cause, "another goroutine of the scope failed");
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok(r?)
                });
            }
            s.go(|| Err(Failed::Number(7)));
            Ok(s.context().sleep(HOUR)?)
        });
        assert_eq!(r, Err(Failed::Number(7)));
        assert_eq!(ended.load(Ordering::SeqCst), 50, "all have ended");
    });
}

#[rt0::test]
fn of_many_errors_one_is_returned() {
    everywhere(|| {
        let r = try_scope(&background(), |s| {
            for i in 0..20 {
                s.go(move || Err(Failed::Number(i)));
            }
            Ok(())
        });
        assert!(matches!(r, Err(Failed::Number(i)) if i < 20), "{r:?}");
    });
}

#[rt0::test]
fn the_closures_own_error_counts() {
    everywhere(|| {
        let r = try_scope(&background(), |s| {
            let ctx = s.context();
            s.go(move || Ok(ctx.sleep(HOUR)?));
            Err::<(), _>(Failed::Number(1))
        });
        assert_eq!(r, Err(Failed::Number(1)));
    });
}

#[rt0::test]
fn a_deadline_ends_the_scope() {
    everywhere(|| {
        let deadline = Instant::now() + Duration::from_millis(2);
        let (ctx, _cancel) = with_deadline(&background(), deadline);
        let (_tx, rx) = bounded::<()>(0);
        let r = try_scope(&ctx, |s| {
            for _ in 0..10 {
                let (ctx, rx) = (s.context(), rx.clone());
                s.go(move || match ctx.recv(&rx) {
                    Err(rt0::context::RecvError::Context(e)) => Err(Failed::Context(e)),
                    _ => Ok(()),
                });
            }
            Ok(())
        });
        assert_eq!(r, Err(Failed::Context(Error::DeadlineExceeded)));
        assert!(Instant::now() >= deadline);
        let (past, _cancel) = with_timeout(&background(), Duration::ZERO);
        let r = try_scope(&past, |s| Ok::<_, Failed>(s.context().check()?));
        assert_eq!(r, Err(Failed::Context(Error::DeadlineExceeded)));
        let (never, _cancel) = with_timeout(&background(), Duration::MAX);
        assert_eq!(try_scope(&never, |_| Ok::<_, Failed>(5)), Ok(5));
    });
}

#[rt0::test]
fn a_cancelled_parent_ends_the_scope() {
    let (ctx, cancel) = with_cancel(&background());
    let scope = rt0::go(move || {
        try_scope(&ctx, |s| {
            let ctx = s.context();
            s.go(move || Ok::<_, Failed>(ctx.sleep(HOUR)?));
            Ok(())
        })
    });
    sleep(Duration::from_millis(2));
    cancel.cancel();
    let r = scope.join().expect("no panic");
    assert_eq!(r, Err(Failed::Context(Error::Cancelled)));
}

/// The context does not outlive the scope, whatever came of it.
#[rt0::test]
fn the_context_ends_with_the_scope() {
    let kept = try_scope(&background(), |s| Ok::<Context, Failed>(s.context()));
    assert_eq!(kept.expect("no error").err(), Some(Error::Cancelled));
}

fn tree<'scope>(s: &TryScope<'scope, '_, Failed>, depth: usize, leaves: &'scope AtomicUsize) {
    if depth == 0 {
        leaves.fetch_add(1, Ordering::SeqCst);
        return;
    }
    for _ in 0..3 {
        let inside = s.clone();
        s.go(move || {
            tree(&inside, depth - 1, leaves);
            Ok(())
        });
    }
}

#[rt0::test]
fn goroutines_may_start_others() {
    everywhere(|| {
        let leaves = AtomicUsize::new(0);
        let r = try_scope(&background(), |s| {
            tree(s, 5, &leaves);
            Ok(())
        });
        assert_eq!((r, leaves.load(Ordering::SeqCst)), (Ok(()), 243));
    });
}

/// A panic ends the others, and comes out when all have ended; an error beside it does not hide it.
#[rt0::test]
fn panics_come_out_as_those_of_a_scope() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let run = |f: fn(&TryScope<'_, '_, Failed>)| {
            let r = catch_unwind(AssertUnwindSafe(|| {
                try_scope(&background(), |s| {
                    let (ctx, ended) = (s.context(), &ended);
                    s.go(move || {
                        let r = ctx.sleep(HOUR);
                        ended.fetch_add(1, Ordering::SeqCst);
                        Ok(r?)
                    });
                    f(s);
                    Ok(())
                })
            }));
            let payload = r.expect_err("it panics");
            payload.downcast_ref::<&str>().map(ToString::to_string)
        };
        let of_a_goroutine = run(|s| s.go(|| std::panic::resume_unwind(Box::new("one"))));
        assert_eq!(of_a_goroutine.as_deref(), Some("a scoped goroutine panicked"));
        let of_the_closure = run(|_| std::panic::resume_unwind(Box::new("two")));
        assert_eq!(of_the_closure.as_deref(), Some("two"));
        assert_eq!(ended.load(Ordering::SeqCst), 2);
    });
}

#[rt0::test]
fn goexit_is_no_error() {
    let r = try_scope(&background(), |s| {
        s.go(|| rt0::goexit());
        sleep(Duration::from_millis(1));
        Ok::<_, Failed>(s.context().check()?)
    });
    assert_eq!(r, Ok(()));
}
