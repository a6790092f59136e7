//! The graph in words, and as values.

use super::{Asker, Graph, Node, State, Unlooked};
use crate::arch::here::preserved;
use crate::debug::json;
use crate::debug::waits::{Waiting, handles};
use core::fmt;

/// Of those who wait behind others, and of those who have handles.
const MOST: usize = 20;

impl Graph {
    /// Those at the end of all that leads there, each with whether it is a circle. Who waits for
    /// nobody and is waited for by nobody is none: it may be meant so.
    fn roots(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        (0..self.nodes.len()).filter_map(|i| match self.nodes[i].state {
            State::Stuck { root, in_circle } if root == i => {
                let node = &self.nodes[i];
                let has_peers = node.waker.is_some() || node.seen.is_at_channels();
                let is_met = in_circle || has_peers || self.is_waited_for(i);
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
        let after = move |i: &usize| self.nodes[*i].to.filter(|next| *next != root);
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
        for (root, is_circle) in self.roots() {
            self.write_root(out, root, is_circle)?;
            writeln!(out)?;
        }
        if let Some(why) = self.unlooked {
            writeln!(out, "who has handles of channels is not known: {why}\n")?;
        }
        Ok(())
    }

    fn write_root(&self, out: &mut impl fmt::Write, root: usize, is_circle: bool) -> fmt::Result {
        if is_circle {
            match self.circle(root).count() {
                1 => writeln!(out, "deadlock: one waits for itself:")?,
                n => writeln!(out, "deadlock: {n} wait for each other:")?,
            }
            self.circle(root).try_for_each(|node| self.write_node(out, node))?;
        } else {
            writeln!(out, "deadlock: nobody can wake one:")?;
            self.write_node(out, &self.nodes[root])?;
        }
        let n = self.behind(root).count();
        if n > 0 {
            writeln!(out, "behind that, {n} {}:", if n == 1 { "waits" } else { "wait" })?;
            self.behind(root).take(MOST).try_for_each(|node| self.write_node(out, node))?;
        }
        if n > MOST {
            writeln!(out, "\t...{} more", n - MOST)?;
        }
        Ok(())
    }

    fn write_node(&self, out: &mut impl fmt::Write, node: &Node) -> fmt::Result {
        write!(out, "\t{}", node.seen.party)?;
        if let Some(name) = node.seen.name() {
            write!(out, " {name:?}")?;
        }
        write!(out, " [{}]: {}", node.seen.reason.text(), node.seen)?;
        let mut result = Ok(());
        node.seen.each_channel(|name| result = result.and(self.write_peers(out, node, name)));
        result?;
        out.write_str("\n")
    }

    /// Where the handles of a channel are, besides the stack of the one that waits.
    fn write_peers(&self, out: &mut impl fmt::Write, node: &Node, name: usize) -> fmt::Result {
        if let Some([senders, receivers]) = handles(name) {
            write!(out, "; {name:#x} has {senders} sender{}", plural(senders))?;
            write!(out, " and {receivers} receiver{}", plural(receivers))?;
        }
        let others = self.holders(name).map(|i| self.nodes[i].seen.party);
        for (i, party) in others.filter(|party| *party != node.seen.party).enumerate() {
            if i == MOST {
                return out.write_str(", ...");
            }
            write!(out, "{}{party}", if i == 0 { ", also on the stack of " } else { ", " })?;
        }
        Ok(())
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

impl fmt::Display for Unlooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unlooked::Mode => f.write_str("each goroutine is a thread"),
            Unlooked::Unheld(why) => why.fmt(f),
            Unlooked::Unread(why) => why.fmt(f),
        }
    }
}

/// Goroutines and threads that wait for ever. See [`deadlocks`].
///
/// Its `Display` is the lines that head the last report of a process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deadlock {
    /// They wait for each other: each for the next, the last for the first. Empty if what the
    /// others wait for can be given by nobody: a lock whose holder has ended, a channel that nobody
    /// else has a handle of.
    pub circle: Vec<Waiting>,
    /// Those that wait for one of the circle, or for one that does, or for nobody.
    pub behind: Vec<Waiting>,
    text: String,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.trim_end())
    }
}

/// The deadlocks there are now: goroutines, and plain threads in locks of rt0's, that nobody can
/// wake any more, because the only ones who could wait for ever too. Empty if there is none.
///
/// It sees waits for a [`Mutex`](crate::sync::Mutex), for an [`RwLock`](crate::sync::RwLock) that
/// is written or that goroutines read, for a [`Once`](crate::sync::Once) that runs, for a
/// goroutine's end, for a scope and at channels, if they have no deadline. Readers are known while
/// each goroutine reads two locks at once at most, and no plain thread has ever read this one.
///
/// # Channels
/// A goroutine that sends, receives or selects waits for ever if no handle of its channels is
/// anywhere but on the stacks of goroutines that wait for ever. To know that, all memory that the
/// process has written is looked through, some GiB a second, and all threads stand still meanwhile.
/// That is done only if a goroutine waits at a channel without a deadline. Calls of other threads
/// that the kernel does not start again after a signal, as `poll` and `nanosleep`, may end with
/// EINTR; std's go on.
///
/// Much is missed. Handles in a `Box`, an `Arc`, a `Vec` or a static count as somebody's who may
/// use them, and so does what a function that still runs has left on its stack of a handle that it
/// has moved elsewhere. A report names circles of receives and of locks most surely; whether it
/// meets a select, or one that has the only sender itself, hangs on what happens to lie in memory.
/// Waits at channels are left out where the process has written more than a GiB or has a thread
/// that blocks SIGURG, where `/proc` is not there, and where each goroutine is a thread
/// (`GODEBUG=tlsmode=3`).
///
/// From any thread. What it reports is so: nothing in it can ever go on. Unsafe code that keeps a
/// handle's address where it cannot be found, as in a pipe or with its bits turned, may prove it
/// wrong. Go: the goroutine leak profile.
#[inline(never)]
pub fn deadlocks() -> Vec<Deadlock> {
    let mut registers = [0; 6];
    preserved(&mut registers);
    read(Asker::At((&raw const registers).addr()))
}

#[inline(never)]
fn read(asker: Asker) -> Vec<Deadlock> {
    let graph = Graph::read(Some(asker));
    let text = |(root, is_circle)| {
        let mut text = String::new();
        let _ = graph.write_root(&mut text, root, is_circle); // a String takes all
        text
    };
    let texts: Vec<_> = graph.roots().map(text).collect();
    forget();
    let waiting = |node: &Node| node.seen.in_words();
    let deadlocks = graph.roots().zip(texts).map(|((root, is_circle), text)| {
        let circle = graph.circle(root).filter(|_| is_circle).filter_map(waiting).collect();
        let end = (!is_circle).then_some(&graph.nodes[root]);
        let behind = end.into_iter().chain(graph.behind(root)).filter_map(waiting).collect();
        Deadlock { circle, behind, text }
    });
    deadlocks.collect()
}

/// The head of a dump that is asked for.
#[inline(never)]
pub(in crate::debug) fn write_head(out: &mut dyn fmt::Write, is_json: bool) -> fmt::Result {
    let mut registers = [0; 6];
    preserved(&mut registers);
    let done = head(out, is_json, Asker::At((&raw const registers).addr()));
    forget();
    done
}

#[inline(never)]
fn head(mut out: &mut dyn fmt::Write, is_json: bool, asker: Asker) -> fmt::Result {
    let graph = Graph::read(Some(asker));
    if !is_json {
        return graph.write(&mut out);
    }
    let party = |node: &Node| node.seen.party;
    for (root, is_circle) in graph.roots() {
        let circle = graph.circle(root).filter(|_| is_circle).map(party);
        let end = (!is_circle).then_some(&graph.nodes[root]);
        let behind = end.into_iter().chain(graph.behind(root)).map(party);
        json::deadlock(out, circle, behind)?;
    }
    graph.unlooked.map_or(Ok(()), |why| json::unknown(out, &why))
}

/// Nothing is left on the stack of what the look had there: some of it would go to the heap, in the
/// unused bytes of what is returned, and the next look would find it.
#[inline(never)]
fn forget() {
    core::hint::black_box(&mut [0_u8; 16 << 10]);
}
