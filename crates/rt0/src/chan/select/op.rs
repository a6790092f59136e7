//! One operation of a select, whatever its channel's messages are.
//!
//! # Safety
//! A clocked channel's message is written to the select's storage (storage.rs ST1). A set of
//! operations may go to another thread, as crossbeam's: see the impl of `Send`.

#![allow(unsafe_code, reason = "ST1; and a select may be sent to other threads")]

use super::storage::Storage;
use crate::chan::core::Core;
use crate::chan::here::Here;
use crate::chan::place::NOBODY;
use crate::chan::queue::Entry;
use crate::chan::receiver::Flavor;
use crate::chan::selecting::{Chosen, Line};
use crate::chan::{Receiver, Sender};
use crate::g::parker::Wait;
use std::alloc::Layout;

/// What a select wants to be told: that an operation is done for it, or that it is ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Choose,
    Watch,
}

/// What a select asks of a [`Sender`] or [`Receiver`].
pub(crate) trait Handle {
    /// Of the message to be received.
    fn layout(&self) -> Layout {
        Layout::new::<()>()
    }
    /// Chooses the operation if it is ready.
    fn choose(&self, storage: &mut Storage) -> Option<Chosen>;
    /// Whether it is ready.
    fn is_ready(&self) -> bool;
    /// When it becomes ready by itself; once it is registered, a change of that wakes the select.
    fn due_ns(&self) -> Option<i64> {
        None
    }
    /// Links the entry with its channel; false if the operation is ready.
    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> bool;
    /// Takes it out, if nobody has.
    fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose);
    /// A chosen operation will not be completed.
    fn abandon(&self, chosen: Chosen);
    /// Where an entry's message is to go; null for a send.
    fn slot(&self, storage: &mut Storage) -> *mut u8;
}

fn send_line(purpose: Purpose) -> Line {
    if purpose == Purpose::Watch { Line::SendWatch } else { Line::Send }
}

fn recv_line(purpose: Purpose) -> Line {
    if purpose == Purpose::Watch { Line::RecvWatch } else { Line::Recv }
}

impl<T> Handle for Sender<T> {
    fn choose(&self, _: &mut Storage) -> Option<Chosen> {
        self.shared.choose_send()
    }

    fn is_ready(&self) -> bool {
        self.shared.is_ready(Core::can_send)
    }

    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> bool {
        self.shared.register(here, e, send_line(purpose))
    }

    fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) {
        self.shared.unregister(here, e, send_line(purpose));
    }

    fn abandon(&self, chosen: Chosen) {
        self.shared.abandon(chosen);
    }

    fn slot(&self, _: &mut Storage) -> *mut u8 {
        core::ptr::null_mut()
    }
}

impl<T> Handle for Receiver<T> {
    fn layout(&self) -> Layout {
        Layout::new::<T>()
    }

    fn choose(&self, storage: &mut Storage) -> Option<Chosen> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.choose_recv(storage.place()),
            Flavor::Clocked(clocked, message) => {
                let when = clocked.take()?;
                // SAFETY: ST1: reserved for a `T`
                unsafe { storage.place::<T>().write(message(when)) };
                Some(Chosen::Taken)
            }
            Flavor::Never => None,
        }
    }

    fn is_ready(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(shared) => shared.is_ready(Core::can_recv),
            Flavor::Clocked(clocked, _) => clocked.is_due(),
            Flavor::Never => false,
        }
    }

    fn due_ns(&self) -> Option<i64> {
        match &self.flavor {
            Flavor::Clocked(clocked, _) => Some(clocked.next_ns()),
            _ => None,
        }
    }

    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> bool {
        match &self.flavor {
            Flavor::Chan(shared) => shared.register(here, e, recv_line(purpose)),
            Flavor::Clocked(clocked, _) => clocked.register(here, e),
            Flavor::Never => {
                e.on.set(NOBODY);
                true
            }
        }
    }

    fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) {
        match &self.flavor {
            Flavor::Chan(shared) => shared.unregister(here, e, recv_line(purpose)),
            Flavor::Clocked(clocked, _) => clocked.unregister(here, e),
            Flavor::Never => {}
        }
    }

    fn abandon(&self, _: Chosen) {}

    fn slot(&self, storage: &mut Storage) -> *mut u8 {
        storage.place()
    }
}

/// An operation and its number. For the macros.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Op<'a> {
    pub(crate) handle: &'a dyn Handle,
    pub(crate) index: usize,
}

// SAFETY: what another thread can do with it moves messages as bytes and runs no code of theirs: to
// get at a message takes a `SelectedOperation`, which cannot be sent, and a reference to the
// handle, which a thread that messages must not be sent to does not have.
unsafe impl Send for Op<'_> {}
// SAFETY: a shared reference to it can be used to copy it only.
unsafe impl Sync for Op<'_> {}

/// For the macros.
#[doc(hidden)]
pub fn recv_op<T>(r: &Receiver<T>) -> Op<'_> {
    Op { handle: r, index: 0 }
}

/// For the macros.
#[doc(hidden)]
pub fn send_op<T>(s: &Sender<T>) -> Op<'_> {
    Op { handle: s, index: 0 }
}
