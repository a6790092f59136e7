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
fn waits_for_itself() -> Vec<Party> {
    let (tx, rx) = bounded::<u32>(0);
    vec![id(&rt0::go(move || {
        let _ = rx.recv();
        drop(tx);
    }))]
}

/// The first waits for itself, the second for the first, the third for the second's end.
#[inline(never)]
fn a_chain() -> Vec<Party> {
    let (tx, rx) = bounded::<u32>(0);
    let (own, owned) = bounded::<u32>(0);
    let first = id(&rt0::go(move || {
        let _ = owned.recv();
        drop((own, tx));
    }));
    let second = rt0::go(move || rx.recv().is_ok());
    let waits = id(&second);
    vec![first, waits, id(&rt0::go(move || second.join().is_ok()))]
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
fn lock_and_channel() -> Vec<Party> {
    let lock: &Mutex<()> = Box::leak(Box::new(Mutex::new(())));
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
    vec![id(&first), id(&second)]
}

/// Those that `made` returns are in one circle.
fn are_a_circle(made: impl FnOnce() -> Vec<Party>) {
    let mut parties = clean(made);
    let d = deadlock_of(parties[0]);
    parties.sort();
    assert_eq!((sorted(&d.circle), d.behind.len()), (parties, 0), "{d:?}");
}

/// They wait one behind the other; the first has the only sender itself.
fn are_a_chain(made: impl FnOnce() -> Vec<Party>) {
    let mut parties = clean(made);
    let last = parties[parties.len() - 1];
    let d = deadlock_of(last);
    assert_eq!(d.behind[0].party, parties[0], "{d:?}");
    parties.sort();
    assert_eq!((sorted(&d.circle), sorted(&d.behind)), (vec![], parties), "{d:?}");
}

macro_rules! tests {
    ($($name:ident: $body:expr;)*) => {
        $(
            #[test]
            fn $name() {
                alone(stringify!($name), || $body);
            }
        )*
    };
}

tests! {
    a_circle_of_2_is_found_while_main_lives: are_a_circle(|| circle(2));
    a_circle_of_3_is_found_while_main_lives: are_a_circle(|| circle(3));
    a_circle_of_20_is_found_while_main_lives: are_a_circle(|| circle(20));
    a_circle_of_lock_and_channel_is_found: are_a_circle(lock_and_channel);
    selects_are_in_circles: are_a_circle(three_that_select);
    who_has_the_only_sender_waits_for_ever: are_a_chain(waits_for_itself);
    who_waits_behind_that_is_found: are_a_chain(a_chain);
}
