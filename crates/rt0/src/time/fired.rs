//! Timers with a function whose time has come, on the way to the goroutine that starts them.
//!
//! Go: time.go `goFunc`, which starts a goroutine where the timer is run. Here that is g0, which
//! may not allocate, and to make a goroutine may take memory. So g0 hands the timer to a goroutine
//! of the runtime's (func.rs) that does.
//!
//! A timer waits as a goroutine does: it has a parker whose ticket is in a heap. Its parker is no
//! goroutine's, and that of a plain thread is in no heap: so who finds such a ticket due knows what
//! it is. What the parker "waits on" is the timer's address.

use crate::g::parker::{Parker, Wait};
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::malloc::{deque::RtDeque, immortal, vec::RtVec};

struct Fired {
    timers: RtDeque<usize>,
    /// The goroutine, while it waits.
    runner: Option<Wait>,
}

static FIRED: RtMutex<Fired> =
    RtMutex::new(Rank::Misc, Fired { timers: RtDeque::new(), runner: None });

/// Parkers of timers that are gone. Tickets in heaps may still name them (PA1), so they are used
/// again and never freed.
static PARKERS: RtMutex<RtVec<&'static Parker>> = RtMutex::new(Rank::Misc, RtVec::new());

/// The timer's ticket was claimed: it will be run. The goroutine to be woken for that, if it waits.
pub(crate) fn push(timer: usize) -> Option<Wait> {
    let mut fired = FIRED.lock();
    fired.timers.push_back(timer);
    fired.runner.take()
}

/// The timer that fired first; `Err`: there is none, and the ticket is noted, to be woken.
pub(crate) fn pop_or_note(wait: impl FnOnce() -> Wait) -> Result<usize, Wait> {
    let mut fired = FIRED.lock();
    if let Some(timer) = fired.timers.pop_front() {
        return Ok(timer);
    }
    let wait = wait();
    fired.runner = Some(wait);
    Err(wait)
}

/// How many are made at a time: the slabs round up.
const PARKERS_AT_ONCE: usize = 64;

/// A parker for a timer.
pub(crate) fn parker() -> &'static Parker {
    loop {
        let free = PARKERS.lock().pop();
        if let Some(parker) = free {
            return parker;
        }
        let fresh = immortal([const { Parker::new() }; PARKERS_AT_ONCE]);
        let mut parkers = PARKERS.lock();
        fresh.iter().for_each(|parker| parkers.push(parker));
    }
}

/// Its timer is gone; its last ticket was claimed.
pub(crate) fn give_back(parker: &'static Parker) {
    PARKERS.lock().push(parker);
}
