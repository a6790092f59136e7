//! A channel: the lock, what it decides (core.rs), the messages it holds (buffer.rs), and how they
//! move between stacks, which is all that depends on their type.
//!
//! Go: chan.go `hchan`, `chansend`, `chanrecv`, `send`, `recv`, `closechan`, `sendDirect`,
//! `recvDirect`.
//!
//! A message goes straight from the sender's stack to the receiver's if one of them waits, else
//! through the buffer. It is copied without the lock where both ends are owned by then. A message
//! is never dropped or cloned under the lock, nor is memory allocated or freed.
//!
//! # Invariants
//! * `SH1`: `inner` is touched between `lock` and the drop of its [`Guard`].
//! * `SH2`: the slot of an entry in the line `Recv` is a place for a `T`, that of one in `Send`
//!   holds a `T` or is null (a send of a select). Who claimed the entry uses it before the wake-up,
//!   and nobody else does: the owner touches it before it queues the entry and after the wake-up.
//! * `SH3`: a message is owned by one of: the sender's frame until the outcome `Done`; the buffer;
//!   the receiver's slot from the outcome `Done` on.
//!
//! # Rejected
//! A lock-free ring, as crossbeam's: with goroutines the cost is in switches, not in the lock, and
//! direct hand-off, closing and select each need a second protocol beside the ring.

#![allow(unsafe_code, reason = "SH1, SH2, SH3: who owns a message, and where")]

use super::buffer::{Block, Buffer};
use super::clocked::Clocked;
use super::core::{Core, Line, Sending};
use super::head::{Head, Held};
use super::here::{Here, Until};
use super::lock::Lock;
use super::place;
use super::queue::{Chain, Claimed, Entry, Outcome, Ticket};
use crate::atomic::{AtomicUsize, Ordering};
use crate::g::WaitReason;
use crate::g::parker::Wait;
use crate::g::ticket::FIRST_OP;
use crate::sched::wait::{self, Why};
use crate::sys::nanotime;
use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ops::{Deref, DerefMut};
use std::time::Instant;

impl Ticket for Wait {
    #[inline(always)]
    fn claim(self, op: usize) -> bool {
        Wait::claim(self, op)
    }
    fn is_waiting(self) -> bool {
        Wait::is_waiting(self)
    }
    fn same(self, other: Self) -> bool {
        core::ptr::eq(self.parker, other.parker)
    }
}

/// How long an operation may wait. Passed by reference: most are a constant, and a copy of what was
/// written a moment ago, in parts, waits until all of them are in the cache.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    None,
    Forever,
    Until(Instant),
    /// Until the context ends that has this latch.
    Under(&'a Clocked),
}

impl<'a> Patience<'a> {
    /// What ends a wait; `Err` if it is over.
    #[inline(always)]
    pub(crate) fn until(self) -> Result<Until<'a>, ()> {
        match self {
            Patience::Forever => Ok(Until { deadline_ns: None, latch: None }),
            other => until_end(other),
        }
    }
}

#[cold]
fn until_end(patience: Patience<'_>) -> Result<Until<'_>, ()> {
    let (deadline_ns, latch) = match patience {
        Patience::None => return Err(()),
        Patience::Forever => (None, None),
        Patience::Until(at) => match wait::at(at) {
            Some(ns) if ns <= nanotime() => return Err(()),
            ns => (ns, None),
        },
        Patience::Under(latch) if latch.is_due() => return Err(()),
        Patience::Under(latch) => (None, Some(latch)),
    };
    Ok(Until { deadline_ns, latch })
}

/// Why nothing was sent or received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// It would have to wait, or waited long enough.
    TooLong,
    Closed,
}

/// place.rs says where what is in it.
#[repr(C, align(64))]
pub(crate) struct Shared<T> {
    lock: Lock,
    inner: UnsafeCell<Inner<T>>, // SH1
    /// Constant; `None`: unbounded.
    cap: Option<usize>,
    /// Handles that are alive.
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
}

/// In this order: `core` is in the cache line of the lock, `buf` in the next one.
#[repr(C)]
pub(crate) struct Inner<T> {
    pub(crate) core: Core<Wait>,
    pub(crate) buf: Buffer<T>,
}

// SAFETY: SH1, SH3: messages move between threads, and nothing else is shared without the lock.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: SH1, SH3
unsafe impl<T: Send> Sync for Shared<T> {}

/// SH1: the lock, held.
pub(crate) struct Guard<'a, T>(&'a Shared<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = Inner<T>;
    #[inline(always)]
    fn deref(&self) -> &Inner<T> {
        // SAFETY: SH1
        unsafe { &*self.0.inner.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Inner<T> {
        // SAFETY: SH1
        unsafe { &mut *self.0.inner.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}

impl<T> Guard<'_, T> {
    /// Waits on this channel, which is unlocked then.
    #[inline(always)]
    fn wait(self, here: Here, line: Line, slot: *mut T, patience: &Patience<'_>) -> Outcome {
        let held = Head::of(ManuallyDrop::new(self).0).locked();
        match patience {
            Patience::Forever => wait_for_partner(here, held, line, slot.cast()),
            _ => wait_until(here, held, line, slot.cast(), patience),
        }
    }
}

fn reason(line: Line) -> WaitReason {
    if line == Line::Recv { WaitReason::ChanReceive } else { WaitReason::ChanSend }
}

/// What most waits are: without a deadline, under no context. Not generic, and with the switch in
/// it: a wait goes through one function.
#[inline(never)]
fn wait_for_partner(mut here: Here, held: Held<'_>, line: Line, slot: *mut u8) -> Outcome {
    let on = held.head().name();
    let entry = Entry::new(here.begin(), FIRST_OP, slot);
    // SAFETY: QU1: who claims it takes it out, and nothing else ends the wait
    unsafe { held.link(&here, line, &entry) };
    here.wait(entry.wait, Why { reason: reason(line), on }, None);
    entry.outcome()
}

/// The same until the patience is over: `Waiting`.
#[inline(never)]
fn wait_until(
    mut here: Here,
    held: Held<'_>,
    line: Line,
    slot: *mut u8,
    patience: &Patience<'_>,
) -> Outcome {
    let Ok(until) = patience.until() else { return Outcome::Waiting };
    let entry = Entry::new(here.begin(), FIRST_OP, slot);
    let head = held.head();
    // SAFETY: QU1: taken out below, or by who claims it
    unsafe { held.link(&here, line, &entry) };
    if until.wait(&mut here, entry.wait, Why { reason: reason(line), on: head.name() }) != FIRST_OP
    {
        head.unregister(&here, &entry, line);
    }
    entry.outcome()
}

/// Moves a message.
///
/// # Safety
/// SH3: `src` holds one, which is the caller's; `dst` is a place for it.
#[inline(always)]
pub(crate) unsafe fn move_message<T>(src: *const T, dst: *mut T) {
    // SAFETY: the caller's contract; a message is in one place, so they do not overlap
    unsafe { core::ptr::copy_nonoverlapping(src, dst, 1) };
}

impl<T> Shared<T> {
    pub(crate) fn new(cap: Option<usize>) -> Self {
        const {
            assert!(size_of::<Shared<T>>() == place::BYTES);
            assert!(offset_of!(Shared<T>, inner) + size_of::<Core<Wait>>() == 64);
            assert!(offset_of!(Shared<T>, lock) == 0); // HE1
            assert!(offset_of!(Shared<T>, inner) == Head::CORE_AT); // HE1
            assert!(offset_of!(Inner<T>, core) == 0); // HE1
            assert!(offset_of!(Shared<T>, senders) >= 128, "a line of their own");
            assert!(offset_of!(Shared<T>, senders) == place::SENDERS_AT);
            assert!(offset_of!(Shared<T>, receivers) == place::RECEIVERS_AT);
            assert!(place::RECEIVERS_AT + 8 < place::BYTES, "its name is nothing else's place");
        }
        let inner = Inner { core: Core::new(cap.unwrap_or(usize::MAX)), buf: Buffer::new(cap) };
        Shared {
            lock: Lock::new(),
            inner: UnsafeCell::new(inner),
            cap,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.cap
    }

    /// What waits of it are recorded with.
    pub(crate) fn why(&self, reason: WaitReason) -> Why {
        Why { reason, on: self.name() }
    }

    /// What reports call it.
    pub(crate) fn name(&self) -> usize {
        Head::of(self).name()
    }

    /// Inside [`Here`].
    #[inline(always)]
    pub(crate) fn lock(&self, _here: &Here) -> Guard<'_, T> {
        self.lock.lock();
        Guard(self)
    }

    /// The same of who may have it locked already.
    #[inline(always)]
    pub(crate) fn lock_unless(&self, held: Option<Held<'_>>, here: &Here) -> Guard<'_, T> {
        match held {
            Some(held) => {
                debug_assert!(core::ptr::eq(held.head(), Head::of(self)), "another channel's");
                core::mem::forget(held);
                Guard(self)
            }
            None => self.lock(here),
        }
    }

    pub(crate) fn look<R>(&self, f: impl FnOnce(&Core<Wait>) -> R) -> R {
        let here = Here::enter();
        let inner = self.lock(&here);
        f(&inner.core)
    }

    /// Sends `msg`, or gives it back.
    #[inline]
    pub(crate) fn send(&self, msg: T, patience: &Patience<'_>) -> Result<(), (Refused, T)> {
        let mut msg = ManuallyDrop::new(msg);
        let r = self.send_from((&raw mut msg).cast(), patience);
        // SH3: on an error it is still this frame's.
        r.map_err(|why| (why, ManuallyDrop::into_inner(msg)))
    }

    fn send_from(&self, src: *mut T, patience: &Patience<'_>) -> Result<(), Refused> {
        loop {
            let here = Here::enter();
            let mut inner = self.lock(&here);
            match inner.core.send() {
                Sending::To(receiver) => {
                    drop(inner);
                    return self.deliver(&here, src, receiver);
                }
                Sending::Room if inner.buf.needs_block() => {
                    drop(inner);
                    drop(here);
                    self.give_block();
                }
                Sending::Room => {
                    self.buffer(inner, &here, src);
                    return Ok(());
                }
                Sending::Closed => return Err(Refused::Closed),
                Sending::Full => match inner.wait(here, Line::Send, src, patience) {
                    Outcome::Done => return Ok(()),
                    Outcome::Closed => return Err(Refused::Closed),
                    Outcome::Retry => {}
                    _ => return Err(Refused::TooLong),
                },
            }
        }
    }

    /// To the receiver, which the caller claimed.
    #[inline(always)]
    pub(crate) fn deliver(
        &self,
        here: &Here,
        src: *mut T,
        receiver: Claimed<Wait>,
    ) -> Result<(), Refused> {
        // SAFETY: SH2
        unsafe { move_message(src, receiver.slot().cast()) };
        here.wake(receiver.finish(Outcome::Done));
        Ok(())
    }

    /// Gives the buffer a block, unless somebody else has.
    #[cold]
    fn give_block(&self) {
        let block = Block::alloc();
        let _surplus; // freed after leaving
        let here = Here::enter();
        let mut inner = self.lock(&here);
        if inner.buf.needs_block() {
            inner.buf.give(block);
        } else {
            _surplus = block;
        }
    }

    /// Into the buffer, which has room and needs no block.
    #[inline(always)]
    pub(crate) fn buffer(&self, mut inner: Guard<'_, T>, here: &Here, src: *mut T) {
        let len = inner.core.len();
        // SAFETY: SH3; the core says that there is room
        unsafe { inner.buf.push_from(src, len) };
        let chain = inner.core.pushed();
        drop(inner);
        chain.wake_each(|w| here.wake(w));
    }

    /// Receives a message.
    #[inline]
    pub(crate) fn recv(&self, patience: &Patience<'_>) -> Result<T, Refused> {
        let mut msg = MaybeUninit::uninit();
        self.recv_into(msg.as_mut_ptr(), patience)?;
        // SAFETY: SH3: it is this frame's now
        Ok(unsafe { msg.assume_init() })
    }

    fn recv_into(&self, dst: *mut T, patience: &Patience<'_>) -> Result<(), Refused> {
        loop {
            let _spent; // freed after leaving
            let here = Here::enter();
            let mut inner = self.lock(&here);
            let mut chain = Chain::new();
            // As `recv` of the core, step by step: each goes on by itself.
            if let Some(sender) = inner.core.recv_buffered(&mut chain) {
                _spent = self.take_buffered(inner, &here, dst, sender);
                chain.wake_each(|w| here.wake(w));
                return Ok(());
            }
            if let Some(sender) = inner.core.recv_from() {
                drop(inner);
                match self.take_from(here, dst, sender) {
                    Outcome::Done => return Ok(()),
                    _ => continue,
                }
            }
            if inner.core.is_closed() {
                return Err(Refused::Closed);
            }
            match inner.wait(here, Line::Recv, dst, patience) {
                Outcome::Done => return Ok(()),
                Outcome::Closed => return Err(Refused::Closed),
                Outcome::Retry => {}
                _ => return Err(Refused::TooLong),
            }
        }
    }

    /// The first message of the buffer; then that of a sender that waited for room goes there.
    #[inline(always)]
    pub(crate) fn take_buffered(
        &self,
        mut inner: Guard<'_, T>,
        here: &Here,
        dst: *mut T,
        sender: Option<Claimed<Wait>>,
    ) -> Option<Block<T>> {
        // SAFETY: SH3; the core says that there is one
        let spent = unsafe { inner.buf.pop_into(dst) };
        let Some(sender) = sender else { return spent };
        if sender.slot().is_null() {
            drop(inner);
            here.wake(sender.finish(Outcome::Reserved));
            return spent;
        }
        let left = inner.core.len() - 1;
        // SAFETY: SH2; the place that became free
        unsafe { inner.buf.push_from(sender.slot().cast(), left) };
        drop(inner);
        here.wake(sender.finish(Outcome::Done));
        spent
    }

    /// From a sender that waits, which the caller claimed.
    #[inline(always)]
    pub(crate) fn take_from(&self, mut here: Here, dst: *mut T, sender: Claimed<Wait>) -> Outcome {
        if sender.slot().is_null() {
            return self.take_later(&mut here, dst, sender);
        }
        // SAFETY: SH2
        unsafe { move_message(sender.slot().cast(), dst) };
        here.wake(sender.finish(Outcome::Done));
        Outcome::Done
    }

    /// From a select that has no message yet: it is told where to put it.
    #[cold]
    fn take_later(&self, here: &mut Here, dst: *mut T, sender: Claimed<Wait>) -> Outcome {
        let entry = Entry::new(here.begin(), FIRST_OP, dst.cast());
        entry.claim_self();
        here.wake(sender.pair(&entry));
        here.wait(entry.wait, self.why(WaitReason::ChanReceive), None);
        entry.outcome()
    }

    /// Links the entry of one who watches; false if a receive would not wait. The caller keeps
    /// QU1: it calls [`unwatch`](Self::unwatch) before the entry goes.
    pub(crate) fn watch(&self, e: &Entry<Wait>) -> bool {
        let here = Here::enter();
        let mut inner = self.lock(&here);
        if inner.core.can_recv(None) {
            return false;
        }
        // SAFETY: QU1: the caller
        unsafe { inner.core.queue(Line::RecvWatch).push(e) };
        true
    }

    /// Takes it out, if nobody has.
    pub(crate) fn unwatch(&self, e: &Entry<Wait>) {
        let here = Here::enter();
        // SAFETY: it was linked here, or is not
        unsafe { self.lock(&here).core.queue(Line::RecvWatch).remove(e) };
    }

    /// Closes the channel; false if it was.
    pub(crate) fn close(&self) -> bool {
        let here = Here::enter();
        let mut chain = Chain::new();
        let first = self.lock(&here).core.close(&mut chain);
        chain.wake_each(|w| here.wake(w));
        first
    }

    /// A handle of a sender is gone.
    pub(crate) fn drop_sender(&self) {
        // ORDERING: what the others did with theirs comes before the close
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    /// A handle of a receiver is gone. With the last one go the messages.
    pub(crate) fn drop_receiver(&self) {
        // ORDERING: what the others did with theirs comes before the close
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
            self.discard_all();
        }
    }

    fn discard_all(&self) {
        while let Some(msg) = self.discard() {
            drop(msg);
        }
    }

    fn discard(&self) -> Option<T> {
        let mut msg = MaybeUninit::<T>::uninit();
        let _spent; // freed after leaving
        let here = Here::enter();
        let mut inner = self.lock(&here);
        if !inner.core.discard() {
            return None;
        }
        // SAFETY: SH3; the core says that there was one
        _spent = unsafe { inner.buf.pop_into(msg.as_mut_ptr()) };
        // SAFETY: SH3
        Some(unsafe { msg.assume_init() })
    }
}

impl<T> Drop for Shared<T> {
    /// Messages may be left if dropping one of them panicked. While that panic unwinds the rest is
    /// leaked: a second panic would end the process.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.discard_all();
        }
    }
}
