//! The beginning of a channel, which is the same whatever its messages are: the lock, and what it
//! decides by. All that a wait needs, and what a select that finds nothing needs.
//!
//! # Invariants
//! * `HE1`: a [`Head`] is the beginning of a `Shared`, which checks the offsets.
//!
//! # Safety
//! SH1 of shared.rs: `core` is touched between `lock` and the drop of what that returns.

#![allow(unsafe_code, reason = "SH1, HE1: the lock, and the part of the channel below it")]

use super::core::{Core, Line};
use super::here::Here;
use super::lock::Lock;
use super::place;
use super::queue::Entry;
use super::shared::Shared;
use crate::g::parker::Wait;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::offset_of;

#[repr(C)]
pub(crate) struct Head {
    lock: Lock,
    core: UnsafeCell<Core<Wait>>, // SH1
}

impl Head {
    pub(crate) const CORE_AT: usize = offset_of!(Head, core);

    pub(crate) fn of<T>(shared: &Shared<T>) -> &Head {
        // SAFETY: HE1
        unsafe { &*core::ptr::from_ref(shared).cast::<Head>() }
    }

    /// Inside [`Here`].
    #[inline(always)]
    pub(crate) fn lock(&self, _here: &Here) -> Held<'_> {
        self.lock.lock();
        Held(self)
    }

    /// Of who has locked it otherwise, and leaves it to this.
    #[inline(always)]
    pub(crate) fn locked(&self) -> Held<'_> {
        Held(self)
    }

    /// What reports call the channel.
    #[inline(always)]
    pub(crate) fn name(&self) -> usize {
        place::name(core::ptr::from_ref(self).addr())
    }

    /// Whether an operation would not wait, and its entry's line is this.
    fn can(core: &Core<Wait>, line: Line, own: Option<Wait>) -> bool {
        match line {
            Line::Recv | Line::RecvWatch => core.can_recv(own),
            Line::Send | Line::SendWatch => core.can_send(own),
        }
    }

    pub(crate) fn is_ready(&self, line: Line) -> bool {
        let here = Here::enter();
        Head::can(self.lock(&here).core(), line, None)
    }

    /// Links the entry of a select; false if its operation is ready.
    #[inline]
    pub(crate) fn register(&self, here: &Here, e: &Entry<Wait>, line: Line) -> bool {
        let mut held = self.lock(here);
        if Head::can(held.core(), line, Some(e.wait)) {
            return false;
        }
        e.on.set(self.name());
        // SAFETY: QU1: the select unregisters before it returns
        unsafe { held.link(here, line, e) };
        true
    }

    /// Takes it out, if nobody has. The wait is over.
    #[inline]
    pub(crate) fn unregister(&self, here: &Here, e: &Entry<Wait>, line: Line) {
        // SAFETY: register linked it here
        unsafe { self.lock(here).core().queue(line).remove(e) };
    }
}

/// SH1: the lock, held, and what it protects but for messages.
pub(crate) struct Held<'a>(&'a Head);

impl<'a> Held<'a> {
    #[inline(always)]
    pub(crate) fn core(&mut self) -> &mut Core<Wait> {
        // SAFETY: SH1
        unsafe { &mut *self.0.core.get() }
    }

    #[inline(always)]
    pub(crate) fn head(&self) -> &'a Head {
        self.0
    }

    /// Links the entry of one who has to wait, unlocks, and wakes those who watch for it.
    ///
    /// # Safety
    /// QU1 for the entry.
    #[inline(always)]
    pub(crate) unsafe fn link(mut self, here: &Here, line: Line, entry: &Entry<Wait>) {
        // SAFETY: the caller's contract
        let chain = unsafe { self.core().wait(line, entry) };
        drop(self);
        chain.wake_each(|w| here.wake(w));
    }
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}

/// A [`Head`], kept as the channel's name: an address that is not taken for a handle (place.rs).
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    name: *const u8,
    head: PhantomData<&'a Head>,
}

impl<'a> Named<'a> {
    #[inline(always)]
    pub(crate) fn new<T>(shared: &'a Shared<T>) -> Self {
        let at = core::ptr::from_ref(shared).cast::<u8>();
        Named { name: at.wrapping_add(place::name(0)), head: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn head(self) -> &'a Head {
        // SAFETY: HE1: made of a `Shared` that is borrowed for `'a`
        unsafe { &*self.name.wrapping_sub(place::name(0)).cast::<Head>() }
    }
}
