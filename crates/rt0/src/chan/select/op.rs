//! One operation of a select, whatever its channel's messages are.
//!
//! # Safety
//! A clocked channel's message is written to the select's storage (storage.rs ST1). A set of
//! operations may go to another thread, as crossbeam's: see the impl of `Send`.

#![allow(unsafe_code, reason = "ST1; and a select may be sent to other threads")]

use super::storage::Storage;
use crate::chan::alarm::OFF;
use crate::chan::clocked::Clocked;
use crate::chan::core::Line;
use crate::chan::head::{Held, Named};
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

/// What a select asks of a [`Sender`] or [`Receiver`] that knows its messages.
pub(crate) trait Handle {
    /// Of the message to be received.
    fn layout(&self) -> Layout {
        Layout::new::<()>()
    }
    /// Chooses the operation if it is ready. A message goes to `place`, a select's storage. The
    /// caller may have the channel locked.
    fn choose(&self, here: Here, held: Option<Held<'_>>, place: *mut u8) -> Result<Chosen, Here>;
    /// A chosen operation will not be completed.
    fn abandon(&self, chosen: Chosen);
}

impl<T> Handle for Sender<T> {
    fn choose(&self, here: Here, held: Option<Held<'_>>, _: *mut u8) -> Result<Chosen, Here> {
        self.shared.choose_send(here, held)
    }

    fn abandon(&self, chosen: Chosen) {
        self.shared.abandon(chosen);
    }
}

impl<T> Handle for Receiver<T> {
    fn layout(&self) -> Layout {
        Layout::new::<T>()
    }

    fn choose(&self, here: Here, held: Option<Held<'_>>, place: *mut u8) -> Result<Chosen, Here> {
        match &self.flavor {
            Flavor::Chan(shared) => shared.choose_recv(here, held, place.cast()),
            Flavor::Clocked(clocked, message) => {
                let Some(when) = clocked.take() else { return Err(here) };
                // SAFETY: ST1: reserved for a `T`
                unsafe { place.cast::<T>().write(message(when)) };
                Ok(Chosen::Taken)
            }
            Flavor::Never => Err(here),
        }
    }

    fn abandon(&self, _: Chosen) {}
}

/// What an operation waits for.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    Chan(Named<'a>),
    Clocked(&'a Clocked),
    Never,
}

/// An operation and its number. For the macros.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Op<'a> {
    pub(crate) handle: &'a dyn Handle,
    pub(crate) of: Of<'a>,
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
    /// Tries it: as [`Handle::choose`]. Where there is nothing, which is most often so, that is
    /// seen without a call.
    #[inline(always)]
    pub(crate) fn choose(&self, here: Here, place: *mut u8) -> Result<Chosen, Here> {
        let held = match self.of {
            Of::Chan(named) => {
                let mut held = named.head().lock(&here);
                let core = held.core();
                let may = if self.sends() { core.may_send() } else { core.may_recv() };
                if !may {
                    drop(held);
                    return Err(here);
                }
                Some(held)
            }
            Of::Clocked(_) => None,
            Of::Never => return Err(here),
        };
        self.handle.choose(here, held, place)
    }

    /// Whether it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        match self.of {
            Of::Chan(named) => named.head().is_ready(self.line(Purpose::Choose)),
            Of::Clocked(clocked) => clocked.is_due(),
            Of::Never => false,
        }
    }

    /// Links the entry with its channel; `None` if the operation is ready. Else when it becomes
    /// ready by itself, or [`OFF`]: a change of that wakes the select.
    #[inline]
    pub(crate) fn register(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) -> Option<i64> {
        match self.of {
            Of::Chan(named) => named.head().register(here, e, self.line(purpose)).then_some(OFF),
            Of::Clocked(clocked) => clocked.register(here, e),
            Of::Never => {
                e.on.set(NOBODY);
                Some(OFF)
            }
        }
    }

    /// Takes it out, if nobody has.
    #[inline]
    pub(crate) fn unregister(&self, here: &Here, e: &Entry<Wait>, purpose: Purpose) {
        match self.of {
            Of::Chan(named) => named.head().unregister(here, e, self.line(purpose)),
            Of::Clocked(clocked) => clocked.unregister(here, e),
            Of::Never => {}
        }
    }

    #[inline(always)]
    fn sends(&self) -> bool {
        self.message == Message::None
    }

    #[inline(always)]
    fn line(&self, purpose: Purpose) -> Line {
        match (self.sends(), purpose) {
            (false, Purpose::Choose) => Line::Recv,
            (true, Purpose::Choose) => Line::Send,
            (false, Purpose::Watch) => Line::RecvWatch,
            (true, Purpose::Watch) => Line::SendWatch,
        }
    }

    /// Where its entry's message is to go, if it has an entry before it has a message.
    #[inline]
    pub(crate) fn slot(&self, place: *mut u8) -> *mut u8 {
        if self.sends() { core::ptr::null_mut() } else { place }
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
    let of = match &r.flavor {
        Flavor::Chan(shared) => Of::Chan(Named::new(shared)),
        Flavor::Clocked(clocked, _) => Of::Clocked(clocked),
        Flavor::Never => Of::Never,
    };
    Op { handle: r, of, index: 0, message }
}

/// For the macros.
#[doc(hidden)]
pub fn send_op<T>(s: &Sender<T>) -> Op<'_> {
    Op { handle: s, of: Of::Chan(Named::new(&s.shared)), index: 0, message: Message::None }
}
