//! The one door to atomics: std's in a build, loom's under `cfg(loom)`.
//!
//! Everything a model checks imports from here and from nowhere else, so that the code a model
//! explores is the code that ships. [`mutated`] lets a model plant one named fault in it; outside
//! loom it is a constant `false` and leaves no trace.

#![allow(clippy::disallowed_types, reason = "this is the module that wraps std's atomics")]

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence,
};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// The cheap half of a store-load fence: the other side makes this thread's processor pass a full
/// one at some point between its own two halves (`membarrier`). For loom, which knows no other
/// thread's fences, it is a full one.
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
    #[cfg(not(loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Defines a constructor that is `const` in a build and plain under loom, whose atomics register
/// themselves with the model when they are made.
macro_rules! const_unless_loom {
    ($(#[$m:meta])* $v:vis fn $name:ident($($a:ident: $t:ty),*) -> $r:ty $b:block) => {
        $(#[$m])* #[cfg(not(loom))] $v const fn $name($($a: $t),*) -> $r $b
        $(#[$m])* #[cfg(loom)] $v fn $name($($a: $t),*) -> $r $b
    };
}
pub(crate) use const_unless_loom;

/// Whether the model now running planted the fault called `name`.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn mutated(_name: &str) -> bool {
    false
}
#[cfg(loom)]
pub(crate) use crate::models::mutated;

/// An atomic `Option<&'static T>`.
///
/// # Invariants
/// * `AR1`: the pointer is null or came from a `&'static T`. G, M, P are never freed (DESIGN §7),
///   so a reference to one is `'static`, and this type is how the scheduler stores them without
///   unsafe.
#[cfg(not(loom))]
pub(crate) struct AtomicRef<T: 'static>(AtomicPtr<T>);

#[cfg(not(loom))]
impl<T: 'static> AtomicRef<T> {
    pub(crate) const fn none() -> Self {
        AtomicRef(AtomicPtr::new(core::ptr::null_mut()))
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> Option<&'static T> {
        as_static(self.0.load(order))
    }

    /// Relaxed load: for fields whose owner alone writes them.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&'static T> {
        // ORDERING: owner-only field, see the field's comment
        self.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn store(&self, v: Option<&'static T>, order: Ordering) {
        self.0.store(as_ptr(v), order);
    }

    /// Relaxed store: for fields whose owner alone writes them.
    #[inline(always)]
    pub(crate) fn set(&self, v: Option<&'static T>) {
        // ORDERING: owner-only field, see the field's comment
        self.store(v, Ordering::Relaxed);
    }

    /// AcqRel compare-and-swap; whether it happened.
    pub(crate) fn compare_exchange(
        &self,
        old: Option<&'static T>,
        new: Option<&'static T>,
    ) -> bool {
        self.0
            // ORDERING: the caller names what it pairs with
            .compare_exchange(as_ptr(old), as_ptr(new), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// A pointer that [`as_ptr`] made from a reference, with bits in its lowest places.
pub(crate) struct Tagged<T: 'static>(pub(crate) *mut T);

impl<T: 'static> Clone for Tagged<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Tagged<T> {}

// SAFETY: AR1: it is the reference, which may be sent.
#[allow(unsafe_code, reason = "AR1: a `&'static T`")]
unsafe impl<T: Sync + 'static> Send for Tagged<T> {}

/// The raw form of an optional static reference.
#[inline(always)]
pub(crate) fn as_ptr<T: 'static>(v: Option<&'static T>) -> *mut T {
    v.map_or(core::ptr::null_mut(), |r| core::ptr::from_ref(r).cast_mut())
}

/// The reference that [`as_ptr`] made the pointer from.
#[allow(unsafe_code, reason = "AR1: the one place that turns a stored G, M or P back")]
#[inline(always)]
pub(crate) fn as_static<T: 'static>(p: *mut T) -> Option<&'static T> {
    // SAFETY: AR1: null, or made from a `&'static T` by `as_ptr`.
    unsafe { p.as_ref() }
}

/// A counter or word that one owner writes and others may read for diagnosis: plain moves.
#[cfg(not(loom))]
#[derive(Default)]
pub(crate) struct Word(AtomicU64);

#[cfg(not(loom))]
impl Word {
    pub(crate) const fn new(v: u64) -> Self {
        Word(AtomicU64::new(v))
    }
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // ORDERING: single writer; readers want a recent value, not an order
        self.0.load(Ordering::Relaxed)
    }
    #[inline(always)]
    pub(crate) fn set(&self, v: u64) {
        // ORDERING: single writer; readers want a recent value, not an order
        self.0.store(v, Ordering::Relaxed);
    }
    /// Adds without an atomic read-modify-write: the owner is the only writer.
    #[inline(always)]
    pub(crate) fn bump(&self) -> u64 {
        let v = self.get().wrapping_add(1);
        self.set(v);
        v
    }
}
