//! What the benchmarks do, as far as it does not depend on the runtime.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::ToSocketAddrs;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, thread};

/// `n` in parts of at most 10,000, for `spawn_join`.
pub fn batches(n: u64) -> impl Iterator<Item = u64> {
    const BATCH: u64 = 10_000;
    (0..n).step_by(BATCH as usize).map(move |done| BATCH.min(n - done))
}

/// What each of `tasks` has to do of `n`: the share, and how much they do together.
pub fn each_of(n: u64, tasks: u64) -> (u64, u64) {
    let each = n / tasks;
    (each, each * tasks)
}

/// The sum of skynet's leaves.
pub fn skynet_sum(leaves: u64) -> u64 {
    leaves * (leaves - 1) / 2
}

/// How many goroutines `fib(n)` starts, one in each inner call: F(n+1) - 1.
pub fn fib_spawns(n: u64) -> u64 {
    let (a, _) = (0..=n).fold((0u64, 1), |(a, b), _| (b, a + b));
    a - 1
}

/// The sieve for the first `n` primes: how many messages are sent, and the last prime.
pub fn sieve_work(n: u64) -> (u64, u64) {
    let (mut primes, mut hops) = (Vec::new(), 0);
    for m in 2.. {
        if primes.len() as u64 == n {
            break;
        }
        let passed = primes.iter().take_while(|p| m % **p != 0).count();
        hops += passed as u64 + 1;
        if passed == primes.len() {
            primes.push(m);
        }
    }
    (hops, primes.last().copied().unwrap_or(0))
}

/// How long goroutine `i` of `timers` sleeps: below a second, by SplitMix64, in Go the same.
pub fn sleep_of(i: u64) -> Duration {
    let z = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    Duration::from_micros((z ^ (z >> 31)) % 1_000_000)
}

/// How long who has woken or started another goes on computing, in `wake_busy` and `spawn_busy`.
pub const BUSY: Duration = Duration::from_micros(300);

/// How many `steal` starts at once.
pub const BURST: u64 = 16;

/// How often `spawn_waves` starts all.
pub const WAVES: u64 = 6;

/// Computes until `end` without ever entering the runtime.
pub fn burn_until(end: Instant) {
    let mut x = 0x0123_4567_89AB_CDEF_u64;
    while Instant::now() < end {
        for _ in 0..2000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        black_box(x);
    }
}

/// How many goroutines of `io_busy` compute, each so long between two yields.
pub const COMPUTING: usize = 200;
/// See [`COMPUTING`].
pub const TURN: Duration = Duration::from_micros(100);

/// The client of `io_busy`, a thread: `n` bytes there and back, a millisecond apart. How long each
/// took, in ns.
pub fn ask_in_turn(mut server: UnixStream, n: u64) -> thread::JoinHandle<Vec<u64>> {
    let mut ask = move || {
        thread::sleep(Duration::from_millis(1));
        let sent = Instant::now();
        server.write_all(&[1]).and_then(|()| server.read_exact(&mut [0])).expect("it echoes");
        sent.elapsed().as_nanos() as u64
    };
    thread::spawn(move || (0..n).map(|_| ask()).collect())
}

/// How many goroutines of `mix_block` sit in blocking calls, one after the other until the end.
pub const BLOCKERS: usize = 8;
/// How long each of these calls takes.
pub const BLOCKING_CALL: Duration = Duration::from_millis(50);

/// A blocking call that no runtime is told of: libc's nanosleep, by way of std.
pub fn block_for(time: Duration) {
    thread::sleep(time);
}

/// What each of [`BLOCKERS`] goroutines does until the end in a benchmark that is only about that.
pub fn offender(bench: &str) -> Option<fn(Instant)> {
    match bench {
        "mix_ccall" => Some(block_unseen),
        "mix_mutex" => Some(hold_in_turn),
        "mix_file" => Some(read_file),
        "mix_dns" => Some(look_up),
        "mix_fault" => Some(fault),
        _ => None,
    }
}

/// Sleeps in the kernel by a system call that no library function of libc's makes.
fn block_unseen(end: Instant) {
    let time = BLOCKING_CALL.try_into().expect("it is short");
    while Instant::now() < end {
        let _ = rustix::thread::nanosleep(&time); // a signal would only end it early
    }
}

/// One holds a std Mutex asleep, the others wait for it.
fn hold_in_turn(end: Instant) {
    static LOCK: Mutex<()> = Mutex::new(());
    while Instant::now() < end {
        let _held = LOCK.lock();
        block_for(Duration::from_millis(5));
    }
}

/// A megabyte of the program itself, from the beginning again where it is shorter: all of it is in
/// the page cache.
fn read_file(end: Instant) {
    let path = env::current_exe().expect("/proc is mounted");
    while Instant::now() < end {
        let mut bytes = vec![0; 1 << 20];
        let file = File::open(&path).expect("it is there");
        let mut have = 0;
        while have < bytes.len() {
            have += match file.read_at(&mut bytes[have..], 0) {
                Ok(n) if n > 0 => n,
                result => panic!("it is not empty: {result:?}"),
            };
        }
        black_box(bytes);
    }
}

/// A name from the hosts file: some twenty short system calls, and no server is asked.
fn look_up(end: Instant) {
    while Instant::now() < end {
        let found = ("localhost", 80).to_socket_addrs().map(Iterator::count);
        assert!(found.is_ok_and(|n| n > 0), "localhost has an address");
    }
}

/// Fresh memory, touched page by page and given back. Of this size malloc maps it every time.
fn fault(end: Instant) {
    while Instant::now() < end {
        let mut fresh = vec![0_u8; 40 << 20];
        for page in fresh.chunks_mut(4096) {
            page[0] = 1;
            if Instant::now() >= end {
                break;
            }
        }
        black_box(fresh);
    }
}

/// How many tickers the `mix_*` benchmarks have.
pub const TICKERS: u64 = 1000;
const TICK: Duration = Duration::from_millis(10);

/// One ticker of the `mix_*` benchmarks: every 10 ms, and how late each tick was.
pub struct Ticker {
    due: Instant,
    end: Instant,
    late_ns: Vec<u64>,
}

impl Ticker {
    /// Ticker number `i`; their starts are spread over a tick.
    pub fn new(i: u64, begin: Instant, end: Instant) -> Ticker {
        let due = begin + TICK + Duration::from_micros(i * 10);
        let ticks = (end - begin).as_millis() / TICK.as_millis();
        Ticker { due, end, late_ns: Vec::with_capacity(ticks as usize + 8) }
    }

    /// How long to sleep until the next tick; `None` after the last.
    pub fn next_sleep(&self) -> Option<Duration> {
        (self.due < self.end).then(|| self.due.saturating_duration_since(Instant::now()))
    }

    /// Notes how late it is. Ticks that were slept through count too: starving a ticker does not
    /// hide its samples.
    pub fn woke(&mut self) {
        let now = Instant::now();
        while self.due <= now && self.due < self.end {
            self.late_ns.push((now - self.due).as_nanos() as u64);
            self.due += TICK;
        }
    }

    /// How late each tick was, in ns.
    pub fn into_late_ns(self) -> Vec<u64> {
        self.late_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_right() {
        assert_eq!(batches(25_000).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
        assert_eq!(batches(0).count(), 0);
        // fib(4): fib(3), fib(1) of the inline fib(2), fib(2), fib(1) of fib(3).
        assert_eq!([0, 1, 2, 3, 4].map(fib_spawns), [0, 0, 1, 2, 4]);
        assert_eq!(skynet_sum(10), 45);
        assert!(sleep_of(0) < Duration::from_secs(1));
    }
}
