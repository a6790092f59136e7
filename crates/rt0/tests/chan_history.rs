//! Channels against a queue: what tasks saw of a channel can be put in an order in which a queue,
//! used by one after the other, would have answered the same.
//!
//! A send of a select is two steps of that order: it is chosen, which may keep a place in the
//! channel, and its message is put there. In between others may see a channel that is full.
//!
//! The histories are short and many, on one, two and eight Ps.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "a test counts with std's atomics")]

#[path = "chan/support.rs"]
mod support;

use rt0::chan::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use rt0::select;
use rt0::time::Instant;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{KINDS, Task, ms};

/// What a task did, and what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Sent(u32),
    /// A select chose to send.
    Chosen,
    /// The message of a select that chose to send.
    Put(u32),
    Full,
    SendClosed,
    Received(u32),
    Empty,
    RecvClosed,
    Closed(bool),
    Len(usize),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    event: Event,
    began: Instant,
    ended: Instant,
}

/// The queue that a channel is: with room for `cap` messages.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Model {
    queue: VecDeque<u32>,
    /// Places for messages of selects.
    kept: usize,
    cap: usize,
    closed: bool,
}

impl Model {
    fn new(cap: usize) -> Model {
        Model { queue: VecDeque::new(), kept: 0, cap, closed: false }
    }

    fn is_full(&self) -> bool {
        self.queue.len() + self.kept >= self.cap
    }

    /// What it may be afterwards, if it would answer the same.
    fn after(&self, event: Event) -> Vec<Model> {
        match event {
            // With a receiver that waits instead of a place.
            Event::Chosen if self.is_full() => vec![self.clone()],
            Event::Chosen => vec![self.clone(), Model { kept: self.kept + 1, ..self.clone() }],
            Event::Put(n) => {
                let used = self.kept.checked_sub(1).map(|kept| Model { kept, ..self.clone() });
                let all = used.into_iter().chain([self.clone()]);
                all.flat_map(|model| model.after(Event::Sent(n))).collect()
            }
            _ => {
                let mut next = self.clone();
                if next.step(event) { vec![next] } else { Vec::new() }
            }
        }
    }

    /// Whether it would answer the same.
    fn step(&mut self, event: Event) -> bool {
        let full = self.is_full();
        match event {
            Event::Sent(n) => {
                self.queue.push_back(n);
                !self.closed && !full
            }
            Event::Chosen | Event::Put(_) => false,
            Event::Full => !self.closed && full,
            Event::SendClosed => self.closed,
            Event::Received(n) => self.queue.pop_front() == Some(n),
            Event::Empty => !self.closed && self.queue.is_empty(),
            Event::RecvClosed => self.closed && self.queue.is_empty(),
            Event::Closed(first) => std::mem::replace(&mut self.closed, true) != first,
            Event::Len(n) => self.queue.len() == n,
        }
    }
}

/// Wing and Gong's search: takes, as long as there is one, a step that no step that is left ended
/// before it began.
fn has_order(steps: &[Step], done: u64, model: &Model, seen: &mut HashSet<(u64, Model)>) -> bool {
    if done.count_ones() as usize == steps.len() {
        return true;
    }
    if !seen.insert((done, model.clone())) {
        return false;
    }
    let left = || (0..steps.len()).filter(|i| done & 1 << i == 0);
    let first_end = left().map(|i| steps[i].ended).min().expect("some are left");
    left().filter(|i| steps[*i].began <= first_end).any(|i| {
        let after = model.after(steps[i].event);
        after.iter().any(|next| has_order(steps, done | 1 << i, next, seen))
    })
}

/// A generator of small numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

fn act(kind: u64, msg: u32, tx: &Sender<u32>, rx: &Receiver<u32>) -> Event {
    let sent = |r| match r {
        Ok(()) => Event::Sent(msg),
        Err(TrySendError::Full(_)) => Event::Full,
        Err(TrySendError::Disconnected(_)) => Event::SendClosed,
    };
    let received = |r| match r {
        Ok(n) => Event::Received(n),
        Err(TryRecvError::Empty) => Event::Empty,
        Err(TryRecvError::Disconnected) => Event::RecvClosed,
    };
    match kind {
        0..=2 => sent(tx.try_send(msg)),
        3..=5 => received(rx.try_recv()),
        // Who waits for long takes itself out: the partner may have ended.
        6 => sent(tx.send_timeout(msg, ms(2)).map_err(|e| match e.is_timeout() {
            true => TrySendError::Full(e.into_inner()),
            false => TrySendError::Disconnected(e.into_inner()),
        })),
        7 => received(rx.recv_timeout(ms(2)).map_err(|e| match e.is_timeout() {
            true => TryRecvError::Empty,
            false => TryRecvError::Disconnected,
        })),
        8 => select! {
            send(tx, msg) -> r => r.map_or(Event::SendClosed, |()| Event::Put(msg)),
            default => Event::Full,
        },
        9 => select! {
            recv(rx) -> r => received(r.map_err(TryRecvError::from)),
            default => Event::Empty,
        },
        10 => Event::Len(tx.len()),
        _ => Event::Closed(if msg.is_multiple_of(2) { tx.close() } else { rx.close() }),
    }
}

fn steps(seed: u64, task: u32, tx: &Sender<u32>, rx: &Receiver<u32>) -> Vec<Step> {
    let mut random = Random(seed * 8 + u64::from(task));
    let step = |i| {
        // A close ends most of what could be seen: it is rare.
        let kind = random.below(11) + random.below(40) / 39;
        let began = Instant::now();
        let event = act(kind, task * 100 + i, tx, rx);
        let step = Step { event, began, ended: Instant::now() };
        let chosen = matches!(event, Event::Put(_)).then_some(Event::Chosen);
        chosen.map(|event| Step { event, ..step }).into_iter().chain([step])
    };
    (0..6).flat_map(step).collect()
}

fn history(seed: u64) {
    let cap = [Some(1), Some(2), Some(4), None][seed as usize % 4];
    let (tx, rx) = cap.map_or_else(unbounded, bounded);
    let tasks: Vec<_> = (0..3)
        .map(|task| {
            let (tx, rx) = (tx.clone(), rx.clone());
            let kind = KINDS[(seed >> task) as usize % 2];
            Task::start(kind, move || steps(seed, task, &tx, &rx))
        })
        .collect();
    let steps: Vec<_> = tasks.into_iter().flat_map(Task::join).collect();
    let model = Model::new(cap.unwrap_or(usize::MAX));
    assert!(has_order(&steps, 0, &model, &mut HashSet::new()), "seed {seed}: {steps:#?}");
}

/// Computes and never enters the runtime, until told to stop.
fn hog(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[test]
fn the_search_refuses_what_no_queue_does() {
    let ordered = |events: &[Event]| {
        let start = Instant::now();
        let step = |(i, event): (usize, &Event)| {
            let at = start + ms(i as u64);
            Step { event: *event, began: at, ended: at }
        };
        let steps: Vec<_> = events.iter().enumerate().map(step).collect();
        has_order(&steps, 0, &Model::new(2), &mut HashSet::new())
    };
    use Event::{Chosen, Closed, Empty, Full, Put, Received, RecvClosed, SendClosed, Sent};
    assert!(ordered(&[Chosen, Sent(1), Full, Put(2), Received(1), Received(2)]), "a kept place");
    assert!(!ordered(&[Sent(1), Full]), "full without a reason");
    assert!(!ordered(&[Chosen, Put(1), Sent(2), Received(2)]), "overtaken");
    assert!(ordered(&[Sent(1), Sent(2), Full, Received(1), Closed(true), SendClosed, Received(2)]));
    assert!(!ordered(&[Sent(1), Sent(2), Received(2)]), "overtaken");
    assert!(!ordered(&[Sent(1), Received(1), Received(1)]), "doubled");
    assert!(!ordered(&[Sent(1), Empty]), "lost");
    assert!(!ordered(&[Sent(1), Sent(2), Sent(3)]), "more than there is room for");
    assert!(!ordered(&[Sent(1), Closed(true), RecvClosed]), "lost in the closing");
}

#[rt0::test]
fn every_history_is_one_of_a_queue() {
    for (procs, rounds) in [(1, 150), (2, 400), (8, 150)] {
        rt0::set_gomaxprocs(procs);
        (0..rounds).for_each(|seed| history(seed + procs as u64 * 1000));
    }
}

/// Sums of many messages by all ways to send and receive, beside goroutines that must be preempted.
#[rt0::test]
fn nothing_is_lost_on_any_number_of_ps() {
    const EACH: u64 = 200;
    let stop = Arc::new(AtomicBool::new(false));
    let hogs: Vec<_> = (0..2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            rt0::go(move || hog(&stop))
        })
        .collect();
    for cap in [0, 1, 16] {
        let ((tx, rx), (tx2, rx2)) = (bounded::<u64>(cap), bounded::<u64>(cap));
        let senders: Vec<_> = (0..4)
            .map(|i| {
                let (tx, tx2) = (tx.clone(), tx2.clone());
                Task::start(KINDS[i % 2], move || {
                    (1..=EACH).for_each(|n| {
                        select! {
                            send(tx, n) -> r => r.unwrap(),
                            send(tx2, n) -> r => r.unwrap(),
                        }
                    });
                })
            })
            .collect();
        drop((tx, tx2));
        let receivers: Vec<_> = (0..4)
            .map(|i| {
                let (rx, rx2) = (rx.clone(), rx2.clone());
                Task::start(KINDS[i / 2], move || sum_of(rx, rx2))
            })
            .collect();
        senders.into_iter().for_each(Task::join);
        let sum: u64 = receivers.into_iter().map(Task::join).sum();
        assert_eq!(sum, 4 * EACH * (EACH + 1) / 2);
    }
    stop.store(true, Ordering::Relaxed);
    hogs.into_iter().for_each(|h| h.join().expect("no panic"));
}

fn sum_of(mut a: Receiver<u64>, mut b: Receiver<u64>) -> u64 {
    let (mut sum, mut open) = (0, 2);
    while open > 0 {
        select! {
            recv(a) -> m => match m {
                Ok(n) => sum += n,
                Err(_) => { a = rt0::chan::never(); open -= 1; }
            },
            recv(b) -> m => match m {
                Ok(n) => sum += n,
                Err(_) => { b = rt0::chan::never(); open -= 1; }
            },
        }
    }
    sum
}
