//! The connections that a client keeps for its next request.
//!
//! They are closed when they have been idle for too long, without any further call: a timer, which
//! is no goroutine until it fires, is armed while there are some. Go: `Transport.idleConn`,
//! `IdleConnTimeout`.

use crate::input::Input;
use crate::stream::Tcp;
use rt0::net::TcpStream;
use rt0::sync::{Mutex, MutexGuard, PoisonError};
use rt0::time::Timer;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections to one host that are kept.
const KEPT_PER_HOST: usize = 64;
/// How long they are kept. Servers close what is idle; most wait for longer.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Connections without a request.
pub(crate) struct Pool(Mutex<Kept>);

struct Kept {
    /// The latest last.
    hosts: HashMap<String, Vec<(Instant, Input<Tcp>)>>,
    timeout: Duration,
    /// Made when first needed.
    timer: Option<Timer>,
    is_armed: bool,
}

impl Default for Pool {
    fn default() -> Pool {
        let (hosts, timer) = (HashMap::new(), None);
        Pool(Mutex::new(Kept { hosts, timeout: KEPT_FOR, timer, is_armed: false }))
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last. One that is known to have ended is not returned, nor one that
    /// brought something unasked: it would be taken for the answer to the next request.
    pub(crate) fn take(&self, key: &str) -> Option<Input<Tcp>> {
        loop {
            let (is_fresh, input) = {
                let mut kept = self.lock();
                let timeout = kept.timeout;
                let (since, input) = kept.hosts.get_mut(key)?.pop()?;
                (since.elapsed() < timeout, input)
            };
            if is_fresh && is_silent(&input.source().0) {
                return Some(input);
            }
        }
    }

    /// Keeps a connection, unless there are enough.
    pub(crate) fn put(self: &Arc<Pool>, key: String, input: Input<Tcp>) {
        let mut kept = self.lock();
        let connections = kept.hosts.entry(key).or_default();
        if connections.len() >= KEPT_PER_HOST {
            drop(kept);
            return drop(input); // without the lock
        }
        connections.push((Instant::now(), input));
        if !kept.is_armed {
            let timeout = kept.timeout;
            self.arm(&mut kept, timeout);
        }
    }

    /// They are closed after this time; those that are kept already, too.
    pub(crate) fn set_timeout(self: &Arc<Pool>, timeout: Duration) {
        self.lock().timeout = timeout;
        self.sweep();
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        let old = {
            let mut kept = self.lock();
            kept.disarm();
            std::mem::take(&mut kept.hosts)
        };
        drop(old); // without the lock
    }

    fn arm(self: &Arc<Pool>, kept: &mut Kept, after: Duration) {
        kept.is_armed = true;
        match &kept.timer {
            Some(timer) => drop(timer.reset(after)),
            None => {
                let pool = Arc::downgrade(self);
                let sweep = move || {
                    if let Some(pool) = pool.upgrade() {
                        pool.sweep();
                    }
                };
                kept.timer = Some(Timer::after_func(after, sweep));
            }
        }
    }

    /// Closes those that are too old, and arms the timer for the next.
    fn sweep(self: &Arc<Pool>) {
        let mut old = Vec::new(); // closed without the lock
        let mut kept = self.lock();
        kept.disarm();
        let (now, timeout) = (Instant::now(), kept.timeout);
        for connections in kept.hosts.values_mut() {
            let fresh = connections.partition_point(|(since, _)| now - *since >= timeout);
            old.extend(connections.drain(..fresh));
        }
        kept.hosts.retain(|_, connections| !connections.is_empty());
        let oldest = kept.hosts.values().flatten().map(|(since, _)| *since).min();
        if let Some(since) = oldest {
            self.arm(&mut kept, timeout.saturating_sub(now - since));
        }
        drop(kept);
        drop(old);
    }
}

impl Kept {
    fn disarm(&mut self) {
        if let Some(timer) = &self.timer {
            timer.stop();
        }
        self.is_armed = false;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.lock().disarm();
    }
}

/// Whether the other side has neither ended the connection nor said anything.
fn is_silent(stream: &TcpStream) -> bool {
    let asked = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut [0]);
    let restored = stream.set_nonblocking(false);
    asked.is_ok() && restored.is_ok() && peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}
