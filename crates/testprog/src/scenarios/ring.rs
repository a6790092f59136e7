//! A token that goroutines hand round by park and unpark: one lost wake-up stops it for ever.

use super::{DONE, Entry, Run::Main, number};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[("TokenRing", Main(token_ring))];

/// How long a ring may stand still.
const PATIENCE: Duration = Duration::from_secs(10);

struct Ring {
    /// Tokens that lie at each place.
    tokens: Vec<AtomicU64>,
    members: OnceLock<Vec<rt0::Goroutine>>,
    passes: AtomicU64,
    stop: AtomicBool,
}

impl Ring {
    /// `tokens` of them go round among `size` goroutines from now on.
    fn start(size: usize, tokens: usize) -> (Arc<Ring>, Vec<rt0::JoinHandle<()>>) {
        let ring = Arc::new(Ring {
            tokens: (0..size).map(|_| AtomicU64::new(0)).collect(),
            members: OnceLock::new(),
            passes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let handles: Vec<_> = (0..size)
            .map(|place| {
                let ring = Arc::clone(&ring);
                rt0::go(move || ring.member(place))
            })
            .collect();
        let members = handles.iter().map(|h| h.goroutine().clone()).collect();
        assert!(ring.members.set(members).is_ok(), "set once");
        (0..tokens).for_each(|n| ring.give(n * size / tokens));
        (ring, handles)
    }

    fn give(&self, place: usize) {
        self.tokens[place].fetch_add(1, Ordering::SeqCst);
        self.members.get().expect("the token comes later")[place].unpark();
    }

    fn member(&self, place: usize) {
        let mut random = place as u64 | 1;
        while !self.stop.load(Ordering::SeqCst) {
            let n = self.tokens[place].swap(0, Ordering::SeqCst);
            if n == 0 {
                rt0::park();
                continue;
            }
            for _ in 0..n {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                match random % 4096 {
                    0 => spin(Duration::from_millis(random >> 32 & 15)), // long enough for sysmon
                    1..512 => rt0::gosched(),
                    _ => {}
                }
                self.passes.fetch_add(1, Ordering::Relaxed);
                self.give((place + 1) % self.tokens.len());
            }
        }
    }

    fn end(&self, handles: Vec<rt0::JoinHandle<()>>) {
        self.stop.store(true, Ordering::SeqCst);
        self.members.get().expect("it was started").iter().for_each(rt0::Goroutine::unpark);
        handles.into_iter().for_each(|h| h.join().expect("no panic"));
    }
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// On a thread that the runtime knows nothing of. Ends the process with a dump if a ring stands
/// still.
fn watch(rings: &[Arc<Ring>], done: &AtomicBool) {
    let mut seen: Vec<_> = rings.iter().map(|_| (0, Instant::now())).collect();
    while !done.load(Ordering::SeqCst) {
        for (ring, (passes, since)) in rings.iter().zip(&mut seen) {
            let now = ring.passes.load(Ordering::SeqCst);
            if now != *passes {
                (*passes, *since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let at: Vec<_> = ring.tokens.iter().map(|t| t.load(Ordering::SeqCst)).collect();
                eprintln!("no progress after {now} passes; tokens at {at:?}");
                rt0::debug::schedtrace();
                std::process::exit(1);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// One token among 300 goroutines, and eight among 100, for as many seconds as the argument says.
fn token_ring() -> ExitCode {
    let (lone, lone_members) = Ring::start(300, 1);
    let (busy, busy_members) = Ring::start(100, 8);
    let done = Arc::new(AtomicBool::new(false));
    let watchdog = {
        let (rings, done) = ([Arc::clone(&lone), Arc::clone(&busy)], Arc::clone(&done));
        thread::spawn(move || watch(&rings, &done))
    };
    rt0::time::sleep(Duration::from_secs(number(1)));
    let passes = [&lone, &busy].map(|ring| ring.passes.load(Ordering::SeqCst));
    lone.end(lone_members);
    busy.end(busy_members);
    done.store(true, Ordering::SeqCst);
    watchdog.join().expect("no panic");
    assert!(passes.iter().all(|n| *n > 0), "{passes:?}");
    println!("ok");
    eprintln!("passes: {passes:?}");
    DONE
}
