//! `rt0::debug::deadlocks` and channels: who waits for messages that nobody can send.
//!
//! Handles are made and handed out in functions of their own, which have returned when somebody
//! looks: what a function leaves behind of a handle that it has moved counts as one.

use rt0::chan::{Receiver, Sender, bounded, unbounded};
use rt0::debug::{Deadlock, Party, deadlocks};
use rt0::sync::{Mutex, OnceLock};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// One test at a time: what an M in somebody else's test has left in its registers counts as
/// handles, too. The others park meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

fn id<T>(h: &rt0::JoinHandle<T>) -> Party {
    Party::Goroutine(h.goroutine().id())
}

fn forever<T>(t: T) -> &'static T {
    Box::leak(Box::new(t))
}

fn met_in(d: &Deadlock) -> Vec<Party> {
    d.circle.iter().chain(&d.behind).map(|w| w.party).collect()
}

fn deadlock_of(party: Party) -> Option<Deadlock> {
    deadlocks().into_iter().find(|d| met_in(d).contains(&party))
}

/// Waits for the deadlock that `party` is in.
#[track_caller]
fn is_stuck(party: Party) -> Deadlock {
    for _ in 0..500 {
        if let Some(found) = deadlock_of(party) {
            return found;
        }
        rt0::time::sleep(Duration::from_millis(2));
    }
    rt0::debug::dump_all(&mut std::io::stderr()).expect("stderr");
    panic!("{party} waits for ever, and nobody says so");
}

/// Looks again and again while `party` waits for channels.
#[track_caller]
fn may_go_on(party: Party) {
    let reasons = ["chan receive", "chan send", "select"];
    let waits =
        || rt0::debug::waits().iter().any(|w| w.party == party && reasons.contains(&w.reason));
    while !waits() {
        rt0::time::sleep(Duration::from_millis(1));
    }
    for _ in 0..10 {
        if let Some(d) = deadlock_of(party) {
            panic!("{party} may go on: {d:?}");
        }
    }
}

/// Nothing is left below the caller's frame of what other functions had there.
#[inline(never)]
fn overwrite() {
    black_box(&mut [0_u8; 16 << 10]);
}

/// Calls `f`, and leaves nothing of it on the stack.
#[inline(never)]
fn clean<T>(f: impl FnOnce() -> T) -> T {
    let result = f();
    overwrite();
    result
}

/// Goroutines of a circle, each with the sender that the next receives from.
#[inline(never)]
fn circle(n: usize) -> Vec<Party> {
    let start = |rx: Receiver<u32>, tx: Sender<u32>| {
        id(&rt0::go(move || {
            let n = rx.recv();
            tx.send(n.unwrap_or(0)).is_ok()
        }))
    };
    // Not by way of a Vec: what is left in freed memory counts, too.
    let (last, mut rx) = bounded::<u32>(0);
    let mut parties = Vec::new();
    for _ in 1..n {
        let (tx, next) = bounded::<u32>(0);
        parties.push(start(rx, tx));
        rx = next;
    }
    parties.push(start(rx, last));
    parties
}

#[rt0::test]
fn circles_are_found_while_main_lives() {
    let _alone = ALONE.lock();
    for n in [2, 3, 20] {
        let mut parties = clean(|| circle(n));
        let d = is_stuck(parties[0]);
        let mut found: Vec<_> = d.circle.iter().map(|w| w.party).collect();
        found.sort();
        parties.sort();
        assert_eq!(found, parties, "{d:?}");
    }
}

/// One has a lock and waits for a message; the other has the sender and waits for the lock.
#[inline(never)]
fn lock_and_channel(lock: &'static Mutex<()>) -> [Party; 2] {
    let (tx, rx) = bounded::<u32>(0);
    let (has, had) = bounded::<()>(0);
    let first = rt0::go(move || {
        let _held = lock.lock();
        drop(has);
        rx.recv().is_ok()
    });
    let _ = had.recv();
    let second = rt0::go(move || {
        drop(lock.lock());
        tx.send(1).is_ok()
    });
    [id(&first), id(&second)]
}

#[rt0::test]
fn circles_of_locks_and_channels_are_found() {
    let _alone = ALONE.lock();
    let mut parties = clean(|| lock_and_channel(forever(Mutex::new(()))));
    let d = is_stuck(parties[0]);
    let mut found: Vec<_> = d.circle.iter().map(|w| w.party).collect();
    found.sort();
    parties.sort();
    assert_eq!(found, parties, "{d:?}");
}

/// Who waits for a message of the sender that `keep` is given.
#[inline(never)]
fn receiver_of(keep: impl FnOnce(Sender<u32>)) -> Party {
    let (tx, rx) = bounded::<u32>(0);
    keep(tx);
    id(&rt0::go(move || rx.recv().is_ok()))
}

#[rt0::test]
fn handles_in_memory_count() {
    let _alone = ALONE.lock();
    static STATIC: OnceLock<Sender<u32>> = OnceLock::new();
    may_go_on(receiver_of(|tx| assert!(STATIC.set(tx).is_ok())));
    let mut heap = Vec::new();
    may_go_on(receiver_of(|tx| heap.push(tx)));
    let shared = Arc::new(Mutex::new(None));
    may_go_on(receiver_of(|tx| *shared.lock().expect("not poisoned") = Some(tx)));
    thread_local!(static LOCAL: std::cell::RefCell<Option<Sender<u32>>> = const {
        std::cell::RefCell::new(None)
    });
    may_go_on(receiver_of(|tx| LOCAL.set(Some(tx))));
    // In a closure that is on the heap.
    let mut boxed: Option<Box<dyn FnOnce() + Send>> = None;
    may_go_on(receiver_of(|tx| boxed = Some(Box::new(move || drop(tx)))));
    // At an odd place.
    #[repr(C, packed)]
    struct Packed(u8, Sender<u32>);
    let mut packed = Vec::new();
    may_go_on(receiver_of(|tx| packed.push(Packed(1, tx))));
    // In a message, and in one that waits to be received.
    let (letters, letter_box) = unbounded();
    may_go_on(receiver_of(|tx| letters.send(tx).expect("open")));
    let (carry, carried) = bounded(0);
    may_go_on(receiver_of(|tx| drop(rt0::go(move || carry.send(tx).is_ok()))));
    // In a result that nobody has taken yet.
    let mut result = None;
    may_go_on(receiver_of(|tx| result = Some(rt0::go(move || tx))));
    // With a timer.
    let mut timer = None;
    let hour = Duration::from_secs(3600);
    may_go_on(receiver_of(|tx| {
        timer = Some(rt0::time::Timer::after_func(hour, move || assert!(tx.try_send(1).is_err())));
    }));
    drop((heap, boxed, packed, letter_box, carried, result, timer));
}

#[rt0::test]
fn handles_of_others_count() {
    let _alone = ALONE.lock();
    // Of this goroutine.
    let mut own = None;
    may_go_on(receiver_of(|tx| own = Some(tx)));
    // Of a plain thread that sleeps, and of one that computes.
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for computes in [false, true] {
        let stop = Arc::clone(&stop);
        may_go_on(receiver_of(|tx| {
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !computes {
                        thread::sleep(Duration::from_millis(300));
                    }
                }
                drop(tx);
            }));
        }));
    }
    // Of a goroutine that sleeps, computes, or is in a call.
    let mut goroutines = Vec::new();
    for what in 0..3 {
        let stop = Arc::clone(&stop);
        may_go_on(receiver_of(|tx| {
            goroutines.push(rt0::go(move || {
                while !stop.load(Ordering::Relaxed) {
                    match what {
                        0 => rt0::time::sleep(Duration::from_millis(100)),
                        1 => {}
                        _ => rt0::blocking(|| thread::sleep(Duration::from_millis(100))),
                    }
                }
                drop(tx);
            }));
        }));
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|t| t.join().expect("no panic"));
    goroutines.into_iter().for_each(|g| g.join().expect("no panic"));
    drop(own);
}

/// A goroutine waits inside a scope for what another one, which borrows its handle, will send.
#[rt0::test]
fn borrowed_handles_count() {
    let _alone = ALONE.lock();
    let (end, ended) = bounded::<()>(0);
    let waits = rt0::go(move || {
        let (tx, rx) = bounded::<u32>(0);
        rt0::scope(|s| {
            s.go(|| {
                let _ = ended.recv_timeout(Duration::from_secs(10_000));
                let _ = tx.send(1);
            });
            rx.recv()
        })
    });
    may_go_on(id(&waits));
    drop(end);
    assert_eq!(waits.join().expect("no panic"), Ok(1));
}

/// Those that wait for the clock, for a signal or a context are never in it.
#[rt0::test]
fn the_clock_is_nobody_that_waits() {
    let _alone = ALONE.lock();
    use rt0::context::{background, with_cancel};
    let hour = Duration::from_secs(3600);
    let (ctx, cancel) = with_cancel(&background());
    let timer = rt0::time::Timer::new(hour);
    timer.stop();
    let stopped = timer.receiver().clone();
    let parties = [
        id(&rt0::go(move || rt0::chan::after(hour).recv().is_ok())),
        id(&rt0::go(move || rt0::chan::tick(hour).recv().is_ok())),
        id(&rt0::go(move || stopped.recv().is_ok())),
        id(&rt0::go(move || {
            let (_tx, rx) = bounded::<u32>(0);
            let done = ctx.done();
            rt0::select! { recv(done) -> _ => (), recv(rx) -> _ => () }
        })),
    ];
    parties.iter().for_each(|party| may_go_on(*party));
    drop((cancel, timer));
}
