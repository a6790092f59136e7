//! Looking names up.
//!
//! Go: net/lookup.go with the cgo resolver, `singleflight`, `lookupThreads`. libc's resolver knows
//! all that the machine is configured for, and blocks: it gets a thread for as long as it takes. So
//! equal look-ups that overlap share one, and there are not more than [`AT_ONCE`] at once; the rest
//! waits, parked.
//!
//! Who waits under a context may give up. libc cannot be told, so such a look-up is made by a
//! goroutine of its own, which goes on for those who wait for the same name; if there is nobody by
//! the time that it is its turn, it does not ask. Go does the same.

use super::addr::ToSocketAddrs;
use crate::context::io::IoContext;
use crate::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Semaphore, WaitGroup};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A thread each.
const AT_ONCE: usize = 64;

static TURN: Semaphore = Semaphore::new(AT_ONCE);

type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// A look-up that is under way.
struct Flight {
    host: String,
    answer: OnceLock<Answer>,
    /// One, until it has ended.
    lands: WaitGroup,
}

struct Waited {
    flight: Arc<Flight>,
    /// How many wait for it.
    by: usize,
}

/// The look-ups that one can still join.
static FLIGHTS: Mutex<BTreeMap<String, Waited>> = Mutex::new(BTreeMap::new());

fn flights() -> MutexGuard<'static, BTreeMap<String, Waited>> {
    FLIGHTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks an address like `"example.org:443"` or `("example.org", 443)` up.
///
/// Blocks until libc's resolver has answered; others run meanwhile. Equal look-ups at the same time
/// are done once, and at most 64 at once. The end of a [context](crate::context::Context::io) ends
/// the wait on a goroutine; on a plain thread the look-up ends first. tokio: `net::lookup_host`;
/// Go: `net.LookupHost`.
pub fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    host.to_socket_addrs()
}

/// The addresses of a host, with port 0.
pub(super) fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    let under = IoContext::current();
    if let Some(e) = under.error() {
        return Err(e);
    }
    let seat = join(host);
    if seat.is_first {
        if under.may_end() && crate::tls::getg().is_some() {
            let flight = Arc::clone(&seat.flight);
            drop(crate::join::go(move || fly(&flight)));
        } else {
            fly(&seat.flight);
        }
    }
    let waited = under.context().wait(&seat.flight.lands);
    match (seat.flight.answer.get(), waited) {
        (Some(answer), _) => answer.clone().map_err(|(kind, text)| io::Error::new(kind, text)),
        (None, Err(e)) => Err(e.into()),
        (None, Ok(())) => Err(io::Error::other("the look-up ended without an answer")),
    }
}

/// One of those who wait for a look-up.
struct Seat {
    flight: Arc<Flight>,
    /// Has to make it.
    is_first: bool,
}

fn join(host: &str) -> Seat {
    let mut flights = flights();
    if let Some(waited) = flights.get_mut(host) {
        waited.by += 1;
        return Seat { flight: Arc::clone(&waited.flight), is_first: false };
    }
    let (host, lands) = (host.to_owned(), WaitGroup::new());
    lands.add(1);
    let flight = Arc::new(Flight { host: host.clone(), answer: OnceLock::new(), lands });
    flights.insert(host, Waited { flight: Arc::clone(&flight), by: 1 });
    Seat { flight, is_first: true }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(waited) = flights().get_mut(&self.flight.host)
            && Arc::ptr_eq(&waited.flight, &self.flight)
        {
            waited.by -= 1;
        }
    }
}

/// Makes the look-up, if somebody waits for it when it is its turn.
fn fly(flight: &Arc<Flight>) {
    /// Whatever happens, nobody waits for ever.
    struct Landing<'a>(&'a Arc<Flight>);
    impl Drop for Landing<'_> {
        fn drop(&mut self) {
            leave(self.0, |_| true);
            self.0.lands.done();
        }
    }
    let _landing = Landing(flight);
    let _turn = TURN.acquire(); // nobody closes it
    if leave(flight, |by| by == 0) {
        return;
    }
    let answer = ask(&flight.host);
    // Who asks from now on gets an answer of its own.
    leave(flight, |_| true);
    let _ = flight.answer.set(answer); // nobody else does
}

/// Nobody can join it any more, if `is` says so of how many wait for it.
fn leave(flight: &Arc<Flight>, is: impl FnOnce(usize) -> bool) -> bool {
    let mut flights = flights();
    let left = flights
        .get(&flight.host)
        .is_some_and(|waited| Arc::ptr_eq(&waited.flight, flight) && is(waited.by));
    if left {
        flights.remove(&flight.host);
    }
    left
}

fn ask(host: &str) -> Answer {
    let resolve = || std::net::ToSocketAddrs::to_socket_addrs(&(host, 0));
    match crate::sched::syscall::blocking(resolve) {
        Ok(addrs) => Ok(addrs.collect()),
        Err(e) => Err((e.kind(), e.to_string())),
    }
}
