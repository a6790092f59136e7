//! The runtime's side of a descriptor: who waits for it, until when, and whether it is closed.
//!
//! Go: netpoll.go `pollDesc`, `pollCache`, `netpollready`; poll.FD.
//!
//! A `PollDesc` is made for each file that rt0's own types have opened, and used again for another
//! when that one is gone: events of the kernel's name it by number, and may be late. Duplicates of
//! a descriptor (`try_clone`) share it, as they share timeouts in std. A descriptor joins the epoll
//! set when somebody first has to wait, for both directions and edge-triggered, and stays there
//! until it is closed; then a duplicate takes its place.
//!
//! Deadlines are not timers of the descriptor: who waits gives its wait the deadline that it finds
//! here, and a new deadline wakes all waiters, who look again (gate.rs).
//!
//! # Invariants
//! * `PD1`: never freed; a late event finds another `seq` and does nothing.
//! * `PD2`: `state` protects owners, registration and waiters; `seq`, the counts of the gates,
//!   flags and limits change under it and are read without.
//! * `PD3`: when it is given back nobody waits: waiters borrow the owner of the descriptor.

use super::gate::{Behind, Gate, Waiters};
use super::{EPOLL, in_child, set};
use crate::atomic::{AtomicI64, AtomicRef, AtomicU32, AtomicUsize, Ordering};
use crate::g::parker::Parker;
use crate::g::ticket::FIRST_OP;
use crate::lock::mutex::RtMutex;
use crate::lock::rank::Rank;
use crate::malloc::{Table, immortal};
use crate::sched::wait::Wait;
use crate::sys::epoll::{self, EventFlags, Events, MAX_EVENTS};
use crate::tls::pin::pin;
use rustix::fd::{AsRawFd, BorrowedFd, RawFd};

/// What a waiter's ticket is claimed with when its direction has changed.
pub(crate) const CHANGED: usize = FIRST_OP;

/// A direction: its index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dir {
    Read = 0,
    Write = 1,
}

const DIRS: [Dir; 2] = [Dir::Read, Dir::Write];

/// Bits of `flags`.
mod flag {
    /// Every operation fails.
    pub(super) const CLOSED: u32 = 1;
    /// The user asked for WouldBlock instead of waiting.
    pub(super) const NONBLOCKING: u32 = 2;
    /// There is a limit for this direction or that.
    pub(super) const LIMITED: [u32; 2] = [4, 8];
}

#[repr(C)]
struct State {
    waiters: [Waiters<Wait>; 2],
    /// The one of the descriptors that is in the set.
    registered: Option<RawFd>,
    /// How many share it.
    owners: u32,
}

/// What an event touches is in the first [`LINES`].
#[repr(C, align(64))]
pub(crate) struct PollDesc {
    // PD2.
    gates: [Gate; 2],
    flags: AtomicU32,
    seq: AtomicU32,
    /// Who joined last: a hint, to have it in the cache.
    last: AtomicRef<Parker>,
    state: RtMutex<State>,
    /// A moment on the clock of nanotime; 0: none.
    deadlines: [AtomicI64; 2],
    /// How long an operation may wait, ns; 0: for ever.
    timeouts: [AtomicI64; 2],
    /// Constant: its number in `TABLE`.
    number: AtomicUsize,
    /// Under `FREE`.
    next_free: AtomicRef<PollDesc>,
}

const LINES: usize = 3;
const _: () = assert!(core::mem::offset_of!(PollDesc, deadlines) <= 64 * LINES);

static TABLE: Table<PollDesc> = Table::new(Rank::Allg);
static FREE: RtMutex<Option<&'static PollDesc>> = RtMutex::new(Rank::Misc, None);

/// What is registered.
const FLAGS: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);

/// What an operation may do now.
pub(crate) enum May {
    Try,
    /// It may not wait.
    TryOnce,
    Closed,
    TimedOut,
}

impl PollDesc {
    fn new() -> PollDesc {
        PollDesc {
            gates: [Gate::new(), Gate::new()],
            flags: AtomicU32::new(0),
            seq: AtomicU32::new(0),
            last: AtomicRef::none(),
            state: RtMutex::new(
                Rank::PollDesc,
                State { waiters: [Waiters::new(), Waiters::new()], registered: None, owners: 0 },
            ),
            deadlines: [const { AtomicI64::new(0) }; 2],
            timeouts: [const { AtomicI64::new(0) }; 2],
            number: AtomicUsize::new(0),
            next_free: AtomicRef::none(),
        }
    }

    /// One for a descriptor that was just opened. Go: pollCache.alloc.
    pub(crate) fn get() -> &'static PollDesc {
        let _pin = pin();
        let free = {
            let mut free = FREE.lock();
            let pd = *free;
            if let Some(pd) = pd {
                *free = pd.next_free.get();
            }
            pd
        };
        let pd = free.unwrap_or_else(|| {
            let pd = immortal(PollDesc::new());
            // ORDERING: published by the table
            TABLE.push_numbered(pd, |n| pd.number.store(n, Ordering::Relaxed));
            pd
        });
        pd.state.lock().owners = 1;
        pd
    }

    /// The descriptor was duplicated.
    pub(crate) fn share(&'static self) -> &'static PollDesc {
        let _pin = pin();
        self.state.lock().owners += 1;
        self
    }

    /// Gives it back, before its descriptor `fd` is closed.
    pub(crate) fn put(&'static self, fd: BorrowedFd<'_>) {
        let (was_registered, owners) = {
            let _pin = pin();
            let mut state = self.state.lock();
            let was_registered = state.registered == Some(fd.as_raw_fd());
            if was_registered {
                state.registered = None;
                if let Some(ep) = EPOLL.get()
                    && !in_child()
                {
                    epoll::delete(ep, fd);
                }
            }
            state.owners -= 1;
            if state.owners == 0 {
                self.retire(&state);
            }
            (was_registered, state.owners)
        };
        if owners == 0 {
            let _pin = pin();
            let mut free = FREE.lock();
            self.next_free.set(*free);
            *free = Some(self);
        } else if was_registered {
            // Who waits by another descriptor of the same file registers that.
            self.change(&DIRS, || ());
        }
    }

    /// PD1, PD3.
    fn retire(&self, state: &State) {
        if !state.waiters.iter().all(Waiters::is_empty) {
            crate::throw::throw("netpoll: a descriptor is closed that somebody waits for");
        }
        // ORDERING: PD2, for all of these
        self.seq.store(self.seq.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.flags.store(0, Ordering::Relaxed);
        for limit in self.deadlines.iter().chain(&self.timeouts) {
            limit.store(0, Ordering::Relaxed); // ORDERING: PD2
        }
        for gate in &self.gates {
            gate.reset();
        }
    }

    /// Before a try: what [`wait_io`](super::wait_io) waits for a change of.
    #[inline(always)]
    pub(crate) fn seen(&self, dir: Dir) -> usize {
        self.gates[dir as usize].seen()
    }

    /// Whether a try is known to find nothing.
    #[inline(always)]
    pub(crate) fn is_used_up(&self, dir: Dir, seen: usize) -> bool {
        self.gates[dir as usize].is_used_up(seen)
    }

    /// A try before which `seen` was noted has used up what was there.
    #[inline(always)]
    pub(crate) fn use_up(&self, dir: Dir, seen: usize) {
        self.gates[dir as usize].use_up(seen);
    }

    /// Nothing is ever known to be used up.
    pub(crate) fn try_always(&self) {
        let _pin = pin();
        let _state = self.state.lock();
        self.gates.iter().for_each(|gate| gate.change(Behind::Maybe));
    }

    /// After `seen`: whether to try at all. A past deadline comes before ready data, as in Go.
    #[inline(always)]
    pub(crate) fn may(&self, dir: Dir) -> May {
        const CONCERNED: [u32; 2] = [
            flag::CLOSED | flag::NONBLOCKING | flag::LIMITED[0],
            flag::CLOSED | flag::NONBLOCKING | flag::LIMITED[1],
        ];
        // ORDERING: no older than the count that `seen` has returned
        match self.flags.load(Ordering::Relaxed) & CONCERNED[dir as usize] {
            0 => May::Try,
            flags => self.may_limited(dir, flags),
        }
    }

    #[cold]
    fn may_limited(&self, dir: Dir, flags: u32) -> May {
        if flags & flag::CLOSED != 0 {
            return May::Closed;
        }
        if flags & flag::LIMITED[dir as usize] != 0 {
            // ORDERING: no older than the count that `seen` has returned
            let deadline = self.deadlines[dir as usize].load(Ordering::Relaxed);
            if deadline != 0 && deadline <= crate::sys::nanotime() {
                return May::TimedOut;
            }
        }
        if flags & flag::NONBLOCKING != 0 { May::TryOnce } else { May::Try }
    }

    /// Until when a wait that begins now may last; `None`: for ever. `since` is when the operation
    /// first had to wait, 0 if that is now.
    pub(crate) fn limit(&self, dir: Dir, since: &mut i64) -> Option<i64> {
        // ORDERING: no older than the count that `seen` has returned
        if self.flags.load(Ordering::Relaxed) & flag::LIMITED[dir as usize] == 0 {
            return None;
        }
        // ORDERING: no older than the count that `seen` has returned
        let deadline = self.deadlines[dir as usize].load(Ordering::Relaxed);
        // ORDERING: no older than the count that `seen` has returned
        let timeout = self.timeouts[dir as usize].load(Ordering::Relaxed);
        let deadline = (deadline != 0).then_some(deadline);
        if timeout == 0 {
            return deadline;
        }
        if *since == 0 {
            *since = crate::sys::nanotime();
        }
        let own = since.saturating_add(timeout);
        Some(deadline.map_or(own, |deadline| deadline.min(own)))
    }

    /// Sets or (0) takes away the moment after which operations fail; who waits looks again.
    pub(crate) fn set_deadline(&self, dir: Dir, when: i64) {
        // ORDERING: PD2
        self.change(&[dir], || self.deadlines[dir as usize].store(when, Ordering::Relaxed));
    }

    /// Sets or (0) takes away how long operations wait that begin from now on.
    pub(crate) fn set_timeout(&self, dir: Dir, ns: i64) {
        // ORDERING: PD2
        self.change(&[dir], || self.timeouts[dir as usize].store(ns, Ordering::Relaxed));
    }

    pub(crate) fn timeout(&self, dir: Dir) -> i64 {
        self.timeouts[dir as usize].load(Ordering::Relaxed) // ORDERING: a getter
    }

    pub(crate) fn set_nonblocking(&self, on: bool) {
        self.change(&DIRS, || self.set_flag(flag::NONBLOCKING, on));
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & flag::NONBLOCKING != 0 // ORDERING: a getter
    }

    /// Every operation fails from now on. False: it did already.
    pub(crate) fn close(&self) -> bool {
        let mut open = false;
        self.change(&DIRS, || {
            // ORDERING: PD2
            open = self.flags.load(Ordering::Relaxed) & flag::CLOSED == 0;
            self.set_flag(flag::CLOSED, true);
        });
        open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & flag::CLOSED != 0 // ORDERING: a getter
    }

    /// PD2.
    fn set_flag(&self, bit: u32, on: bool) {
        let flags = self.flags.load(Ordering::Relaxed); // ORDERING: PD2
        // ORDERING: PD2
        self.flags.store(if on { flags | bit } else { flags & !bit }, Ordering::Relaxed);
    }

    /// Changes something that tries look at, and wakes who waits.
    fn change(&self, dirs: &[Dir], change: impl FnOnce()) {
        {
            let _pin = pin();
            let _state = self.state.lock();
            change();
            for i in DIRS.map(|dir| dir as usize) {
                // ORDERING: PD2
                let limits =
                    [&self.deadlines[i], &self.timeouts[i]].map(|l| l.load(Ordering::Relaxed));
                self.set_flag(flag::LIMITED[i], limits != [0, 0]);
            }
            for dir in dirs {
                self.gates[*dir as usize].change(Behind::Nothing);
            }
        }
        for dir in dirs {
            while let Some(wait) = self.pop(*dir) {
                if wait.claim(CHANGED) {
                    wait.wake();
                }
            }
        }
    }

    fn pop(&self, dir: Dir) -> Option<Wait> {
        let _pin = pin();
        let mut state = self.state.lock();
        state.waiters[dir as usize].pop()
    }

    /// Joins those who wait for a change of `dir` since `seen`; the descriptor `fd` joins the set.
    /// False: it has changed.
    pub(crate) fn join(
        &self,
        fd: BorrowedFd<'_>,
        dir: Dir,
        seen: usize,
        wait: Wait,
        register: bool,
    ) -> rustix::io::Result<bool> {
        let _pin = pin();
        self.join_inside(fd, dir, seen, wait, register)
    }

    /// The same inside the runtime.
    #[inline(always)]
    pub(crate) fn join_inside(
        &self,
        fd: BorrowedFd<'_>,
        dir: Dir,
        seen: usize,
        wait: Wait,
        register: bool,
    ) -> rustix::io::Result<bool> {
        let mut state = self.state.lock();
        if register && state.registered.is_none() {
            self.register(&mut state, fd)?;
        }
        self.last.set(Some(wait.parker));
        Ok(self.gates[dir as usize].join(seen, &mut state.waiters[dir as usize], wait))
    }

    #[cold]
    fn register(&self, state: &mut State, fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let data = u64::from(self.seq.load(Ordering::Relaxed)) << 32 // ORDERING: PD2
            | self.number.load(Ordering::Relaxed) as u64; // ORDERING: constant
        epoll::add(set()?, fd, data, FLAGS)?;
        state.registered = Some(fd.as_raw_fd());
        Ok(())
    }

    /// The other half: this one waits no more.
    pub(crate) fn part(&self, dir: Dir, wait: Wait) {
        let _pin = pin();
        self.state.lock().waiters[dir as usize].remove(wait);
    }

    /// Brings the lines of an event into the cache.
    #[inline(always)]
    fn prefetch(&self) {
        let at = core::ptr::from_ref(self).cast::<u8>();
        for line in 0..LINES {
            crate::sys::prefetch(at.wrapping_add(64 * line));
        }
    }

    /// The same for who waits for it, probably, when those are there.
    #[inline(always)]
    fn prefetch_waiter(&self) {
        if let Some(parker) = self.last.get() {
            parker.prefetch();
        }
    }

    /// The kernel says that these directions are ready. Go: netpollready.
    #[inline(always)]
    fn ready(&self, seq: u32, flags: EventFlags, woken: &mut impl FnMut(Wait)) {
        let mut state = self.state.lock();
        // ORDERING: PD2
        if self.seq.load(Ordering::Relaxed) != seq {
            return; // PD1
        }
        use EventFlags as E;
        let end = E::RDHUP | E::HUP | E::ERR;
        let more = if flags.intersects(end | E::PRI) { Behind::Maybe } else { Behind::Nothing };
        let mut wake = |wait: Wait| {
            if wait.claim(CHANGED) {
                woken(wait);
            }
        };
        let [read, write] = &mut state.waiters;
        if flags.intersects(E::IN | E::PRI | end) {
            self.gates[0].change(more);
            read.take_all(&mut wake);
        }
        if flags.intersects(E::OUT | E::HUP | E::ERR) {
            self.gates[1].change(more);
            write.take_all(&mut wake);
        }
    }
}

/// How many events ahead the waiter is asked for.
const AHEAD: usize = 4;

/// Claims all who wait for these events. Inside the runtime, or on a thread that is no M.
///
/// Of a thousand connections none is in the first-level cache, and an exchange waits for all loads
/// before it: so what it needs is asked for some events ahead.
pub(super) fn fire(events: &Events, mut woken: impl FnMut(Wait)) {
    let mut pds = [None; MAX_EVENTS];
    for ((data, _), slot) in events.iter().zip(&mut pds) {
        *slot = TABLE.get(data as u32 as usize);
        if let Some(pd) = slot {
            pd.prefetch();
        }
    }
    for (i, (data, flags)) in events.iter().enumerate() {
        if let Some(Some(pd)) = pds.get(i + AHEAD) {
            pd.prefetch_waiter();
        }
        if let Some(pd) = pds[i] {
            pd.ready((data >> 32) as u32, flags, &mut woken);
        }
    }
}
