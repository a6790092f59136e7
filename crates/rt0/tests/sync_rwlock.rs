//! `rt0::sync::RwLock`: std's behaviour, from goroutines and threads, mixed.

#![allow(clippy::disallowed_types, reason = "a test compares with std's locks")]

use rt0::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn panic_with<T>(guard: T) {
    let _ = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        resume_unwind(Box::new("poison"));
    }));
}

#[test]
fn markers_are_stds() {
    fn both<T: Send + Sync>() {}
    fn sync<T: Sync>() {}
    both::<RwLock<u8>>();
    sync::<rt0::sync::RwLockReadGuard<'static, u8>>();
    sync::<RwLockWriteGuard<'static, u8>>();
    trait Ambiguous<A> {
        fn it() {}
    }
    struct IfSend;
    struct IfSync;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Send> Ambiguous<IfSend> for T {}
    <rt0::sync::RwLockReadGuard<'static, u8> as Ambiguous<_>>::it();
    <RwLockWriteGuard<'static, u8> as Ambiguous<_>>::it();
    trait NotSync<A> {
        fn it() {}
    }
    impl<T: ?Sized> NotSync<()> for T {}
    impl<T: ?Sized + Sync> NotSync<IfSync> for T {}
    <RwLock<std::cell::Cell<u8>> as NotSync<_>>::it();
}

#[test]
fn it_prints_as_stds() {
    let (ours, stds) = (RwLock::new("x"), std::sync::RwLock::new("x"));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(format!("{:?}", ours.read()), format!("{:?}", stds.read()));
    let (a, b) = (ours.write(), stds.write());
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    panic_with((a, b));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
}

#[test]
fn the_data_comes_out() {
    static L: RwLock<u32> = RwLock::new(1);
    *L.write().expect("not poisoned") += 1;
    assert_eq!(*L.read().expect("not poisoned"), 2);
    let mut l = RwLock::from(vec![1]);
    l.get_mut().expect("not poisoned").push(2);
    assert_eq!(l.into_inner().expect("not poisoned"), [1, 2]);
    assert_eq!(*RwLock::<u8>::default().read().expect("not poisoned"), 0);
    let unsized_one: &RwLock<[i32]> = &RwLock::new([1, 2]);
    unsized_one.write().expect("not poisoned")[0] = 4;
    assert_eq!(&*unsized_one.read().expect("not poisoned"), &[4, 2]);
}

#[test]
fn a_writer_that_panics_poisons_it_and_a_reader_does_not() {
    let mut l = RwLock::new(5);
    panic_with(l.read());
    assert!(!l.is_poisoned() && l.read().is_ok());
    panic_with(l.write());
    assert!(l.is_poisoned());
    assert!(l.read().is_err() && l.write().is_err());
    assert!(matches!(l.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(l.try_write(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(l.try_read_for(MS), Err(TryLockError::Poisoned(_))));
    assert!(matches!(l.try_write_for(MS), Err(TryLockError::Poisoned(_))));
    assert!(l.get_mut().is_err());
    l.clear_poison();
    assert!(l.write().is_ok());
    panic_with(l.write());
    assert_eq!(l.into_inner().expect_err("poisoned").into_inner(), 5);
}

#[test]
fn tries_do_what_the_lock_allows() {
    let l = RwLock::new(1);
    let r1 = l.try_read().expect("free");
    let r2 = l.try_read().expect("shared");
    assert!(matches!(l.try_write(), Err(TryLockError::WouldBlock)));
    assert!(matches!(l.try_write_for(MS), Err(TryLockError::WouldBlock)));
    drop((r1, r2));
    let w = l.try_write().expect("free");
    assert!(matches!(l.try_read(), Err(TryLockError::WouldBlock)));
    assert!(matches!(l.try_read_for(MS), Err(TryLockError::WouldBlock)));
    assert!(matches!(l.try_read_for(Duration::ZERO), Err(TryLockError::WouldBlock)));
    let r = RwLockWriteGuard::downgrade(w);
    assert_eq!(*l.try_read().expect("shared"), *r);
    assert!(matches!(l.try_write_for(Duration::ZERO), Err(TryLockError::WouldBlock)));
    drop(r);
    assert!(l.try_write_for(Duration::MAX).is_ok() && l.try_read_for(Duration::MAX).is_ok());
}

/// Readers and writers of both kinds; writers alone, readers never see half a change.
#[rt0::test]
fn it_excludes_goroutines_and_threads() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let l = Arc::new(RwLock::new((0_u64, 0_u64)));
        let body = |me: u64, n: u64| {
            let l = Arc::clone(&l);
            move || {
                for i in 0..n {
                    if (i + me).is_multiple_of(4) {
                        let mut w = l.write().expect("not poisoned");
                        w.0 += 1;
                        if i % 64 == 0 {
                            rt0::gosched();
                        }
                        w.1 += 1;
                        if i % 3 == 0 {
                            let r = RwLockWriteGuard::downgrade(w);
                            assert_eq!(r.0, r.1);
                        }
                    } else {
                        let r = l.read().expect("not poisoned");
                        if i % 32 == 0 {
                            rt0::gosched();
                        }
                        assert_eq!(r.0, r.1);
                    }
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|me| thread::spawn(body(me, 1000))).collect();
        let gs: Vec<_> = (0..20).map(|me| rt0::go(body(me, 1000))).collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        rt0::blocking(|| threads.into_iter().for_each(|t| t.join().expect("no panic")));
        assert_eq!(*l.read().expect("not poisoned"), (5500, 5500));
    }
}

/// A stream of readers that never leaves the lock alone does not keep a writer out, nor a stream of
/// writers a reader.
#[rt0::test]
fn neither_side_starves() {
    rt0::set_gomaxprocs(2);
    // As many as there would be in two seconds, one after the other.
    const MOST: usize = 10_000;
    for readers_hog in [true, false] {
        let l = Arc::new(RwLock::new(0));
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let hogs: Vec<_> = (0..4)
            .map(|_| {
                let (l, stop, turns) = (Arc::clone(&l), Arc::clone(&stop), Arc::clone(&turns));
                rt0::go(move || {
                    let goes_on = || !stop.load(Ordering::Relaxed);
                    while goes_on() && turns.fetch_add(1, Ordering::Relaxed) < MOST {
                        if readers_hog {
                            let _guard = l.read();
                            rt0::time::sleep(Duration::from_micros(200));
                        } else {
                            let _guard = l.write();
                            rt0::time::sleep(Duration::from_micros(200));
                        }
                    }
                })
            })
            .collect();
        while turns.load(Ordering::Relaxed) < 4 {
            rt0::time::sleep(2 * MS);
        }
        for _ in 0..10 {
            if readers_hog {
                *l.write().expect("not poisoned") += 1;
            } else {
                drop(l.read());
            }
        }
        let turns = turns.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|g| g.join().expect("no panic"));
        assert!(turns < MOST, "readers hog: {readers_hog}; {turns} turns of theirs");
    }
}

/// Readers let in by a writer that gives up, and writers by readers that do.
#[rt0::test]
fn timeouts_race_with_unlocks() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let l = Arc::new(RwLock::new(0_usize));
        let wrote = Arc::new(AtomicUsize::new(0));
        let gs: Vec<_> = (0..16)
            .map(|me| {
                let (l, wrote) = (Arc::clone(&l), Arc::clone(&wrote));
                rt0::go(move || {
                    for n in 0..200_u64 {
                        let d = Duration::from_micros((n * 7 + me) % 50);
                        match me % 4 {
                            0 => drop(l.read().expect("not poisoned")),
                            1 => drop(l.try_read_for(d)),
                            2 => {
                                *l.write().expect("not poisoned") += 1;
                                wrote.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => {
                                if let Ok(mut w) = l.try_write_for(d) {
                                    *w += 1;
                                    wrote.fetch_add(1, Ordering::Relaxed);
                                    if n % 8 == 0 {
                                        rt0::time::sleep(Duration::from_micros(30));
                                    }
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        gs.into_iter().for_each(|g| g.join().expect("no panic"));
        assert_eq!(*l.read().expect("not poisoned"), wrote.load(Ordering::Relaxed));
    }
}

/// As std's: a reader of something longer-lived is a reader of something shorter-lived.
#[rt0::test]
fn read_guards_are_covariant() {
    fn first<'a>(guard: &RwLockReadGuard<'_, &'a u32>, other: &'a u32) -> u32 {
        **guard + other
    }
    let lock: RwLock<&'static u32> = RwLock::new(&1);
    let here = 2;
    assert_eq!(first(&lock.read().unwrap(), &here), 3);
}
