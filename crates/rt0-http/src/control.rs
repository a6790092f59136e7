//! How connections end when a server stops.

use rt0::net::{Shutdown, TcpStream};
use rt0::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Between two requests, or before the first.
const IDLE: u8 = 0;
const BUSY: u8 = 1;
/// After the request that is being worked on, if there is one, the connection ends.
const STOPPED: u8 = 2;

/// What others may do to a connection.
///
/// ```text
///  IDLE <──idle── BUSY       stop: to STOPPED; from IDLE it also ends the reading side
///    └────busy────^
/// ```
pub(crate) struct Control {
    state: AtomicU8,
    socket: Option<Arc<TcpStream>>,
}

impl Control {
    pub(crate) fn new(socket: Option<Arc<TcpStream>>) -> Control {
        Control { state: AtomicU8::new(IDLE), socket }
    }

    /// Something of a request has come.
    pub(crate) fn busy(&self) {
        // ORDERING: the word carries nothing but itself, here and below.
        let _ = self.state.compare_exchange(IDLE, BUSY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The next request is waited for. False: the connection is to end.
    pub(crate) fn idle(&self) -> bool {
        let _ = self.state.compare_exchange(BUSY, IDLE, Ordering::Relaxed, Ordering::Relaxed);
        !self.is_stopped()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Relaxed) == STOPPED
    }

    /// Who waits for a request sees the end, after what has come already.
    pub(crate) fn stop(&self) {
        if self.state.swap(STOPPED, Ordering::Relaxed) == IDLE
            && let Some(socket) = &self.socket
        {
            let _ = socket.shutdown(Shutdown::Read); // it may have ended by itself
        }
    }

    fn cut(&self) {
        if let Some(socket) = &self.socket {
            socket.close();
        }
    }
}

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
