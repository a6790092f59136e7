//! Who waits for what, seen from outside.
//!
//! Whoever waits leaves the reason and the address of what it waits for in its G or parker, and a
//! ticket that nobody has claimed (sched/wait.rs). Others look while it may go on at any moment, so
//! a look is two readings: [`Seen::of_g`] takes down ticket, reason and address, and
//! [`Seen::lasts`] says whether it is the same wait still. Tickets are never used twice: if it is,
//! the waiter has been in that wait all the time between the two.
//!
//! What a lock says of its holder is read where the lock lies, which may be anybody's memory by
//! then, or nobody's. So it is read by the kernel (`raw::peek`), and counts only if the wait lasted
//! beyond: the lock was alive then, for its waiter uses it. No lock is taken and nothing allocated:
//! this may run anywhere.

#![allow(unsafe_code, reason = "a location that a lock had when its waiter waited")]

use crate::atomic::Ordering;
use crate::chan::place::{NOBODY, RECEIVERS_AT, SENDERS_AT, at as chan_at};
use crate::g::parker::Parker;
use crate::g::{G, Status, WaitReason};
use crate::sched::thread_parker::{self, ThreadParker, tid_of};
use crate::sched::wait::Several;
use crate::sync::raw::rwlock::{RwWord, WORD_AT};
use crate::sys::raw::peek;
use core::fmt;
use core::panic::Location;

/// A goroutine, or a thread that is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Party {
    /// By its number.
    Goroutine(u64),
    /// By the kernel's number for it.
    Thread(u32),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Goroutine(id) => write!(f, "goroutine {id}"),
            Party::Thread(tid) => write!(f, "thread {tid}"),
        }
    }
}

/// Whom a wait is for: the holder of a lock, the goroutine to be joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// Who it is.
    pub party: Party,
    /// Where it took the lock.
    pub at: Option<&'static Location<'static>>,
}

/// Who can end a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waker {
    /// The one that has what is waited for.
    Holder(Holder),
    /// The writer that waits for the lock's readers, and comes first.
    Writer(Party),
    /// All of a lock's readers. `recorded`: each is on its goroutine's list (sync/readers.rs RR2).
    Readers { count: usize, recorded: bool },
}

/// Who has this name among those who hold locks.
fn named(who: usize) -> Party {
    match tid_of(who as u64) {
        Some(tid) => Party::Thread(tid),
        None => Party::Goroutine(who as u64),
    }
}

/// A wait that goes on. See [`waits`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// Who waits.
    pub party: Party,
    /// Why, in Go's words; of a blocking call its name.
    pub reason: &'static str,
    /// The addresses of what it waits for: a lock, a channel, all channels of a select. Nothing for
    /// a sleep, `park` and blocking calls.
    pub on: Vec<usize>,
    /// Whether the wait ends by itself at some time.
    pub timed: bool,
    /// The only one that can end it, where that is known: the holder of a mutex, the writer of an
    /// `RwLock` or the one that waits for its readers and comes first, the one that runs a `Once`,
    /// the goroutine to be joined.
    pub holder: Option<Holder>,
    /// Of a wait for the readers of an `RwLock`: the goroutines that read it and wait themselves.
    /// There may be more.
    pub readers: Vec<Party>,
}

/// What all goroutines wait for that wait now, and all plain threads that wait in a function of
/// rt0's. Never blocks; from any thread. While others run it is a picture of the past.
pub fn waits() -> Vec<Waiting> {
    let goroutines = crate::g::allgs().filter(|gp| !gp.is_system()).filter_map(|gp| {
        if gp.status() == Status::Syscall as u32 {
            return Some(Waiting {
                party: Party::Goroutine(gp.goid.get()),
                reason: crate::interpose::call_text(gp.call()),
                on: Vec::new(),
                timed: false,
                holder: None,
                readers: Vec::new(),
            });
        }
        Seen::of_g(gp)?.in_words()
    });
    let threads = thread_parker::all().filter_map(|tp| Seen::of_thread(tp)?.in_words());
    goroutines.chain(threads).collect()
}

/// The address of a `G`, or what a plain thread waits with.
#[derive(Clone, Copy)]
enum Waiter {
    G(&'static G),
    Thread(&'static ThreadParker),
}

/// A wait, as it was found.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    waiter: Waiter,
    pub(crate) party: Party,
    ticket: usize,
    pub(crate) reason: WaitReason,
    /// All bits turned, so that it is no address for those who look through memory.
    not_on: usize,
    pub(crate) timed: bool,
}

impl Seen {
    /// What the goroutine waits for, if it is parked.
    pub(crate) fn of_g(gp: &'static G) -> Option<Seen> {
        if gp.status() != Status::Waiting as u32 {
            return None;
        }
        let party = Party::Goroutine(gp.goid.get());
        Seen::find(Waiter::G(gp), party, &gp.parker, || gp.wait_reason())
    }

    /// What the thread waits for, if it does.
    pub(crate) fn of_thread(tp: &'static ThreadParker) -> Option<Seen> {
        Seen::find(Waiter::Thread(tp), Party::Thread(tp.tid()), &tp.parker, || tp.reason())
    }

    fn find(
        waiter: Waiter,
        party: Party,
        parker: &Parker,
        reason: impl FnOnce() -> WaitReason,
    ) -> Option<Seen> {
        let ticket = parker.ticket.unclaimed()?;
        let (on, timed) = parker.waits_on();
        let seen = Seen { waiter, party, ticket, reason: reason(), not_on: !on, timed };
        (seen.reason != WaitReason::None && seen.lasts()).then_some(seen)
    }

    /// Whether it has been waiting since, and nobody has made it go on.
    pub(crate) fn lasts(&self) -> bool {
        match self.waiter {
            Waiter::G(gp) => {
                gp.parker.ticket.unclaimed() == Some(self.ticket)
                    && gp.status() == Status::Waiting as u32
            }
            Waiter::Thread(tp) => tp.parker.ticket.unclaimed() == Some(self.ticket),
        }
    }

    /// Whom it waits for, if that is known and it still waits.
    pub(crate) fn waker(&self) -> Option<Waker> {
        let waker = match self.reason {
            WaitReason::Join => {
                Waker::Holder(Holder { party: Party::Goroutine(self.joined()?), at: None })
            }
            WaitReason::MutexLock | WaitReason::OnceDo => {
                Waker::Holder(self.held_by(peek::<2>(self.object())?)?)
            }
            WaitReason::RwLockRead | WaitReason::RwLockWrite => self.waker_of_rwlock()?,
            _ => return None,
        };
        self.lasts().then_some(waker)
    }

    /// The first two words of a lock (sync/owner.rs OW2).
    fn held_by(&self, [who, at]: [usize; 2]) -> Option<Holder> {
        if who == 0 || !self.lasts() {
            return None;
        }
        // SAFETY: the wait lasted beyond the reading, so this was the lock's word: null, or of a
        // `'static` location.
        Some(Holder { party: named(who), at: unsafe { (at as *const Location<'static>).as_ref() } })
    }

    fn waker_of_rwlock(&self) -> Option<Waker> {
        const WORDS: usize = WORD_AT / size_of::<usize>() + 1;
        let [who, at, drains, word] = peek::<WORDS>(self.object())?;
        if who != 0 {
            return self.held_by([who, at]).map(Waker::Holder);
        }
        // RL2 of sync/rwlock.rs; then the word itself, the flag of poison, and that of strangers.
        match drains {
            0 => None,
            _ if named(drains) != self.party => Some(Waker::Writer(named(drains))),
            _ => Some(Waker::Readers {
                count: RwWord::readers(word as u32),
                recorded: word.to_le_bytes()[5] == 0,
            }),
        }
    }

    /// Who alone can end the wait.
    pub(super) fn holder(&self) -> Option<Holder> {
        match self.waker()? {
            Waker::Holder(holder) => Some(holder),
            Waker::Writer(party) => Some(Holder { party, at: None }),
            Waker::Readers { .. } => None,
        }
    }

    /// What readers of the lock are recorded by (sync/readers.rs).
    pub(super) fn read_lock(&self) -> usize {
        self.object() + WORD_AT
    }

    /// The number of the goroutine whose end is waited for.
    fn joined(&self) -> Option<u64> {
        // SAFETY: join.rs waits for a G, which is never freed; 0 at a wait's beginning.
        let gp = unsafe { (self.object() as *const G).as_ref() };
        gp.map(|gp| gp.goid.get())
    }

    /// Calls `f` for each object, while it waits.
    pub(super) fn each_object(&self, mut f: impl FnMut(usize)) {
        if self.reason != WaitReason::Join {
            self.each_word(|on| {
                if on > NOBODY {
                    f(on);
                }
            });
        }
    }

    /// The same for each word that may have an object; false if the wait ended meanwhile.
    fn each_word(&self, mut f: impl FnMut(usize)) -> bool {
        if self.reason != WaitReason::Select {
            f(self.object());
            return true;
        }
        const WORDS: usize = size_of::<Several>() / size_of::<usize>();
        let Some([first, stride_bytes, count]) = peek::<WORDS>(self.object()) else { return false };
        if !self.lasts() {
            return false;
        }
        for i in 0..count {
            let at = first.wrapping_add(i * stride_bytes);
            match peek::<1>(at).filter(|_| self.lasts()) {
                Some([on]) => f(on),
                None => return false,
            }
        }
        true
    }

    /// Calls `f` for those who read the lock that it waits to be read no more, if they wait.
    pub(super) fn each_reader(&self, mut f: impl FnMut(Party)) {
        if !matches!(self.waker(), Some(Waker::Readers { .. })) {
            return;
        }
        for gp in crate::g::allgs().filter(|gp| gp.status() == Status::Waiting as u32) {
            // ORDERING: a report
            let reads = gp.reads().map(|word| word.load(Ordering::Relaxed));
            if reads.contains(&self.read_lock()) {
                f(Party::Goroutine(gp.goid.get()));
            }
        }
    }

    /// The address of what is waited for, if that is one thing.
    pub(super) fn object(&self) -> usize {
        !self.not_on
    }

    /// The goroutine.
    pub(super) fn g(&self) -> Option<&'static G> {
        match self.waiter {
            Waiter::G(gp) => Some(gp),
            Waiter::Thread(_) => None,
        }
    }

    /// Whether it waits at channels.
    pub(super) fn is_at_channels(&self) -> bool {
        matches!(self.reason, WaitReason::ChanReceive | WaitReason::ChanSend | WaitReason::Select)
    }

    /// Calls `f` with the name of each channel that it waits at; false if there is more.
    pub(super) fn each_channel(&self, mut f: impl FnMut(usize)) -> bool {
        let (mut all, mut any) = (true, false);
        let complete = self.is_at_channels()
            && self.each_word(|on| match on {
                0 => all = false,
                NOBODY => any = true,
                name => {
                    any = true;
                    f(name);
                }
            });
        complete && all && any
    }

    /// The goroutine's name.
    pub(super) fn name(&self) -> Option<&str> {
        match self.waiter {
            Waiter::G(gp) => gp.name(),
            Waiter::Thread(_) => None,
        }
    }

    pub(super) fn in_words(&self) -> Option<Waiting> {
        let mut on = Vec::new();
        self.each_object(|object| on.push(object));
        let (party, timed, holder) = (self.party, self.timed, self.holder());
        let mut readers = Vec::new();
        self.each_reader(|party| readers.push(party));
        let waiting = Waiting { party, reason: self.reason.text(), on, timed, holder, readers };
        self.lasts().then_some(waiting)
    }
}

/// Handles of a channel that are alive: senders, receivers.
pub(super) fn handles(name: usize) -> Option<[usize; 2]> {
    const { assert!(SENDERS_AT + size_of::<usize>() == RECEIVERS_AT) };
    peek(chan_at(name) + SENDERS_AT)
}

/// What kind of thing a wait with this reason is for.
pub(super) fn kind(reason: WaitReason) -> &'static str {
    use WaitReason as W;
    match reason {
        W::MutexLock => "sync.Mutex",
        W::RwLockRead | W::RwLockWrite => "sync.RWMutex",
        W::CondWait => "sync.Cond",
        W::WaitGroupWait => "sync.WaitGroup",
        W::SemAcquire => "semaphore",
        W::OnceDo => "sync.Once",
        W::NotifyWait => "notify",
        W::OneshotReceive => "oneshot",
        W::BroadcastReceive => "broadcast",
        W::WatchWait => "watch",
        W::BarrierWait => "barrier",
        W::ChanReceive | W::ChanSend | W::Select => "chan",
        W::Scope => "scope",
        W::IoWait => "descriptor",
        _ => "object",
    }
}

impl fmt::Display for Seen {
    /// `waits for sync.Mutex 0x7f00, held by goroutine 7, locked at src/main.rs:31`; nothing if it
    /// waits for nothing that has an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut any, mut result) = (false, Ok(()));
        self.each_object(|object| {
            let r = match core::mem::replace(&mut any, true) {
                false => write!(f, "waits for {} {object:#x}", kind(self.reason)),
                true => write!(f, ", {object:#x}"),
            };
            result = result.and(r);
        });
        result?;
        let holder = match self.waker() {
            None => return Ok(()),
            Some(Waker::Holder(holder)) => holder,
            Some(Waker::Writer(party)) => return write!(f, ", which {party} waits to write"),
            Some(Waker::Readers { count, .. }) => {
                write!(f, ", read by {count}")?;
                let (mut before, mut result) = (": ", Ok(()));
                self.each_reader(|party| {
                    let r = write!(f, "{}{party}", core::mem::replace(&mut before, ", "));
                    result = result.and(r);
                });
                return result;
            }
        };
        match self.reason {
            WaitReason::Join => return write!(f, "waits for the end of {}", holder.party),
            WaitReason::OnceDo => write!(f, ", which {} runs", holder.party)?,
            _ => write!(f, ", held by {}", holder.party)?,
        }
        match holder.at {
            Some(at) => write!(f, " since {}:{}", at.file(), at.line()),
            None => Ok(()),
        }
    }
}

/// A line for the goroutine's part of a dump: what it waits for and who has it. Nothing if there is
/// no such thing.
pub(crate) fn line(out: &mut impl fmt::Write, seen: Option<Seen>) -> fmt::Result {
    use fmt::Write;
    /// Notes whether anything is written: who is joined may have ended just now.
    struct Any<'a, W>(&'a mut W, bool);
    impl<W: Write> Write for Any<'_, W> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.1 |= !s.is_empty();
            self.0.write_str(s)
        }
    }
    let Some(seen) = seen.filter(|seen| seen.object() != 0) else { return Ok(()) };
    let mut out = Any(out, false);
    write!(out, "{seen}")?;
    if out.1 { out.0.write_str("\n") } else { Ok(()) }
}
