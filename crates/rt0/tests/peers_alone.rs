//! `rt0::debug::deadlocks` and channels: who waits for messages that nobody can send. Each in a
//! process of its own, for what is left of others in memory and in registers counts as handles. So
//! does what a function leaves behind of a handle that it has moved: handles are made and handed
//! out in functions which have returned when somebody looks.

mod again;

use rt0::chan::{Receiver, Sender, bounded, never};
use rt0::debug::{Deadlock, Party, deadlocks};
use rt0::sync::Mutex;
use std::hint::black_box;
use std::time::Duration;

fn id<T>(h: &rt0::JoinHandle<T>) -> Party {
    Party::Goroutine(h.goroutine().id())
}

/// Runs `body` on goroutine 1 of a process of its own. Nothing is said of channels where each
/// goroutine is a thread.
fn alone(name: &str, body: fn()) {
    if !std::env::var("GODEBUG").is_ok_and(|v| v.contains("tlsmode=3")) {
        again::alone(name, || rt0::run(body));
    }
}

/// Calls `f`, and leaves nothing of it on the stack.
#[inline(never)]
fn clean<T>(f: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn overwrite() {
        black_box(&mut [0_u8; 16 << 10]);
    }
    let result = f();
    overwrite();
    result
}

/// The deadlock that `party` is in.
#[track_caller]
fn deadlock_of(party: Party) -> Deadlock {
    for _ in 0..1_000 {
        for d in deadlocks() {
            if d.circle.iter().chain(&d.behind).any(|w| w.party == party) {
                return d;
            }
        }
        rt0::time::sleep(Duration::from_millis(2));
    }
    rt0::debug::dump_all(&mut std::io::stderr()).expect("stderr");
    panic!("{party} waits for ever, and nobody says so");
}

fn sorted(waits: &[rt0::debug::Waiting]) -> Vec<Party> {
    let mut parties: Vec<_> = waits.iter().map(|w| w.party).collect();
    parties.sort();
    parties
}

#[inline(never)]
fn three_that_select() -> Vec<Party> {
    let select = |rx: Receiver<u32>, tx: Sender<u32>| {
        id(&rt0::go(move || {
            let none = never::<u32>();
            rt0::select! { recv(rx) -> _ => (), recv(none) -> _ => () }
            drop(tx);
        }))
    };
    let ((a, ra), (b, rb), (c, rc)) = (bounded(0), bounded(0), bounded(0));
    vec![select(ra, b), select(rb, c), select(rc, a)]
}

/// It has the only sender itself.
#[inline(never)]
fn waits_for_itself() -> Party {
    let (tx, rx) = bounded::<u32>(0);
    id(&rt0::go(move || {
        let _ = rx.recv();
        drop(tx);
    }))
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

#[test]
fn a_circle_of_2_is_found_while_main_lives() {
    alone("a_circle_of_2_is_found_while_main_lives", || {
        let mut parties = clean(|| circle(2));
        let d = deadlock_of(parties[0]);
        parties.sort();
        assert_eq!((sorted(&d.circle), d.behind.len()), (parties, 0), "{d:?}");
    });
}

#[test]
fn a_circle_of_3_is_found_while_main_lives() {
    alone("a_circle_of_3_is_found_while_main_lives", || {
        let mut parties = clean(|| circle(3));
        let d = deadlock_of(parties[0]);
        parties.sort();
        assert_eq!((sorted(&d.circle), d.behind.len()), (parties, 0), "{d:?}");
    });
}

#[test]
fn a_circle_of_20_is_found_while_main_lives() {
    alone("a_circle_of_20_is_found_while_main_lives", || {
        let mut parties = clean(|| circle(20));
        let d = deadlock_of(parties[0]);
        parties.sort();
        assert_eq!((sorted(&d.circle), d.behind.len()), (parties, 0), "{d:?}");
    });
}

#[test]
fn a_circle_of_lock_and_channel_is_found() {
    alone("a_circle_of_lock_and_channel_is_found", || {
        let mut parties = clean(|| lock_and_channel(Box::leak(Box::new(Mutex::new(())))));
        let d = deadlock_of(parties[0]);
        parties.sort();
        assert_eq!((sorted(&d.circle), d.behind.len()), (parties.to_vec(), 0), "{d:?}");
    });
}

#[test]
fn selects_are_in_circles() {
    alone("selects_are_in_circles", || {
        let mut parties = clean(three_that_select);
        let d = deadlock_of(parties[1]);
        parties.sort();
        assert_eq!((sorted(&d.circle), d.behind.len()), (parties, 0), "{d:?}");
    });
}

#[test]
fn who_has_the_only_sender_waits_for_ever() {
    alone("who_has_the_only_sender_waits_for_ever", || {
        let party = clean(waits_for_itself);
        let d = deadlock_of(party);
        assert_eq!((sorted(&d.circle), sorted(&d.behind)), (vec![], vec![party]), "{d:?}");
    });
}
