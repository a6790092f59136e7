//! What a channel decides under its lock: who meets whom.
//!
//! Go: chan.go `chansend`, `chanrecv`, `closechan`, without the messages, so that models can
//! explore it. Messages are moved by shared.rs as told by the answers.
//!
//! # Invariants
//! * `CH1`: `len` messages are in the buffer, and `len + reserved <= cap`. A place is reserved by a
//!   send of a select between its choice and its message.
//! * `CH2`: while messages are in the buffer nobody waits to receive; while there is room nobody
//!   waits to send. Entries whose ticket was claimed by something else do not count.
//! * `CH3`: nobody waits to send while somebody else waits to receive.
//! * `CH4`: once `closed`, always closed; nobody waits on a closed channel.
//! * `CH5`: watchers (`Select::ready`) are woken by every change that can make their operation
//!   ready; they look again themselves.

use super::queue::{Chain, Claimed, Entry, Outcome, Queue, Ticket};
use crate::atomic::mutated;

/// Seven words: with the lock before it, all that an operation decides by is in one cache line,
/// which is what passes from CPU to CPU where several use a channel (shared.rs).
#[repr(C)]
pub(crate) struct Core<W> {
    /// By [`Line`].
    queues: [Queue<W>; 4],
    len: usize, // CH1
    cap: usize,
    reserved: u32, // CH1
    closed: bool,  // CH4
}

/// Which queue of a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Recv = 0,
    Send = 1,
    RecvWatch = 2,
    SendWatch = 3,
}

/// The queue of those who watch for one who waits in `line`, Recv or Send.
#[inline(always)]
fn watchers(line: Line) -> usize {
    const { assert!(Line::Send as usize + Line::RecvWatch as usize == 3) };
    const { assert!(Line::Recv as usize + Line::SendWatch as usize == 3) };
    3 - line as usize
}

/// What a sender is to do.
pub(crate) enum Sending<W> {
    /// Move the message to this receiver.
    To(Claimed<W>),
    /// Put it into the buffer and say [`Core::pushed`].
    Room,
    /// Wait, or give up.
    Full,
    Closed,
}

/// What a receiver is to do.
pub(crate) enum Receiving<W> {
    /// Take the first message of the buffer, then put that of the sender there, if there is one.
    Buffered(Option<Claimed<W>>),
    /// Take it from this sender, or, if that has none yet, let it pair with the caller.
    From(Claimed<W>),
    /// Wait, or give up.
    Empty,
    Closed,
}

impl<W: Ticket> Core<W> {
    pub(crate) fn new(cap: usize) -> Self {
        Core { queues: [const { Queue::new() }; 4], len: 0, reserved: 0, cap, closed: false }
    }

    /// Messages in the buffer.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len + self.reserved as usize >= self.cap
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    #[inline(always)]
    pub(crate) fn send(&mut self) -> Sending<W> {
        if self.closed {
            return Sending::Closed;
        }
        if let Some(receiver) = self.queue(Line::Recv).claim_first() {
            return Sending::To(receiver);
        }
        if self.is_full() { Sending::Full } else { Sending::Room }
    }

    /// A message was put into the buffer.
    #[inline]
    pub(crate) fn pushed(&mut self) -> Chain<W> {
        self.len += 1;
        notify(self.queue(Line::RecvWatch))
    }

    #[inline(always)]
    pub(crate) fn recv(&mut self, chain: &mut Chain<W>) -> Receiving<W> {
        if let Some(sender) = self.recv_buffered(chain) {
            return Receiving::Buffered(sender);
        }
        match self.recv_from() {
            Some(sender) => Receiving::From(sender),
            None if self.closed => Receiving::Closed,
            None => Receiving::Empty,
        }
    }

    /// The first step of `recv`: of the buffer, if something is in it.
    #[inline(always)]
    pub(crate) fn recv_buffered(&mut self, chain: &mut Chain<W>) -> Option<Option<Claimed<W>>> {
        if self.len == 0 {
            return None;
        }
        let sender = self.queue(Line::Send).claim_first();
        match &sender {
            Some(s) if !s.slot().is_null() => {}
            Some(_) => {
                self.len -= 1;
                self.reserved += 1;
            }
            None => {
                self.len -= 1;
                *chain = notify(self.queue(Line::SendWatch));
            }
        }
        Some(sender)
    }

    /// The second: of one who waits to send.
    #[inline(always)]
    pub(crate) fn recv_from(&mut self) -> Option<Claimed<W>> {
        self.queue(Line::Send).claim_first()
    }

    /// Whether a receive has to look closer: no says that it would wait.
    #[inline(always)]
    pub(crate) fn may_recv(&self) -> bool {
        self.len > 0 || self.closed || !self.queues[Line::Send as usize].is_empty()
    }

    /// The same of a send.
    #[inline(always)]
    pub(crate) fn may_send(&self) -> bool {
        !self.is_full() || self.closed || !self.queues[Line::Recv as usize].is_empty()
    }

    /// Whether a receive would not wait. `own`: entries of the asking select do not count.
    pub(crate) fn can_recv(&self, own: Option<W>) -> bool {
        let buffered = self.len > 0 && !mutated("chan.can_recv");
        buffered || self.closed || self.queues[Line::Send as usize].any_waiting(own)
    }

    /// Whether a send would not wait.
    pub(crate) fn can_send(&self, own: Option<W>) -> bool {
        !self.is_full() || self.closed || self.queues[Line::Recv as usize].any_waiting(own)
    }

    #[inline(always)]
    pub(crate) fn queue(&mut self, line: Line) -> &mut Queue<W> {
        &mut self.queues[line as usize]
    }

    /// One that has to wait, or watches.
    ///
    /// # Safety
    /// As [`Queue::push`].
    #[allow(unsafe_code, reason = "QU1 is the caller's")]
    #[inline(always)]
    pub(crate) unsafe fn wait(&mut self, line: Line, e: &Entry<W>) -> Chain<W> {
        // SAFETY: the caller's contract
        unsafe { self.queue(line).push(e) };
        match line {
            // By number: to wait is one piece of code for both.
            Line::Recv | Line::Send => notify(&mut self.queues[watchers(line)]),
            Line::RecvWatch | Line::SendWatch => Chain::new(),
        }
    }

    /// A send of a select is chosen: keeps a place in the buffer for it.
    pub(crate) fn reserve(&mut self) {
        self.reserved += 1;
    }

    /// The message of a reserved send is there: what to do with it. Not `Full`.
    pub(crate) fn send_reserved(&mut self) -> Sending<W> {
        self.reserved -= 1;
        self.send()
    }

    /// A reserved send will not happen. The room goes to the next sender that waits: to be put into
    /// the buffer if it has a message.
    pub(crate) fn unreserve(&mut self, chain: &mut Chain<W>) -> Option<Claimed<W>> {
        self.reserved -= 1;
        let sender = self.queue(Line::Send).claim_first();
        match &sender {
            Some(s) if s.slot().is_null() => self.reserved += 1,
            Some(_) => *chain = self.pushed(),
            None => *chain = notify(self.queue(Line::SendWatch)),
        }
        sender
    }

    /// Closes the channel; false if it was. Everybody who waits is in `chain`.
    pub(crate) fn close(&mut self, chain: &mut Chain<W>) -> bool {
        let first = !self.closed;
        self.closed = true;
        self.queue(Line::Recv).claim_all(Outcome::Closed, chain);
        if !mutated("chan.close") {
            self.queue(Line::Send).claim_all(Outcome::Closed, chain);
        }
        self.queue(Line::RecvWatch).claim_all(Outcome::Retry, chain);
        self.queue(Line::SendWatch).claim_all(Outcome::Retry, chain);
        first
    }

    /// Nobody is left to receive: a message of the buffer to be dropped.
    pub(crate) fn discard(&mut self) -> bool {
        let some = self.len > 0;
        self.len -= usize::from(some);
        some
    }
}

/// CH5
#[inline]
fn notify<W: Ticket>(watchers: &mut Queue<W>) -> Chain<W> {
    let mut chain = Chain::new();
    if !watchers.is_empty() {
        watchers.claim_all(Outcome::Retry, &mut chain);
    }
    chain
}
