//! Waiting for one of several channel operations.
//!
//! Go: select.go. The API is crossbeam-channel's: [`select!`](crate::select!) for a fixed set of
//! operations, [`Select`] for one that is made at run time. run.rs has how it works.

pub(crate) mod macros;
pub(crate) mod op;
mod random;
pub(crate) mod run;
mod selected;
mod storage;

pub use selected::SelectedOperation;

use crate::chan::shared::Patience;
use crate::chan::{
    ReadyTimeoutError, Receiver, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
};
use op::Op;
use run::patience;
use std::fmt;
use std::time::{Duration, Instant};

pub(crate) const NO_OPERATIONS: &str = "no operations have been added to `Select`";

/// A set of channel operations, of which one is to happen.
///
/// An operation is ready if it does not have to wait; on a closed channel that is so too. If
/// several are ready, each is as likely to be chosen. A chosen operation must be completed with
/// [`SelectedOperation::send`] or [`SelectedOperation::recv`], which do not wait; or use the
/// `ready` methods, and try the operation. crossbeam-channel: `Select`; Go: `reflect.Select`.
///
/// A send that is chosen keeps its place in the channel until its message is there: others may find
/// the channel full meanwhile, and what they send comes first.
///
/// ```
/// use rt0::chan::{Select, bounded};
///
/// let ((tx1, rx1), (_tx2, rx2)) = (bounded(1), bounded::<u32>(1));
/// tx1.send(7).unwrap();
/// let mut sel = Select::new();
/// let first = sel.recv(&rx1);
/// sel.recv(&rx2);
/// let oper = sel.select();
/// assert_eq!(oper.index(), first);
/// assert_eq!(oper.recv(&rx1), Ok(7));
/// ```
#[derive(Clone)]
pub struct Select<'a> {
    ops: Vec<Op<'a>>,
    next_index: usize,
    biased: bool,
}

impl<'a> Select<'a> {
    /// An empty set.
    pub fn new() -> Select<'a> {
        Select { ops: Vec::with_capacity(4), next_index: 0, biased: false }
    }

    /// An empty set that chooses the operation with the lowest index of those that are ready.
    pub fn new_biased() -> Self {
        Select { biased: true, ..Select::new() }
    }

    /// Adds a send; returns its index.
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(op::send_op(s))
    }

    /// Adds a receive; returns its index.
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(op::recv_op(r))
    }

    fn add(&mut self, op: Op<'a>) -> usize {
        let index = self.next_index;
        self.ops.push(Op { index, ..op });
        self.next_index += 1;
        index
    }

    /// Removes the operation with this index. Indices are not used again.
    ///
    /// # Panics
    /// There is none.
    pub fn remove(&mut self, index: usize) {
        let next = self.next_index;
        assert!(index < next, "index out of bounds; {index} >= {next}");
        match self.ops.iter().position(|op| op.index == index) {
            // In order, for a biased set goes by it.
            Some(at) => drop(self.ops.remove(at)),
            None => panic!("no operation with this index"),
        }
    }

    #[inline]
    fn choose(&mut self, patience: &Patience<'_>) -> Option<SelectedOperation<'a>> {
        let mut oper = SelectedOperation::none();
        let chosen = run::choose(&mut self.ops, patience, self.biased, &mut oper);
        chosen.then_some(oper)
    }

    fn find_ready(&mut self, patience: &Patience<'_>) -> Option<usize> {
        run::ready(&mut self.ops, patience, self.biased)
    }

    /// Chooses an operation that is ready.
    ///
    /// # Errors
    /// None is.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(&Patience::None).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and chooses it.
    ///
    /// # Panics
    /// The set is empty.
    pub fn select(&mut self) -> SelectedOperation<'a> {
        match self.select_patient(&Patience::Forever) {
            Some(oper) => oper,
            None => panic!("{NO_OPERATIONS}"),
        }
    }

    /// The same, of a set that is not empty, until the patience is over.
    #[track_caller]
    pub(crate) fn select_patient(
        &mut self,
        patience: &Patience<'_>,
    ) -> Option<SelectedOperation<'a>> {
        assert!(!self.ops.is_empty(), "{NO_OPERATIONS}");
        self.choose(patience)
    }

    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// None became ready in time.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(&patience(timeout)).ok_or(SelectTimeoutError)
    }

    /// The same until `deadline`.
    ///
    /// # Errors
    /// None became ready in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(&Patience::Until(deadline)).ok_or(SelectTimeoutError)
    }

    /// The index of an operation that is ready; somebody else may be faster to use that.
    ///
    /// # Errors
    /// None is.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(&Patience::None).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its index; somebody else may be faster to use
    /// that.
    ///
    /// # Panics
    /// The set is empty.
    pub fn ready(&mut self) -> usize {
        assert!(!self.ops.is_empty(), "{NO_OPERATIONS}");
        match self.find_ready(&Patience::Forever) {
            Some(index) => index,
            None => panic!("{NO_OPERATIONS}"),
        }
    }

    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// None became ready in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(&patience(timeout)).ok_or(ReadyTimeoutError)
    }

    /// The same until `deadline`.
    ///
    /// # Errors
    /// None became ready in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(&Patience::Until(deadline)).ok_or(ReadyTimeoutError)
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}
