//! debug/graph.rs: waits that are read while others run make no circle that is not there.
//!
//! Two parties take two locks in orders that cannot deadlock, but at different moments each waits
//! for the other. A third reads who waits for what and who holds it, and once more whether the
//! waits are the same.
//!
//! Covers: the ticket as the proof that a wait lasted, with the real word; that a holder's name is
//! gone before the lock is free. Abstracts away: how a lock decides (raw_mutex.rs): a lock here is
//! a queue under loom's lock.

use super::{check, leak, must_catch};
use crate::atomic::{AtomicUsize, Ordering};
use crate::g::key::Key;
use crate::g::ticket::{FIRST_OP, TicketWord};
use loom::sync::Mutex;
use loom::thread;

const NOBODY: usize = usize::MAX;

struct Party {
    ticket: TicketWord,
    key: Key,
    /// The lock that it waits for.
    on: AtomicUsize,
}

#[derive(Default)]
struct State {
    held: bool,
    /// Party and ticket.
    waiter: Option<(usize, usize)>,
}

struct Lock {
    state: Mutex<State>,
    owner: AtomicUsize,
}

struct World {
    parties: [Party; 2],
    locks: [Lock; 2],
}

impl World {
    fn lock(&self, me: usize, lock: usize) {
        let (party, lock_of) = (&self.parties[me], &self.locks[lock]);
        loop {
            let ticket = {
                let mut state = lock_of.state.lock().expect("nobody panics");
                if !state.held {
                    state.held = true;
                    break;
                }
                let ticket = party.ticket.begin();
                state.waiter = Some((me, ticket));
                ticket
            };
            party.on.store(lock, Ordering::Release);
            party.key.wait();
            party.on.store(NOBODY, Ordering::Release);
            assert!(party.ticket.unclaimed() != Some(ticket) || super::mutated("ticket.unclaimed"));
        }
        lock_of.owner.store(me, Ordering::Release);
    }

    fn unlock(&self, lock: usize) {
        let lock = &self.locks[lock];
        lock.owner.store(NOBODY, Ordering::Release);
        let waiter = {
            let mut state = lock.state.lock().expect("nobody panics");
            state.held = false;
            state.waiter.take()
        };
        if let Some((party, ticket)) = waiter {
            let party = &self.parties[party];
            assert!(party.ticket.claim(ticket, FIRST_OP));
            party.key.wake();
        }
    }

    /// The ticket of `party`, if it waits for a lock that the other one holds.
    fn waits_for_other(&self, party: usize) -> Option<usize> {
        let ticket = self.parties[party].ticket.unclaimed()?;
        let on = self.locks.get(self.parties[party].on.load(Ordering::Acquire))?;
        (on.owner.load(Ordering::Acquire) == 1 - party).then_some(ticket)
    }

    fn sees_a_circle(&self) -> bool {
        let Some(first) = self.waits_for_other(0) else { return false };
        let Some(second) = self.waits_for_other(1) else { return false };
        let lasts = |party: usize, ticket| self.parties[party].ticket.unclaimed() == Some(ticket);
        lasts(0, first) && lasts(1, second)
    }
}

fn orders_that_cannot_deadlock() {
    let party =
        || Party { ticket: TicketWord::new(), key: Key::new(), on: AtomicUsize::new(NOBODY) };
    let lock = || Lock { state: Mutex::default(), owner: AtomicUsize::new(NOBODY) };
    let world: &'static World =
        leak(World { parties: [party(), party()], locks: [lock(), lock()] });
    let first = thread::spawn(|| {
        world.lock(0, 0);
        world.lock(0, 1);
        world.unlock(1);
        world.unlock(0);
    });
    let second = thread::spawn(|| {
        world.lock(1, 1);
        world.unlock(1);
        world.lock(1, 0);
        world.unlock(0);
    });
    assert!(!world.sees_a_circle(), "a circle that is not there");
    first.join().expect("it does not panic");
    second.join().expect("it does not panic");
}

#[test]
fn no_circle_is_seen_that_is_not_there() {
    check(orders_that_cannot_deadlock);
}

#[test]
fn catches_a_wait_that_has_ended() {
    must_catch("ticket.unclaimed", orders_that_cannot_deadlock);
}
