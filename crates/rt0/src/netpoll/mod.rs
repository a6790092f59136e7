//! Waiting for descriptors and for the next timer.
//!
//! Go: netpoll.go, netpoll_epoll.go, proc.go `wakeNetPoller`, `netpollBreak`; `sched.lastpoll`,
//! `pollUntil`, `netpollWaiters`, `pollingNet`.
//!
//! Descriptors that somebody had to wait for are in one epoll set, edge-triggered for both
//! directions, so waiting costs no system call of its own (desc.rs). Who looks at the set:
//! an M that finds its queues empty, before it steals; the idle M that waits for the next timer
//! (poller.rs), which sleeps in `epoll_pwait2`; and sysmon, when nobody did for a while. Goroutines
//! that are ready are queued in one go. A plain thread that waits asks the kernel itself, with
//! `ppoll`: it needs nobody's help for that, and none of it needs the runtime to run.
//!
//! # Invariants
//! * `NP1`: one M at a time is the poller; one thread at a time looks without waiting.
//! * `NP2`: who makes a timer earlier than the poller's deadline breaks the poller; who makes one
//!   while nobody polls wakes an M (wakep), which will look at all timers before it becomes the
//!   poller. The same for an M that goes idle with goroutines waiting for descriptors.
//! * `NP3`: `WAITERS` counts goroutines in `wait_io`, and async code that waits (io/polled.rs). The
//!   last M to go idle sees all of them, and waits for descriptors if there are any.
//! * `NP4`: after fork the child shares the set with its parent, whose registrations it must not
//!   touch: it never uses it ([`in_child`]).

pub(crate) mod desc;
pub(crate) mod gate;
pub(crate) mod poller;
pub(crate) mod wait_io;

use crate::atomic::{AtomicBool, AtomicI64, AtomicRef, AtomicU32, AtomicUsize, Ordering};
use crate::g::G;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::m::M;
use crate::p::P;
use crate::sched::global_queue::{go_first, runqput};
use crate::sched::runq::{Place, RUNQ_LEN};
use crate::sched::wait::Wait;
use crate::sched::{SCHED, p_of, sysmon, wake};
use crate::sys::epoll::{self, EventFlags, Events, MAX_EVENTS};
use crate::sys::eventfd::{EventFd, LastingFd};
use crate::sys::nanotime;
use poller::{FOREVER, Net, Poller};
use rustix::fd::BorrowedFd;

static POLLER: Poller = Poller::new();
static EPOLL: LastingFd = LastingFd::new();
/// Breaks a poller that waits in epoll; registered under [`BREAK`].
static BREAK_FD: EventFd = EventFd::new();
/// The word that events of `BREAK_FD` carry: no descriptor has this number.
const BREAK: u64 = u64::MAX;
/// NP3.
static WAITERS: AtomicUsize = AtomicUsize::new(0);
/// NP1.
static LOOKING: AtomicBool = AtomicBool::new(false);
/// When somebody last looked. Go: lastpoll.
static LAST_POLL: AtomicI64 = AtomicI64::new(0);
/// 0 in a child of fork; NP4.
static OWN: AtomicRef<AtomicU32> = AtomicRef::none();

/// The set of descriptors, opened by the first caller. Go: netpollinit.
fn set() -> rustix::io::Result<BorrowedFd<'static>> {
    static OPENING: RtMutex<()> = RtMutex::new(Rank::Misc, ());
    if let Some(ep) = EPOLL.get() {
        return Ok(ep);
    }
    let _one = OPENING.lock();
    if let Some(ep) = EPOLL.get() {
        return Ok(ep);
    }
    let ep = epoll::create()?;
    let broken = BREAK_FD.make()?;
    epoll::add(rustix::fd::AsFd::as_fd(&ep), broken, BREAK, EventFlags::IN)?;
    OWN.store(crate::sys::mem::own_of_process(), Ordering::Release); // ORDERING: before EPOLL is
    EPOLL.set(ep);
    POLLER.opened(&Set);
    set()
}

/// Whether this is the child of a fork (NP4).
pub(crate) fn in_child() -> bool {
    match OWN.get() {
        // ORDERING: a word of this process, written before the set was opened
        Some(own) => own.load(Ordering::Relaxed) == 0,
        None => is_on_another_thread(),
    }
}

/// The same before there is a set: nobody in the child would look at one that it opened.
#[cold]
fn is_on_another_thread() -> bool {
    let pin = crate::tls::pin::pin();
    pin.m().is_some_and(|mp| !crate::sched::syscall::is_own_thread(mp))
}

struct Set;

impl Net for Set {
    fn is_open(&self) -> bool {
        EPOLL.get().is_some()
    }

    fn wake(&self) {
        BREAK_FD.wake();
    }
}

/// Waits for events; true if there are some.
fn poll(events: &mut Events, left_ns: Option<i64>) -> bool {
    let Some(ep) = EPOLL.get() else { return false };
    epoll::wait(ep, events, left_ns);
    if events.iter().any(|(data, _)| data == BREAK) {
        BREAK_FD.drain();
    }
    is_any(events)
}

/// Whether a descriptor is ready. `BREAK_FD` is none: a breaker may be so late that the poller has
/// ended, and then its event stays until the next poller drains it. An M that took it for something
/// found would look again and again, and do nothing else.
pub(crate) fn is_any(events: &Events) -> bool {
    events.iter().any(|(data, _)| data != BREAK)
}

/// An M without a P waits for descriptors and for the next timer of all, whose deadline `timers`
/// tells (0: none). True: it waited, or is owed a look for a timer: the caller looks for work
/// again, if it gets a P, and runs what `events` holds.
pub(crate) fn wait(mp: &'static M, timers: fn() -> i64, events: &mut Events) -> bool {
    let many = READIED.load(Ordering::Relaxed) >= MANY; // ORDERING: a heuristic
    let spacing = if many { SPACING_OF_MANY_NS } else { SPACING_NS };
    let earliest = LAST_WAKE.load(Ordering::Relaxed) + spacing; // ORDERING: a heuristic
    let first = || match timers() {
        // ORDERING: NP3: the poller's fence, or that of an M which goes idle, comes first
        0 if WAITERS.load(Ordering::Relaxed) > 0 => FOREVER,
        0 => 0,
        when => when.max(earliest),
    };
    let stop = || mp.is_special_on_g0();
    let waited = POLLER.wait(&Set, |left| poll(events, left), first, stop, nanotime);
    if waited {
        READIED.store(0, Ordering::Relaxed); // ORDERING: a heuristic
    }
    let now = nanotime();
    LAST_WAKE.store(now, Ordering::Relaxed); // ORDERING: a heuristic
    LAST_POLL.store(now, Ordering::Relaxed); // ORDERING: a heuristic
    waited
}

/// The poller does not wake twice within this time for timers: where there are many, those of one
/// such interval are run together. Waking a thread costs some 10 µs of CPU; without this a thousand
/// goroutines that sleep for 10 ms each would spend more on it than on anything else. A timer is
/// late by this at most, and only if another was due that shortly before it.
const SPACING_NS: i64 = 100_000;
/// The same where it readied as many as [`MANY`] the last time.
const SPACING_OF_MANY_NS: i64 = 140_000;
const MANY: usize = 5;

/// How many sleepers were readied since the poller last woke; about.
static READIED: AtomicUsize = AtomicUsize::new(0);

/// So many sleepers were readied at once.
pub(crate) fn were_readied(n: usize) {
    // Not an exchange: two Ms that do this at the same time are rare, and nothing depends on it.
    let n = READIED.load(Ordering::Relaxed).wrapping_add(n); // ORDERING: a heuristic
    READIED.store(n, Ordering::Relaxed); // ORDERING: a heuristic
}

/// When the poller last woke.
static LAST_WAKE: AtomicI64 = AtomicI64::new(0);

/// Whether goroutines or async code wait for descriptors.
pub(crate) fn is_waited_for() -> bool {
    WAITERS.load(Ordering::Relaxed) > 0 // ORDERING: exact if all who wait do so
}

/// Whether looking at the set could find something: goroutines wait for descriptors, and nobody
/// sleeps on the set, whom the kernel would wake.
#[inline]
pub(crate) fn is_worth_a_look() -> bool {
    // ORDERING: a hint
    WAITERS.load(Ordering::Relaxed) > 0 && !POLLER.is_on_net()
}

/// An M with a P looks at the set without waiting, and queues what is ready on its P. True if that
/// is somebody: what is ready and nobody waits for may come without end. Go: netpoll(0) in
/// findRunnable.
pub(crate) fn look(mp: &'static M) -> bool {
    let mut events = Events::new();
    look_into(&mut events) && run_on(p_of(mp), &events)
}

/// NP1. False: there is nothing, or another thread looks.
fn look_into(events: &mut Events) -> bool {
    if LOOKING.swap(true, Ordering::Acquire) {
        return false; // ORDERING: pairs with the store below
    }
    if let Some(ep) = EPOLL.get() {
        epoll::wait(ep, events, Some(0));
    }
    LAST_POLL.store(nanotime(), Ordering::Relaxed); // ORDERING: a heuristic
    LOOKING.store(false, Ordering::Release); // ORDERING: pairs with the swap above
    is_any(events)
}

/// Wakes those who wait for these events: goroutines are queued on `pp`, the M's own. True if there
/// are any. Go: injectglist.
pub(crate) fn run_on(pp: &'static P, events: &Events) -> bool {
    let mut woken = 0;
    desc::fire(events, |wait: Wait| {
        if let Some(gp) = wait.unpark() {
            runqput(pp, gp, Place::Tail);
            woken += 1;
        }
    });
    go_first(pp, woken);
    // ORDERING: of this thread, or a heuristic
    let now = || LAST_POLL.load(Ordering::Relaxed);
    if woken > 0 && pp.batch.begin_at(woken, now) {
        wake::wakep();
    }
    woken > 0
}

/// sysmon has asked for a look, which the M of `pp` is to make now that it is on g0. It need not
/// while `pp` runs those whom the last one has woken, if that will not take long: it looks when
/// that is done, and nobody who is woken now would run sooner. Nor does it if they might not find
/// room in the local queue, and the oldest there had to go to the global one.
pub(crate) fn look_if_asked(mp: &'static M, pp: &'static P) {
    if !ASKED.swap(false, Ordering::Relaxed) {
        return; // ORDERING: a heuristic
    }
    let (queued, now) = (pp.runq.len(), nanotime());
    if pp.first.are_soon_done(queued, pp.schedtick.get(), now, SOON_NS) {
        LAST_POLL.store(now, Ordering::Relaxed); // ORDERING: a heuristic
        return;
    }
    NEEDED.store(true, Ordering::Relaxed); // ORDERING: a heuristic
    if queued + MAX_EVENTS <= RUNQ_LEN && is_worth_a_look() {
        look(mp);
    }
}

/// Whether sysmon has asked for a look.
#[inline]
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed) // ORDERING: a heuristic
}

/// The same without a P: those that have one take them at their next switch.
pub(crate) fn run_globally(events: &Events) {
    let mut ready = Ready { gs: [None; Ready::MAX], len: 0 };
    desc::fire(events, |wait: Wait| {
        if let Some(gp) = wait.unpark() {
            ready.push(gp);
        }
    });
    ready.flush();
}

/// Goroutines on their way to the queue of those who are ready.
struct Ready {
    gs: [Option<&'static G>; Self::MAX],
    len: usize,
}

impl Ready {
    const MAX: usize = 64;

    fn push(&mut self, gp: &'static G) {
        if self.len == Self::MAX {
            self.flush();
        }
        self.gs[self.len] = Some(gp);
        self.len += 1;
    }

    fn flush(&mut self) {
        if self.len == 0 {
            return;
        }
        SCHED.lock.lock().readyput(self.gs[..self.len].iter().flatten().copied());
        self.len = 0;
        wake::wakep();
        sysmon::ask_to_look();
    }
}

/// sysmon looks when nobody did for so long: those that run have enough to do, and the M that
/// counted on finding out itself is busy with something else. Go's is ten times as long.
const STALE_NS: i64 = 1_000_000;
/// Before that it asks those that run: one that switches often does it without another thread. So
/// early that one of two rounds half a millisecond apart does, or it would look at a set whose M
/// needs a little more than [`STALE_NS`] for those it has woken.
const ASK_NS: i64 = STALE_NS / 4;

/// So long those who were woken may take, all together, before who is ready now is looked for: a
/// full queue of short requests. With less, a queue that was once long would be kept long by looks.
const SOON_NS: u64 = 4_000_000;

/// sysmon has asked, and nobody has answered yet.
static ASKED: AtomicBool = AtomicBool::new(false);

/// It was right to ask: who answered would not have looked soon.
static NEEDED: AtomicBool = AtomicBool::new(false);

/// What sysmon did about the set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Nothing: others look often enough.
    No,
    /// It has asked an M.
    Asked,
    /// It has looked, or was right to ask the last time.
    Needed,
}

/// sysmon's part. `is_late`: its last round was long ago. Then it asks where it would look itself
/// otherwise: nobody was asked before.
pub(crate) fn look_if_stale(now: i64, is_late: bool) -> Stale {
    if !is_worth_a_look() {
        return Stale::No;
    }
    let needed = NEEDED.swap(false, Ordering::Relaxed); // ORDERING: a heuristic
    let since = now - LAST_POLL.load(Ordering::Relaxed); // ORDERING: a heuristic
    let asks = if is_late { since >= STALE_NS } else { (ASK_NS..STALE_NS).contains(&since) };
    if asks {
        ASKED.store(true, Ordering::Relaxed); // ORDERING: a heuristic
        sysmon::ask_to_look();
    }
    let looks = !asks && since >= STALE_NS;
    let mut events = Events::new();
    if looks && look_into(&mut events) {
        run_globally(&events);
    }
    match (needed || looks, asks) {
        (true, _) => Stale::Needed,
        (false, true) => Stale::Asked,
        (false, false) => Stale::No,
    }
}

/// Wakes the poller, if there is one. Go: netpollBreak.
pub(crate) fn break_poller() {
    POLLER.break_poller(&Set);
}

/// A timer for `when` was added. Go: wakeNetPoller. NP2.
pub(crate) fn wake_net_poller(when: i64) {
    if !POLLER.wakes_for(&Set, when) {
        wake::wakep();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_break_that_came_late_is_nothing_to_find() {
        set().expect("a descriptor is free");
        BREAK_FD.wake();
        for _ in 0..2 {
            assert!(!look_into(&mut Events::new()), "an M would look for ever");
        }
    }
}
