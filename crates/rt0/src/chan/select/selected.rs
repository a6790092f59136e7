//! The operation that a select chose, until it is completed.
//!
//! # Invariants
//! * `SO1`: with `Chosen::Taken` the storage holds a message of the type of the receiver that is
//!   `handle`.
//!
//! # Safety
//! The handle that completes an operation is the one it was added with, by address; it has been
//! borrowed since then, so there is no other of another type there (SO1).

#![allow(unsafe_code, reason = "SO1: a message of a type that its receiver knows")]

use super::op::{Handle, Op};
use super::storage::Storage;
use crate::chan::receiver::Flavor;
use crate::chan::selecting::Chosen;
use crate::chan::{Receiver, RecvError, SendError, Sender};
use std::fmt;
use std::marker::PhantomData;

/// An operation that a [`Select`](super::Select) chose. It must be completed with
/// [`send`](Self::send) or [`recv`](Self::recv).
///
/// # Panics
/// When it is dropped instead. What it kept from others (a place in the buffer, a receiver that
/// waits) they get back; a message that was received is leaked.
#[must_use]
pub struct SelectedOperation<'a> {
    handle: &'a dyn Handle,
    index: usize,
    chosen: Option<Chosen>,
    storage: Storage, // SO1
    /// Its message may be one that must not change threads.
    not_send: PhantomData<*const u8>,
}

impl<'a> SelectedOperation<'a> {
    /// No operation: its index is none that a set has, and nothing is to be completed.
    #[inline]
    pub(crate) fn none() -> Self {
        static NEVER: Receiver<()> = Receiver { flavor: Flavor::Never };
        SelectedOperation {
            handle: &NEVER,
            index: usize::MAX,
            chosen: None,
            storage: Storage::new(),
            not_send: PhantomData,
        }
    }

    /// This one is chosen. With `Chosen::Taken` its message is in the storage (SO1), where it
    /// stays: to copy what was just written would wait for the store.
    #[inline]
    pub(crate) fn set(&mut self, op: &Op<'a>, chosen: Chosen) {
        (self.handle, self.index) = (op.handle, op.index);
        self.chosen = Some(chosen);
    }

    /// For messages, before one is chosen.
    pub(crate) fn storage(&mut self) -> &mut Storage {
        &mut self.storage
    }

    fn is_of<T>(&self, handle: &T) -> bool {
        core::ptr::from_ref(self.handle).cast::<u8>() == core::ptr::from_ref(handle).cast()
    }
}

impl SelectedOperation<'_> {
    /// The index that adding the operation returned.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send. It does not wait.
    ///
    /// # Errors
    /// The channel is closed: the message comes back.
    ///
    /// # Panics
    /// `s` is not the `Sender` that the operation was added with.
    pub fn send<T>(mut self, s: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        assert!(self.is_of(s), "passed a sender that wasn't selected");
        match self.chosen.take() {
            Some(chosen) => s.shared.complete(chosen, msg).map_err(SendError),
            None => Err(SendError(msg)),
        }
    }

    /// Completes a receive. It does not wait.
    ///
    /// # Errors
    /// The channel is empty and closed.
    ///
    /// # Panics
    /// `r` is not the `Receiver` that the operation was added with.
    pub fn recv<T>(mut self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(self.is_of(r), "passed a receiver that wasn't selected");
        match self.chosen.take() {
            // SAFETY: SO1
            Some(Chosen::Taken) => Ok(unsafe { self.storage.place::<T>().read() }),
            _ => Err(RecvError),
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(chosen) = self.chosen.take() else { return };
        self.handle.abandon(chosen);
        // While a panic unwinds (of what makes the message, say) that one is enough.
        assert!(
            std::thread::panicking(),
            "dropped `SelectedOperation` without completing the operation"
        );
    }
}
