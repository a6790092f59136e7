//! Who waits for whom, and who therefore waits for ever, also while the rest of the process lives.
//!
//! A wait for a lock, a `Once` or the end of a goroutine can be ended by one party only, and that
//! is known (waits.rs); a scope's by its goroutines, that of a writer by the readers of its lock.
//! So these waits form a graph, from each to all who might end it. A party may go on if one of
//! those may; it waits for ever if none of them can: they have ended, or wait for ever themselves,
//! in a circle or behind one. What waits with a deadline is not in the graph: it ends by itself.
//!
//! A wait at channels is in it if all memory can be looked through for their handles: peers.rs.
//!
//! # What is not in it, and why
//! Condition variables, semaphores, wait groups and the like: whoever can get at one can end its
//! waits, and references are not told from other words of memory as a channel's address is, which
//! only handles have. So such a wait is never taken to last for ever while anything in the process
//! lives; if nothing does, sched/deadlock.rs reports the whole.
//!
//! # No false report
//! With a wait at channels in it, all threads stand still while the graph is made. Without, it is
//! made while they run, as follows: a process is not stopped for locks alone.
//!
//! The graph is read while others run. A wait that is the same one before and after
//! ([`Seen::lasts`]) has lasted all the time between, so its party has not let go of any lock, and
//! what was read of holders in between held at every moment of it. All waits that seem to be for
//! ever are read a second time; those that have ended are taken out, and those that hung on them.
//! A party in such a wait that was woken just now is not overlooked: its waker would have to be one
//! of the parties that have not moved. models/waits.rs.
//!
//! The readers of a lock are recorded where they are, not in the lock (sync/readers.rs). While a
//! writer waits for them nobody else comes in (sync/raw/rwlock.rs RW1), so they only become fewer.
//! If those found on goroutines that last in the graph are as many as the lock says, they were all
//! there were, and are all there will be. A record on anybody else, or a reader that is recorded
//! nowhere, and nothing is said.
//!
//! A wait of these kinds that something else can end too, as a context could, has to be recorded as
//! one with a deadline.
//!
//! # Invariants
//! * `WG1`: `nodes` is sorted by name, and edges are indices into it.
//! * `WG2`: a node that is not alive has an edge from each party that may end its wait.
//!
//! Nothing is allocated but maps of pages, for dumps need it too.

mod peers;
mod report;

pub(crate) use peers::Asker;
pub(super) use report::write_head;
pub use report::{Deadlock, deadlocks};

use super::memory::Unread;
use super::still::{Unheld, hold_all};
use super::waits::{Holder, Party, Seen, Waker};
use crate::atomic::Ordering;
use crate::g::{G, Status, WaitReason};
use crate::malloc::vec::RtVec;
use crate::sched::thread_parker;
use crate::sync::raw::rwlock::COMES;

/// Where a node is on the way that the report takes from each to one of its wakers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unknown,
    /// On the way that is being walked.
    Walking,
    /// For ever. `root`: a party of the circle, or the one that waits for nobody.
    Stuck {
        root: usize,
        in_circle: bool,
    },
}

#[derive(Clone, Copy)]
struct Node {
    seen: Seen,
    waker: Option<Waker>,
    /// One of its wakers, for the report.
    to: Option<usize>,
    state: State,
}

/// Who may end a wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    waker: usize,
    waits: usize,
}

/// A lock that is read, as a goroutine has recorded it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    lock: usize,
    /// The reader; `usize::MAX`: one that may go on.
    by: usize,
}

/// All who wait for somebody known.
pub(crate) struct Graph {
    nodes: RtVec<Node>,
    /// WG1; beyond the nodes, others that peers.rs has.
    edges: RtVec<Edge>,
    /// Of each node, and of those others: whether it may go on.
    live: RtVec<bool>,
    /// The name of a channel, and the node on whose stack a handle of it was found. Sorted.
    held: RtVec<(usize, usize)>,
    /// Why waits at channels are not in it.
    unlooked: Option<Unlooked>,
}

/// Why it is not known who has handles.
#[derive(Clone, Copy, Debug)]
enum Unlooked {
    /// Each goroutine is a thread, whose stack lies elsewhere.
    Mode,
    Unheld(Unheld),
    Unread(Unread),
}

impl Graph {
    /// As it is now. No lock is taken; from anywhere. If anybody waits at channels, and `asker` is
    /// somebody, all threads stand still meanwhile.
    pub(crate) fn read(asker: Option<Asker>) -> Graph {
        let is_needed = || {
            let mut waits = crate::g::allgs().filter_map(Seen::of_g);
            waits.any(|seen| !seen.timed && seen.is_at_channels())
        };
        let Some(asker) = asker.filter(|_| is_needed()) else { return Graph::without(None) };
        if crate::tls::mode() == crate::tls::Mode::OneToOne {
            return Graph::without(Some(Unlooked::Mode));
        }
        let still = match hold_all() {
            Ok(still) => still,
            Err(why) => return Graph::without(Some(Unlooked::Unheld(why))),
        };
        let mut graph = Graph::gather();
        match graph.link_peers(&still, asker) {
            Ok(()) => graph.end(),
            Err(why) => {
                drop(still);
                Graph::without(Some(Unlooked::Unread(why)))
            }
        }
    }

    /// What is known without the channels: who waits there may go on.
    fn without(why: Option<Unlooked>) -> Graph {
        let mut graph = Graph::gather();
        for (i, node) in graph.nodes.iter().enumerate() {
            graph.live[i] |= node.seen.is_at_channels();
        }
        graph.unlooked = why;
        graph.end()
    }

    /// All nodes, and the edges between those that know each other.
    fn gather() -> Graph {
        let mut graph = Graph {
            nodes: RtVec::new(),
            edges: RtVec::new(),
            live: RtVec::new(),
            held: RtVec::new(),
            unlooked: None,
        };
        for gp in crate::g::allgs().filter(|gp| !gp.is_system()) {
            if let Some(seen) = Seen::of_g(gp) {
                graph.add(seen);
            }
        }
        // A thread's waits in joins and scopes are not by ticket: whether they last is not known.
        let by_ticket = |seen: &Seen| !matches!(seen.reason, WaitReason::Join | WaitReason::Scope);
        for seen in thread_parker::all().filter_map(Seen::of_thread).filter(by_ticket) {
            graph.add(seen);
        }
        graph.nodes.sort_unstable_by_key(|node| node.seen.party);
        graph.live.fill_to(graph.nodes.len(), false);
        graph.link_holders();
        graph.link_scopes();
        graph.link_readers();
        graph
    }

    /// Who may go on, and the circles.
    fn end(mut self) -> Graph {
        self.edges.sort_unstable();
        self.spread();
        self.verify();
        self.order();
        self
    }

    fn add(&mut self, seen: Seen) {
        use WaitReason as W;
        let waker = match seen.reason {
            _ if seen.timed => return,
            W::ChanReceiveNilChan | W::SelectNoCases | W::Scope => None,
            W::ChanReceive | W::ChanSend | W::Select => None,
            W::Join | W::MutexLock | W::RwLockRead | W::RwLockWrite | W::OnceDo => {
                let Some(waker) = seen.waker() else { return };
                Some(waker)
            }
            _ => return,
        };
        let state = State::Unknown;
        self.nodes.push(Node { seen, waker, to: None, state });
    }

    fn find(&self, party: Party) -> Option<usize> {
        self.nodes.binary_search_by_key(&party, |node| node.seen.party).ok()
    }

    /// WG2 for those that one party can wake.
    fn link_holders(&mut self) {
        let mut last: Option<(Party, Option<usize>, bool)> = None;
        for i in 0..self.nodes.len() {
            let node = &self.nodes[i];
            let (party, is_lock) = match node.waker {
                Some(Waker::Holder(Holder { party, .. })) => {
                    (party, node.seen.reason != WaitReason::Join)
                }
                Some(Waker::Writer(party)) => (party, false),
                _ => continue,
            };
            let (at, ended) = match last {
                Some((known, at, ended)) if known == party => (at, ended),
                _ => match (self.find(party), party) {
                    (None, Party::Goroutine(id)) => (None, has_ended(id)),
                    (at, _) => (at, false),
                },
            };
            last = Some((party, at, ended));
            match at {
                Some(waker) => self.edges.push(Edge { waker, waits: i }),
                // A goroutine that ended with a lock: its guard was forgotten.
                None => self.live[i] = !(ended && is_lock),
            }
        }
    }

    /// WG2 for scopes: one whose goroutines are not all in the graph is alive.
    fn link_scopes(&mut self) {
        let mut scopes: RtVec<(usize, usize)> = RtVec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if node.seen.reason == WaitReason::Scope {
                scopes.push((node.seen.object(), i));
                self.live[i] = true; // with none it is about to go on
            }
        }
        if scopes.is_empty() {
            return;
        }
        scopes.sort_unstable();
        let mut others: RtVec<usize> = RtVec::new();
        for gp in crate::g::allgs().filter(|gp| is_live(gp) && gp.scope.get() != 0) {
            let of = gp.scope.get() as usize;
            let Ok(at) = scopes.binary_search_by_key(&of, |(object, _)| *object) else { continue };
            let waits = scopes[at].1;
            match self.find(Party::Goroutine(gp.goid.get())) {
                Some(waker) => {
                    self.edges.push(Edge { waker, waits });
                    self.live[waits] = false;
                }
                None => others.push(waits),
            }
        }
        for waits in others.iter() {
            self.live[*waits] = true;
        }
    }

    /// WG2 for writers that wait for readers.
    fn link_readers(&mut self) {
        if !self.nodes.iter().any(|n| matches!(n.waker, Some(Waker::Readers { .. }))) {
            return;
        }
        let records = self.records();
        for i in 0..self.nodes.len() {
            let Some(Waker::Readers { count, recorded }) = self.nodes[i].waker else { continue };
            let lock = self.nodes[i].seen.read_lock();
            let from = records.partition_point(|r| r.lock < lock);
            let len = records[from..].partition_point(|r| r.lock == lock);
            let readers = &records[from..from + len];
            let known = readers.iter().all(|r| r.by != usize::MAX);
            if count == 0 || count != len || !recorded || !known {
                self.live[i] = true;
                continue;
            }
            for reader in readers {
                self.edges.push(Edge { waker: reader.by, waits: i });
            }
        }
    }

    /// What all goroutines have recorded, sorted.
    fn records(&self) -> RtVec<Record> {
        let mut records = RtVec::new();
        for gp in crate::g::allgs().filter(|gp| is_live(gp) && !gp.is_system()) {
            // ORDERING: a report; after the lock's word, which the caller has read
            for word in gp.reads().map(|word| word.load(Ordering::Relaxed)) {
                if word == 0 {
                    continue;
                }
                let lock = word & !COMES;
                let by = self.find(Party::Goroutine(gp.goid.get())).unwrap_or(usize::MAX);
                // One that waits to come in is no reader; it lasts, or the report is taken back.
                let waits = |node: &Node| {
                    node.seen.reason == WaitReason::RwLockRead && node.seen.read_lock() == lock
                };
                if word & COMES == 0 {
                    records.push(Record { lock, by });
                } else if by == usize::MAX || !waits(&self.nodes[by]) {
                    records.push(Record { lock, by: usize::MAX });
                }
            }
        }
        records.sort_unstable();
        records
    }

    /// Whom somebody alive may wake is alive.
    fn spread(&mut self) {
        let mut new: RtVec<usize> = RtVec::new();
        for (i, live) in self.live.iter().enumerate() {
            if *live {
                new.push(i);
            }
        }
        while let Some(waker) = new.pop() {
            let from = self.edges.partition_point(|e| e.waker < waker);
            for edge in self.edges[from..].iter().take_while(|e| e.waker == waker) {
                if !core::mem::replace(&mut self.live[edge.waits], true) {
                    new.push(edge.waits);
                }
            }
        }
    }

    /// Takes out what has not lasted.
    fn verify(&mut self) {
        let mut new: RtVec<usize> = RtVec::new();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| !self.live[*i]) {
            let same = match node.waker {
                None => true,
                // Readers that were forgotten by a goroutine that ended stay in the number.
                Some(waker) => node.seen.waker() == Some(waker),
            };
            if !(node.seen.lasts() && same) {
                new.push(i);
            }
        }
        // A reader that waits to come in was not counted as one.
        for i in 0..self.nodes.len() {
            if let Some(Waker::Readers { .. }) = self.nodes[i].waker
                && !self.live[i]
                && !self.queue_lasts(i)
            {
                new.push(i);
            }
        }
        for i in new.iter() {
            self.live[*i] = true;
        }
        if !new.is_empty() {
            self.spread();
        }
    }

    /// Whether all who wait to read what this one waits to write still do.
    fn queue_lasts(&self, i: usize) -> bool {
        let lock = self.nodes[i].seen.read_lock();
        let waits =
            |n: &&Node| n.seen.reason == WaitReason::RwLockRead && n.seen.read_lock() == lock;
        self.nodes.iter().filter(waits).all(|n| n.seen.lasts())
    }

    /// Finds the circles: a way from each node to one of its wakers, and on.
    fn order(&mut self) {
        let n = self.nodes.len();
        for edge in self.edges.iter().filter(|e| e.waker < n && e.waits < n) {
            if !self.live[edge.waits] && self.nodes[edge.waits].to.is_none() {
                self.nodes[edge.waits].to = Some(edge.waker);
            }
        }
        for i in 0..n {
            if !self.live[i] && self.nodes[i].seen.is_at_channels() {
                self.nodes[i].to = self.peer(i);
            }
        }
        for i in 0..n {
            if !self.live[i] && self.nodes[i].state == State::Unknown {
                self.walk(i);
            }
        }
    }

    fn walk(&mut self, from: usize) {
        let mut at = from;
        let (root, circle) = loop {
            self.nodes[at].state = State::Walking;
            let Some(next) = self.nodes[at].to else { break (at, None) };
            match self.nodes[next].state {
                State::Unknown => at = next,
                State::Walking => break (next, Some(next)),
                State::Stuck { root, .. } => break (root, None),
            }
        };
        let mut at = Some(from);
        let mut in_circle = false;
        while let Some(i) = at.filter(|i| self.nodes[*i].state == State::Walking) {
            in_circle |= circle == Some(i);
            self.nodes[i].state = State::Stuck { root, in_circle };
            at = self.nodes[i].to;
        }
    }
}

/// Whether the process is about to end.
fn is_last() -> bool {
    crate::debug::halted::is_frozen()
}

fn is_live(gp: &&'static G) -> bool {
    gp.status() != Status::Dead as u32 && gp.status() != Status::Idle as u32
}

fn has_ended(id: u64) -> bool {
    !crate::g::allgs().filter(is_live).any(|gp| gp.goid.get() == id)
}
