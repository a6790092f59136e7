//! One operation of a select, whatever its channel's messages are.
//!
//! # Safety
//! A clocked channel's message is written to the select's storage (storage.rs ST1). A set of
//! operations may go to another thread, as crossbeam's: see the impl of `Send`.

#![allow(unsafe_code, reason = "ST1; and a select may be sent to other threads")]

use super::storage::Storage;
use crate::chan::alarm::OFF;
use crate::chan::core::{Core, Line};
use crate::chan::here::Here;
use crate::chan::place::NOBODY;
use crate::chan::queue::Entry;
use crate::chan::receiver::Flavor;
use crate::chan::selecting::Chosen;
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
    /// Chooses the operation if it is ready. A message goes to `place`, a select's storage.
    fn choose(&self, here: Here, place: *mut u8) -> Result<Chosen, Here>;
    /// Whether it is ready.
    fn is_ready(&self) -> bool;
    /// Links the entry with its channel; `None` if the operation is ready. Else when it becomes
    /// ready by itself, or [`OFF`]: a change of that wakes the select.
    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> Option<i64>;
    /// Takes it out, if nobody has.
    fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose);
    /// A chosen operation will not be completed.
    fn abandon(&self, chosen: Chosen);
}

fn send_line(purpose: Purpose) -> Line {
    if purpose == Purpose::Watch { Line::SendWatch } else { Line::Send }
}

fn recv_line(purpose: Purpose) -> Line {
    if purpose == Purpose::Watch { Line::RecvWatch } else { Line::Recv }
}

impl<T> Handle for Sender<T> {
    fn choose(&self, here: Here, _: *mut u8) -> Result<Chosen, Here> {
        self.shared.choose_send(here)
    }

    fn is_ready(&self) -> bool {
        self.shared.is_ready(Core::can_send)
    }

    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> Option<i64> {
        self.shared.register(here, e, send_line(purpose)).then_some(OFF)
    }

    fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) {
        self.shared.unregister(here, e, send_line(purpose));
    }

    fn abandon(&self, chosen: Chosen) {
        self.shared.abandon(chosen);
    }
}

impl<T> Handle for Receiver<T> {
    fn layout(&self) -> Layout {
        Layout::new::<T>()
    }

    fn choose(&self, here: Here, place: *mut u8) -> Result<Chosen, Here> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.choose_recv(here, place.cast()),
            Flavor::Clocked(clocked, message) => {
                let Some(when) = clocked.take() else { return Err(here) };
                // SAFETY: ST1: reserved for a `T`
                unsafe { place.cast::<T>().write(message(when)) };
                Ok(Chosen::Taken)
            }
            Flavor::Never => Err(here),
        }
    }

    fn is_ready(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(shared) => shared.is_ready(Core::can_recv),
            Flavor::Clocked(clocked, _) => clocked.is_due(),
            Flavor::Never => false,
        }
    }

    fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> Option<i64> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.register(here, e, recv_line(purpose)).then_some(OFF),
            Flavor::Clocked(clocked, _) => clocked.register(here, e),
            Flavor::Never => {
                e.on.set(NOBODY);
                Some(OFF)
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
}

/// An operation and its number. For the macros.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Op<'a> {
    pub(crate) handle: &'a dyn Handle,
    pub(crate) index: usize,
    pub(crate) message: Message,
}

/// What it does with a select's storage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// Nothing: it sends.
    None,
    /// Receives to it.
    Small,
    /// The same; room must be made for it.
    Large,
}

impl Op<'_> {
    /// Where its entry's message is to go, if it has an entry before it has a message.
    #[inline]
    pub(crate) fn slot(&self, place: *mut u8) -> *mut u8 {
        if self.message == Message::None { core::ptr::null_mut() } else { place }
    }
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
    let large = const { !Storage::is_inline(Layout::new::<T>()) };
    let message = if large { Message::Large } else { Message::Small };
    Op { handle: r, index: 0, message }
}

/// For the macros.
#[doc(hidden)]
pub fn send_op<T>(s: &Sender<T>) -> Op<'_> {
    Op { handle: s, index: 0, message: Message::None }
}
