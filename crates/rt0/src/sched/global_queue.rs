//! The global run queue, and the queue of those that were preempted.
//!
//! A goroutine that used up its time slice waits in a queue of its own, from which one is taken
//! when there is nothing else, or when the others have had as much time since the last one as that
//! one took (`P::hogs_turn`). In one queue with the rest, as in Go, every 61st goroutine would be a
//! hog with its 10 ms, and a thousand short ones would wait 160 ms.
//!
//! Who was woken by a descriptor while no P was idle waits in a third queue. Whichever M comes by
//! on g0 takes its share ahead of a long local queue, as it does with sleepers (time/first.rs), and
//! the Ms are asked to come by at their next switch. In the queue of the rest, as in Go, one of
//! them would be taken every 61st time. Where the local queue is not long, or has none but such
//! itself, they wait until it is empty: so they never make it hand others over to the global queue,
//! who would have every 61st turn only for as long as descriptors keep the P busy.
//!
//! Go: proc.go `globrunqput`, `globrunqputhead`, `globrunqputbatch`, `globrunqget`; `gQueue`.

use super::runq::{Entry, Place, Put, RUNQ_LEN, SPILL_LEN};
use super::{SCHED, State};
use crate::atomic::Ordering;
use crate::g::G;
use crate::malloc::deque::RtDeque;
use crate::p::P;
use crate::sys::nanotime;

/// A FIFO of goroutines. An array, not a list through the goroutines: who moves a batch does not
/// touch them, and most are not in the cache.
pub(crate) struct GQueue(RtDeque<Entry<G>>);

impl GQueue {
    pub(crate) const fn new() -> Self {
        GQueue(RtDeque::new())
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn push_back(&mut self, entry: Entry<G>) {
        self.0.push_back(entry);
    }

    pub(crate) fn pop(&mut self) -> Option<Entry<G>> {
        self.0.pop_front()
    }

    pub(crate) fn pop_back(&mut self) -> Option<Entry<G>> {
        self.0.pop_back()
    }

    /// The oldest entry that still stands for a goroutine.
    fn take(&mut self) -> Option<&'static G> {
        loop {
            if let Some(gp) = self.pop()?.take() {
                return Some(gp);
            }
        }
    }
}

impl State {
    pub(super) fn mirror(&self) {
        let new_first = self.hogs.len() + self.ready.len() == 0
            && self.runq.0.front().is_some_and(Entry::is_new);
        // ORDERING: read as hints without the lock
        SCHED.new_first.store(new_first, Ordering::Relaxed);
        // ORDERING: read as a hint without the lock, exactly under it
        SCHED.nready.store(self.ready.len(), Ordering::Release);
        // ORDERING: the same
        SCHED
            .runqsize
            .store(self.runq.len() + self.hogs.len() + self.ready.len(), Ordering::Release);
    }

    /// Queues an entry, or holds the goroutine back (held.rs). The caller calls `mirror`.
    pub(super) fn put(&mut self, entry: Entry<G>) {
        if entry.is_new() && SCHED.holds_back() {
            self.held.put(entry);
        } else {
            self.runq.push_back(entry);
        }
    }

    /// Go: globrunqput.
    pub(crate) fn globrunqput(&mut self, gp: &'static G) {
        self.runq.push_back(Entry::plain(gp));
        self.mirror();
    }

    /// Queues a goroutine that was preempted.
    pub(crate) fn hogput(&mut self, gp: &'static G) {
        self.hogs.push_back(Entry::plain(gp));
        self.mirror();
    }

    /// Queues goroutines that a descriptor woke. Go: injectglist.
    pub(crate) fn readyput(&mut self, gs: impl Iterator<Item = &'static G>) {
        gs.for_each(|gp| self.ready.push_back(Entry::plain(gp)));
        self.mirror();
    }

    /// Takes a P's share of those, as long as `share` at most; how many they are.
    fn readyget(&mut self, share: &mut [Option<&'static G>]) -> usize {
        let n = self.ready.len().div_ceil(SCHED.gomaxprocs().max(1));
        let n = (n as usize).min(share.len());
        for slot in &mut share[..n] {
            *slot = self.ready.take();
        }
        self.mirror();
        n
    }

    /// Go: globrunqputhead.
    pub(crate) fn globrunqputhead(&mut self, gp: &'static G) {
        self.runq.0.push_front(Entry::plain(gp));
        self.mirror();
    }

    /// Go: globrunqputbatch.
    pub(crate) fn globrunqputbatch(&mut self, batch: &[Entry<G>]) {
        for entry in batch {
            match entry.parts() {
                (_, false) => self.put(*entry),
                (gp, true) if !entry.is_stale() && gp.fresh.claim_any() => {
                    self.put(Entry::claimed(gp));
                }
                _ => {}
            }
        }
        self.mirror();
    }

    /// Takes one goroutine to run on `pp`, now and then ahead of its local queue.
    pub(crate) fn globrunqget(&mut self, pp: &'static P) -> Option<&'static G> {
        let hog = if self.hogs.len() > 0 && pp.hogs_turn() { self.hogs.take() } else { None };
        let gp = match hog {
            Some(gp) => {
                pp.hog_starts();
                Some(gp)
            }
            // Those who are ready come without end where descriptors keep all Ps busy, and have
            // their turn when a local queue is empty.
            None => self.runq.take().or_else(|| self.ready.take()),
        };
        self.mirror();
        gp
    }

    /// The same of those who are ready.
    fn readygetbatch(&mut self, pp: &'static P) -> Option<&'static G> {
        let mut share = [None; RUNQ_LEN / 2];
        let n = self.readyget(&mut share);
        let (first, more) = share[..n].split_first()?;
        for gp in more.iter().flatten() {
            pp.runq.put(Entry::plain(gp), Place::Tail, |_| {
                crate::throw::throw("readygetbatch: the local queue overflowed");
            });
        }
        pp.first.went_behind(n, 0, pp.schedtick.get());
        *first
    }

    /// Takes a fair share for `pp`: one to run, the rest into its queue; of hogs only one. The
    /// caller owns `pp`, whose queue is empty. Those who are ready and the others take turns.
    pub(crate) fn globrunqgetbatch(&mut self, pp: &'static P) -> Option<&'static G> {
        if self.ready.len() > 0 && (self.runq.len() == 0 || !self.was_ready) {
            self.was_ready = true;
            return self.readygetbatch(pp);
        }
        self.was_ready = false;
        if self.runq.len() == 0 {
            let hog = self.hogs.take();
            if hog.is_some() {
                pp.hog_starts();
            }
            self.mirror();
            return hog;
        }
        let share = self.runq.len() / SCHED.gomaxprocs().max(1) + 1;
        let n = share.min(self.runq.len()).min(RUNQ_LEN as u32 / 2);
        let gp = self.runq.take();
        for _ in 1..n {
            let Some(more) = self.runq.pop() else { break };
            let mut spilled = None;
            pp.runq.put(more, Place::Tail, |batch| spilled = Some(batch.len()));
            // The queue was empty or nearly so: the caller takes a batch only when it found
            // nothing.
            if spilled.is_some() {
                crate::throw::throw("globrunqgetbatch: the local queue overflowed");
            }
        }
        self.mirror();
        gp
    }
}

/// Queues `gp` on `pp`; a full queue hands half to the global one. The caller owns `pp`. Go:
/// runqput.
#[inline]
pub(crate) fn runqput(pp: &'static P, gp: &'static G, place: Place) -> Put {
    put(pp, Entry::plain(gp), place)
}

/// The same for a new goroutine, which its joiner may run out of turn.
#[inline]
pub(crate) fn runqput_fresh(pp: &'static P, gp: &'static G) -> Put {
    gp.fresh.publish(gp.goid.get() as usize);
    put(pp, Entry::fresh(gp), Place::Next)
}

#[inline(always)]
fn put(pp: &'static P, entry: Entry<G>, place: Place) -> Put {
    pp.runq.put(entry, place, |batch| spill(pp, batch))
}

/// Queues some of those who are ready on `pp`, if they may go ahead of a long queue: else they wait
/// until it is empty. The caller owns `pp`.
pub(crate) fn take_ready(pp: &'static P) {
    let ring = pp.runq.ring_len();
    let others = ring + usize::from(pp.runq.has_next());
    let tick = pp.schedtick.get();
    if others == 0 {
        return;
    }
    let Some(ahead) = pp.first.ahead(others, tick, nanotime()) else { return };
    // A full ring hands half of itself over to the global queue, the oldest.
    let mut share = [None; 32];
    let most = match RUNQ_LEN.saturating_sub(ring) {
        0 => share.len(),
        room => room.min(share.len()),
    };
    let n = SCHED.lock.lock().readyget(&mut share[..most]);
    if n > 0 {
        for gp in share[..n].iter().flatten() {
            runqput(pp, gp, Place::Tail);
        }
        pp.first.went_ahead(n, ahead, tick);
        bring_forward(pp, ahead, ring);
    }
}

/// The last `woken` of the local queue go ahead of most others, if those would take long
/// (first.rs). The caller owns `pp`.
pub(crate) fn go_first(pp: &'static P, woken: usize) {
    if woken == 0 {
        return;
    }
    let ring = pp.runq.ring_len().saturating_sub(woken);
    let others = ring + usize::from(pp.runq.has_next());
    let tick = pp.schedtick.get();
    let ahead = if others > 0 { pp.first.ahead(others, tick, nanotime()) } else { None };
    match ahead {
        Some(ahead) => {
            pp.first.went_ahead(woken, ahead, tick);
            bring_forward(pp, ahead, ring);
        }
        None => pp.first.went_behind(woken, others, tick),
    }
}

/// Of the oldest `others`, all but the first `ahead` go to the end of the local queue. What is in
/// `runnext` goes behind those that are brought forward: with the one that readied it, it could
/// keep the P for a hundred switches.
fn bring_forward(pp: &'static P, ahead: usize, others: usize) {
    let mut all = [None; RUNQ_LEN];
    let mut n = 0;
    while n < all.len() - 1
        && let Some(entry) = pp.runq.get_ring()
    {
        all[n] = Some(entry);
        n += 1;
    }
    let others = others.min(n); // a thief may have taken some
    let ahead = ahead.min(others);
    let next = [pp.runq.get_next(false)];
    let parts = [&all[..ahead], &all[others..n], &next, &all[ahead..others]];
    for entry in parts.into_iter().flatten().flatten() {
        put(pp, *entry, Place::Tail);
    }
}

/// What a full ring hands over. Where most of it was run out of turn the rest stays here, behind
/// the others: it would otherwise be claimed for the global queue, out of its joiner's reach.
#[cold]
fn spill(pp: &'static P, batch: &[Entry<G>]) {
    let stands = |e: &&Entry<G>| !e.is_stale();
    if batch.iter().filter(stands).count() > SPILL_LEN / 2 {
        return SCHED.lock.lock().globrunqputbatch(batch);
    }
    for entry in batch.iter().filter(stands) {
        pp.runq.put(*entry, Place::Tail, |batch| SCHED.lock.lock().globrunqputbatch(batch));
    }
}
