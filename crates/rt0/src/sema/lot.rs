//! Waiting at an address, and waking those who wait there.
//!
//! Go: sema.go `semacquire1`, `semrelease1`; the shape is WebKit's parking lot. What a lock means
//! by its word is its own business: it says, under the bucket's lock, whether there still is
//! something to wait for, and what a waker changes.
//!
//! ```text
//!   waiter                                     waker
//!   1. ticket, node on the stack               1. change the word
//!   2. bucket locked: worth it? push           2. bucket locked: take the first, claim its ticket,
//!   3. wait for the ticket                        change the word again; unlock
//!   4. gave up: bucket locked: remove          3. wake
//! ```
//! Whoever comes second to the bucket's lock sees what the other did there: either the waiter finds
//! the word changed and does not wait, or the waker finds the waiter. A waiter that times out
//! claims its own ticket, so that a waker passes it over and takes the next.
//!
//! # Invariants
//! * `LO1`: a waiter leaves `park` only when its node is not queued.
//! * `LO2`: a node that was popped and claimed is its popper's until it wakes the waiter.
//!
//! # Memory orderings
//! * What the waker wrote before, also under the bucket's lock, is seen by the waiter after `park`:
//!   by the wake-up.

#![allow(unsafe_code, reason = "LO1: the node stays on the stack of the one who waits")]

use super::queue::{Link, Node, Place, Queue};
use crate::atomic::mutated;
use crate::g::ticket::{ABORTED, FIRST_OP};

/// What waiting rests on: the runtime (sema/mod.rs), or a model of it.
pub(crate) trait Env {
    /// A ticket, as of sched/wait.rs.
    type Wait: Copy + 'static;
    /// What a waiter tells those who look at it.
    type Why: Copy;

    fn begin(&self) -> Self::Wait;
    /// Claims a ticket for the operation; true for the first.
    fn claim(&self, wait: Self::Wait, op: usize) -> bool;
    fn is_waiting(&self, wait: Self::Wait) -> bool;
    /// Waits until the ticket is claimed and woken, or the deadline; returns the operation.
    fn wait(&self, wait: Self::Wait, why: Self::Why, deadline_ns: Option<i64>) -> usize;
    fn wake(&self, wait: Self::Wait);
    fn hash(&self, key: usize) -> u64;
    /// Runs `f` with the hash's bucket locked.
    fn locked<R>(&self, hash: u64, f: impl FnOnce(&mut Queue<Self::Wait>) -> R) -> R;
    fn now_ns(&self) -> i64;
    /// Whether the `i`-th round of spinning makes sense.
    fn can_spin(&self, i: u32) -> bool;
    fn spin(&self);
    /// Lets the one run that was woken last.
    fn yield_now(&self);
}

/// Somebody who wants to wait.
#[derive(Clone, Copy)]
pub(crate) struct Request<Y> {
    pub(crate) key: usize,
    /// For the waker.
    pub(crate) data: usize,
    pub(crate) place: Place,
    /// When it began to wait.
    pub(crate) since_ns: i64,
    pub(crate) why: Y,
    pub(crate) deadline_ns: Option<i64>,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// There was nothing to wait for.
    Refused,
    /// A waker took it, and says this.
    Woken(usize),
    /// Its deadline came, or it was cancelled.
    GaveUp,
}

/// Waits at `request.key` if `worth_it`, which runs with the bucket locked.
pub(crate) fn park<E: Env>(
    env: &E,
    request: Request<E::Why>,
    worth_it: impl FnOnce() -> bool,
) -> Outcome {
    park_after(env, request, worth_it, || (), |_| ())
}

/// The same with two more steps: `queued` runs when wakers can find the waiter, with no lock held;
/// `gave_up` runs with the bucket locked when the waiter had to take itself out, with whether
/// others wait at the key.
pub(crate) fn park_after<E: Env>(
    env: &E,
    request: Request<E::Why>,
    worth_it: impl FnOnce() -> bool,
    queued: impl FnOnce(),
    gave_up: impl FnOnce(bool),
) -> Outcome {
    let Request { key, data, place, since_ns, why, deadline_ns } = request;
    let hash = env.hash(key);
    let wait = env.begin();
    let node = Node::new(key, hash, data, since_ns, wait);
    let pushed = env.locked(hash, |q| {
        let yes = worth_it();
        if yes {
            // SAFETY: SQ1 by LO1: below, the node is popped by a waker or removed here.
            unsafe { q.push(&node, place) };
        }
        yes
    });
    if !pushed {
        env.claim(wait, ABORTED);
        return Outcome::Refused;
    }
    queued();
    if env.wait(wait, why, deadline_ns) == FIRST_OP {
        return Outcome::Woken(node.token.get());
    }
    // Also when a waker has popped it and lost the claim: that one may still be looking at it.
    env.locked(hash, |q| {
        if node.is_queued() && !mutated("lot.leave") {
            q.remove(&node);
            gave_up(q.first(key, hash).is_some());
        }
        if node.is_queued() {
            crate::throw::throw("park: a waiter leaves its node behind");
        }
    });
    Outcome::GaveUp
}

/// Those who wait at an address, for a waker that holds the bucket's lock.
pub(crate) struct Waiters<'a, E: Env> {
    env: &'a E,
    queue: &'a mut Queue<E::Wait>,
    key: usize,
    hash: u64,
    /// Taken, to be woken when the lock is released: first, last.
    chain: (Link<E::Wait>, Link<E::Wait>),
}

/// A waiter that was taken.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) since_ns: i64,
}

impl<E: Env> Waiters<'_, E> {
    /// Whether anybody is queued; some may be about to give up.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.first(self.key, self.hash).is_none()
    }

    /// Takes the first that still waits, to be woken with `token`.
    pub(crate) fn take(&mut self, token: usize) -> Option<Taken> {
        self.take_if(token, |_| true)
    }

    /// The same if `wanted` says so of what it told; nobody is taken out of turn.
    pub(crate) fn take_if(
        &mut self,
        token: usize,
        mut wanted: impl FnMut(usize) -> bool,
    ) -> Option<Taken> {
        while let Some(head) = self.queue.first(self.key, self.hash) {
            if self.env.is_waiting(head.wait) && !wanted(head.data) {
                return None;
            }
            self.queue.pop(self.key, self.hash);
            if self.env.claim(head.wait, FIRST_OP) {
                head.token.set(token);
                let taken = Taken { since_ns: head.since_ns };
                self.chain = match self.chain {
                    (None, _) => (Some(head), Some(head)),
                    (first, last) => {
                        if let Some(last) = last {
                            last.next.set(Some(head));
                        }
                        (first, Some(head))
                    }
                };
                return Some(taken);
            }
        }
        None
    }
}

/// Runs `f` on those who wait at `key`, with the bucket locked, then wakes those whom it took.
pub(crate) fn unpark<E: Env, R>(
    env: &E,
    key: usize,
    f: impl FnOnce(&mut Waiters<'_, E>) -> R,
) -> R {
    let hash = env.hash(key);
    let (mut next, r) = env.locked(hash, |queue| {
        let mut waiters = Waiters { env, queue, key, hash, chain: (None, None) };
        let r = f(&mut waiters);
        (waiters.chain.0, r)
    });
    // LO2: read before the wake-up, for the node is gone after it.
    while let Some(node) = next {
        next = node.next.get();
        if !mutated("lot.wake") {
            env.wake(node.wait);
        }
    }
    r
}
