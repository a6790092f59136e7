//! `rt0::select!` and `rt0::chan::Select`, from goroutines and plain threads.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

#[path = "chan/support.rs"]
mod support;

use rt0::chan::{
    Receiver, RecvError, Select, SendError, Sender, after, at, bounded, never, tick, unbounded,
};
use rt0::time::{Duration, Instant};
use rt0::{select, select_biased};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Counted, HOUR, KINDS, Kind, Task, ms, pause};

/// Go's: the number of times that a fair coin falls one way, within ten standard deviations.
fn assert_fair(n: u64, of: u64, p: f64) {
    let (mean, sigma) = (of as f64 * p, (of as f64 * p * (1.0 - p)).sqrt());
    assert!((n as f64 - mean).abs() < 10.0 * sigma, "{n} of {of}, where {mean} are expected");
}

#[rt0::test]
fn each_ready_operation_is_as_likely() {
    for kind in KINDS {
        Task::start(kind, || {
            let channels: Vec<_> = (0..4).map(|_| bounded::<u8>(1)).collect();
            // Of four operations three are ready, of both directions.
            channels[1].0.send(0).unwrap();
            channels[2].0.send(0).unwrap();
            let mut counts = [0; 4];
            for _ in 0..10_000 {
                let [a, b, c, d] = [&channels[0], &channels[1], &channels[2], &channels[3]];
                select! {
                    recv(a.1) -> _ => counts[0] += 1,
                    recv(b.1) -> m => { counts[1] += 1; b.0.send(m.unwrap()).unwrap(); }
                    recv(c.1) -> m => { counts[2] += 1; c.0.send(m.unwrap()).unwrap(); }
                    send(d.0, 9) -> r => { counts[3] += 1; r.unwrap(); d.1.recv().unwrap(); }
                }
            }
            assert_eq!(counts[0], 0, "nothing was there");
            counts[1..].iter().for_each(|n| assert_fair(*n, 10_000, 1.0 / 3.0));
        })
        .join();
    }
}

#[rt0::test]
fn a_biased_select_takes_the_first() {
    let ((a, ra), (b, rb)) = (unbounded(), unbounded());
    (0..100).for_each(|n| {
        a.send(n).unwrap();
        b.send(n).unwrap();
    });
    for n in 0..100 {
        let got = select_biased! { recv(ra) -> m => m, recv(rb) -> _ => Err(RecvError) };
        assert_eq!(got, Ok(n));
    }
    let mut sel = Select::new_biased();
    let (second, first) = (sel.recv(&ra), sel.recv(&rb));
    let oper = sel.select();
    assert_eq!((oper.index(), second), (first, 0));
    assert_eq!(oper.recv(&rb), Ok(0));
}

#[rt0::test]
fn all_forms_of_the_macro() {
    let (tx, rx) = bounded(2);
    let (full, _keep) = bounded(0);
    assert_eq!(select! { recv(rx) -> _ => 1, default => 2 }, 2);
    assert_eq!(select! { recv(rx) -> _ => 1, default() => { 2 } }, 2);
    assert_eq!(select! { recv(rx) -> _ => { 1 } send(full, 1) -> _ => { 2 } default => { 3 } }, 3);
    assert_eq!(select! { default => 4 }, 4);
    assert_eq!(select! { default(ms(1)) => 5 }, 5);
    assert_eq!(select! { recv(rx) -> _ => 0, default(ms(1),) => 5, }, 5);
    assert_eq!(select! { send(tx, 7,) -> r => r }, Ok(()));
    assert_eq!(select! { recv(rx,) -> m => m, recv(never::<u8>()) -> _ => unreachable!(), }, Ok(7));
    select! { send(&&tx, 8) -> r => r.unwrap(), }
    let boxed = Box::new(&rx);
    select! { recv(boxed) -> m => assert_eq!(m, Ok(8)), default => panic!() }
    let none: Option<&Receiver<u8>> = [].first();
    select! { recv(none.unwrap_or(&never())) -> _ => panic!(), default => () }
    select! { recv(at(Instant::now())) -> m => { m.unwrap(); } }
    for n in 0..3 {
        select! { recv(rx) -> _ => break, default => if n == 1 { continue } }
    }
    fn early(rx: Receiver<u8>) -> Result<u8, RecvError> {
        select! { recv(rx) -> m => { let m = m?; drop(rx); return Ok(m) } default => drop(rx) }
        Err(RecvError)
    }
    drop(tx);
    assert_eq!(early(rx), Err(RecvError));
}

#[rt0::test]
fn a_message_is_made_when_its_send_is_chosen() {
    let ((tx, _rx), (full, _keep)) = (bounded(1), bounded(0));
    let made = AtomicUsize::new(0);
    let make = || made.fetch_add(1, Ordering::SeqCst);
    select! { send(full, make()) -> _ => panic!(), default => () }
    assert_eq!(made.load(Ordering::SeqCst), 0);
    select! { send(full, make()) -> _ => panic!(), send(tx, make()) -> r => r.unwrap() }
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[rt0::test]
fn the_macro_has_no_limit_of_its_own() {
    let (_tx, rx) = bounded::<u8>(0);
    let (last, got) = bounded(1);
    select! {
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(),
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(),
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(),
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(),
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(),
        recv(rx) -> _ => panic!(), recv(rx) -> _ => panic!(), send(last, 1) -> r => r.unwrap(),
    }
    assert_eq!(got.recv(), Ok(1));
}

#[rt0::test]
fn a_waiting_select_meets_each_partner() {
    for kind in KINDS {
        for cap in [0, 1] {
            let ((tx, rx), (out, input)) = (bounded(cap), bounded(cap));
            (0..cap).for_each(|_| out.send(0).unwrap());
            let selecting = {
                let (rx, out) = (rx.clone(), out.clone());
                Task::start(kind, move || {
                    let (mut got, mut sent) = (0, 0);
                    for _ in 0..40 {
                        select! {
                            recv(rx) -> m => got += m.unwrap(),
                            send(out, 100) -> r => { r.unwrap(); sent += 1; }
                        }
                    }
                    (got, sent)
                })
            };
            let mut sum = 0;
            for n in 0..20 {
                tx.send(n).unwrap();
                sum += input.recv().unwrap();
            }
            let (got, sent) = selecting.join();
            (0..cap).for_each(|_| sum += input.recv().unwrap());
            assert_eq!((got, sent, sum), ((0..20).sum::<i32>(), 20, 2000));
        }
    }
}

/// Select against select, and both directions of one channel in one select.
#[rt0::test]
fn selects_meet_selects_and_never_themselves() {
    for kind in KINDS {
        let (tx, rx) = bounded(0);
        select! {
            send(tx, 1) -> _ => panic!("with itself"),
            recv(rx) -> _ => panic!("with itself"),
            default(ms(5)) => (),
        }
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (tx, rx) = (tx.clone(), rx.clone());
                Task::start(kind, move || {
                    let (mut sent, mut got) = (0, 0);
                    for n in 1..=200 {
                        select! {
                            send(tx, n) -> r => { r.unwrap(); sent += n; }
                            recv(rx) -> m => got += m.unwrap(),
                            default(ms(20)) => (),
                        }
                    }
                    (sent, got)
                })
            })
            .collect();
        let all = tasks.into_iter().map(Task::join);
        let (sent, got) = all.fold((0, 0), |(s, g), (sent, got)| (s + sent, g + got));
        assert_eq!(sent, got, "what was sent is what was received");
        assert!(got > 0, "nobody met");
    }
}

#[rt0::test]
fn nothing_is_lost_or_doubled_under_contention() {
    const EACH: u64 = 300;
    for cap in [Some(0), Some(1), Some(7), None] {
        let make = || cap.map_or_else(unbounded, bounded);
        let channels: Vec<(Sender<u64>, Receiver<u64>)> = (0..3).map(|_| make()).collect();
        let senders: Vec<_> = (0..4u64)
            .map(|i| {
                let tx: Vec<_> = channels.iter().map(|c| c.0.clone()).collect();
                Task::start(KINDS[i as usize % 2], move || {
                    for n in i * EACH..(i + 1) * EACH {
                        let mut sel = Select::new();
                        for tx in &tx {
                            sel.send(tx);
                        }
                        let oper = sel.select();
                        let at = oper.index();
                        oper.send(&tx[at], n).unwrap();
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|i| {
                let rx: Vec<_> = channels.iter().map(|c| c.1.clone()).collect();
                Task::start(KINDS[i / 2], move || receive_all(&rx, i % 2 == 0))
            })
            .collect();
        drop(channels);
        senders.into_iter().for_each(Task::join);
        let mut all: Vec<_> = receivers.into_iter().flat_map(Task::join).collect();
        all.sort_unstable();
        assert_eq!(all, (0..4 * EACH).collect::<Vec<_>>(), "capacity {cap:?}");
    }
}

/// Until every channel is closed; by `select`, or by `ready` and trying.
fn receive_all(rx: &[Receiver<u64>], by_ready: bool) -> Vec<u64> {
    let mut sel = Select::new();
    for rx in rx {
        sel.recv(rx);
    }
    let (mut all, mut open) = (Vec::new(), rx.len());
    while open > 0 {
        let (at, got) = if by_ready {
            let at = sel.ready();
            match rx[at].try_recv() {
                Ok(n) => (at, Ok(n)),
                Err(e) if e.is_disconnected() => (at, Err(RecvError)),
                Err(_) => continue,
            }
        } else {
            let oper = sel.select();
            let at = oper.index();
            (at, oper.recv(&rx[at]))
        };
        match got {
            Ok(n) => all.push(n),
            Err(RecvError) => {
                sel.remove(at);
                open -= 1;
            }
        }
    }
    all
}

#[rt0::test]
fn closing_wakes_a_select() {
    for kind in KINDS {
        let ((_tx, idle), (tx, rx), (out, input)) =
            (bounded::<u8>(0), bounded::<u8>(0), bounded(0));
        let task = Task::start(kind, move || {
            select! {
                recv(idle) -> _ => panic!(),
                recv(rx) -> m => assert_eq!(m, Err(RecvError)),
            }
            select! {
                recv(idle) -> _ => panic!(),
                send(out, 7) -> r => assert_eq!(r, Err(SendError(7))),
            }
        });
        pause(ms(5));
        tx.close();
        pause(ms(5));
        drop(input);
        task.join();
    }
}

#[rt0::test]
fn time_ends_a_select() {
    for kind in KINDS {
        Task::start(kind, || {
            let (tx, rx) = bounded::<u8>(0);
            let start = Instant::now();
            select! { recv(rx) -> _ => panic!(), default(ms(20)) => () }
            assert!(start.elapsed() >= ms(20));
            select! {
                recv(rx) -> _ => panic!(),
                send(tx, 1) -> _ => panic!(),
                recv(after(ms(20))) -> m => assert!(m.unwrap() >= start + ms(40)),
            }
            assert!(start.elapsed() >= ms(40));
            let mut sel = Select::new();
            assert!(sel.try_select().is_err() && sel.try_ready().is_err());
            assert!(sel.select_timeout(ms(1)).is_err() && sel.ready_timeout(ms(1)).is_err());
            sel.recv(&rx);
            assert!(sel.select_deadline(start).is_err() && sel.ready_deadline(start).is_err());
            assert!(sel.ready_timeout(ms(5)).is_err() && sel.select_timeout(ms(5)).is_err());
        })
        .join();
    }
}

#[rt0::test]
fn the_clocks_channels() {
    let rx = after(HOUR);
    assert_eq!((rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()), (0, Some(1), true, false));
    assert_eq!(rx.recv_timeout(ms(2)).map_err(|e| e.is_timeout()), Err(true));
    let start = Instant::now();
    let rx = after(ms(20));
    let other = rx.clone();
    assert!(rx.same_channel(&other) && !rx.same_channel(&after(ms(20))));
    let due = rx.recv().unwrap();
    assert!(due >= start + ms(20) && due <= Instant::now());
    assert!(other.try_recv().is_err(), "one message, whoever takes it");
    assert!(other.recv_timeout(ms(5)).is_err());

    let rx = tick(ms(10));
    let ticks: Vec<_> = rx.iter().take(5).collect();
    assert!(ticks.windows(2).all(|w| w[1] >= w[0] + ms(10)), "{ticks:?}");
    pause(ms(50));
    let before = Instant::now();
    assert!(rx.len() == 1 && rx.try_recv().is_ok());
    assert!(rx.recv().is_ok_and(|due| due >= before + ms(10)), "ticks add up");

    for rx in [after(Duration::MAX), tick(Duration::MAX), never()] {
        assert!(rx.recv_timeout(ms(5)).is_err_and(|e| e.is_timeout()));
        assert!(!rx.close() && !rx.is_closed());
    }
    let quick = tick(Duration::ZERO);
    (0..100).for_each(|_| assert!(quick.recv().is_ok()));
}

fn no_message() -> i32 {
    panic!("no message")
}

#[rt0::test]
fn an_operation_that_is_not_completed_keeps_nothing() {
    let text = |r: std::thread::Result<()>| {
        r.expect_err("it panics").downcast_ref::<&str>().map(|s| (*s).to_owned())
    };
    let dropped = "dropped `SelectedOperation` without completing the operation";
    // The kept place in a buffer.
    let (tx, rx) = bounded(1);
    let mut sel = Select::new();
    sel.send(&tx);
    let r = catch_unwind(AssertUnwindSafe(|| drop(sel.select())));
    assert_eq!(text(r).as_deref(), Some(dropped));
    tx.try_send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    // The receiver that was claimed.
    for kind in KINDS {
        let (tx, rx) = bounded(0);
        let receiver = Task::start(kind, move || rx.recv());
        let mut sel = Select::new();
        sel.send(&tx);
        let r = catch_unwind(AssertUnwindSafe(|| drop(sel.select())));
        assert_eq!(text(r).as_deref(), Some(dropped));
        tx.send(2).unwrap();
        assert_eq!(receiver.join(), Ok(2));
    }
    // A panic of what makes the message.
    let receiver = rt0::go({
        let rx = rx.clone();
        move || rx.recv()
    });
    let r = catch_unwind(AssertUnwindSafe(|| {
        select! { send(tx, no_message()) -> _ => () }
    }));
    assert_eq!(text(r).as_deref(), Some("no message"));
    tx.send(3).unwrap();
    assert_eq!(receiver.join().expect("no panic"), Ok(3));
}

#[rt0::test]
fn misuse_panics() {
    let ((tx, rx), (_tx2, rx2)) = (unbounded::<u8>(), unbounded::<u8>());
    let text = |f: &mut dyn FnMut()| {
        let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a message")
    };
    let none = "no operations have been added to `Select`";
    assert_eq!(text(&mut || drop(Select::new().select())), none);
    assert_eq!(text(&mut || assert_eq!(Select::new().ready(), 0)), none);
    let mut sel = Select::new();
    sel.recv(&rx);
    assert_eq!(text(&mut || sel.remove(1)), "index out of bounds; 1 >= 1");
    sel.remove(0);
    assert_eq!(text(&mut || sel.remove(0)), "no operation with this index");
    assert_eq!(sel.recv(&rx), 1, "indices are not used again");
    tx.send(1).unwrap();
    let wrong = "passed a receiver that wasn't selected";
    assert_eq!(text(&mut || assert!(sel.select().recv(&rx2).is_ok())), wrong);
    let mut sel = Select::new();
    sel.send(&tx);
    let wrong = "passed a sender that wasn't selected";
    assert_eq!(text(&mut || assert!(sel.select().send(&tx.clone(), 1).is_ok())), wrong);
    assert_eq!(format!("{sel:?}"), "Select { .. }");
}

#[rt0::test]
fn messages_of_any_size() {
    #[repr(align(128))]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Wide(u8);
    for kind in KINDS {
        let large = bounded::<[u64; 500]>(0);
        let (wide, unit) = (bounded::<Wide>(1), bounded::<()>(0));
        let (a, b, c) = (large.0, wide.0, unit.0);
        let task = Task::start(kind, move || {
            for n in 0..20u64 {
                a.send([n; 500]).unwrap();
                b.send(Wide(n as u8)).unwrap();
                c.send(()).unwrap();
            }
            (a, b, c) // closed channels would be chosen too
        });
        let (mut sum, mut seen, mut units) = (0, 0, 0);
        for _ in 0..60 {
            select! {
                recv(large.1) -> m => {
                    let m = m.unwrap();
                    assert!(m.iter().all(|x| *x == m[0]));
                    sum += m[0];
                }
                recv(wide.1) -> m => seen += u64::from(m.unwrap().0),
                recv(unit.1) -> m => { m.unwrap(); units += 1; }
            }
        }
        drop(task.join());
        assert_eq!((sum, seen, units), (190, 190, 20));
    }
}

#[rt0::test]
fn messages_are_dropped_once() {
    let live = Arc::new(AtomicUsize::new(0));
    for cap in [0, 2] {
        let (tx, rx) = bounded(cap);
        let task = Task::start(Kind::Goroutine, {
            let live = Arc::clone(&live);
            move || {
                (0..50)
                    .filter(|_| {
                        select! { send(tx, Counted::new(&live)) -> r => r.is_ok() }
                    })
                    .count()
            }
        });
        let mut got = 0;
        while got < 25 {
            select! {
                recv(rx) -> m => { drop(m.unwrap()); got += 1; }
                default(ms(1000)) => panic!(),
            }
        }
        drop(rx);
        assert!((25..=27).contains(&task.join()));
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }
}

#[rt0::test]
fn sets_of_many() {
    let channels: Vec<_> = (0..300).map(|_| bounded::<usize>(0)).collect();
    let (tx, rx): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    let sender = rt0::go(move || {
        for (n, tx) in tx.iter().enumerate().rev() {
            tx.send(n).unwrap();
        }
        tx
    });
    let mut sel = Select::new();
    for rx in &rx {
        sel.recv(rx);
    }
    let _ = format!("{:?}", sel.clone());
    for n in (0..300).rev() {
        let oper = sel.select();
        let at = oper.index();
        assert_eq!((at, oper.recv(&rx[at])), (n, Ok(n)));
    }
    sender.join().expect("no panic");
}

/// One of two channels always has a message, so a select that does not wait finds one, in whatever
/// order it looks.
#[rt0::test]
fn what_is_there_all_the_time_is_found_without_waiting() {
    for kind in KINDS {
        let ((s1, r1), (s2, r2)) = (bounded(1), bounded(1));
        let ((go, start), (end, done)) = (bounded(0), bounded(0));
        let other = {
            let r1 = r1.clone();
            Task::start(kind, move || {
                for () in start {
                    s2.send(2).unwrap();
                    let _ = r1.try_recv();
                    end.send(()).unwrap();
                }
            })
        };
        for round in 0..20_000 {
            s1.send(1).unwrap();
            go.send(()).unwrap();
            let mut sel = Select::new_biased(); // r2 first: the order that misses it
            sel.recv(&r2);
            sel.recv(&r1);
            if round % 3 == 0 {
                sel.try_ready().expect("one is ready");
            }
            let oper = if round % 2 == 0 {
                sel.try_select().ok()
            } else {
                sel.select_timeout(Duration::ZERO).ok()
            };
            let oper = oper.expect("one is ready");
            let at = oper.index();
            oper.recv([&r2, &r1][at]).unwrap();
            done.recv().unwrap();
            r1.try_iter().for_each(drop);
            r2.try_iter().for_each(drop);
        }
        drop(go);
        other.join();
    }
}

/// Of several operations at one channel that have to wait, each is served.
#[rt0::test]
fn operations_at_one_channel_take_turns_when_they_wait() {
    let (s, r) = bounded::<u64>(0);
    let sum = rt0::go(move || (0..1000).map(|_| r.recv().expect("it sends")).sum::<u64>());
    for _ in 0..1000 {
        rt0::gosched(); // the receiver waits, or the sender will
        select! {
            send(s, 0) -> sent => sent.expect("it receives"),
            send(s, 1) -> sent => sent.expect("it receives"),
        }
    }
    assert_fair(sum.join().expect("no panic"), 1000, 0.5);
    let (s, r) = bounded::<()>(0);
    let sender = rt0::go(move || {
        while s.send(()).is_ok() {
            rt0::gosched();
        }
    });
    let mut first = 0;
    for _ in 0..1000 {
        select! {
            recv(r) -> _ => first += 1,
            recv(r) -> _ => {}
        }
    }
    assert_fair(first, 1000, 0.5);
    drop(r);
    sender.join().expect("no panic");
}
