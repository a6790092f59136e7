//! A P's timers: a 4-ary heap ordered by deadline, then by age.
//!
//! Go: time.go `timers`, `siftUp`, `siftDown`. Four children a node: half the depth of a binary
//! heap, and the children share a cache line or two.
//!
//! # Invariants
//! * `TH1`: `entries` is touched under the lock only; no entry is later than its children.
//! * `TH2`: `when0` is the first entry's deadline, 0 without entries; it changes under the lock and
//!   is read without.

use crate::atomic::{AtomicI64, Ordering};
use crate::g::G;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::malloc::vec::RtVec;
use crate::p::mask::timerp_mask;

#[derive(Clone, Copy)]
struct Entry {
    when: i64,
    seq: u64,
    gp: &'static G,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.when, self.seq) < (other.when, other.seq)
    }
}

struct Heap {
    entries: RtVec<Entry>, // TH1
    seq: u64,
}

pub(crate) struct Timers {
    heap: RtMutex<Heap>,
    when0: AtomicI64, // TH2
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Timers {
            heap: RtMutex::new(Rank::Timers, Heap { entries: RtVec::new(), seq: 0 }),
            when0: AtomicI64::new(0),
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
        self.heap.lock().entries.len()
    }

    pub(crate) fn is_due(&self, now: i64) -> bool {
        let when = self.next_when();
        when != 0 && when <= now
    }

    /// Adds a sleeper of P `id`. True if it became the first.
    pub(crate) fn add(&self, id: usize, when: i64, gp: &'static G) -> bool {
        let when = when.max(1);
        let mut heap = self.heap.lock();
        heap.seq += 1;
        let seq = heap.seq;
        let at = heap.entries.len();
        heap.entries.push(Entry { when, seq, gp });
        sift_up(&mut heap.entries, at);
        let first = heap.entries[0].seq == seq;
        if first {
            self.when0.store(when, Ordering::Release); // ORDERING: TH2
        }
        if at == 0 {
            timerp_mask().set(id, true);
        }
        first
    }

    /// Takes sleepers that are due, at most as many as fit; the rest is for the next call.
    pub(crate) fn take_due(&self, id: usize, now: i64, out: &mut [Option<&'static G>]) -> usize {
        if !self.is_due(now) {
            return 0;
        }
        let mut heap = self.heap.lock();
        let mut n = 0;
        while n < out.len() {
            match heap.entries.first() {
                Some(e) if e.when <= now => out[n] = Some(e.gp),
                _ => break,
            }
            pop_first(&mut heap.entries);
            n += 1;
        }
        self.update_when0(id, &heap);
        n
    }

    /// Empties the heap into `f`.
    pub(crate) fn drain(&self, id: usize, mut f: impl FnMut(i64, &'static G)) {
        loop {
            let taken = {
                let mut heap = self.heap.lock();
                let e = heap.entries.first().copied();
                if e.is_some() {
                    pop_first(&mut heap.entries);
                }
                self.update_when0(id, &heap);
                e
            };
            match taken {
                Some(e) => f(e.when, e.gp),
                None => return,
            }
        }
    }

    fn update_when0(&self, id: usize, heap: &Heap) {
        let when = heap.entries.first().map_or(0, |e| e.when);
        self.when0.store(when, Ordering::Release); // ORDERING: TH2
        if when == 0 {
            timerp_mask().set(id, false);
        }
    }
}

fn pop_first(h: &mut RtVec<Entry>) {
    let last = h.len() - 1;
    h.swap(0, last);
    h.pop();
    sift_down(h);
}

fn sift_up(h: &mut RtVec<Entry>, mut i: usize) {
    while i > 0 {
        let parent = (i - 1) / 4;
        if !h[i].before(&h[parent]) {
            return;
        }
        h.swap(i, parent);
        i = parent;
    }
}

fn sift_down(h: &mut RtVec<Entry>) {
    let mut i = 0;
    loop {
        let first = 4 * i + 1;
        let Some(child) = (first..(first + 4).min(h.len()))
            .reduce(|best, c| if h[c].before(&h[best]) { c } else { best })
        else {
            return;
        };
        if !h[child].before(&h[i]) {
            return;
        }
        h.swap(i, child);
        i = child;
    }
}
