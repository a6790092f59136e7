//! Who waits for whom, and who therefore waits for ever, also while the rest of the process lives.
//!
//! A wait for a lock, a `Once` or the end of a goroutine can be ended by one party only, and that
//! is known (waits.rs); a scope's by its goroutines, each of which is one. So these waits form a
//! graph, and a party waits for ever if its way through the graph ends in a circle, or at one that
//! nobody can wake: a lock whose holder has ended, a channel that never has a message. What waits
//! with a deadline is not in the graph: it ends by itself.
//!
//! # What is not in it, and why
//! Who may send on a channel is whoever holds a handle, or can get at one; the same goes for
//! condition variables, semaphores, wait groups and the like. Nobody knows where handles lie
//! without looking through all memory. So such a wait is never taken to last for ever while
//! anything in the process lives; if nothing does, sched/deadlock.rs reports the whole. Nor is it
//! known who the readers of an `RwLock` are.
//!
//! # No false report
//! The graph is read while others run. A wait that is the same one before and after
//! ([`Seen::lasts`]) has lasted all the time between, so its party has not let go of any lock, and
//! what was read of holders in between held at every moment of it. All waits that seem to be for
//! ever are read a second time; those that have ended are taken out, and those that hung on them.
//! A party in such a wait that was woken just now is not overlooked: its waker would have to be one
//! of the parties that have not moved. models/waits.rs.
//!
//! A wait of these kinds that something else can end too, as a context could, has to be recorded as
//! one with a deadline.
//!
//! # Invariants
//! * `WG1`: `nodes` is sorted by name; `to` is an index into it.
//!
//! Nothing is allocated but maps of pages, for dumps need it too.

use super::waits::{Holder, Party, Seen, Waiting};
use crate::g::{G, Status, WaitReason};
use crate::malloc::vec::RtVec;
use crate::sched::thread_parker;
use core::fmt;

/// Where a wait leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum To {
    /// To the party at this place (WG1).
    Node(usize),
    /// To nobody: it cannot end.
    Nobody,
    /// To somebody who may end it.
    Alive,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unknown,
    /// On the way that is being walked.
    Walking,
    Alive,
    /// For ever. `root`: a party of the circle, or the one that waits for nobody.
    Stuck {
        root: usize,
        in_circle: bool,
    },
}

#[derive(Clone, Copy)]
struct Node {
    seen: Seen,
    holder: Option<Holder>,
    to: To,
    state: State,
}

/// A scope that waits, and one of its goroutines.
#[derive(Clone, Copy)]
struct Child {
    scope: usize,
    child: usize,
}

/// All who wait for somebody known.
pub(crate) struct Graph {
    nodes: RtVec<Node>,
    children: RtVec<Child>,
}

impl Graph {
    /// As it is now. No lock is taken; from anywhere.
    pub(crate) fn read() -> Graph {
        let mut graph = Graph { nodes: RtVec::new(), children: RtVec::new() };
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
        graph.link();
        graph.link_scopes();
        graph.resolve();
        graph.verify();
        graph
    }

    fn add(&mut self, seen: Seen) {
        use WaitReason as W;
        let to = match seen.reason {
            _ if seen.timed => return,
            W::ChanReceiveNilChan | W::SelectNoCases | W::Scope => To::Nobody,
            W::Join | W::MutexLock | W::RwLockRead | W::RwLockWrite | W::OnceDo => To::Alive,
            _ => return,
        };
        let holder = seen.holder();
        if holder.is_some() || to == To::Nobody {
            self.nodes.push(Node { seen, holder, to, state: State::Unknown });
        }
    }

    fn find(&self, party: Party) -> Option<usize> {
        self.nodes.binary_search_by_key(&party, |node| node.seen.party).ok()
    }

    /// WG1.
    fn link(&mut self) {
        let mut last: Option<(Party, To)> = None;
        for i in 0..self.nodes.len() {
            let Some(Holder { party, .. }) = self.nodes[i].holder else { continue };
            let to = match last {
                Some((known, to)) if known == party => to,
                _ => match (self.find(party), party) {
                    (Some(at), _) => To::Node(at),
                    // A goroutine that ended with a lock: its guard was forgotten.
                    (None, Party::Goroutine(id))
                        if self.nodes[i].seen.reason != WaitReason::Join && has_ended(id) =>
                    {
                        To::Nobody
                    }
                    _ => To::Alive,
                },
            };
            last = Some((party, to));
            self.nodes[i].to = to;
        }
    }

    /// Scopes and their goroutines. One whose goroutines are not all in the graph is alive.
    fn link_scopes(&mut self) {
        let is_scope = |node: &Node| node.seen.reason == WaitReason::Scope;
        let mut scopes: RtVec<(usize, usize)> = RtVec::new();
        for (i, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| is_scope(node)) {
            scopes.push((node.seen.object(), i));
            node.to = To::Alive;
        }
        scopes.sort_unstable();
        if scopes.is_empty() {
            return;
        }
        for gp in crate::g::allgs().filter(|gp| is_live(gp) && gp.scope.get() != 0) {
            let of = gp.scope.get() as usize;
            let Ok(at) = scopes.binary_search_by_key(&of, |(object, _)| *object) else { continue };
            let scope = scopes[at].1;
            match self.find(Party::Goroutine(gp.goid.get())) {
                Some(child) => {
                    self.children.push(Child { scope, child });
                    self.nodes[scope].to = To::Node(child);
                }
                // Alive for good: the marker keeps `disown` from being undone by the next child.
                None => self.children.push(Child { scope, child: usize::MAX }),
            }
        }
    }

    /// Says of each node whether it waits for ever, as far as `to` is right.
    fn resolve(&mut self) {
        loop {
            for node in self.nodes.iter_mut() {
                node.state = State::Unknown;
            }
            for i in 0..self.nodes.len() {
                if self.nodes[i].state == State::Unknown {
                    self.walk(i);
                }
            }
            // Scopes were taken for stuck with one of their goroutines; all have to be.
            let mut changed = false;
            for i in 0..self.children.len() {
                let Child { scope, child } = self.children[i];
                let alive = self.nodes.get(child).is_none_or(|n| n.state == State::Alive);
                if alive && self.nodes[scope].to != To::Alive {
                    self.nodes[scope].to = To::Alive;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn walk(&mut self, from: usize) {
        let mut at = from;
        let (end, circle) = loop {
            self.nodes[at].state = State::Walking;
            match self.nodes[at].to {
                To::Alive => break (State::Alive, None),
                To::Nobody => break (State::Stuck { root: at, in_circle: false }, None),
                To::Node(next) => match self.nodes[next].state {
                    State::Unknown => at = next,
                    State::Walking => {
                        break (State::Stuck { root: next, in_circle: false }, Some(next));
                    }
                    State::Alive => break (State::Alive, None),
                    State::Stuck { root, .. } => {
                        break (State::Stuck { root, in_circle: false }, None);
                    }
                },
            }
        };
        let mut at = Some(from);
        let mut in_circle = false;
        while let Some(i) = at.filter(|i| self.nodes[*i].state == State::Walking) {
            in_circle |= circle == Some(i);
            self.nodes[i].state = match end {
                State::Stuck { root, .. } => State::Stuck { root, in_circle },
                other => other,
            };
            at = self.next(i);
        }
    }

    fn next(&self, i: usize) -> Option<usize> {
        match self.nodes[i].to {
            To::Node(next) => Some(next),
            _ => None,
        }
    }

    /// Takes out what has not lasted.
    fn verify(&mut self) {
        let mut changed = false;
        for i in 0..self.nodes.len() {
            let node = &self.nodes[i];
            let stuck = matches!(node.state, State::Stuck { .. });
            if stuck && !(node.seen.lasts() && node.seen.holder() == node.holder) {
                self.nodes[i].to = To::Alive;
                changed = true;
            }
        }
        if changed {
            self.resolve();
        }
    }

    /// Those at the end of all that leads there, each with whether it is a circle. Who waits for
    /// nobody and is waited for by nobody is none: it may be meant so.
    fn roots(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        (0..self.nodes.len()).filter_map(|i| match self.nodes[i].state {
            State::Stuck { root, in_circle } if root == i => {
                let is_met = in_circle || self.nodes[i].holder.is_some() || self.is_waited_for(i);
                is_met.then_some((i, in_circle))
            }
            _ => None,
        })
    }

    fn is_waited_for(&self, root: usize) -> bool {
        self.behind(root).next().is_some()
    }

    /// The circle of a root, in order: each waits for the next.
    fn circle(&self, root: usize) -> impl Iterator<Item = &Node> + '_ {
        let after = move |i: &usize| self.next(*i).filter(|next| *next != root);
        core::iter::successors(Some(root), after).map(|i| &self.nodes[i])
    }

    /// Who waits for a root, or for one that does; not those of its circle.
    fn behind(&self, root: usize) -> impl Iterator<Item = &Node> + '_ {
        let others = self.nodes.iter().enumerate().filter(move |(i, node)| {
            *i != root && node.state == State::Stuck { root, in_circle: false }
        });
        others.map(|(_, node)| node)
    }

    /// What heads a dump: the circles, and who waits behind them. Nothing if there is none.
    pub(crate) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        /// Of those who wait behind others.
        const MOST: usize = 20;
        for (root, is_circle) in self.roots() {
            if is_circle {
                match self.circle(root).count() {
                    1 => writeln!(out, "deadlock: one waits for itself:")?,
                    n => writeln!(out, "deadlock: {n} wait for each other:")?,
                }
                self.circle(root).try_for_each(|node| write_node(out, node))?;
            } else {
                writeln!(out, "deadlock: nobody can wake one:")?;
                write_node(out, &self.nodes[root])?;
            }
            let n = self.behind(root).count();
            if n > 0 {
                writeln!(out, "behind that, {n} {}:", if n == 1 { "waits" } else { "wait" })?;
                self.behind(root).take(MOST).try_for_each(|node| write_node(out, node))?;
            }
            if n > MOST {
                writeln!(out, "\t...{} more", n - MOST)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn write_node(out: &mut impl fmt::Write, node: &Node) -> fmt::Result {
    write!(out, "\t{}", node.seen.party)?;
    if let Some(name) = node.seen.name() {
        write!(out, " {name:?}")?;
    }
    writeln!(out, " [{}]: {}", node.seen.reason.text(), node.seen)
}

fn is_live(gp: &&'static G) -> bool {
    gp.status() != Status::Dead as u32 && gp.status() != Status::Idle as u32
}

fn has_ended(id: u64) -> bool {
    !crate::g::allgs().filter(is_live).any(|gp| gp.goid.get() == id)
}

/// Goroutines and threads that wait for ever. See [`deadlocks`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deadlock {
    /// They wait for each other: each for the next, the last for the first. Empty if what the
    /// others wait for can be given by nobody: a lock whose holder has ended, a channel that never
    /// has a message.
    pub circle: Vec<Waiting>,
    /// Those that wait for one of the circle, or for one that does, or for nobody.
    pub behind: Vec<Waiting>,
}

/// The deadlocks there are now: goroutines, and plain threads in locks of rt0's, that nobody can
/// wake any more, because the only ones who could wait for ever too. Empty if there is none.
///
/// It sees waits for a [`Mutex`](crate::sync::Mutex), for an [`RwLock`](crate::sync::RwLock) that
/// is written, for a [`Once`](crate::sync::Once) that runs, for a goroutine's end and for a scope,
/// if they have no deadline. Who may send on a channel is not known, so a wait for a message counts
/// only where the whole process stands still, and then it is reported unasked.
///
/// Never blocks; from any thread, while others run. What it reports is so: nothing in it can ever
/// go on.
pub fn deadlocks() -> Vec<Deadlock> {
    let graph = Graph::read();
    let waiting = |node: &Node| node.seen.in_words();
    let deadlocks = graph.roots().map(|(root, is_circle)| {
        let circle = graph.circle(root).filter(|_| is_circle).filter_map(waiting).collect();
        let end = (!is_circle).then_some(&graph.nodes[root]);
        let behind = end.into_iter().chain(graph.behind(root)).filter_map(waiting).collect();
        Deadlock { circle, behind }
    });
    deadlocks.collect()
}
