//! Looking names up.
//!
//! Go: net/lookup.go with the cgo resolver, `singleflight`, `lookupThreads`. libc's resolver knows
//! all that the machine is configured for, and blocks: it gets a thread for as long as it takes. So
//! equal look-ups that overlap share one, and there are not more than [`AT_ONCE`] at once; the rest
//! waits, parked.

use super::addr::ToSocketAddrs;
use crate::sync::{Mutex, OnceLock, PoisonError, Semaphore};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A thread each.
const AT_ONCE: usize = 64;

static TURN: Semaphore = Semaphore::new(AT_ONCE);

type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// The look-ups that are under way.
static FLIGHTS: Mutex<BTreeMap<String, Arc<OnceLock<Answer>>>> = Mutex::new(BTreeMap::new());

/// Looks an address like `"example.org:443"` or `("example.org", 443)` up.
///
/// Blocks until libc's resolver has answered; others run meanwhile. Equal look-ups at the same time
/// are done once. tokio: `net::lookup_host`; Go: `net.LookupHost`.
pub fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    host.to_socket_addrs()
}

/// The addresses of a host, with port 0.
pub(super) fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    let flights = || FLIGHTS.lock().unwrap_or_else(PoisonError::into_inner);
    let flight = Arc::clone(flights().entry(host.to_owned()).or_default());
    let answer = flight.get_or_init(|| {
        let answer = ask(host);
        // Who asks from now on gets an answer of its own.
        flights().remove(host);
        answer
    });
    answer.clone().map_err(|(kind, text)| io::Error::new(kind, text))
}

fn ask(host: &str) -> Answer {
    let _turn = TURN.acquire(); // nobody closes it
    let resolve = || std::net::ToSocketAddrs::to_socket_addrs(&(host, 0));
    match crate::sched::syscall::blocking(resolve) {
        Ok(addrs) => Ok(addrs.collect()),
        Err(e) => Err((e.kind(), e.to_string())),
    }
}
