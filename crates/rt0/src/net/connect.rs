//! Connecting: to one address, or to the first of several that answers.
//!
//! Go: net/dial.go `dialParallel`; RFC 8305, "happy eyeballs". Addresses are tried in their order,
//! but families take turns, and the next is begun when the last has failed or has not answered for
//! [`STAGGER`]. One goroutine waits for all of them.

use super::addr::no_addresses;
use super::socket::{family_of, open};
use crate::context::io::IoContext;
use crate::io::pollable::{Pollable, timed_out};
use crate::netpoll::desc::Dir;
use crate::netpoll::wait_io::{MAX_TARGETS, Woken, wait_io};
use crate::sched::wait;
use rustix::io::Errno;
use rustix::net::SocketType;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

const STAGGER: Duration = Duration::from_millis(250);

/// A socket that is being connected.
struct Attempt {
    s: Pollable,
    addr: SocketAddr,
    seen: usize,
}

/// A TCP connection to one of `addrs`. `deadline_ns`: on the clock of nanotime.
pub(super) fn connect(addrs: &[SocketAddr], deadline_ns: Option<i64>) -> io::Result<Pollable> {
    let mut left = by_turns(addrs);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last = None;
    let mut next_ns = None;
    loop {
        let is_due = attempts.is_empty() || next_ns.is_some_and(|at| at <= crate::sys::nanotime());
        if is_due {
            match left.pop_front() {
                Some(addr) => match begin(addr) {
                    Ok(attempt) => attempts.push(attempt),
                    Err(e) => last = Some(e),
                },
                None if attempts.is_empty() => return Err(last.unwrap_or_else(no_addresses)),
                None => {}
            }
            let more = !left.is_empty() && attempts.len() < MAX_TARGETS;
            next_ns = if more { wait::after(STAGGER) } else { None };
        }
        let pending = attempts.len();
        if let Some(s) = look(&mut attempts, &mut last) {
            return Ok(s);
        }
        if attempts.is_empty() || attempts.len() < pending {
            next_ns = if left.is_empty() { None } else { Some(0) }; // one has failed: the next, now
            continue;
        }
        let targets: Vec<_> = attempts.iter().map(|a| a.s.target(Dir::Write, a.seen)).collect();
        let until = [next_ns, deadline_ns].into_iter().flatten().min();
        let context = IoContext::current();
        match wait_io(&targets, until, &context)? {
            Woken::Changed => {}
            Woken::TimedOut | Woken::Cancelled => match context.error() {
                Some(e) => return Err(e),
                None if until == deadline_ns => return Err(timed_out()),
                None => {}
            },
        }
    }
}

/// The order in which they are tried.
fn by_turns(addrs: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let of = |v6| addrs.iter().copied().filter(move |a| a.is_ipv6() == v6);
    let (mut a, mut b) = (of(first_is_v6), of(!first_is_v6));
    let mut turns = VecDeque::with_capacity(addrs.len());
    loop {
        let both = [a.next(), b.next()];
        if both == [None, None] {
            return turns;
        }
        turns.extend(both.into_iter().flatten());
    }
}

fn begin(addr: SocketAddr) -> io::Result<Attempt> {
    let s = open(family_of(&addr), SocketType::STREAM)?;
    Ok(Attempt { s, addr, seen: 0 })
}

/// The first that is connected. Those that have failed go.
fn look(attempts: &mut Vec<Attempt>, last: &mut Option<io::Error>) -> Option<Pollable> {
    let mut i = 0;
    while let Some(a) = attempts.get_mut(i) {
        match step(a) {
            Ok(true) => return Some(attempts.swap_remove(i).s),
            Ok(false) => i += 1,
            Err(e) => {
                *last = Some(e.into());
                attempts.remove(i);
            }
        }
    }
    None
}

/// A call of connect(2) both begins and tells how far it is. A local one is mostly done when the
/// first call says that it is under way, so it is asked twice before anybody waits.
fn step(a: &mut Attempt) -> rustix::io::Result<bool> {
    for _ in 0..2 {
        a.seen = a.s.seen(Dir::Write);
        match rustix::net::connect(a.s.as_fd(), &a.addr) {
            Ok(()) | Err(Errno::ISCONN) => return Ok(true),
            Err(Errno::INPROGRESS | Errno::ALREADY | Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}
