//! `rt0::chan`: sending, receiving, waiting and closing, from goroutines and plain threads.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

#[path = "chan/support.rs"]
mod support;

use rt0::chan::{
    self, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, bounded, unbounded,
};
use rt0::time::{Duration, Instant};
use std::collections::HashSet;
use std::error::Error;
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Counted, KINDS, Task, ms, pause};

type Make = fn() -> (Sender<u64>, Receiver<u64>);

fn capacities() -> [Make; 5] {
    [|| bounded(0), || bounded(1), || bounded(3), || bounded(128), unbounded]
}

#[test]
fn handles_are_what_crossbeams_are() {
    fn is<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    is::<Sender<u8>>();
    is::<Receiver<u8>>();
    is::<Sender<Box<dyn FnMut() + Send>>>();
    let (tx, rx) = bounded::<u8>(1);
    assert_eq!(format!("{tx:?} {rx:?}"), "Sender { .. } Receiver { .. }");
    let iters = (rx.iter(), rx.try_iter());
    assert_eq!(format!("{iters:?}"), "(Iter { .. }, TryIter { .. })");
    assert_eq!(format!("{:?}", rx.into_iter()), "IntoIter { .. }");
}

#[test]
fn errors_say_what_crossbeams_say() {
    fn text(e: &(impl Error + 'static)) -> String {
        format!("{e:?}: {e}")
    }
    let gone = "sending on a disconnected channel";
    let empty = "receiving on an empty and disconnected channel";
    assert_eq!(text(&SendError(1)), format!("SendError(..): {gone}"));
    assert_eq!(text(&TrySendError::Full(1)), "Full(..): sending on a full channel");
    assert_eq!(text(&TrySendError::Disconnected(1)), format!("Disconnected(..): {gone}"));
    let late = SendTimeoutError::Timeout(1);
    assert_eq!(text(&late), "SendTimeoutError(..): timed out waiting on send operation");
    let e = SendTimeoutError::Disconnected(1);
    assert_eq!(text(&e), format!("SendTimeoutError(..): {gone}"));
    assert_eq!(text(&RecvError), format!("RecvError: {empty}"));
    assert_eq!(text(&TryRecvError::Empty), "Empty: receiving on an empty channel");
    assert_eq!(text(&TryRecvError::Disconnected), format!("Disconnected: {empty}"));
    let e = RecvTimeoutError::Timeout;
    assert_eq!(text(&e), "Timeout: timed out waiting on receive operation");
    let e = RecvTimeoutError::Disconnected;
    assert_eq!(text(&e), "Disconnected: channel is empty and disconnected");

    assert_eq!(TrySendError::from(SendError(7)), TrySendError::Disconnected(7));
    assert_eq!(SendTimeoutError::from(SendError(7)), SendTimeoutError::Disconnected(7));
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);
    assert_eq!((SendError(7).into_inner(), TrySendError::Full(8).into_inner()), (7, 8));
    assert!(late.is_timeout() && !late.is_disconnected() && late.into_inner() == 1);
    assert!(TrySendError::Full(1).is_full() && TrySendError::Disconnected(1).is_disconnected());
    assert!(TryRecvError::Empty.is_empty() && TryRecvError::Disconnected.is_disconnected());
    assert!(RecvTimeoutError::Timeout.is_timeout());
    assert!(RecvTimeoutError::Disconnected.is_disconnected());
}

#[rt0::test]
fn lengths_and_capacities() {
    let (tx, rx) = bounded(2);
    assert_eq!((tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()), (0, Some(2), true, false));
    tx.send(1).unwrap();
    assert_eq!((rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()), (1, Some(2), false, false));
    tx.send(2).unwrap();
    assert_eq!((tx.len(), tx.is_full(), rx.is_full()), (2, true, true));
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!((rx.recv(), tx.len(), tx.is_full()), (Ok(1), 1, false));

    let (tx, rx) = bounded::<u8>(0);
    assert_eq!((tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()), (0, Some(0), true, true));
    assert_eq!((rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()), (0, Some(0), true, true));
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));

    let (tx, rx) = unbounded();
    (0..1000).for_each(|n| tx.send(n).unwrap());
    assert_eq!((tx.len(), tx.capacity(), rx.is_empty(), rx.is_full()), (1000, None, false, false));

    assert_eq!((tx.sender_count(), tx.receiver_count()), (1, 1));
    let (tx2, rx2) = (tx.clone(), rx.clone());
    assert_eq!((rx.sender_count(), rx.receiver_count()), (2, 2));
    assert!(tx.same_channel(&tx2) && rx.same_channel(&rx2));
    assert!(!tx.same_channel(&unbounded().0) && !rx.same_channel(&chan::never()));
    drop((tx2, rx2));
    assert_eq!((rx.sender_count(), tx.receiver_count()), (1, 1));
}

#[rt0::test]
fn messages_of_one_sender_come_in_order() {
    for make in capacities() {
        for (a, b) in KINDS.iter().flat_map(|a| KINDS.map(|b| (*a, b))) {
            let (tx, rx) = make();
            let sender = Task::start(a, move || (0..500).for_each(|n| tx.send(n).unwrap()));
            let receiver = Task::start(b, move || {
                (0..500).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
                assert_eq!(rx.recv(), Err(RecvError));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
            });
            sender.join();
            receiver.join();
        }
    }
}

#[rt0::test]
fn many_to_many_lose_and_double_nothing() {
    const EACH: u64 = 500;
    for make in capacities() {
        let (tx, rx) = make();
        let senders: Vec<_> = (0..6)
            .map(|i| {
                let tx = tx.clone();
                let body = move || (0..EACH).for_each(|n| tx.send(i * EACH + n).unwrap());
                Task::start(KINDS[i as usize % 2], body)
            })
            .collect();
        drop(tx);
        let receivers: Vec<_> = (0..6)
            .map(|i| {
                let rx = rx.clone();
                Task::start(KINDS[i / 3], move || rx.iter().collect::<Vec<_>>())
            })
            .collect();
        senders.into_iter().for_each(|t| t.join());
        let mut all: Vec<_> = receivers.into_iter().flat_map(Task::join).collect();
        all.sort_unstable();
        assert_eq!(all, (0..6 * EACH).collect::<Vec<_>>());
    }
}

#[rt0::test]
fn a_rendezvous_waits_for_its_partner() {
    for kind in KINDS {
        let (tx, rx) = bounded(0);
        let start = Instant::now();
        let receiver = Task::start(kind, move || {
            pause(ms(50));
            rx.recv()
        });
        tx.send(7).unwrap();
        assert!(start.elapsed() >= ms(50), "sent before anybody received");
        assert_eq!(receiver.join(), Ok(7));
    }
}

#[rt0::test]
fn try_meets_who_waits() {
    for kind in KINDS {
        let (tx, rx) = bounded(0);
        let receiver = Task::start(kind, {
            let rx = rx.clone();
            move || rx.recv()
        });
        while tx.try_send(5).is_err() {
            rt0::gosched();
        }
        assert_eq!(receiver.join(), Ok(5));
        let sender = Task::start(kind, move || tx.send(6));
        let got = loop {
            match rx.try_recv() {
                Err(TryRecvError::Empty) => rt0::gosched(),
                got => break got,
            }
        };
        assert_eq!((got, sender.join()), (Ok(6), Ok(())));
    }
}

#[rt0::test]
fn waiting_ends_on_time_and_gives_the_message_back() {
    for kind in KINDS {
        Task::start(kind, || {
            for cap in [0, 1] {
                let (tx, rx) = bounded(cap);
                let start = Instant::now();
                assert_eq!(rx.recv_timeout(ms(20)), Err(RecvTimeoutError::Timeout));
                assert_eq!(rx.recv_deadline(start), Err(RecvTimeoutError::Timeout));
                assert!(start.elapsed() >= ms(20));
                (0..cap as u64).for_each(|n| tx.send(n).unwrap());
                let start = Instant::now();
                assert_eq!(tx.send_timeout(9, ms(20)), Err(SendTimeoutError::Timeout(9)));
                assert_eq!(tx.send_deadline(9, start), Err(SendTimeoutError::Timeout(9)));
                assert!(start.elapsed() >= ms(20));
                assert_eq!(rx.try_iter().count(), cap, "nothing of what was given back");
                assert_eq!(tx.len(), 0);
            }
        })
        .join();
    }
}

#[rt0::test]
fn what_comes_in_time_is_taken_whatever_the_deadline() {
    for kind in KINDS {
        for timeout in [ms(5000), Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
            let (tx, rx) = bounded(0);
            let other = Task::start(kind, move || {
                pause(ms(5));
                tx.send_timeout(3, timeout)
            });
            assert_eq!(rx.recv_timeout(timeout), Ok(3));
            assert_eq!(other.join(), Ok(()));
            assert_eq!(rx.recv_timeout(timeout), Err(RecvTimeoutError::Disconnected));
        }
    }
}

#[rt0::test]
fn deadlines_race_with_partners() {
    // Sent equals received: a message is given back, or taken, never both, never neither.
    let (tx, rx) = bounded(0);
    let rounds: u32 = 400;
    let sender = Task::start(KINDS[1], move || {
        (0..rounds).filter(|n| tx.send_timeout(*n, Duration::from_micros(60)).is_ok()).count()
    });
    let mut received = 0;
    loop {
        match rx.recv_timeout(Duration::from_micros(50)) {
            Ok(_) => received += 1,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    assert_eq!(sender.join(), received);
}

#[rt0::test]
fn the_last_sender_wakes_all_receivers() {
    for make in capacities() {
        let (tx, rx) = make();
        let tasks: Vec<_> = (0..6)
            .map(|i| {
                let rx = rx.clone();
                Task::start(KINDS[i % 2], move || rx.recv())
            })
            .collect();
        pause(ms(10));
        drop(tx.clone());
        assert!(!rx.is_closed());
        drop(tx);
        assert!(rx.is_closed());
        tasks.into_iter().for_each(|t| assert_eq!(t.join(), Err(RecvError)));
    }
}

#[rt0::test]
fn the_last_receiver_wakes_all_senders_and_drops_the_messages() {
    for cap in [0, 1, 2] {
        let live = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = bounded(cap);
        (0..cap).for_each(|_| tx.send(Counted::new(&live)).unwrap());
        let tasks: Vec<_> = (0..6)
            .map(|i| {
                let (tx, msg) = (tx.clone(), Counted::new(&live));
                Task::start(KINDS[i % 2], move || tx.send(msg).map_err(SendError::into_inner))
            })
            .collect();
        pause(ms(10));
        drop(rx);
        assert!(tx.is_closed());
        let back: Vec<_> = tasks.into_iter().map(|t| t.join().unwrap_err()).collect();
        assert_eq!((back.len(), live.load(Ordering::SeqCst)), (6, 6), "those in the channel died");
        assert!(tx.try_send(Counted::new(&live)).unwrap_err().is_disconnected());
        drop(back);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }
}

#[rt0::test]
fn close_from_either_side() {
    type Close = fn(&Sender<u8>, &Receiver<u8>) -> bool;
    let closers: [Close; 2] = [|tx, _| tx.close(), |_, rx| rx.close()];
    for close in closers {
        for (tx, rx) in [bounded(1), unbounded()] {
            tx.send(1).unwrap();
            assert!(close(&tx, &rx), "the first close");
            assert!(!tx.close() && !rx.close(), "the second close");
            assert!(tx.is_closed() && rx.is_closed());
            assert_eq!(tx.send(2), Err(SendError(2)));
            assert_eq!(tx.try_send(2), Err(TrySendError::Disconnected(2)));
            assert_eq!(tx.send_timeout(2, ms(9)), Err(SendTimeoutError::Disconnected(2)));
            assert_eq!(rx.recv(), Ok(1), "what was sent before");
            assert_eq!(rx.recv(), Err(RecvError));
            assert_eq!(rx.recv_timeout(ms(9)), Err(RecvTimeoutError::Disconnected));
        }
        for kind in KINDS {
            let (tx, rx) = bounded(0);
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let rx = rx.clone();
                    Task::start(kind, move || rx.recv())
                })
                .collect();
            pause(ms(5));
            close(&tx, &rx);
            receivers.into_iter().for_each(|t| assert_eq!(t.join(), Err(RecvError)));
            let (tx, rx) = bounded(1);
            tx.send(0).unwrap();
            let sender = Task::start(kind, {
                let tx = tx.clone();
                move || tx.send(1)
            });
            pause(ms(5));
            close(&tx, &rx);
            assert_eq!(sender.join(), Err(SendError(1)));
            assert_eq!(rx.iter().collect::<Vec<_>>(), [0]);
        }
    }
}

#[rt0::test]
fn iterators_end() {
    let (tx, rx) = bounded(4);
    (0..3).for_each(|n| tx.send(n).unwrap());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(rx.try_iter().next(), None);
    (3..6).for_each(|n| tx.send(n).unwrap());
    drop(tx);
    let mut seen = Vec::new();
    for n in &rx {
        seen.push(n);
    }
    let mut iter = rx.into_iter();
    assert_eq!((seen, iter.next(), iter.next()), (vec![3, 4, 5], None, None));
}

#[rt0::test]
fn zero_size_messages_are_counted_and_dropped() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Unit;
    impl Drop for Unit {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let unit = || {
        LIVE.fetch_add(1, Ordering::SeqCst);
        Unit
    };
    for (tx, rx) in [bounded(usize::MAX), bounded(1000), unbounded()] {
        (0..1000).for_each(|_| tx.send(unit()).map_err(|_| "full").unwrap());
        (0..300).for_each(|_| drop(rx.recv().unwrap()));
        assert_eq!((rx.len(), LIVE.load(Ordering::SeqCst)), (700, 700));
        drop(rx);
        assert_eq!(LIVE.load(Ordering::SeqCst), 0);
    }
    let (tx, rx) = bounded(0);
    let sender = rt0::go(move || tx.send(unit()).is_ok());
    drop(rx.recv());
    assert!(sender.join().expect("no panic"));
    assert_eq!(LIVE.load(Ordering::SeqCst), 0);
}

#[test]
fn messages_of_a_megabyte() {
    type Large = [u8; 1 << 20];
    rt0::run(|| {
        for (tx, rx) in [bounded::<Large>(0), bounded(2), unbounded()] {
            let wide = || rt0::Builder::new().stack_size(32 << 20);
            let sender = wide().go(move || {
                (0..8u8).for_each(|n| tx.send([n; 1 << 20]).map_err(|_| "closed").unwrap());
            });
            let receiver = wide().go(move || {
                for n in 0..8u8 {
                    let got = rx.recv().unwrap();
                    assert!(got.iter().all(|b| *b == n));
                }
            });
            sender.expect("a stack").join().expect("no panic");
            receiver.expect("a stack").join().expect("no panic");
        }
    });
}

#[test]
fn too_large_a_capacity_says_so() {
    for cap in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8] {
        let panic = catch_unwind(|| bounded::<[u64; 2]>(cap)).expect_err("it cannot fit");
        let text = panic.downcast_ref::<String>().expect("a message");
        assert!(text.starts_with("rt0: capacity too large: "), "{text}");
    }
}

#[rt0::test]
fn an_unbounded_channel_gives_its_memory_back() {
    let (tx, rx) = unbounded();
    for round in 0..20u64 {
        (0..10_000).for_each(|n| tx.send(Box::new(round * 10_000 + n)).unwrap());
        (0..10_000).for_each(|n| assert_eq!(*rx.recv().unwrap(), round * 10_000 + n));
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[rt0::test]
fn a_message_whose_drop_panics_loses_no_other() {
    struct Bomb(Arc<AtomicUsize>, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(!self.1, "boom");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = unbounded();
    for n in 0..5 {
        tx.send(Bomb(Arc::clone(&dropped), n == 2)).map_err(|_| "closed").unwrap();
    }
    let r = rt0::go(move || drop(rx)).join();
    assert!(r.is_err(), "the panic is seen");
    drop(tx);
    assert_eq!(dropped.load(Ordering::SeqCst), 5, "every message is dropped once");
}

#[rt0::test]
fn channels_travel_in_channels() {
    let (tx, rx) = unbounded::<(u32, Sender<u32>)>();
    let server = rt0::go(move || rx.iter().for_each(|(n, reply)| reply.send(n * 2).unwrap()));
    let clients: Vec<_> = (0..50)
        .map(|n| {
            let tx = tx.clone();
            rt0::go(move || {
                let (reply, answer) = bounded(0);
                tx.send((n, reply)).unwrap();
                answer.recv().unwrap()
            })
        })
        .collect();
    drop(tx);
    let answers: HashSet<_> = clients.into_iter().map(|c| c.join().expect("no panic")).collect();
    assert_eq!(answers, (0..50).map(|n| n * 2).collect());
    server.join().expect("no panic");
}
