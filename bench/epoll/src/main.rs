//! The load for the servers, and what the kernel alone can do: the cheapest server there is, and
//! tickers beside threads.
//!
//! `bench-epoll load CONNECTIONS port=P pid=PID [ms=2000] [warm=500]` reports how the server at
//! that port, which is the process PID, answers; `bench-epoll http_raw N` is one;
//! `bench-epoll mix_* N` has all tickers in one thread, and the others in a thread each.

mod histogram;
mod load;
mod serve;
mod tickers;

use bench_common::{Args, exit_unsupported};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

fn main() -> io::Result<()> {
    let args = Args::parse();
    match args.bench.as_str() {
        "load" => load::load(&args),
        "http_raw" => serve::serve(),
        bench => match tickers::others(bench) {
            Some((n, other)) => {
                tickers::mix(&args, n, other).report("epoll", &args);
                Ok(())
            }
            None => exit_unsupported(),
        },
    }
}

/// What can be read, of what was added.
struct Ready {
    set: OwnedFd,
    events: Vec<Event>,
}

impl Ready {
    fn new() -> io::Result<Ready> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Ready { set, events: Vec::with_capacity(1024) })
    }

    fn add(&self, fd: impl AsFd, number: usize) -> io::Result<()> {
        Ok(epoll::add(&self.set, fd, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Waits for something, and calls `f` with the number of each.
    fn each(&mut self, mut f: impl FnMut(&OwnedFd, usize) -> io::Result<()>) -> io::Result<()> {
        self.events.clear();
        epoll::wait(&self.set, rustix::buffer::spare_capacity(&mut self.events), None)?;
        self.events.iter().try_for_each(|event| f(&self.set, event.data.u64() as usize))
    }
}
