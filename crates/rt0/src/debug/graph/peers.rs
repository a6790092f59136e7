//! Who can end a wait at a channel: whoever has a handle of it, or can get at one.
//!
//! Rust keeps no list of handles, and Go's leak profile asks its collector for one. Here all memory
//! is looked through (memory.rs) while every thread stands still (still.rs), and only when somebody
//! asks for a report and a goroutine waits at a channel.
//!
//! A handle is the channel's address. So a goroutine waits for ever at its channels if their
//! addresses are found nowhere but on the stacks of goroutines that wait for ever. Precisely:
//!
//! * A *root* is all memory but those stacks: heap, data, registers, thread-locals, the stacks of
//!   threads and of all other goroutines, as deep as they are used. A channel that is found there
//!   may be used at any time.
//! * One that is found on the stack of a goroutine in the graph may be used when that one goes on,
//!   or by whoever has a reference to something there: a scope's goroutines borrow what lies on
//!   the stack of the one that waits for them. So an address on such a stack counts as its finder's
//!   access to all of the stack, and access is passed on.
//! * The graph has three nodes for that: *goes on*, for each party; *is reached*, for the stack of
//!   each; and *may be used*, for each channel. Those that are alive spread along its edges.
//!
//! # No false report
//! What is found counts whatever it is: a handle, a number that looks like one, or what is left of
//! one that was moved or dropped. That makes the report silent where it might have spoken, never
//! wrong. Left out is only what is known to be no handle: the runtime's own records of waits, which
//! have a channel's name and not its address (chan/place.rs), the queues of a channel and of the
//! table of locks, Ms and their stacks, where joiners wait (sched/waiter.rs), unused parts of
//! goroutines' stacks, those that have ended, and the stacks of the runtime's own, on which old
//! registers of others may lie.
//!
//! Not seen are addresses that are in no memory of the process, such as in a pipe. Waits for
//! messages of the clock, of contexts and the like are not in the graph.
//!
//! # What it misses
//! A handle that was moved to another goroutine has left its bytes where it was, as long as the
//! function that had it runs and nothing else was written there. And whatever the heap has is a
//! root, even where only goroutines that wait for ever know of it. Registers that nobody uses have
//! old values, too: those of an M that is in a call, of the goroutine that it ran before.

use super::{Edge, Graph};
use crate::atomic::Ordering;
use crate::chan::place;
use crate::debug::memory::{Memory, Spans, Unread};
use crate::debug::still::AllStill;
use crate::g::{G, Status};
use crate::m::M;
use crate::malloc::vec::RtVec;
use crate::stack::names::{StackShape, stack_of};
use core::ops::Range;

/// Of memory that is looked through while the process is to go on.
const MOST_LIVE: usize = 1 << 30;
/// Of the stack below the caller's, which this look uses itself.
const OWN_BYTES: usize = 32 << 10;
/// So far above a thread's stack pointer its stack may go, where it is not known where it ends.
const MOST_STACK: usize = 64 << 20;
/// The part of a stack below its pointer that a function may use.
const RED_ZONE: usize = 128;

/// Where the code is that asks for a report.
#[derive(Clone, Copy)]
pub(crate) enum Asker {
    /// Its frame, which has all registers that its caller may have left something in.
    At(usize),
    /// The last report, on a stack of its own: that, and where the code that failed was.
    Last { own: (usize, usize), sp: usize },
}

/// A channel that somebody waits at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Chan {
    name: usize,
}

/// The stack of a node: its end, and how much of it is used. Not where it begins, for that would be
/// an address in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stack {
    hi: usize,
    len: usize,
    node: usize,
}

/// What is found where.
struct Found {
    chans: RtVec<Chan>,
    stacks: RtVec<Stack>,
    /// Found in a root: channels, and stacks by their place in `stacks`.
    used: RtVec<bool>,
    reached: RtVec<bool>,
    /// Channel, and the node on whose stack it was found.
    held: RtVec<(usize, usize)>,
    /// Whose stack has an address in whose.
    reaches: RtVec<(usize, usize)>,
    /// Where the stacks of threads begin that are in use, sorted.
    sps: RtVec<usize>,
}

/// What an address is.
enum Thing {
    Chan(usize),
    Stack(usize),
    Nothing,
}

impl Found {
    fn thing(&self, word: usize) -> Thing {
        let i = self.chans.partition_point(|c| c.name <= word);
        // A handle, or a reference to a part: those are at multiples of 8.
        let means = |c: &Chan| word >= place::first(c.name) && (c.name - word).is_multiple_of(8);
        if self.chans.get(i).is_some_and(means) {
            return Thing::Chan(i);
        }
        let i = self.stacks.partition_point(|s| s.hi <= word);
        if self.stacks.get(i).is_some_and(|s| s.hi - word <= s.len) {
            return Thing::Stack(i);
        }
        Thing::Nothing
    }

    /// Whether a word at this place that is an address in a stack is the runtime's own.
    fn is_own(&self, at: usize, word: usize) -> bool {
        crate::sema::table().contains(&at)
            || crate::sched::waiter::is_waiter(word)
            || crate::m::allm().any(|mp| is_of(mp, at))
    }

    /// Whether a place is in a channel: there are its queues, and bytes between that were never
    /// written. Its messages are elsewhere.
    fn is_in_chan(&self, at: usize) -> bool {
        let i = self.chans.partition_point(|c| c.name <= at);
        self.chans.get(i).is_some_and(|c| at >= place::first(c.name))
    }

    fn in_root(&mut self, at: usize, word: usize) {
        match self.thing(word) {
            Thing::Nothing => {}
            _ if self.is_in_chan(at) => {}
            Thing::Chan(i) => self.used[i] = true,
            Thing::Stack(i) if !self.reached[i] && !self.is_own(at, word) => self.reached[i] = true,
            _ => {}
        }
    }

    /// The same in memory that may be a thread's stack, and may be anything else. Code that runs
    /// may have nothing left of a handle but an address in the channel; all others have the handle.
    fn in_memory(&mut self, at: usize, word: usize) {
        let i = self.sps.partition_point(|sp| sp.saturating_sub(RED_ZONE) <= at);
        let is_stack = i > 0 && at + RED_ZONE - self.sps[i - 1] < MOST_STACK;
        let inside = |thing| matches!(thing, Thing::Chan(i) if !self.is_handle(i, word));
        if is_stack || !inside(self.thing(word)) {
            self.in_root(at, word);
        }
    }

    /// What a handle has, or an `Arc` or a reference of the runtime's.
    fn is_handle(&self, chan: usize, word: usize) -> bool {
        let name = self.chans[chan].name;
        word == place::first(name) || word == place::at(name)
    }

    /// On the stack of the node that has this place in `stacks`.
    fn on_stack(&mut self, own: usize, word: usize) {
        let node = self.stacks[own].node;
        match self.thing(word) {
            Thing::Chan(i) if self.held.last() != Some(&(i, node)) => self.held.push((i, node)),
            Thing::Stack(i) if i != own && self.reaches.last() != Some(&(own, i)) => {
                self.reaches.push((own, i));
            }
            _ => {}
        }
    }

    /// The addresses that mean something.
    fn spans(&self) -> Spans {
        let span = |lo: Option<usize>, hi: Option<usize>| match (lo, hi) {
            (Some(lo), Some(hi)) => (lo, hi - lo),
            _ => (0, 0),
        };
        let chans = (self.chans.first(), self.chans.last());
        let lowest = self.stacks.iter().map(|s| s.hi - s.len).min();
        Spans([
            span(chans.0.map(|c| place::first(c.name)), chans.1.map(|c| c.name)),
            span(lowest, self.stacks.last().map(|s| s.hi)),
        ])
    }
}

/// Whether what lies there is the M's: itself, or the stack that schedules on it.
fn is_of(mp: &'static M, at: usize) -> bool {
    let own = core::ptr::from_ref(mp).addr();
    // ORDERING: constant once the thread runs
    let [lo, hi] = [&mp.g0.stack_lo, &mp.g0.stack_hi].map(|w| w.load(Ordering::Relaxed));
    (own..own + size_of::<M>()).contains(&at) || (lo..hi).contains(&at)
}

/// Where threads were that are held on a goroutine's stack, sorted.
type Heads = RtVec<(usize, usize)>;

fn heads(still: &AllStill) -> Heads {
    let mut heads = RtVec::new();
    for at in still.threads.iter().map(|thread| thread.at) {
        if let Some(StackShape::Goroutine(gp)) = stack_of(at.sp) {
            heads.push((core::ptr::from_ref(gp).addr(), at.sp));
        }
    }
    heads.sort_unstable();
    heads
}

/// Where the stacks of threads begin that are in use, sorted.
fn sps(still: &AllStill, asker: Asker) -> RtVec<usize> {
    let mut sps = RtVec::new();
    still.threads.iter().for_each(|thread| sps.push(thread.at.sp));
    let (Asker::At(own) | Asker::Last { sp: own, .. }) = asker;
    sps.push(own);
    sps.sort_unstable();
    sps
}

/// The part of the goroutine's stack that is used; `false`: it is not parked, and a root.
fn used_stack(gp: &'static G, heads: &Heads, asker: Asker) -> (Range<usize>, bool) {
    let (lo, hi) = crate::stack::bounds(gp);
    let is_own = crate::tls::getg().is_some_and(|own| core::ptr::eq(own, gp));
    match asker {
        Asker::At(frame) if is_own && (lo..hi).contains(&frame) => return (frame..hi, false),
        Asker::Last { sp, .. } if is_own && (lo..hi).contains(&sp) => {
            return (lo.max(sp - RED_ZONE)..hi, false);
        }
        _ if is_own => return (lo..hi, false),
        _ => {}
    }
    let i = heads.partition_point(|h| h.0 < core::ptr::from_ref(gp).addr());
    if let Some((_, sp)) = heads.get(i).filter(|h| h.0 == core::ptr::from_ref(gp).addr()) {
        return (lo.max(sp - RED_ZONE)..hi, false);
    }
    let status = gp.status();
    let at = gp.sched.load(Ordering::Relaxed); // ORDERING: nobody runs
    let saved = status == Status::Waiting as u32 || status == Status::Runnable as u32;
    let is_its = crate::m::allm().any(|mp| mp.curg.get().is_some_and(|g| core::ptr::eq(g, gp)));
    if saved && !is_its && (lo..hi).contains(&at) {
        let parked = status == Status::Waiting as u32;
        // ORDERING: nobody runs
        let top = if parked { gp.top_bytes.load(Ordering::Relaxed) as usize } else { 0 };
        return (at..(hi - top).max(at), parked);
    }
    (lo..hi, false)
}

impl Graph {
    /// Finds out who has what, and lets that spread. The caller has added nodes for waits at
    /// channels, and all other edges.
    pub(super) fn link_peers(&mut self, still: &AllStill, asker: Asker) -> Result<(), Unread> {
        let n = self.nodes.len();
        let mut waits: RtVec<(usize, usize)> = RtVec::new();
        self.each_chan(|name, node| waits.push((name, node)));
        let mut found = self.things(still, asker, &waits);
        let most = if matches!(asker, Asker::At(_)) { MOST_LIVE } else { usize::MAX };
        let mut memory = Memory::new(found.spans(), most)?;
        self.look_at_roots(&mut memory, &mut found, still, asker)?;
        for own in 0..found.stacks.len() {
            let Stack { hi, len, .. } = found.stacks[own];
            memory.stack(hi - len..hi, |_, word| found.on_stack(own, word))?;
        }
        // From here on: n nodes, as many stacks, and the channels.
        let first = 2 * n;
        self.live.fill_to(first + found.chans.len(), false);
        for (i, stack) in found.stacks.iter().enumerate() {
            self.live[n + stack.node] = found.reached[i];
            self.edges.push(Edge { waker: stack.node, waits: n + stack.node });
        }
        for (from, to) in found.reaches.iter() {
            let [from, to] = [from, to].map(|i| n + found.stacks[*i].node);
            self.edges.push(Edge { waker: from, waits: to });
        }
        for (chan, node) in found.held.iter() {
            self.edges.push(Edge { waker: n + node, waits: first + chan });
        }
        for (i, used) in found.used.iter().enumerate() {
            self.live[first + i] = *used;
        }
        for (name, node) in waits.iter() {
            let chan = found.chans.partition_point(|c| c.name < *name);
            self.edges.push(Edge { waker: first + chan, waits: *node });
        }
        for (chan, node) in found.held.iter() {
            self.held.push((found.chans[*chan].name, *node));
        }
        self.held.sort_unstable();
        Ok(())
    }

    /// Calls `f` with each channel and the node that waits at it. A node whose channels are not all
    /// known is alive.
    fn each_chan(&mut self, mut f: impl FnMut(usize, usize)) {
        for i in 0..self.nodes.len() {
            let seen = self.nodes[i].seen;
            if !seen.is_at_channels() {
                continue;
            }
            let all_known = seen.each_channel(|name| f(name, i));
            self.live[i] |= !all_known || seen.g().is_none();
        }
    }

    /// What is looked for, sorted. A goroutine that is not parked after all is alive.
    fn things(&mut self, still: &AllStill, asker: Asker, waits: &RtVec<(usize, usize)>) -> Found {
        let heads = heads(still);
        let mut chans: RtVec<Chan> = RtVec::new();
        let mut sorted: RtVec<usize> = RtVec::new();
        waits.iter().for_each(|(name, _)| sorted.push(*name));
        sorted.sort_unstable();
        for name in sorted.iter() {
            if chans.last().is_none_or(|last| last.name != *name) {
                chans.push(Chan { name: *name });
            }
        }
        let mut stacks = RtVec::new();
        for node in 0..self.nodes.len() {
            let Some(gp) = self.nodes[node].seen.g() else { continue };
            let (part, is_parked) = used_stack(gp, &heads, asker);
            if is_parked {
                stacks.push(Stack { hi: part.end, len: part.len(), node });
            } else {
                self.live[node] = true;
            }
        }
        stacks.sort_unstable();
        let (mut used, mut reached) = (RtVec::new(), RtVec::new());
        used.fill_to(chans.len(), false);
        reached.fill_to(stacks.len(), false);
        let (held, reaches) = (RtVec::new(), RtVec::new());
        Found { chans, stacks, used, reached, held, reaches, sps: sps(still, asker) }
    }

    fn look_at_roots(
        &self,
        memory: &mut Memory,
        found: &mut Found,
        still: &AllStill,
        asker: Asker,
    ) -> Result<(), Unread> {
        let mut but: RtVec<(usize, usize)> = RtVec::new();
        crate::stack::arena::each(|base, bytes| but.push((base, base + bytes)));
        but.push(match asker {
            Asker::At(frame) => (frame.saturating_sub(OWN_BYTES), frame),
            Asker::Last { own, .. } => own,
        });
        but.push((memory.own().start, memory.own().end));
        if let Some(own) = crate::debug::stacks::shared() {
            but.push((own.start, own.end));
        }
        for mp in crate::m::allm() {
            // ORDERING: constant once the thread runs
            let [lo, hi] = [&mp.gsignal_lo, &mp.gsignal_hi].map(|w| w.load(Ordering::Relaxed));
            but.push((lo, hi));
        }
        but.sort_unstable();
        let mut ranges: RtVec<(usize, usize)> = RtVec::new();
        for (lo, hi) in but.iter().filter(|(lo, hi)| lo < hi) {
            ranges.push((*lo, *hi));
        }
        memory.everywhere(&ranges, |at, word| found.in_memory(at, word))?;
        self.look_at_signal_stacks(memory, found, still)?;
        let heads = heads(still);
        for gp in crate::g::allgs().filter(|gp| !gp.is_background()) {
            let (part, _) = used_stack(gp, &heads, asker);
            let is_live = super::is_live(&gp);
            let has_head = heads.iter().any(|h| h.0 == core::ptr::from_ref(gp).addr());
            if !is_live && !has_head {
                continue;
            }
            let is_nodes = found.stacks.binary_search_by_key(&part.end, |s| s.hi).is_ok();
            if !is_nodes {
                memory.stack(part.clone(), |at, word| found.in_root(at, word))?;
            }
            // Its thread-locals, up to the G.
            let block = crate::stack::bounds(gp).1..core::ptr::from_ref(gp).addr();
            memory.stack(block, |at, word| found.in_root(at, word))?;
        }
        Ok(())
    }

    /// The registers of goroutines that were running. What an M without one has in its registers is
    /// the scheduler's, and what lies below is of earlier signals.
    fn look_at_signal_stacks(
        &self,
        memory: &mut Memory,
        found: &mut Found,
        still: &AllStill,
    ) -> Result<(), Unread> {
        let me = crate::sys::gettid() as u32;
        for mp in crate::m::allm().filter(|mp| mp.procid.get() != 0) {
            // ORDERING: constant once the thread runs
            let [lo, hi] = [&mp.gsignal_lo, &mp.gsignal_hi].map(|w| w.load(Ordering::Relaxed));
            let tid = mp.procid.get() as u32;
            let at = still.threads.iter().find(|t| t.tid == tid).map(|t| t.at);
            let on_goroutine =
                at.is_none_or(|at| matches!(stack_of(at.sp), Some(StackShape::Goroutine(_))));
            let idles = mp.curg.get().is_none() && mp.is_scheduling() && !on_goroutine;
            if idles || lo == 0 || (tid == me && at.is_none() && !super::is_last()) {
                continue;
            }
            let from = at.map_or(lo, |at| at.frame.clamp(lo, hi));
            memory.stack(from..hi, |at, word| found.in_root(at, word))?;
        }
        Ok(())
    }

    /// For the report: a goroutine on whose stack a handle lies that the node waits for.
    pub(super) fn peer(&self, node: usize) -> Option<usize> {
        let mut peer = None;
        self.nodes[node].seen.each_channel(|name| {
            peer = peer.or_else(|| self.holders(name).find(|other| *other != node));
        });
        peer
    }

    /// On whose stacks handles of a channel were found.
    pub(super) fn holders(&self, name: usize) -> impl Iterator<Item = usize> + '_ {
        let from = self.held.partition_point(|h| h.0 < name);
        let of = self.held[from..].iter().take_while(move |h| h.0 == name);
        let mut last = usize::MAX;
        of.map(|h| h.1).filter(move |node| core::mem::replace(&mut last, *node) != *node)
    }
}
