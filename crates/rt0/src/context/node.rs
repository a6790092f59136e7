//! The tree of contexts that can end.
//!
//! Go: context.go `cancelCtx`, `timerCtx`, `propagateCancel`. A node ends once: with the first
//! cause that it gets, under `tree`. Then it opens its latch (chan/clocked.rs), which wakes all
//! that wait under it and is what `done` receives from, starts its functions, and ends its
//! children.
//!
//! A deadline takes no timer: each wait has it as a deadline of its own, so has the latch, and a
//! node that is asked looks at the clock. Only functions need one, so it is made with the first.
//!
//! # Invariants
//! * `CX1`: `cause` is set once. A node that is made later below one that has ended ends at once.
//! * `CX2`: `ended` is set after the cause and before the latch is opened: who is woken finds it.
//! * `CX3`: a parent is referred to by its children, and knows them weakly: a child that is dropped
//!   takes itself out.

use super::error::{Cause, Error};
use crate::atomic::{AtomicU32, Ordering};
use crate::chan::Receiver;
use crate::chan::clocked::Clocked;
use crate::chan::receiver::Flavor;
use crate::join::Builder;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Duration, Timer};
use core::panic::Location;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

pub(super) type Func = Box<dyn FnOnce() + Send>;
/// A function, and where the program gave it.
type Given = (Func, &'static Location<'static>);

pub(super) struct Node {
    /// A context's `done`: its latch.
    pub(super) done: Receiver<()>,
    /// The earliest on the way to the root; constant.
    pub(super) deadline: Option<Instant>,
    parent: Option<Arc<Node>>,
    /// Its number among the parent's children.
    number: u64,
    /// 0, or the error.
    ended: AtomicU32, // CX2
    tree: Mutex<Tree>,
}

#[derive(Default)]
struct Tree {
    cause: Option<Cause>, // CX1
    next: u64,
    children: BTreeMap<u64, Weak<Node>>, // CX3
    funcs: BTreeMap<u64, Given>,
    /// Looks at the deadline, for the functions.
    timer: Option<Timer>,
}

impl Tree {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

const CANCELLED: u32 = 1;
const DEADLINE: u32 = 2;

impl Node {
    /// A child of `parent`, or a root.
    pub(super) fn new(parent: Option<Arc<Node>>, deadline: Option<Instant>) -> Arc<Node> {
        let inherited = parent.as_ref().and_then(|p| p.deadline);
        let deadline = [inherited, deadline].into_iter().flatten().min();
        let latch = Arc::new(Clocked::latch(deadline));
        let mut cause = None;
        let node = |number, parent| Node {
            done: Receiver { flavor: Flavor::Clocked(latch, |_| ()) },
            deadline,
            parent,
            number,
            ended: AtomicU32::new(0),
            tree: Mutex::new(Tree::default()),
        };
        let Some(p) = parent else { return Arc::new(node(0, None)) };
        let node = {
            let mut tree = p.lock();
            cause.clone_from(&tree.cause);
            let node = Arc::new(node(tree.number(), Some(Arc::clone(&p))));
            if cause.is_none() {
                tree.children.insert(node.number, Arc::downgrade(&node));
            }
            node
        };
        if let Some(cause) = cause {
            node.end(&cause); // CX1
        }
        node
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn latch(&self) -> &Clocked {
        match &self.done.flavor {
            Flavor::Clocked(latch, _) => latch,
            _ => crate::throw::throw("context: done is another channel"),
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether it has ended by now.
    pub(super) fn err(&self) -> Option<Error> {
        // ORDERING: pairs with end
        match self.ended.load(Ordering::Acquire) {
            CANCELLED => Some(Error::Cancelled),
            DEADLINE => Some(Error::DeadlineExceeded),
            _ if self.is_late() => {
                self.end(&Cause::DeadlineExceeded);
                self.cause().map(|cause| cause.err())
            }
            _ => None,
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        if self.is_late() {
            self.end(&Cause::DeadlineExceeded);
        }
        self.lock().cause.clone()
    }

    /// Ends the node and all below it; each that has not ended yet, with this cause or because its
    /// time is over.
    pub(super) fn end(&self, cause: &Cause) {
        let mut below = Vec::new();
        self.end_one(cause, &mut below);
        // Not by recursion: chains may be longer than the stack is deep.
        while let Some(node) = below.pop() {
            if let Some(node) = node.upgrade() {
                node.end_one(cause, &mut below);
            }
        }
    }

    fn end_one(&self, cause: &Cause, below: &mut Vec<Weak<Node>>) {
        let (funcs, timer) = {
            let mut tree = self.lock();
            if tree.cause.is_some() {
                return;
            }
            let cause = if self.is_late() { &Cause::DeadlineExceeded } else { cause };
            tree.cause = Some(cause.clone());
            let ended = if cause.err() == Error::Cancelled { CANCELLED } else { DEADLINE };
            self.ended.store(ended, Ordering::Release); // ORDERING: pairs with err
            below.extend(core::mem::take(&mut tree.children).into_values());
            (core::mem::take(&mut tree.funcs), tree.timer.take())
        };
        self.latch().open(); // CX2
        if let Some(timer) = timer {
            timer.stop();
        }
        funcs.into_values().for_each(start);
    }

    /// Starts `f` when the node ends; the number to take it back with. At once, if it has.
    #[track_caller]
    pub(super) fn after(self: &Arc<Self>, f: Func) -> Option<u64> {
        let given = (f, Location::caller());
        if let Some(deadline) = self.deadline
            && self.err().is_none()
        {
            self.start_timer(deadline);
        }
        let mut tree = self.lock();
        if tree.cause.is_some() {
            drop(tree);
            start(given);
            return None;
        }
        let number = tree.number();
        tree.funcs.insert(number, given);
        Some(number)
    }

    fn start_timer(self: &Arc<Self>, deadline: Instant) {
        if self.lock().timer.is_some() {
            return;
        }
        let node = Arc::downgrade(self);
        let timer = Timer::after_func(Duration::MAX, move || {
            if let Some(node) = node.upgrade() {
                node.err();
            }
        });
        let mut tree = self.lock();
        if tree.cause.is_some() || tree.timer.is_some() {
            timer.stop();
            return;
        }
        timer.reset_at(deadline);
        tree.timer = Some(timer);
    }

    /// Takes a function back; whether it was not started.
    pub(super) fn take_back(&self, number: u64) -> bool {
        let f = self.lock().funcs.remove(&number);
        f.is_some()
    }

    fn leave_parent(&mut self) -> Option<Arc<Node>> {
        let parent = self.parent.take()?;
        parent.lock().children.remove(&self.number);
        Some(parent)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(timer) = self.lock().timer.take() {
            timer.stop();
        }
        // Parents that only this node kept, not by recursion.
        let mut next = self.leave_parent();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.leave_parent();
        }
    }
}

/// In a goroutine of its own; here, where none can be made.
fn start((f, at): Given) {
    let f = Arc::new(Mutex::new(Some(f)));
    let take = |f: &Mutex<Option<Func>>| f.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&f);
    match Builder::new().go_from(at, move || take(&theirs).map(|f| f())) {
        Ok(handle) => drop(handle),
        Err(_) => drop(take(&f).map(|f| f())),
    }
}
