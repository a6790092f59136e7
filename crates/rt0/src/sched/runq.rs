//! The local run queue of a P: a ring of 256 goroutines and the `runnext` slot.
//!
//! Go: proc.go `runqput`, `runqputslow`, `runqget`, `runqgrab`, `runqsteal`, `runqempty`.
//!
//! One owner (the M that holds the P) puts at the tail and gets at the head; any other M may steal
//! from the head. `runnext` is a slot beside the ring: a goroutine readied by the running one,
//! which runs next. A full ring hands half of itself, and the newcomer, to the global queue.
//!
//! # Invariants
//! * `RQ1`: only the owner stores `tail` and the slots in `[tail, head + LEN)`.
//! * `RQ2`: `head` moves forward only, by a compare-and-swap; whoever moves it from h to h + n owns
//!   the n goroutines in slots h..h+n, and nobody else does. But `sweep` moves it by more than LEN,
//!   which takes nothing.
//! * `RQ3`: `0 <= tail - head <= LEN` (wrapping), but between the two moves of `sweep`.
//! * `RQ4`: thieves own a queue themselves, so the only queue has none (`P::alone`): its owner may
//!   use plain loads and stores where it would need an exchange. How many queues there are changes
//!   while the world is stopped.
//!
//! # Memory orderings
//! * `tail`: stored Release by the owner after the slot; a thief's Acquire load of it makes the
//!   slot (and the goroutine behind it) visible.
//! * `head`: a successful CAS is Release, after the slots were copied out; the owner's Acquire load
//!   before it writes a slot again pairs with it, so a slot is not overwritten while it is read.
//! * `runnext`: AcqRel swaps and CASes; the goroutine behind it must be visible to a thief.
//! * slots: Relaxed; a thief may read one that the owner overwrites, and then its CAS of `head`
//!   fails.
//!
//! Rejected: a Chase-Lev deque (LIFO for the owner: starves the oldest goroutine), and a lock per
//! queue (a stealing M that the OS preempts would stop the owner).

use crate::atomic::{
    AtomicPtr, AtomicUsize, Ordering, Tagged, as_ptr, as_static, const_unless_loom, mutated,
};

/// Slots in the ring: Go's 256; two under loom, where every slot multiplies the state space.
pub(crate) const RUNQ_LEN: usize = if cfg!(loom) { 2 } else { 256 };
const LEN: usize = RUNQ_LEN;
/// How far `sweep` moves head and tail: by a multiple of LEN, and more than it.
const TURN: usize = 2 * LEN;
/// What an overflow hands over: half of the ring and the newcomer.
pub(crate) const SPILL_LEN: usize = RUNQ_LEN / 2 + 1;

/// Where a new goroutine goes in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Into `runnext`, kicking what was there to the tail.
    Next,
    /// At the tail.
    Tail,
}

/// What queueing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Put {
    /// `runnext`, which was empty, and nothing else: by an exchange.
    Next,
    /// The ring, at least.
    Ring,
}

/// What a queue holds: a goroutine, whose taker owns it; or, marked, a new one that may have been
/// run out of turn, which its taker must claim (g/fresh.rs). The mark is the lowest bit; the next
/// one says that the goroutine has not run yet, claimed or not. Above the address, a marked one has
/// some bits of the goroutine's id: its G may be the next one's by now.
pub(crate) struct Entry<T: 'static>(Tagged<T>);

const MARK: usize = 1;
const NEW: usize = 2;
/// Addresses of user space have 47 bits.
const TAG_SHIFT: u32 = 48;
const TAG: usize = usize::MAX << TAG_SHIFT;
const BITS: usize = MARK | NEW | TAG;

impl<T: 'static> Clone for Entry<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Entry<T> {}

impl<T: 'static> Entry<T> {
    #[inline(always)]
    pub(crate) fn plain(gp: &'static T) -> Self {
        Entry(Tagged(as_ptr(Some(gp))))
    }

    #[inline(always)]
    pub(crate) fn marked(gp: &'static T, id: usize) -> Self {
        const { assert!(align_of::<T>() > MARK | NEW) };
        let bits = id << TAG_SHIFT | MARK | NEW;
        Entry(Tagged(as_ptr(Some(gp)).map_addr(|a| a | bits)))
    }

    /// Whether a marked one may be that of goroutine `id`.
    #[cfg(not(loom))]
    pub(crate) fn may_be(self, id: usize) -> bool {
        self.0.0.addr() & TAG == id << TAG_SHIFT
    }

    /// A new one that its taker owns.
    #[cfg(not(loom))]
    pub(crate) fn claimed(gp: &'static T) -> Self {
        const { assert!(align_of::<T>() > NEW) };
        Entry(Tagged(as_ptr(Some(gp)).map_addr(|a| a | NEW)))
    }

    /// Whether the goroutine has not run yet.
    #[cfg(not(loom))]
    pub(crate) fn is_new(self) -> bool {
        self.0.0.addr() & NEW != 0
    }

    /// The goroutine, and whether it must be claimed.
    #[inline(always)]
    pub(crate) fn parts(self) -> (&'static T, bool) {
        let marked = self.0.0.addr() & MARK != 0;
        match as_static(self.0.0.map_addr(|a| a & !BITS)) {
            Some(gp) => (gp, marked),
            None => unreachable!("entries are made from references"),
        }
    }

    #[inline(always)]
    fn from_slot(p: *mut T) -> Option<Self> {
        (!p.is_null()).then_some(Entry(Tagged(p)))
    }
}

pub(crate) struct RunQueue<T: 'static> {
    head: AtomicUsize, // RQ2
    tail: AtomicUsize, // RQ1
    runnext: AtomicPtr<T>,
    slots: [AtomicPtr<T>; RUNQ_LEN], // RQ1
}

impl<T: 'static> RunQueue<T> {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            RunQueue {
                head: AtomicUsize::new(0),
                tail: AtomicUsize::new(0),
                runnext: AtomicPtr::new(core::ptr::null_mut()),
                #[cfg(not(loom))]
                slots: [const { AtomicPtr::new(core::ptr::null_mut()) }; RUNQ_LEN],
                #[cfg(loom)]
                slots: core::array::from_fn(|_| AtomicPtr::new(core::ptr::null_mut())),
            }
        }
    }

    fn slot(&self, i: usize) -> &AtomicPtr<T> {
        &self.slots[i % LEN]
    }

    /// Owner: queues an entry. A full ring calls `spill` with half of the ring and the entry.
    #[inline]
    pub(crate) fn put(
        &self,
        entry: Entry<T>,
        place: Place,
        spill: impl FnOnce(&[Entry<T>]),
    ) -> Put {
        let mut entry = entry;
        if place == Place::Next {
            // ORDERING: pairs with the CAS in get_next and grab_next; SeqCst: pairs with the
            // fence in spinning.rs stop
            match Entry::from_slot(self.runnext.swap(entry.0.0, Ordering::SeqCst)) {
                None => return Put::Next,
                Some(kicked) => entry = kicked,
            }
        }
        let mut spill = Some(spill);
        loop {
            // ORDERING: pairs with the head CAS of thieves: their slot reads are done
            let h = self.head.load(Ordering::Acquire);
            // ORDERING: the owner's own store
            let t = self.tail.load(Ordering::Relaxed);
            if t.wrapping_sub(h) < LEN {
                // ORDERING: published by the tail store below
                self.slot(t).store(entry.0.0, Ordering::Relaxed);
                let publish =
                    if mutated("runq.tail") { Ordering::Relaxed } else { Ordering::Release };
                // ORDERING: pairs with the tail load in steal_into
                self.tail.store(t.wrapping_add(1), publish);
                return Put::Ring;
            }
            if self.put_slow(entry, h, t, &mut spill) {
                return Put::Ring;
            }
        }
    }

    /// `runqputslow`: takes half of a full ring off, or reports that a thief was faster.
    #[cold]
    fn put_slow(
        &self,
        entry: Entry<T>,
        h: usize,
        t: usize,
        spill: &mut Option<impl FnOnce(&[Entry<T>])>,
    ) -> bool {
        let n = t.wrapping_sub(h) / 2;
        let mut batch = [entry; SPILL_LEN];
        for (i, b) in batch.iter_mut().take(n).enumerate() {
            // ORDERING: the owner's own stores
            let p = self.slot(h.wrapping_add(i)).load(Ordering::Relaxed);
            let Some(g) = Entry::from_slot(p) else { return false };
            *b = g;
        }
        if mutated("runq.overflow") {
            self.head.store(h.wrapping_add(n), Ordering::Release);
        } else {
            // ORDERING: pairs with the head load in put and steal_into
            let won = self.head.compare_exchange(
                h,
                h.wrapping_add(n),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if won.is_err() {
                return false;
            }
        }
        if let Some(spill) = spill.take() {
            spill(&batch[..n + 1]);
        }
        true
    }

    /// Owner: takes the next goroutine, `runnext` first. `true` means it came from `runnext` and
    /// inherits the time slice.
    #[inline]
    pub(crate) fn get(&self) -> Option<(Entry<T>, bool)> {
        if let Some(next) = self.get_next(false) {
            return Some((next, true));
        }
        self.get_ring().map(|g| (g, false))
    }

    /// Owner, of the only queue there is: queues an entry, if nothing is in `runnext`. Without
    /// thieves that takes no exchange.
    #[inline(always)]
    pub(crate) fn put_next_alone(&self, entry: Entry<T>) -> bool {
        // ORDERING: owner-only: RQ4
        let free = self.runnext.load(Ordering::Relaxed).is_null();
        if free {
            // ORDERING: pairs with is_empty
            self.runnext.store(entry.0.0, Ordering::Release);
        }
        free
    }

    /// Owner, of the only queue there is: as [`get_next`](Self::get_next) with `plain`.
    #[inline(always)]
    pub(crate) fn get_next_alone(&self) -> Option<Entry<T>> {
        // ORDERING: owner-only: RQ4
        let next = self.runnext.load(Ordering::Relaxed);
        if next.is_null() || next.addr() & MARK != 0 {
            return None;
        }
        // ORDERING: owner-only: RQ4
        self.runnext.store(core::ptr::null_mut(), Ordering::Relaxed);
        Entry::from_slot(next)
    }

    /// Owner, of the only queue there is: as [`get`](Self::get).
    #[inline(always)]
    pub(crate) fn get_alone(&self) -> Option<(Entry<T>, bool)> {
        // ORDERING: owner-only: RQ4
        if let Some(next) = Entry::from_slot(self.runnext.load(Ordering::Relaxed)) {
            // ORDERING: owner-only: RQ4
            self.runnext.store(core::ptr::null_mut(), Ordering::Relaxed);
            return Some((next, true));
        }
        // ORDERING: owner-only: RQ4
        let (h, t) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        if t == h {
            return None;
        }
        // ORDERING: the owner's own store
        let first = Entry::from_slot(self.slot(h).load(Ordering::Relaxed))?;
        // ORDERING: pairs with the head loads of later thieves
        self.head.store(h.wrapping_add(1), Ordering::Release);
        Some((first, false))
    }

    /// Owner: takes what is in `runnext`; with `plain` not what is marked.
    #[inline(always)]
    pub(crate) fn get_next(&self, plain: bool) -> Option<Entry<T>> {
        // ORDERING: a null seen stale is only a missed shortcut; the CAS below acquires
        let next = self.runnext.load(Ordering::Relaxed);
        if next.is_null() || plain && next.addr() & MARK != 0 {
            return None;
        }
        let empty = core::ptr::null_mut();
        // Only thieves take from runnext besides the owner, so on failure it is empty.
        // ORDERING: pairs with the swap in put
        self.runnext.compare_exchange(next, empty, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Entry::from_slot(next)
    }

    /// Owner: takes the ring's oldest goroutine, leaving `runnext` alone.
    #[inline]
    pub(crate) fn get_ring(&self) -> Option<Entry<T>> {
        loop {
            // ORDERING: pairs with the head CAS of thieves
            let h = self.head.load(Ordering::Acquire);
            // ORDERING: the owner's own store
            let t = self.tail.load(Ordering::Relaxed);
            if t == h {
                return None;
            }
            // ORDERING: the owner's own store
            let p = self.slot(h).load(Ordering::Relaxed);
            if mutated("runq.get") {
                self.head.store(h.wrapping_add(1), Ordering::Release);
                return Entry::from_slot(p);
            }
            // ORDERING: pairs with the head load in steal_into
            let won = self.head.compare_exchange(
                h,
                h.wrapping_add(1),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if won.is_ok() {
                return Entry::from_slot(p);
            }
        }
    }

    /// Owner: drops what is `stale`, entries that nobody needs. Nothing if a thief comes between.
    ///
    /// A thief may have read head, tail and slots, and is about to move the head. So head and tail
    /// move on by [`TURN`], by which the slots are the same, and its exchange fails. Until the
    /// tail has followed they are more than a ring apart, whichever of them a thief has seen: it
    /// takes nothing, and does not see the queue empty.
    #[cold]
    pub(crate) fn sweep(&self, stale: impl Fn(Entry<T>) -> bool) {
        let turn = if mutated("runq.sweep") {
            0
        } else if mutated("runq.turn") {
            LEN
        } else {
            TURN
        };
        // ORDERING: pairs with the head CAS of thieves: their slot reads are done
        let h = self.head.load(Ordering::Acquire);
        let t = self.tail.load(Ordering::Relaxed); // ORDERING: the owner's own store
        // ORDERING: Release: pairs with the head loads of thieves, which see no older tail than
        // this one; Acquire: the slots are written after it
        let (ok, no) = (Ordering::AcqRel, Ordering::Relaxed);
        if self.head.compare_exchange(h, h.wrapping_add(turn), ok, no).is_err() {
            return;
        }
        let mut end = h;
        for i in 0..t.wrapping_sub(h) {
            // ORDERING: the owner's own stores
            let p = self.slot(h.wrapping_add(i)).load(Ordering::Relaxed);
            if Entry::from_slot(p).is_some_and(&stale) {
                continue;
            }
            self.slot(end).store(p, Ordering::Relaxed); // ORDERING: published by the tail store
            end = end.wrapping_add(1);
        }
        // ORDERING: pairs with the tail load in grab
        self.tail.store(end.wrapping_add(turn), Ordering::Release);
    }

    /// Owner of `self`: moves half of `victim`'s ring here and returns one of it to run.
    ///
    /// With `steal_next` an otherwise empty victim loses its `runnext`; the caller has given the
    /// victim its courtesy time before it asks for that.
    pub(crate) fn steal_into(&self, victim: &Self, steal_next: bool) -> Option<Entry<T>> {
        // ORDERING: the owner's own store
        let t = self.tail.load(Ordering::Relaxed);
        let n = self.grab(victim, t, steal_next);
        if n == 0 {
            return None;
        }
        let n = n - 1;
        // ORDERING: written by grab, on this thread
        let run = Entry::from_slot(self.slot(t.wrapping_add(n)).load(Ordering::Relaxed));
        if n > 0 {
            // ORDERING: pairs with the tail load of thieves of this queue
            self.tail.store(t.wrapping_add(n), Ordering::Release);
        }
        run
    }

    /// `runqgrab`: copies up to half of `victim` to this ring's free slots from `t` on.
    fn grab(&self, victim: &Self, t: usize, steal_next: bool) -> usize {
        loop {
            // ORDERING: pairs with the head CASes of the others
            let vh = victim.head.load(Ordering::Acquire);
            // ORDERING: pairs with the tail store in put: the slots below it are visible
            let vt = victim.tail.load(Ordering::Acquire);
            let len = vt.wrapping_sub(vh);
            let n = len - len / 2;
            if n == 0 {
                return if steal_next { self.grab_next(victim, t) } else { 0 };
            }
            if n > LEN / 2 {
                // ORDERING: a hint
                if victim.head.load(Ordering::Relaxed) == vh {
                    return 0; // the owner is in `sweep`, where the kernel may keep it
                }
                continue; // head and tail were read at different moments
            }
            for i in 0..n {
                // ORDERING: Relaxed; the CAS below says whether these are ours
                let p = victim.slot(vh.wrapping_add(i)).load(Ordering::Relaxed);
                self.slot(t.wrapping_add(i)).store(p, Ordering::Relaxed);
            }
            if mutated("runq.steal") {
                victim.head.store(vh.wrapping_add(n), Ordering::Release);
                return n;
            }
            // ORDERING: pairs with the head loads in put, get and grab
            let won = victim.head.compare_exchange(
                vh,
                vh.wrapping_add(n),
                Ordering::Release,
                Ordering::Relaxed,
            );
            if won.is_ok() {
                return n;
            }
        }
    }

    fn grab_next(&self, victim: &Self, t: usize) -> usize {
        // ORDERING: the CAS acquires
        let next = victim.runnext.load(Ordering::Relaxed);
        if next.is_null() {
            return 0;
        }
        // ORDERING: pairs with the swap in put
        let won = victim.runnext.compare_exchange(
            next,
            core::ptr::null_mut(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if won.is_err() {
            return 0;
        }
        // ORDERING: published by steal_into, or returned on this thread
        self.slot(t).store(next, Ordering::Relaxed);
        1
    }

    /// Whether nothing is queued, ring and `runnext`. Exact for the owner; for others true at some
    /// moment during the call.
    pub(crate) fn is_empty(&self) -> bool {
        loop {
            // ORDERING: pairs with the stores of the owner; re-read of tail makes it a snapshot
            let h = self.head.load(Ordering::Acquire);
            let t = self.tail.load(Ordering::Acquire);
            let next = self.runnext.load(Ordering::Acquire);
            if mutated("runq.snapshot") || t == self.tail.load(Ordering::Acquire) {
                return h == t && next.is_null();
            }
        }
    }

    /// Owner: whether this goroutine is next.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn next_is(&self, gp: &'static T) -> bool {
        // ORDERING: a hint: a thief may take it any moment
        let next = self.runnext.load(Ordering::Relaxed).map_addr(|a| a & !BITS);
        core::ptr::eq(next, gp)
    }

    /// Owner: the ring's oldest, which may be stolen any moment.
    #[cfg(not(loom))]
    pub(crate) fn oldest(&self) -> Option<Entry<T>> {
        // ORDERING: a hint
        let (h, t) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        if h == t {
            return None;
        }
        Entry::from_slot(self.slot(h).load(Ordering::Relaxed)) // ORDERING: a hint
    }

    /// Owner: the ring's two oldest goroutines, which may be stolen any moment: for prefetching.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn peek(&self) -> [Option<&'static T>; 2] {
        // ORDERING: a hint; nothing is read through it
        let (h, t) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        [0, 1].map(|i| {
            if t.wrapping_sub(h) <= i {
                return None;
            }
            // ORDERING: a hint
            let entry = Entry::from_slot(self.slot(h.wrapping_add(i)).load(Ordering::Relaxed));
            entry.map(|e| e.parts().0)
        })
    }

    /// Owner: whether the ring's newest `n` are all like that, and `such`.
    #[cfg(not(loom))]
    pub(crate) fn newest_are(&self, n: usize, such: impl Fn(&'static T) -> bool) -> bool {
        let t = self.tail.load(Ordering::Relaxed); // ORDERING: the owner's own store
        (1..=n.min(self.ring_len())).all(|i| {
            // ORDERING: the owner's own store
            let entry = Entry::from_slot(self.slot(t.wrapping_sub(i)).load(Ordering::Relaxed));
            entry.is_some_and(|e| matches!(e.parts(), (gp, true) if such(gp)))
        })
    }

    /// Goroutines queued, for reports: `runnext` counts one.
    #[cfg(not(loom))]
    pub(crate) fn len(&self) -> usize {
        // ORDERING: a report; the words may be of different moments
        let next = !self.runnext.load(Ordering::Relaxed).is_null();
        self.ring_len() + usize::from(next)
    }

    /// Without `runnext`.
    pub(crate) fn ring_len(&self) -> usize {
        // ORDERING: a report; the words may be of different moments
        let (h, t) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        t.wrapping_sub(h).min(LEN)
    }

    /// Whether there is something in `runnext`.
    pub(crate) fn has_next(&self) -> bool {
        !self.runnext.load(Ordering::Relaxed).is_null() // ORDERING: a hint for the owner
    }

    /// Whether another M could take something without the courtesy wait for `runnext`.
    pub(crate) fn has_stealable(&self) -> bool {
        // ORDERING: a hint for the stealing order
        self.head.load(Ordering::Relaxed) != self.tail.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_only_queue_does_without_exchanges_what_it_does_with_them() {
        let (queue, gs) = (RunQueue::<u64>::new(), [const { 0 }; 3]);
        let gs: &'static [u64; 3] = Box::leak(Box::new(gs));
        let taken = |e: Option<Entry<u64>>| e.map(|e| core::ptr::from_ref(e.parts().0));
        assert!(queue.get_next_alone().is_none());
        assert!(queue.put_next_alone(Entry::plain(&gs[0])));
        assert!(!queue.put_next_alone(Entry::plain(&gs[1])), "there is one already");
        assert!(queue.has_next() && !queue.has_stealable());
        assert_eq!(taken(queue.get_next_alone()), Some(&raw const gs[0]));
        assert!(queue.is_empty());
        queue.put(Entry::marked(&gs[2], 0), Place::Next, |_| unreachable!());
        assert!(queue.get_next_alone().is_none(), "a marked one is not taken");
        assert_eq!(taken(queue.get_next(false)), Some(&raw const gs[2]));
        // Twice round the ring, with one that was readied in between.
        let all = || gs.iter().cycle().take(RUNQ_LEN);
        for _ in 0..2 {
            all().for_each(|g| {
                queue.put(Entry::plain(g), Place::Tail, |_| panic!("it is not full"));
            });
            assert!(queue.put_next_alone(Entry::plain(&gs[1])));
            let got = |inherits| {
                let (entry, next) = queue.get_alone()?;
                assert_eq!(next, inherits);
                taken(Some(entry))
            };
            assert_eq!(got(true), Some(&raw const gs[1]), "what was readied is first");
            all().for_each(|g| assert_eq!(got(false), Some(core::ptr::from_ref(g))));
            assert!(queue.get_alone().is_none() && queue.get().is_none() && queue.is_empty());
        }
    }
}
