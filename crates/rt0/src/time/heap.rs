//! A P's timers: a 4-ary heap ordered by deadline, then by age.
//!
//! Go: time.go `timers`, `siftUp`, `siftDown`. Four children a node: half the depth of a binary
//! heap, and the children share a cache line or two. Which of them is the first is anybody's guess,
//! so it is computed without branches, from keys that hold deadline and age in one number.
//!
//! A timer is a waiter's deadline, and its entry holds the waiter's ticket (g/ticket.rs); what
//! waits may also be a function to be run (fired.rs). Nobody takes an entry out when its waiter was
//! woken by something else, for to find it would take an index in memory that every sift would
//! touch: it is stale from then on, as its ticket tells. When a quarter of the entries may be stale
//! they are swept out, at the cost of the additions that made them, by who made the last one stale:
//! so their memory goes also when nothing is added any more. Go: zombies.
//!
//! # Invariants
//! * `TH1`: `entries` is touched under the lock only; no entry is later than its children.
//! * `TH2`: `when0` is the first entry's deadline, 0 without entries; it changes under the lock and
//!   is read without.

use crate::atomic::{AtomicI64, AtomicUsize, Ordering};
use crate::g::parker::Wait;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::malloc::vec::RtVec;
use crate::p::mask::timerp_mask;

#[derive(Clone, Copy)]
struct Entry {
    key: Key,
    wait: Wait,
}

/// The deadline, which is above 0, and below it the number of the addition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

impl Key {
    fn new(when: i64, seq: u64) -> Key {
        Key(u128::from(when.cast_unsigned()) << 64 | u128::from(seq))
    }

    fn when(self) -> i64 {
        (self.0 >> 64) as i64
    }
}

struct Heap {
    entries: RtVec<Entry>, // TH1
    seq: u64,
}

pub(crate) struct Timers {
    heap: RtMutex<Heap>,
    when0: AtomicI64, // TH2
    /// How many entries there are; changes under the lock.
    len: AtomicUsize,
    /// How many entries have become stale since the last sweep; about, for timers move.
    stale: AtomicUsize,
}

/// Fewer stale entries than this are not worth a sweep.
const STALE_MIN: usize = 64;

impl Timers {
    pub(crate) const fn new() -> Self {
        Timers {
            heap: RtMutex::new(Rank::Timers, Heap { entries: RtVec::new(), seq: 0 }),
            when0: AtomicI64::new(0),
            len: AtomicUsize::new(0),
            stale: AtomicUsize::new(0),
        }
    }

    /// The first deadline, ns; 0: none.
    #[inline]
    pub(crate) fn next_when(&self) -> i64 {
        // ORDERING: the adder's fence is in netpoll::wake_net_poller
        self.when0.load(Ordering::Relaxed)
    }

    /// How many there are, for reports.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) // ORDERING: a report, or a hint
    }

    pub(crate) fn is_due(&self, now: i64) -> bool {
        let when = self.next_when();
        when != 0 && when <= now
    }

    /// An entry's waiter was woken by something else, or does not wait any more.
    #[inline]
    pub(crate) fn one_is_stale(&self, id: usize) {
        let stale = self.stale.fetch_add(1, Ordering::Relaxed) + 1; // ORDERING: a hint
        if stale >= STALE_MIN && stale >= self.len() / 4 {
            self.sweep(id);
        }
    }

    /// Takes the stale entries out.
    #[cold]
    fn sweep(&self, id: usize) {
        let mut heap = self.heap.lock();
        self.stale.store(0, Ordering::Relaxed); // ORDERING: a hint
        sweep(&mut heap.entries);
        self.update(id, &heap);
    }

    /// Whether somebody's deadline is here: not only stale entries.
    pub(crate) fn any_live(&self) -> bool {
        self.heap.lock().entries.iter().any(|e| e.wait.is_waiting())
    }

    /// Adds a waiter to P `id`. True if it became the first.
    pub(crate) fn add(&self, id: usize, when: i64, wait: Wait) -> bool {
        let when = when.max(1);
        let mut heap = self.heap.lock();
        heap.seq += 1;
        let key = Key::new(when, heap.seq);
        let at = heap.entries.len();
        heap.entries.push(Entry { key, wait });
        self.len.store(at + 1, Ordering::Relaxed); // ORDERING: a hint
        let first = sift_up(&mut heap.entries, at) == 0;
        if first {
            self.when0.store(when, Ordering::Release); // ORDERING: TH2
        }
        if at == 0 {
            timerp_mask().set(id, true);
        }
        first
    }

    /// Takes waiters that are due, at most as many as fit; the rest is for the next call.
    pub(crate) fn take_due(&self, id: usize, now: i64, out: &mut [Option<Wait>]) -> usize {
        if !self.is_due(now) {
            return 0;
        }
        let mut heap = self.heap.lock();
        let mut n = 0;
        while n < out.len() {
            match heap.entries.first() {
                Some(e) if e.key.when() <= now => out[n] = Some(e.wait),
                _ => break,
            }
            if let Some(wait) = out[n] {
                wait.prefetch(); // its goroutine has slept, and this takes longer than a miss
            }
            pop_first(&mut heap.entries);
            n += 1;
        }
        self.update(id, &heap);
        n
    }

    /// Empties the heap into `f`; stale entries go.
    pub(crate) fn drain(&self, id: usize, mut f: impl FnMut(i64, Wait)) {
        loop {
            let taken = {
                let mut heap = self.heap.lock();
                let e = heap.entries.first().copied();
                if e.is_some() {
                    pop_first(&mut heap.entries);
                }
                self.update(id, &heap);
                e
            };
            match taken {
                Some(e) if e.wait.is_waiting() => f(e.key.when(), e.wait),
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Entries were taken out.
    fn update(&self, id: usize, heap: &Heap) {
        self.len.store(heap.entries.len(), Ordering::Relaxed); // ORDERING: a hint
        let when = heap.entries.first().map_or(0, |e| e.key.when());
        self.when0.store(when, Ordering::Release); // ORDERING: TH2
        if when == 0 {
            timerp_mask().set(id, false);
        }
    }
}

/// Takes the stale entries out.
fn sweep(h: &mut RtVec<Entry>) {
    let mut kept = 0;
    for i in 0..h.len() {
        if h[i].wait.is_waiting() {
            h.swap(kept, i);
            kept += 1;
        }
    }
    while h.len() > kept {
        h.pop();
    }
    for i in (0..kept.div_ceil(4)).rev() {
        sift_down(h, i);
    }
}

/// Takes the first out. The hole goes down to the last row and what was last comes there, for that
/// is where it belongs, or little above it.
fn pop_first(h: &mut RtVec<Entry>) {
    let Some(last) = h.pop() else { return };
    let mut hole = 0;
    while let Some(child) = first_child(h, hole) {
        h[hole] = h[child];
        hole = child;
    }
    if let Some(place) = h.get_mut(hole) {
        *place = last;
        sift_up(h, hole);
    }
}

/// Returns where it is then.
fn sift_up(h: &mut [Entry], mut i: usize) -> usize {
    let e = h[i];
    while i > 0 {
        let parent = (i - 1) / 4;
        if h[parent].key < e.key {
            break;
        }
        h[i] = h[parent];
        i = parent;
    }
    h[i] = e;
    i
}

fn sift_down(h: &mut [Entry], mut i: usize) {
    let e = h[i];
    while let Some(child) = first_child(h, i)
        && h[child].key < e.key
    {
        h[i] = h[child];
        i = child;
    }
    h[i] = e;
}

/// Which child of `i` is due first.
#[inline]
fn first_child(h: &[Entry], i: usize) -> Option<usize> {
    let at = 4 * i + 1;
    let Some([a, b, c, d]) = h.get(at..at + 4) else {
        return (at..h.len()).min_by_key(|child| h[*child].key);
    };
    let (left, right) = (b.key < a.key, d.key < c.key);
    let earlier = b.key.min(a.key) < d.key.min(c.key);
    let (left, right) = (usize::from(left), 2 + usize::from(right));
    Some(at + if earlier { left } else { right })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g::parker::Parker;
    use crate::g::ticket::ABORTED;

    fn waits(n: usize) -> Vec<Wait> {
        (0..n).map(|_| Wait::of(Box::leak(Box::new(Parker::new())))).collect()
    }

    #[test]
    fn the_earliest_comes_first_and_of_two_the_older() {
        let (timers, waits) = (Timers::new(), waits(4));
        for (wait, when) in waits.iter().zip([20, 10, 20, 30]) {
            assert_eq!(timers.add(0, when, *wait), when == 20 && timers.len() == 1 || when == 10);
        }
        let mut due = [None; 8];
        assert_eq!(timers.take_due(0, 9, &mut due), 0);
        assert_eq!(timers.take_due(0, 20, &mut due), 3);
        let order = [1, 0, 2].map(|i: usize| core::ptr::from_ref(waits[i].parker));
        let taken = [0, 1, 2].map(|i| due[i].map(|w: Wait| core::ptr::from_ref(w.parker)));
        assert_eq!(taken, order.map(Some));
        assert_eq!((timers.next_when(), timers.len()), (30, 1));
    }

    /// All shapes of the last row, and deadlines that are the same.
    #[test]
    fn they_come_in_order_whatever_the_order_they_were_added_in() {
        let waits = waits(200);
        for n in 1..=waits.len() {
            let (timers, when) = (Timers::new(), |i: usize| (i * 37 % 101) as i64 + 1);
            for (i, wait) in waits[..n].iter().enumerate() {
                timers.add(0, when(i), *wait);
            }
            let mut order: Vec<_> = (0..n).collect();
            order.sort_by_key(|i| (when(*i), *i));
            for i in order {
                assert_eq!(timers.next_when(), when(i), "of {n}");
                let mut due = [None; 1];
                assert_eq!(timers.take_due(0, i64::MAX, &mut due), 1);
                let taken = due[0].map(|wait: Wait| core::ptr::from_ref(wait.parker));
                assert_eq!(taken, Some(core::ptr::from_ref(waits[i].parker)), "of {n}");
            }
            assert_eq!((timers.next_when(), timers.len()), (0, 0));
        }
    }

    /// Nothing is added any more, and yet they go.
    #[test]
    fn stale_entries_go_with_those_who_made_them_stale() {
        let (timers, waits) = (Timers::new(), waits(1000));
        for (i, wait) in waits.iter().enumerate() {
            timers.add(0, 1000 - i as i64, *wait);
        }
        let (kept, gone) = waits.split_at(10);
        for wait in gone {
            assert!(wait.claim(ABORTED));
            timers.one_is_stale(0);
        }
        assert!(timers.len() < kept.len() + 2 * STALE_MIN, "{} are left", timers.len());
        let mut moved = 0;
        timers.drain(0, |_, wait| {
            assert!(wait.is_waiting(), "a stale entry is moved");
            moved += 1;
        });
        assert_eq!((moved, timers.len(), timers.next_when()), (10, 0, 0));
    }
}
