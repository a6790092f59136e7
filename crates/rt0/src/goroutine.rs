//! The public face of a goroutine: identity, park and unpark.

use crate::g::park_state::Notified;
use crate::g::ticket::FIRST_OP;
use crate::g::{G, WaitReason};
use crate::sched::wait::{self, Wait, Why};
use crate::sched::waiter::park_with;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A handle to a goroutine, alive or ended. Cheap to clone.
///
/// std: [`std::thread::Thread`].
#[derive(Clone)]
pub struct Goroutine {
    id: u64,
    name: Option<Arc<str>>,
    gp: &'static G,
}

impl Goroutine {
    #[inline(always)]
    pub(crate) fn new(gp: &'static G) -> Goroutine {
        let name = gp.extras().and_then(|e| e.name.clone());
        Goroutine { id: gp.goid.get(), name, gp }
    }

    /// The goroutine's number: 1 is main, no other number is used twice in a process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name given to [`Builder::name`](crate::Builder::name).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The G, which may be another goroutine's by now.
    pub(crate) fn g(&self) -> &'static G {
        self.gp
    }

    /// The G, while it is still this goroutine's.
    pub(crate) fn g_if_not_reused(&self) -> Option<&'static G> {
        (self.gp.goid.get() == self.id).then_some(self.gp)
    }

    /// Makes the goroutine's [`park`], current or next, return. Never blocks; from any thread.
    ///
    /// For a goroutine that has ended it does nothing that can be seen: at worst an unrelated
    /// `park` returns early, which it may do at any time. std: `Thread::unpark`.
    pub fn unpark(&self) {
        let Some(gp) = self.g_if_not_reused() else { return };
        match gp.park.notify_any() {
            Notified::Nobody => {}
            Notified::Parked => crate::sched::park::goready(gp),
            Notified::Timed(ticket) => {
                let wait = Wait { parker: &gp.parker, ticket };
                if wait.claim(FIRST_OP) {
                    wait.wake();
                }
            }
        }
    }
}

impl fmt::Debug for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Goroutine")
            .field("id", &self.id)
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// The goroutine this code runs on; `None` on a plain thread.
pub fn current() -> Option<Goroutine> {
    crate::tls::getg().map(Goroutine::new)
}

/// Blocks the goroutine until [`Goroutine::unpark`]; other goroutines run meanwhile.
///
/// Returns at once if an `unpark` came first; may also return for no reason, so call it in a loop
/// that checks what is waited for. On a plain thread it is [`std::thread::park`]. std:
/// `std::thread::park`.
pub fn park() {
    match crate::tls::getg() {
        Some(gp) => park_with(&gp.park, Why { reason: WaitReason::Park, on: 0 }),
        None => std::thread::park(),
    }
}

/// The same for at most `dur`. std: `std::thread::park_timeout`.
pub fn park_timeout(dur: Duration) {
    let Some(gp) = crate::tls::getg() else { return std::thread::park_timeout(dur) };
    if gp.park.consume() || dur.is_zero() {
        return;
    }
    let wait = Wait::begin();
    if gp.park.begin_timed(wait.ticket) {
        let why = Why { reason: WaitReason::Park, on: 0 };
        wait.wait(why, wait::after(dur));
    } else {
        wait.abort();
    }
    gp.park.resumed();
}
