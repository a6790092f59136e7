//! The operations.

use super::step;
use rt0::chan::{Receiver, RecvError, Sender, bounded, unbounded};
use rt0::sync::{Mutex, RwLock};
use rt0::time::{Duration, Timer};
use std::hint::black_box;

const HOUR: Duration = Duration::from_secs(3600);

/// How often an operation runs before it is counted, and while it is.
const WARM_UP: u32 = 5000;
pub(crate) const ROUNDS: usize = 31;

pub(crate) const NAMES: [&str; 13] = [
    "yield_pair",
    "spawn_join",
    "spawn_scoped",
    "chan_buffered",
    "chan_unbounded",
    "chan_round_trip",
    "select_of_4_ready",
    "select_of_4_waiting",
    "mutex",
    "rwlock_read",
    "park_timeout_token",
    "timer_stop",
    "timer_func_stop",
];

/// The child: runs `op`, with something added to it if `plant`.
pub(crate) fn run(op: &str, plant: bool) {
    let op = op.to_owned();
    rt0::run(move || match &op[..] {
        "yield_pair" => {
            drop(rt0::go(|| {
                loop {
                    rt0::gosched();
                }
            }));
            repeat(plant, rt0::gosched);
        }
        "spawn_join" => repeat(plant, || assert!(rt0::go(|| ()).join().is_ok())),
        "spawn_scoped" => repeat(plant, || {
            rt0::scope(|s| drop(s.go(|| ())));
        }),
        "chan_buffered" => {
            let (tx, rx) = bounded(8);
            repeat(plant, || {
                assert!(tx.send(1).is_ok());
                assert_eq!(rx.recv(), Ok(1));
            });
        }
        "chan_unbounded" => {
            let (tx, rx) = unbounded();
            repeat(plant, || {
                assert!(tx.send(1).is_ok());
                assert_eq!(rx.recv(), Ok(1));
            });
        }
        "chan_round_trip" => {
            let ((ping, pinged), (pong, ponged)) = (bounded(0), bounded(0));
            drop(rt0::go(move || while pinged.recv().is_ok() && pong.send(()).is_ok() {}));
            repeat(plant, || {
                assert!(ping.send(()).is_ok());
                assert!(ponged.recv().is_ok());
            });
        }
        "select_of_4_ready" => select_ready(plant),
        "select_of_4_waiting" => select_waiting(plant),
        "mutex" => {
            let lock = Mutex::new(0_u64);
            repeat(plant, || *lock.lock().expect("nobody panics") += 1);
        }
        "rwlock_read" => {
            let lock = RwLock::new(0_u64);
            repeat(plant, || assert_eq!(*lock.read().expect("nobody panics"), 0));
        }
        "park_timeout_token" => {
            let me = rt0::current().expect("a goroutine");
            repeat(plant, || {
                me.unpark();
                rt0::park_timeout(HOUR);
            });
        }
        "timer_stop" => repeat(plant, || assert!(Timer::new(HOUR).stop())),
        "timer_func_stop" => {
            let pending: Vec<_> = (1..=1000).map(|n| Timer::after_func(HOUR * n, || ())).collect();
            // Due after all others: how far an earlier one rises depends on how many stale ones
            // the heap has just then.
            repeat(plant, || assert!(Timer::after_func(HOUR * 2000, || ()).stop()));
            drop(pending);
        }
        _ => panic!("no operation {op}"),
    });
}

fn select_ready(plant: bool) {
    let (senders, receivers) = four(1);
    let mut turn = 0;
    repeat(plant, || {
        turn = (turn + 1) % 4;
        assert!(senders[turn].send(7).is_ok());
        assert_eq!(select_of(&receivers), Ok(7));
    });
}

/// The one who is asked sends when the select waits.
fn select_waiting(plant: bool) {
    let (senders, receivers) = four(0);
    let (ask, asked) = bounded(1);
    drop(rt0::go(move || asked.iter().all(|turn: usize| senders[turn].send(7).is_ok())));
    let mut turn = 0;
    repeat(plant, || {
        turn = (turn + 1) % 4;
        assert!(ask.send(turn).is_ok());
        assert_eq!(select_of(&receivers), Ok(7));
    });
}

fn four(cap: usize) -> ([Sender<u32>; 4], [Receiver<u32>; 4]) {
    let [(a, ra), (b, rb), (c, rc), (d, rd)] = std::array::from_fn(|_| bounded(cap));
    ([a, b, c, d], [ra, rb, rc, rd])
}

fn select_of([ra, rb, rc, rd]: &[Receiver<u32>; 4]) -> Result<u32, RecvError> {
    rt0::select! {
        recv(ra) -> m => m,
        recv(rb) -> m => m,
        recv(rc) -> m => m,
        recv(rd) -> m => m,
    }
}

/// Passes `mark` before each round, and after the last.
#[inline(always)]
fn repeat(plant: bool, mut op: impl FnMut()) {
    for _ in 0..WARM_UP {
        op();
    }
    step::begin();
    for _ in 0..ROUNDS {
        step::mark();
        op();
        if plant {
            planted();
        }
    }
    step::mark();
}

/// What a careless change might add: more than 5% of the longest operation.
#[inline(never)]
fn planted() {
    for i in 0..100 {
        black_box(i);
    }
}
