//! Timers with a function whose time has come, and async code that is to be woken, on the way to
//! the goroutine that does it.
//!
//! Go: time.go `goFunc`, which starts a goroutine where the timer is run. Here that is g0, which
//! may not allocate, and to make a goroutine may take memory; nor may it run a waker, which is code
//! of the program's. So it is handed to a goroutine of the runtime's (func.rs).
//!
//! Such a timer, and what async code waits with (future/task.rs), wait as a goroutine does: they
//! have a parker, whose ticket is in a heap or in the list of those who wait for something. The
//! parker says that it is nobody's (`runs`).

use crate::g::parker::{Parker, Wait};
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::malloc::{deque::RtDeque, immortal, vec::RtVec};
use crate::sched::{enter, leave, p_of};

struct Fired {
    /// In the order in which they were claimed: the address of each, with its [`Kind`].
    items: RtDeque<usize>,
    /// The goroutine, while it waits.
    runner: Option<Wait>,
}

static FIRED: RtMutex<Fired> =
    RtMutex::new(Rank::Misc, Fired { items: RtDeque::new(), runner: None });

/// What it is that a ticket belongs to: in the low bits of the address, which is a multiple of 8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Timer = 0,
    Task = 4,
}

/// Parkers of those that are gone. Tickets in heaps may still name them (PA1), so they are used
/// again and never freed.
static PARKERS: RtMutex<RtVec<&'static Parker>> = RtMutex::new(Rank::Misc, RtVec::new());

/// The ticket was claimed: it will be run. The goroutine to be woken for that, if it waits.
pub(crate) fn push(item: usize) -> Option<Wait> {
    let mut fired = FIRED.lock();
    fired.items.push_back(item);
    fired.runner.take()
}

/// What fired first; `Err`: there is nothing, and the ticket is noted, to be woken.
pub(crate) fn pop_or_note(wait: impl FnOnce() -> Wait) -> Result<(Kind, usize), Wait> {
    let mut fired = FIRED.lock();
    if let Some(item) = fired.items.pop_front() {
        let kind = if item & Kind::Task as usize == 0 { Kind::Timer } else { Kind::Task };
        return Ok((kind, item & !(Kind::Task as usize)));
    }
    let wait = wait();
    fired.runner = Some(wait);
    Err(wait)
}

/// How many are made at a time: the slabs round up.
const PARKERS_AT_ONCE: usize = 64;

/// A parker, whose owner tells it [`what_runs`].
pub(crate) fn parker() -> &'static Parker {
    let Some((mp, _)) = enter() else { return shared_parker() };
    let parker = p_of(mp).parkers.pop().unwrap_or_else(shared_parker);
    leave(mp);
    parker
}

#[cold]
fn shared_parker() -> &'static Parker {
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

/// What it belongs to lies at this address.
pub(crate) fn what_runs(parker: &'static Parker, kind: Kind, address: usize) {
    parker.set_runs(address | kind as usize);
}

/// What it was for is gone; its last ticket was claimed.
pub(crate) fn give_back(parker: &'static Parker) {
    let Some((mp, _)) = enter() else { return PARKERS.lock().push(parker) };
    if !p_of(mp).parkers.push(parker) {
        PARKERS.lock().push(parker);
    }
    leave(mp);
}
