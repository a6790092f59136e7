//! A channel as one of the things that a select waits for.
//!
//! A select chooses an operation first and moves the message afterwards: the message of a send does
//! not exist before its operation is chosen. Receiving is done with the choice. A chosen send is
//! [`Chosen::Reserved`] (a place in the buffer is kept for it), [`Chosen::Paired`] (a receiver was
//! claimed and waits for it) or [`Chosen::Plain`] (sending never waits here); it ends in
//! [`Shared::complete`] or in [`Shared::abandon`], which lets others have what was kept.
//!
//! # Safety
//! As in shared.rs: SH1 to SH3.

#![allow(unsafe_code, reason = "SH2, SH3, QU1: as in shared.rs")]

use super::core::{Receiving, Sending};
use super::head::Held;
use super::here::Here;
use super::queue::{Chain, Claimed, Outcome};
use super::shared::{Patience, Refused, Shared};
use crate::g::parker::Wait;
use core::mem::ManuallyDrop;

/// What a select chose, and what its operation still has to do.
pub(crate) enum Chosen {
    /// Received.
    Taken,
    Closed,
    Reserved,
    Paired(Claimed<Wait>),
    Plain,
}

impl<T> Shared<T> {
    /// Receives to `dst` if that needs no waiting.
    pub(crate) fn choose_recv(
        &self,
        here: Here,
        held: Option<Held<'_>>,
        dst: *mut T,
    ) -> Result<Chosen, Here> {
        let _spent; // freed after leaving
        let here = here;
        let mut inner = self.lock_unless(held, &here);
        let mut chain = Chain::new();
        match inner.core.recv(&mut chain) {
            Receiving::Buffered(sender) => {
                _spent = self.take_buffered(inner, &here, dst, sender);
                chain.wake_each(|w| here.wake(w));
                Ok(Chosen::Taken)
            }
            Receiving::From(sender) => {
                drop(inner);
                match self.take_from(here, dst, sender) {
                    Outcome::Done => Ok(Chosen::Taken),
                    _ => Err(Here::enter()),
                }
            }
            Receiving::Closed => Ok(Chosen::Closed),
            Receiving::Empty => {
                drop(inner);
                Err(here)
            }
        }
    }

    /// Chooses to send if that will need no waiting.
    pub(crate) fn choose_send(&self, here: Here, held: Option<Held<'_>>) -> Result<Chosen, Here> {
        let mut inner = self.lock_unless(held, &here);
        match inner.core.send() {
            Sending::To(receiver) => Ok(Chosen::Paired(receiver)),
            Sending::Room if self.capacity().is_none() => Ok(Chosen::Plain),
            Sending::Room => {
                inner.core.reserve();
                Ok(Chosen::Reserved)
            }
            Sending::Closed => Ok(Chosen::Closed),
            Sending::Full => {
                drop(inner);
                Err(here)
            }
        }
    }

    /// The message of a chosen send; it comes back if the channel is closed.
    pub(crate) fn complete(&self, chosen: Chosen, msg: T) -> Result<(), T> {
        if let Chosen::Plain = chosen {
            return self.send(msg, &Patience::None).map_err(|(_, msg)| msg);
        }
        let mut msg = ManuallyDrop::new(msg);
        let src = (&raw mut msg).cast();
        let done = match chosen {
            Chosen::Paired(receiver) => self.deliver(&Here::enter(), src, receiver),
            Chosen::Reserved => self.send_reserved(src),
            _ => Err(Refused::Closed),
        };
        // SH3: on an error it is still this frame's.
        done.map_err(|_| ManuallyDrop::into_inner(msg))
    }

    fn send_reserved(&self, src: *mut T) -> Result<(), Refused> {
        let here = Here::enter();
        let mut inner = self.lock(&here);
        match inner.core.send_reserved() {
            Sending::To(receiver) => {
                drop(inner);
                self.deliver(&here, src, receiver)
            }
            Sending::Room => {
                self.buffer(inner, &here, src);
                Ok(())
            }
            Sending::Closed | Sending::Full => Err(Refused::Closed),
        }
    }

    /// A chosen send will not happen.
    pub(crate) fn abandon(&self, chosen: Chosen) {
        let here = Here::enter();
        match chosen {
            Chosen::Paired(receiver) => here.wake(receiver.finish(Outcome::Retry)),
            Chosen::Reserved => self.unreserve(&here),
            Chosen::Taken | Chosen::Closed | Chosen::Plain => {}
        }
    }

    fn unreserve(&self, here: &Here) {
        let mut inner = self.lock(here);
        let len = inner.core.len();
        let mut chain = Chain::new();
        match inner.core.unreserve(&mut chain) {
            Some(sender) if sender.slot().is_null() => {
                drop(inner);
                here.wake(sender.finish(Outcome::Reserved));
            }
            Some(sender) => {
                // SAFETY: SH2; the place that was kept
                unsafe { inner.buf.push_from(sender.slot().cast(), len) };
                drop(inner);
                here.wake(sender.finish(Outcome::Done));
            }
            None => drop(inner),
        }
        chain.wake_each(|w| here.wake(w));
    }
}
