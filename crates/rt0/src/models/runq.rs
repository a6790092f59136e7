//! sched/runq.rs: no goroutine is lost, none is run twice, and whoever takes one sees its context.
//!
//! Every model puts goroutines on one queue, lets the owner and thieves take some, and collects
//! what is left when all have ended; each goroutine must then have been seen once. A goroutine's
//! context is a [`Token`] that its maker uses before the put and its taker after the take.
//!
//! Covers: put, get, overflow, stealing from ring and `runnext`, one and two thieves, slots that
//! are used again (three puts through a ring of two), `is_empty` as a snapshot, `sweep`.
//! Abstracts away: the length of the ring (two slots, so that a steal and an overflow move one),
//! the global queue (a list that only the owner appends to), the courtesy time before `runnext` is
//! taken.

use super::{Token, check, leak, must_catch};
use crate::sched::runq::{Entry, Place, RunQueue};
use loom::thread;

struct Goroutine {
    id: usize,
    context: Token,
}

type Queue = RunQueue<Goroutine>;
/// The goroutines a thread took.
type Taken = Vec<&'static Goroutine>;

fn newproc(id: usize) -> &'static Goroutine {
    let g = leak(Goroutine { id, context: Token::new() });
    g.context.use_alone();
    g
}

fn run(g: &'static Goroutine, taken: &mut Taken) {
    g.context.use_alone();
    taken.push(g);
}

/// Owner: puts, and runs what the overflow hands over, as if it had been through the global queue.
fn put(q: &'static Queue, id: usize, place: Place, spilled: &mut Taken) {
    q.put(Entry::plain(newproc(id)), place, |batch| {
        for e in batch {
            run(e.parts().0, spilled);
        }
    });
}

fn get(q: &'static Queue, taken: &mut Taken) {
    if let Some((e, _)) = q.get() {
        run(e.parts().0, taken);
    }
}

/// A thief with a queue of its own steals `times` and runs what it has.
fn thief(victim: &'static Queue, times: usize, next: bool) -> Taken {
    let mine = leak(Queue::new());
    let mut taken = Taken::new();
    for _ in 0..times {
        if let Some(e) = mine.steal_into(victim, next) {
            run(e.parts().0, &mut taken);
        }
        while let Some((e, _)) = mine.get() {
            run(e.parts().0, &mut taken);
        }
    }
    taken
}

/// Everything that was made was taken once.
fn account(q: &'static Queue, made: usize, lists: impl IntoIterator<Item = Taken>) {
    let mut ids: Vec<usize> = lists.into_iter().flatten().map(|g| g.id).collect();
    while let Some((e, _)) = q.get() {
        ids.push(e.parts().0.id);
    }
    assert!(q.is_empty() && !q.has_stealable(), "the queue was drained");
    ids.sort_unstable();
    assert_eq!(ids, Vec::from_iter(0..made), "each goroutine once");
}

fn owner_against_thief() {
    let q = leak(Queue::new());
    let stealing = thread::spawn(|| thief(q, 1, false));
    let mut taken = Taken::new();
    put(q, 0, Place::Tail, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    get(q, &mut taken);
    get(q, &mut taken);
    account(q, 2, [stealing.join().expect("no panic"), taken]);
}

/// The last goroutine: the owner's get against the thief's take of one slot, which is then reused.
fn last_one_and_reuse() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, 0, Place::Tail, &mut taken);
    let stealing = thread::spawn(|| thief(q, 2, false));
    get(q, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    put(q, 2, Place::Tail, &mut taken);
    account(q, 3, [stealing.join().expect("no panic"), taken]);
}

fn overflow() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, 0, Place::Tail, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    let stealing = thread::spawn(|| thief(q, 1, false));
    put(q, 2, Place::Tail, &mut taken);
    account(q, 3, [stealing.join().expect("no panic"), taken]);
}

fn runnext() {
    let q = leak(Queue::new());
    let stealing = thread::spawn(|| thief(q, 2, true));
    let mut taken = Taken::new();
    put(q, 0, Place::Next, &mut taken);
    put(q, 1, Place::Next, &mut taken);
    get(q, &mut taken);
    account(q, 2, [stealing.join().expect("no panic"), taken]);
}

fn two_thieves() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, 0, Place::Tail, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    let stealing = [(); 2].map(|()| thread::spawn(|| thief(q, 1, false)));
    get(q, &mut taken);
    let mut lists = vec![taken];
    lists.extend(stealing.map(|s| s.join().expect("no panic")));
    account(q, 2, lists);
}

/// A queue that is never empty is never seen empty, though its one goroutine moves from `runnext`
/// to the ring while another comes and goes.
fn never_seen_empty() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, 0, Place::Next, &mut taken);
    let looking = thread::spawn(|| assert!(!q.is_empty(), "it was never empty"));
    put(q, 1, Place::Next, &mut taken);
    get(q, &mut taken);
    looking.join().expect("it is not seen empty");
    account(q, 2, [taken]);
}

/// Goroutine 0 was run out of turn: whoever has its entry does not run it.
const STALE: usize = 0;

fn sweep(q: &'static Queue) {
    q.sweep(|e| e.parts().0.id == STALE);
}

/// Two in the ring, of which the owner sweeps one out, and another into its place.
fn swept() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, STALE, Place::Tail, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    let stealing = thread::spawn(|| thief(q, 1, false));
    sweep(q);
    put(q, 2, Place::Tail, &mut taken);
    let mut stolen = stealing.join().expect("no panic");
    stolen.retain(|g| g.id != STALE);
    taken.push(newproc(STALE));
    account(q, 3, [stolen, taken]);
}

fn swept_and_not_seen_empty() {
    let q = leak(Queue::new());
    let mut taken = Taken::new();
    put(q, STALE, Place::Tail, &mut taken);
    put(q, 1, Place::Tail, &mut taken);
    let looking = thread::spawn(|| assert!(!q.is_empty(), "it was never empty"));
    sweep(q);
    looking.join().expect("it is not seen empty");
    taken.push(newproc(STALE));
    account(q, 2, [taken]);
}

#[test]
fn what_is_swept_is_lost_and_nothing_else() {
    check(swept);
    check(swept_and_not_seen_empty);
}

#[test]
fn catches_a_sweep_that_thieves_do_not_notice() {
    must_catch("runq.sweep", swept);
}

#[test]
fn catches_a_sweep_by_which_a_full_ring_looks_empty() {
    must_catch("runq.turn", swept_and_not_seen_empty);
}

#[test]
fn owner_and_thief_share_out_what_is_there() {
    check(owner_against_thief);
}

#[test]
fn the_last_goroutine_goes_to_one_and_its_slot_is_used_again() {
    check(last_one_and_reuse);
}

#[test]
fn an_overflow_and_a_thief_do_not_take_the_same() {
    check(overflow);
}

#[test]
fn runnext_goes_to_the_owner_or_the_thief() {
    check(runnext);
}

#[test]
fn two_thieves_do_not_take_the_same() {
    check(two_thieves);
}

#[test]
fn a_queue_is_not_seen_empty_while_it_is_not() {
    check(never_seen_empty);
}

#[test]
fn catches_a_tail_that_does_not_publish() {
    must_catch("runq.tail", owner_against_thief);
}

#[test]
fn catches_a_get_without_a_cas() {
    must_catch("runq.get", owner_against_thief);
}

#[test]
fn catches_a_steal_without_a_cas() {
    must_catch("runq.steal", owner_against_thief);
    must_catch("runq.steal", two_thieves);
}

#[test]
fn catches_an_overflow_without_a_cas() {
    must_catch("runq.overflow", overflow);
}

#[test]
fn catches_an_is_empty_that_is_no_snapshot() {
    must_catch("runq.snapshot", never_seen_empty);
}
