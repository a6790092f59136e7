//! `rt0::sync::{Once, OnceLock, LazyLock}`: std's behaviour, from goroutines and threads.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

use rt0::sync::{LazyLock, Once, OnceLock};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn quiet_panic<T>() -> T {
    resume_unwind(Box::new("quiet"))
}

fn message(r: Result<(), Box<dyn std::any::Any + Send>>) -> String {
    let payload = r.expect_err("it panics");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).expect("a text")
}

#[test]
fn markers_are_stds() {
    fn both<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    both::<Once>();
    both::<OnceLock<u8>>();
    both::<LazyLock<u8>>();
    fn send<T: Send>() {}
    send::<OnceLock<Cell<u8>>>();
    trait Ambiguous<A> {
        fn it() {}
    }
    struct IfSync;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Sync> Ambiguous<IfSync> for T {}
    <OnceLock<Cell<u8>> as Ambiguous<_>>::it();
    <LazyLock<Cell<u8>> as Ambiguous<_>>::it();
    <OnceLock<std::sync::MutexGuard<'static, u8>> as Ambiguous<_>>::it();
}

#[test]
fn they_print_as_stds() {
    assert_eq!(format!("{:?}", Once::new()), format!("{:?}", std::sync::Once::new()));
    let (ours, stds) = (OnceLock::new(), std::sync::OnceLock::new());
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!((ours.set(3), stds.set(3)), (Ok(()), Ok(())));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    let (ours, stds) = (LazyLock::new(|| 3), std::sync::LazyLock::new(|| 3));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(*ours, *stds);
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    Once::new().call_once_force(|a| {
        std::sync::Once::new().call_once_force(|b| assert_eq!(format!("{a:?}"), format!("{b:?}")));
    });
}

#[rt0::test]
fn a_closure_runs_once_and_all_wait_for_it() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let once = Arc::new((Once::new(), AtomicUsize::new(0)));
        let body = || {
            let once = Arc::clone(&once);
            move || {
                once.0.call_once(|| {
                    rt0::time::sleep(5 * MS);
                    once.1.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(once.1.load(Ordering::Relaxed), 1);
            }
        };
        let waits = Arc::clone(&once);
        let waiter = rt0::go(move || waits.0.wait());
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(body())).collect();
        let gs: Vec<_> = (0..100).map(|_| rt0::go(body())).collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        rt0::blocking(|| threads.into_iter().for_each(|t| t.join().expect("no panic")));
        waiter.join().expect("no panic");
        assert!(once.0.is_completed());
    }
}

#[test]
fn a_panic_poisons_a_once() {
    let once = Once::new();
    let _ = catch_unwind(AssertUnwindSafe(|| once.call_once(quiet_panic)));
    assert!(!once.is_completed());
    let (hook, text) = (std::panic::take_hook(), "Once instance has previously been poisoned");
    std::panic::set_hook(Box::new(|_| {}));
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| once.call_once(|| ())))), text);
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| once.wait()))), text);
    let lazy: LazyLock<u8> = LazyLock::new(quiet_panic);
    let force = || drop(catch_unwind(AssertUnwindSafe(|| *lazy)));
    force();
    let text = "LazyLock instance has previously been poisoned";
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| assert_eq!(*lazy, 0)))), text);
    std::panic::set_hook(hook);
    once.call_once_force(|s| assert!(s.is_poisoned()));
    once.call_once_force(|_| panic!("it is complete"));
    once.call_once(|| panic!("it is complete"));
    once.wait();
    once.wait_force();
}

#[rt0::test]
fn a_waiter_by_force_waits_for_the_next_try() {
    let once = Arc::new(Once::new());
    let theirs = Arc::clone(&once);
    let waiter = rt0::go(move || theirs.wait_force());
    rt0::time::sleep(2 * MS);
    let _ = catch_unwind(AssertUnwindSafe(|| once.call_once(quiet_panic)));
    rt0::time::sleep(2 * MS);
    assert!(!waiter.is_finished());
    once.call_once_force(|s| assert!(s.is_poisoned()));
    waiter.join().expect("no panic");
}

#[rt0::test]
fn a_once_lock_is_written_once() {
    static L: OnceLock<String> = OnceLock::new();
    assert_eq!(L.get(), None);
    let waiter = rt0::go(|| L.wait().len());
    rt0::time::sleep(2 * MS);
    assert_eq!(L.get_or_init(|| "abc".to_string()), "abc");
    assert_eq!(L.set("d".to_string()), Err("d".to_string()));
    assert_eq!(waiter.join().expect("no panic"), 3);
    let mut l = OnceLock::from(5);
    *l.get_mut().expect("there") += 1;
    assert_eq!(l.clone(), OnceLock::from(6));
    assert_eq!((l.take(), l.take(), l.get()), (Some(6), None, None));
    assert_eq!(l.set(7), Ok(()));
    assert_eq!(l.into_inner(), Some(7));
    let l = OnceLock::<u8>::default();
    let _ = catch_unwind(AssertUnwindSafe(|| *l.get_or_init(quiet_panic)));
    assert_eq!(*l.get_or_init(|| 8), 8);
    let counted = Arc::new(());
    drop(OnceLock::from(Arc::clone(&counted)));
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[rt0::test]
fn a_lazy_lock_is_made_when_it_is_used() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static L: LazyLock<usize> = LazyLock::new(|| {
        rt0::time::sleep(2 * MS);
        MADE.fetch_add(1, Ordering::Relaxed) + 1
    });
    assert_eq!(LazyLock::get(&L), None);
    let gs: Vec<_> = (0..20).map(|_| rt0::go(|| *L)).collect();
    assert!(gs.into_iter().all(|g| g.join().expect("no panic") == 1));
    assert_eq!(LazyLock::get(&L), Some(&1));
    let mut l = LazyLock::new(|| 3);
    assert_eq!(LazyLock::get_mut(&mut l), None);
    *LazyLock::force_mut(&mut l) += 1;
    *l += 1;
    assert_eq!(*LazyLock::force(&l), 5);
    assert_eq!(*LazyLock::<u8>::default(), 0);
}
