//! chan/core.rs, chan/queue.rs, chan/lock.rs: a message that is sent is received once or given
//! back, whatever comes in between; a select over two channels takes one message of one of them.
//!
//! Covers: hand-off in both directions, the buffer, giving up against a partner, closing against
//! waiters, a select that registers while messages come. Abstracts away: the types of messages (a
//! message is a number in a place that loom watches), how a waiter sleeps (the thread's key), the
//! rest of select (sends, its random order).

#![allow(unsafe_code, reason = "entries and places are leaked, so QU1 holds for ever")]

use super::{check, check_within, leak, must_catch};
use crate::chan::core::{Core, Line, Receiving, Sending};
use crate::chan::lock::Lock;
use crate::chan::queue::{Chain, Claimed, Entry, Outcome, Ticket};
use crate::g::key::Key;
use crate::g::ticket::{ABORTED, FIRST_OP, TIMEOUT, TicketWord};
use loom::cell::UnsafeCell;
use loom::thread;

struct Parker {
    word: TicketWord,
    key: Key,
}

#[derive(Clone, Copy)]
struct Wait {
    parker: &'static Parker,
    ticket: usize,
}

impl Wait {
    fn begin(parker: &'static Parker) -> Wait {
        Wait { parker, ticket: parker.word.begin() }
    }

    fn wake(self) {
        self.parker.key.wake();
    }
}

impl Ticket for Wait {
    fn claim(self, op: usize) -> bool {
        self.parker.word.claim(self.ticket, op)
    }
    fn is_waiting(self) -> bool {
        self.parker.word.is_waiting(self.ticket)
    }
    fn same(self, other: Self) -> bool {
        core::ptr::eq(self.parker, other.parker)
    }
}

fn parker() -> &'static Parker {
    leak(Parker { word: TicketWord::new(), key: Key::new() })
}

/// A place for a message.
struct Place(UnsafeCell<u32>);

impl Place {
    fn new(msg: u32) -> &'static Place {
        leak(Place(UnsafeCell::new(msg)))
    }

    fn put(&self, msg: u32) {
        // SAFETY: loom objects if two threads are here.
        self.0.with_mut(|p| unsafe { *p = msg });
    }

    fn take(&self) -> u32 {
        // SAFETY: loom objects if two threads are here.
        self.0.with_mut(|p| unsafe { core::mem::take(&mut *p) })
    }

    fn slot(&'static self) -> *mut u8 {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    fn of(claimed: Claimed<Wait>) -> &'static Place {
        // SAFETY: every slot of these models is a leaked place.
        unsafe { &*claimed.slot().cast::<Place>() }
    }
}

struct Chan {
    lock: Lock,
    inner: UnsafeCell<(Core<Wait>, Vec<u32>)>,
}

// SAFETY: loom objects to a use of `inner` that the lock does not order.
unsafe impl Sync for Chan {}
// SAFETY: as for `Sync`; what `inner` points to is leaked
unsafe impl Send for Chan {}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Patience {
    None,
    Forever,
    /// Waits, but the deadline comes at any moment.
    Some,
}

impl Chan {
    fn new(cap: usize) -> &'static Chan {
        leak(Chan { lock: Lock::new(), inner: UnsafeCell::new((Core::new(cap), Vec::new())) })
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Core<Wait>, &mut Vec<u32>) -> R) -> R {
        self.lock.lock();
        let r = self.inner.with_mut(|p| {
            // SAFETY: the lock is held; loom objects if it is not.
            let (core, buf) = unsafe { &mut *p };
            f(core, buf)
        });
        self.lock.unlock();
        r
    }

    /// `Waiting`: it was given up.
    fn send(&self, me: &'static Parker, msg: u32, patience: Patience) -> Outcome {
        let mut waiting = None;
        let mut chain = Chain::new();
        let met = self.locked(|core, buf| match core.send() {
            Sending::To(receiver) => Err(receiver),
            Sending::Room => {
                buf.push(msg);
                chain = core.pushed();
                Ok(Outcome::Done)
            }
            Sending::Closed => Ok(Outcome::Closed),
            Sending::Full if patience != Patience::None => {
                let place = Place::new(msg);
                let entry = leak(Entry::new(Wait::begin(me), FIRST_OP, place.slot()));
                // SAFETY: leaked
                chain = unsafe { core.wait(Line::Send, entry) };
                waiting = Some((&*entry, place));
                Ok(Outcome::Waiting)
            }
            Sending::Full => Ok(Outcome::Waiting),
        });
        chain.wake_each(Wait::wake);
        match (met, waiting) {
            (Err(receiver), _) => {
                Place::of(receiver).put(msg);
                receiver.finish(Outcome::Done).wake();
                Outcome::Done
            }
            (Ok(outcome), None) => outcome,
            (Ok(_), Some((entry, place))) => {
                if !wait(entry, patience) {
                    // SAFETY: it was linked here
                    self.locked(|core, _| unsafe { core.queue(Line::Send).remove(entry) });
                }
                let left = place.take(); // ours again, or emptied
                assert_eq!(left == msg, entry.outcome() != Outcome::Done);
                entry.outcome()
            }
        }
    }

    /// The message; 0 with the outcome that there is none.
    fn recv(&self, me: &'static Parker, patience: Patience) -> (Outcome, u32) {
        let mut waiting = None;
        let mut chain = Chain::new();
        let mut finished = None;
        let met = self.locked(|core, buf| match core.recv(&mut chain) {
            Receiving::Buffered(sender) => {
                let msg = buf.remove(0);
                if let Some(sender) = sender {
                    buf.push(Place::of(sender).take());
                    finished = Some(sender.finish(Outcome::Done));
                }
                Ok((Outcome::Done, msg))
            }
            Receiving::From(sender) => Err(sender),
            Receiving::Closed => Ok((Outcome::Closed, 0)),
            Receiving::Empty if patience != Patience::None => {
                let place = Place::new(0);
                let entry = leak(Entry::new(Wait::begin(me), FIRST_OP, place.slot()));
                // SAFETY: leaked
                chain = unsafe { core.wait(Line::Recv, entry) };
                waiting = Some((&*entry, place));
                Ok((Outcome::Waiting, 0))
            }
            Receiving::Empty => Ok((Outcome::Waiting, 0)),
        });
        chain.wake_each(Wait::wake);
        if let Some(sender) = finished {
            sender.wake();
        }
        match (met, waiting) {
            (Err(sender), _) => {
                let msg = Place::of(sender).take();
                sender.finish(Outcome::Done).wake();
                (Outcome::Done, msg)
            }
            (Ok(r), None) => r,
            (Ok(_), Some((entry, place))) => {
                if !wait(entry, patience) {
                    // SAFETY: it was linked here
                    self.locked(|core, _| unsafe { core.queue(Line::Recv).remove(entry) });
                }
                (entry.outcome(), place.take())
            }
        }
    }

    fn close(&self) {
        let mut chain = Chain::new();
        self.locked(|core, _| core.close(&mut chain));
        chain.wake_each(Wait::wake);
    }
}

/// Whether a partner ended it.
fn wait(entry: &Entry<Wait>, patience: Patience) -> bool {
    if patience == Patience::Some && entry.wait.claim(TIMEOUT) {
        return false;
    }
    entry.wait.parker.key.wait();
    true
}

/// A sender and a receiver of a channel of capacity `cap`, two messages.
fn hand_off(cap: usize) {
    let c = Chan::new(cap);
    let sender = thread::spawn(move || {
        let me = parker();
        (1..=2).for_each(|n| assert_eq!(c.send(me, n, Patience::Forever), Outcome::Done));
    });
    let me = parker();
    (1..=2).for_each(|n| assert_eq!(c.recv(me, Patience::Forever), (Outcome::Done, n)));
    sender.join().expect("no panic");
}

fn rendezvous() {
    hand_off(0);
}

fn buffered() {
    hand_off(1);
}

/// Both give up at any moment: what the one has sent is what the other has received.
fn giving_up() {
    let c = Chan::new(0);
    let sender = thread::spawn(move || c.send(parker(), 7, Patience::Some));
    let (received, msg) = c.recv(parker(), Patience::Some);
    let sent = sender.join().expect("no panic");
    assert_eq!(sent == Outcome::Done, received == Outcome::Done, "lost or doubled");
    assert_eq!(msg, if received == Outcome::Done { 7 } else { 0 });
    c.locked(|core, _| {
        assert!(
            core.queue(Line::Send).is_empty() && core.queue(Line::Recv).is_empty(),
            "left behind"
        )
    });
}

/// A closing wakes who waits on either side.
fn closing(send: bool) {
    let c = Chan::new(0);
    let other = thread::spawn(move || match send {
        true => c.send(parker(), 7, Patience::Forever),
        false => c.recv(parker(), Patience::Forever).0,
    });
    c.close();
    assert_eq!(other.join().expect("no panic"), Outcome::Closed);
}

fn closing_on_a_sender() {
    closing(true);
}

fn closing_on_a_receiver() {
    closing(false);
}

/// Steps 1 to 4 of chan/select/run.rs, for receives from `chans`.
fn select(chans: [&'static Chan; 2], me: &'static Parker) -> u32 {
    loop {
        for c in chans {
            if let (Outcome::Done, msg) = c.recv(me, Patience::None) {
                return msg;
            }
        }
        let (wait, place) = (Wait::begin(me), Place::new(0));
        let entries = [0, 1].map(|i| &*leak(Entry::new(wait, FIRST_OP + i, place.slot())));
        let pairs = || chans.into_iter().zip(entries);
        let registered = pairs().take_while(|(c, e)| {
            let mut chain = Chain::new();
            let free = c.locked(|core, _| {
                let ready = core.can_recv(Some(wait));
                if !ready {
                    // SAFETY: leaked
                    chain = unsafe { core.wait(Line::Recv, e) };
                }
                !ready
            });
            chain.wake_each(Wait::wake);
            free
        });
        let registered = registered.count();
        if registered == 2 || !wait.claim(ABORTED) {
            me.key.wait();
        }
        for (c, e) in pairs().take(registered) {
            // SAFETY: it was linked here
            c.locked(|core, _| unsafe { core.queue(Line::Recv).remove(e) });
        }
        if let Some(at) = me.word.op().checked_sub(FIRST_OP) {
            assert_eq!(entries[at].outcome(), Outcome::Done);
            return place.take();
        }
    }
}

/// A sender for each of two channels, and a select that has to get both messages.
fn select_of_two() {
    let chans = [Chan::new(1), Chan::new(1)];
    let senders = [0, 1].map(|i| {
        thread::spawn(move || {
            let sent = chans[i].send(parker(), i as u32 + 1, Patience::None);
            assert_eq!(sent, Outcome::Done);
        })
    });
    let me = parker();
    let got = [select(chans, me), select(chans, me)];
    assert!(got == [1, 2] || got == [2, 1], "{got:?}");
    senders.into_iter().for_each(|s| s.join().expect("no panic"));
    for c in chans {
        c.locked(|core, buf| {
            assert!(core.queue(Line::Recv).is_empty() && buf.is_empty(), "left behind")
        });
    }
}

#[test]
fn messages_arrive_once() {
    check(rendezvous);
    check(buffered);
    check(giving_up);
    check(closing_on_a_sender);
    check(closing_on_a_receiver);
}

#[test]
fn a_select_takes_one_message_of_one_channel() {
    check_within(2, select_of_two);
}

#[test]
fn planted_faults_are_caught() {
    must_catch("chan.lock", rendezvous);
    must_catch("chan.unlock", rendezvous);
    must_catch("chan.claim", giving_up);
    must_catch("chan.claim", select_of_two);
    must_catch("chan.remove", giving_up);
    must_catch("chan.can_recv", select_of_two);
    must_catch("chan.close", closing_on_a_sender);
}
