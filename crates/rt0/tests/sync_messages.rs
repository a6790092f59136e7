//! `rt0::sync::{Notify, oneshot, broadcast, watch, mpsc}`.

#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

mod waiting;

use rt0::sync::{Notify, broadcast, mpsc, oneshot, watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

#[test]
fn markers_are_right() {
    fn both<T: Send + Sync>() {}
    both::<Notify>();
    both::<oneshot::Sender<u8>>();
    both::<broadcast::Receiver<u8>>();
    both::<watch::Sender<u8>>();
    both::<mpsc::Sender<u8>>();
    both::<mpsc::SyncSender<u8>>();
    fn send<T: Send>() {}
    send::<mpsc::Receiver<u8>>();
    trait Ambiguous<A> {
        fn it() {}
    }
    struct IfSync;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Sync> Ambiguous<IfSync> for T {}
    <mpsc::Receiver<u8> as Ambiguous<_>>::it();
}

#[rt0::test]
fn notify_stores_one_permit_and_wakes_in_turn() {
    let n = Arc::new(Notify::new());
    n.notify_one();
    n.notify_one();
    n.notified();
    let start = Instant::now();
    assert!(!n.notified_timeout(10 * MS) && start.elapsed() >= 10 * MS);
    n.notify_waiters();
    assert!(!n.notified_timeout(Duration::ZERO));
    let woken = Arc::new(AtomicUsize::new(0));
    let body = || {
        let (n, woken) = (Arc::clone(&n), Arc::clone(&woken));
        move || {
            n.notified();
            woken.fetch_add(1, Ordering::Relaxed);
        }
    };
    let t = thread::spawn(body());
    let gs: Vec<_> = (0..9).map(|_| rt0::go(body())).collect();
    waiting::until(&*n, 10);
    n.notify_one();
    while woken.load(Ordering::Relaxed) == 0 {
        rt0::time::sleep(MS);
    }
    assert_eq!((woken.load(Ordering::Relaxed), waiting::at(&*n)), (1, 9));
    n.notify_waiters();
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    rt0::blocking(|| t.join().expect("no panic"));
    assert!(!n.notified_timeout(Duration::ZERO));
}

/// A permit is never lost between one who stores it and those who give up.
#[rt0::test]
fn notify_loses_nothing() {
    for procs in [1, 2, 8] {
        rt0::set_gomaxprocs(procs);
        let n = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let theirs = Arc::clone(&n);
        let consumer = rt0::go(move || {
            for round in 0.. {
                if round % 3 == 0 {
                    theirs.0.notified_timeout(Duration::from_micros(20));
                } else {
                    theirs.0.notified();
                }
                if theirs.1.load(Ordering::Acquire) == 2000 {
                    break;
                }
            }
        });
        for _ in 0..2000 {
            n.1.fetch_add(1, Ordering::Release);
            n.0.notify_one();
            rt0::gosched();
        }
        consumer.join().expect("no panic");
    }
}

#[rt0::test]
fn oneshot_sends_one_value() {
    let (tx, mut rx) = oneshot::channel();
    assert_eq!(rx.try_recv(), Err(oneshot::TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(MS), Err(oneshot::RecvTimeoutError::Timeout));
    let g = rt0::go(move || rx.recv());
    rt0::time::sleep(2 * MS);
    assert!(!tx.is_closed());
    assert_eq!(tx.send(5), Ok(()));
    assert_eq!(g.join().expect("no panic"), Ok(5));

    let (tx, mut rx) = oneshot::channel::<u8>();
    let g = rt0::go(move || rx.recv());
    rt0::time::sleep(2 * MS);
    drop(tx);
    assert!(g.join().expect("no panic").is_err());

    let (tx, rx) = oneshot::channel();
    let g = rt0::go(move || {
        tx.closed();
        tx.send("late")
    });
    rt0::time::sleep(2 * MS);
    drop(rx);
    assert_eq!(g.join().expect("no panic"), Err("late"));

    let (tx, mut rx) = oneshot::channel();
    assert_eq!(tx.send(1), Ok(()));
    rx.close();
    assert_eq!((rx.try_recv(), rx.recv().is_err()), (Ok(1), true));
    assert_eq!(rx.recv_timeout(MS), Err(oneshot::RecvTimeoutError::Disconnected));
    let counted = Arc::new(());
    let (tx, rx) = oneshot::channel();
    assert!(tx.send(Arc::clone(&counted)).is_ok());
    drop(rx);
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[rt0::test]
fn broadcast_reaches_every_receiver() {
    let (tx, rx) = broadcast::channel(1000);
    let receivers: Vec<_> = (0..10).map(|_| tx.subscribe()).chain([rx]).collect();
    let gs: Vec<_> = receivers
        .into_iter()
        .map(|mut rx| {
            rt0::go(move || {
                let mut sum = 0_u64;
                while let Ok(n) = rx.recv() {
                    sum += n;
                }
                assert_eq!(rx.recv(), Err(broadcast::RecvError::Closed));
                sum
            })
        })
        .collect();
    let other = tx.clone();
    let t = thread::spawn(move || (1..=300).for_each(|n| assert_eq!(other.send(n), Ok(11))));
    (301..=500).for_each(|n| assert_eq!(tx.send(n), Ok(11)));
    rt0::blocking(|| t.join().expect("no panic"));
    drop(tx);
    assert!(gs.into_iter().all(|g| g.join().expect("no panic") == 125_250));
}

#[rt0::test]
fn broadcast_says_who_lagged() {
    use broadcast::{RecvError, TryRecvError};
    let (tx, mut rx) = broadcast::channel(4);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(MS), Err(TryRecvError::Empty));
    (0..10).for_each(|n| assert_eq!(tx.send(n), Ok(1)));
    assert_eq!(rx.len(), 10);
    assert_eq!(rx.recv(), Err(RecvError::Lagged(6)));
    assert_eq!((rx.recv(), rx.try_recv(), rx.recv_timeout(MS)), (Ok(6), Ok(7), Ok(8)));
    let mut late = rx.resubscribe();
    assert!(late.is_empty());
    assert_eq!(tx.send(10), Ok(2));
    assert_eq!((rx.recv(), rx.recv(), late.recv()), (Ok(9), Ok(10), Ok(10)));
    assert_eq!(tx.receiver_count(), 2);
    drop((rx, late));
    assert_eq!(tx.send(11), Err(broadcast::SendError(11)));
    let counted = Arc::new(());
    let (tx, rx) = broadcast::channel(4);
    let rx2 = tx.subscribe();
    assert!(tx.send(Arc::clone(&counted)).is_ok());
    drop(rx);
    assert_eq!(Arc::strong_count(&counted), 2);
    drop(rx2);
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[rt0::test]
fn watch_shows_the_last_value() {
    let (tx, mut rx) = watch::channel(0);
    assert!(!rx.has_changed().expect("a sender") && !rx.borrow().has_changed());
    let gs: Vec<_> = (0..5)
        .map(|_| {
            let mut rx = rx.clone();
            rt0::go(move || rx.wait_for(|n| *n >= 100).map(|n| *n))
        })
        .collect();
    (1..=100).for_each(|n| tx.send(n).expect("receivers"));
    assert!(gs.into_iter().all(|g| g.join().expect("no panic") == Ok(100)));
    assert_eq!(rx.changed(), Ok(()));
    assert_eq!(*rx.borrow_and_update(), 100);
    assert_eq!(rx.has_changed(), Ok(false));
    assert_eq!(rx.changed_timeout(2 * MS), Err(watch::RecvTimeoutError::Timeout));
    assert!(!tx.send_if_modified(|_| false));
    assert_eq!((rx.has_changed(), tx.send_replace(7), *tx.borrow()), (Ok(false), 100, 7));
    assert!(rx.borrow_and_update().has_changed());
    tx.send_modify(|n| *n += 1);
    assert_eq!(*tx.subscribe().borrow(), 8);
    let theirs = rx.clone();
    let g = rt0::go(move || {
        let mut rx = theirs;
        (rx.changed(), rx.changed())
    });
    rt0::time::sleep(2 * MS);
    let closer = tx.clone();
    drop(tx);
    drop(closer);
    assert_eq!(g.join().expect("no panic"), (Ok(()), Err(watch::RecvError)));
    let (tx, rx) = watch::channel(1);
    let g = rt0::go(move || {
        tx.closed();
        (tx.is_closed(), tx.send(2))
    });
    rt0::time::sleep(2 * MS);
    drop(rx);
    assert_eq!(g.join().expect("no panic"), (true, Err(watch::SendError(2))));
}

#[rt0::test]
fn mpsc_is_stds() {
    let (tx, rx) = mpsc::channel();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let tx = tx.clone();
            thread::spawn(move || (0..100_u64).for_each(|n| tx.send(n).expect("a receiver")))
        })
        .collect();
    let gs: Vec<_> = (0..8)
        .map(|_| {
            let tx = tx.clone();
            rt0::go(move || (0..100_u64).for_each(|n| tx.send(n).expect("a receiver")))
        })
        .collect();
    drop(tx);
    assert_eq!(rx.iter().sum::<u64>(), 49_500);
    assert_eq!(rx.recv(), Err(mpsc::RecvError));
    assert_eq!(rx.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(rx.recv_timeout(MS), Err(mpsc::RecvTimeoutError::Disconnected));
    gs.into_iter().for_each(|g| g.join().expect("no panic"));
    rt0::blocking(|| threads.into_iter().for_each(|t| t.join().expect("no panic")));

    let (tx, rx) = mpsc::sync_channel(1);
    assert_eq!(tx.try_send(1), Ok(()));
    assert_eq!(tx.try_send(2), Err(mpsc::TrySendError::Full(2)));
    let sender = tx.clone();
    let g = rt0::go(move || sender.send(3));
    rt0::time::sleep(2 * MS);
    assert_eq!(rx.try_iter().next(), Some(1));
    assert_eq!(g.join().expect("no panic"), Ok(()));
    assert_eq!((&rx).into_iter().next(), Some(3));
    assert_eq!(rx.recv_timeout(2 * MS), Err(mpsc::RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(mpsc::RecvTimeoutError::Timeout));
    let stds = std::sync::mpsc::sync_channel::<u8>(1);
    assert_eq!(format!("{:?}", (&tx, &rx)), format!("{:?}", (&stds.0, &stds.1)));
    drop(rx);
    assert_eq!(tx.send(4), Err(mpsc::SendError(4)));
    assert_eq!(tx.try_send(5), Err(mpsc::TrySendError::Disconnected(5)));

    let (tx, rx) = mpsc::sync_channel(0);
    let g = rt0::go(move || (0..3).for_each(|n| tx.send(n).expect("a receiver")));
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    g.join().expect("no panic");
}
