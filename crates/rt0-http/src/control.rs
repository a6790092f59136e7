//! How connections end when a server stops.

use rt0::net::{Shutdown, TcpStream};
use rt0::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two requests, or before the first. The low bits of the word; above them is the number of
/// times that it has become idle.
const IDLE: u64 = 0;
const BUSY: u64 = 1;
/// After the request that is being worked on, if there is one, the connection ends.
const STOPPED: u64 = 2;
const STATE: u64 = 3;
const ONE: u64 = 4;

/// The connection below a server's: what it and others do to the same memory, so that a request
/// finds all of it in one place.
///
/// ```text
///  IDLE <──idle── BUSY       stop: to STOPPED; from IDLE it also ends the reading side
///    └────busy────^
/// ```
#[repr(align(64))] // one line of the cache
pub(crate) struct Control {
    state: AtomicU64,
    socket: Socket,
}

/// The connection at the bottom.
pub(crate) enum Socket {
    Own(TcpStream),
    /// The program has it too.
    Shared(Arc<TcpStream>),
    Unknown,
}

impl Control {
    pub(crate) fn new(socket: Socket) -> Control {
        Control { state: AtomicU64::new(IDLE), socket }
    }

    #[inline]
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match &self.socket {
            Socket::Own(socket) => Some(socket),
            Socket::Shared(socket) => Some(socket),
            Socket::Unknown => None,
        }
    }

    /// Something of a request has come.
    pub(crate) fn busy(&self) {
        // ORDERING: the word carries nothing but itself, here and below.
        let now = self.state.load(Ordering::Relaxed);
        if now & STATE == IDLE {
            self.change(now, now | BUSY);
        }
    }

    /// The next request is waited for. False: the connection is to end.
    pub(crate) fn idle(&self) -> bool {
        let now = self.state.load(Ordering::Relaxed);
        now & STATE == BUSY && self.change(now, (now & !STATE).wrapping_add(ONE) | IDLE)
            || !self.is_stopped()
    }

    /// False: it was stopped.
    fn change(&self, from: u64, to: u64) -> bool {
        self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Relaxed) & STATE == STOPPED
    }

    /// Who waits for a request sees the end, after what has come already.
    pub(crate) fn stop(&self) {
        if self.state.swap(STOPPED, Ordering::Relaxed) & STATE == IDLE {
            self.end_reading();
        }
    }

    /// Since when it is idle, if it is: the same value again is the same time.
    fn idle_since(&self) -> Option<u64> {
        Some(self.state.load(Ordering::Relaxed)).filter(|now| now & STATE == IDLE)
    }

    /// As `stop`, if it is still idle since then.
    fn stop_idle(&self, since: u64) {
        if self.change(since, STOPPED) {
            self.end_reading();
        }
    }

    fn end_reading(&self) {
        if let Some(socket) = self.socket() {
            let _ = socket.shutdown(Shutdown::Read); // it may have ended by itself
        }
    }

    fn cut(&self) {
        if let Some(socket) = self.socket() {
            socket.close();
        }
    }
}

/// In how many parts the time is divided for which a connection may be idle.
const LOOKS: u32 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The connections of a server.
#[derive(Default)]
pub(crate) struct Crowd {
    members: Mutex<Members>,
    left: Condvar,
}

#[derive(Default)]
struct Members {
    next: u64,
    connections: HashMap<u64, Arc<Control>>,
    is_stopped: bool,
}

/// A connection that belongs to a crowd until this is dropped.
pub(crate) struct Member {
    crowd: Arc<Crowd>,
    number: u64,
    pub(crate) control: Arc<Control>,
}

impl Crowd {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(self: &Arc<Crowd>, control: Control) -> Member {
        let control = Arc::new(control);
        let mut members = self.lock();
        let number = members.next;
        members.next += 1;
        members.connections.insert(number, Arc::clone(&control));
        Member { crowd: Arc::clone(self), number, control }
    }

    /// Connections that are idle end now, the others after their request.
    pub(crate) fn stop(&self) {
        let mut members = self.lock();
        members.is_stopped = true;
        members.connections.values().for_each(|control| control.stop());
    }

    /// Ends connections that were idle for `timeout`, or a quarter longer, until `sleep` says that
    /// the server ends. A deadline for each wait would be a timer for each request.
    pub(crate) fn sweep(&self, timeout: Duration, mut sleep: impl FnMut(Duration) -> bool) {
        let pause = (timeout / LOOKS).max(SHORTEST_PAUSE);
        // How often in a row a connection was seen in the same idle time.
        let mut seen: HashMap<u64, (u64, u32)> = HashMap::new();
        while sleep(pause) {
            let members = self.lock();
            seen.retain(|number, _| members.connections.contains_key(number));
            for (number, control) in &members.connections {
                let Some(since) = control.idle_since() else {
                    seen.remove(number);
                    continue;
                };
                let looks = seen.entry(*number).or_insert((since, 0));
                *looks = (since, if looks.0 == since { looks.1 + 1 } else { 1 });
                if looks.1 > LOOKS {
                    control.stop_idle(since);
                }
            }
        }
    }

    /// Waits until all are gone, but not longer than `grace`. Those that are left are cut off;
    /// their number is returned.
    pub(crate) fn wait(&self, grace: Duration) -> usize {
        let members = self.lock();
        let (members, _) = self
            .left
            .wait_timeout_while(members, grace, |members| !members.connections.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        members.connections.values().for_each(|control| control.cut());
        members.connections.len()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.crowd.lock();
        members.connections.remove(&self.number);
        if members.is_stopped && members.connections.is_empty() {
            self.crowd.left.notify_all();
        }
    }
}
