//! Initialisation that happens once. std: `sync::Once`; Go: `sync.Once`.

use super::owner::Owner;
use super::raw::once::{Begin, COMPLETE, OnceWord, POISONED, Poison};
use crate::g::WaitReason;
use crate::sched::wait::Why;
use crate::sema::Sema;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// Runs a closure once, whoever comes first; the others wait until it is done.
///
/// std: [`std::sync::Once`]; Go: `sync.Once`. A closure that calls the same `Once` again waits for
/// itself, for ever.
#[repr(C)]
pub struct Once {
    /// Who runs the closure. OW2
    owner: Owner,
    word: OnceWord,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// What [`Once::call_once_force`] tells its closure. std: [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Whether an earlier closure panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}

/// Ends what was begun, also when the closure unwinds.
struct Finish<'a> {
    once: &'a Once,
    state: u32,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.once.owner.clear();
        self.once.word.finish(&Sema, self.state);
    }
}

impl Once {
    /// One whose closure has not run.
    #[allow(clippy::new_without_default, reason = "std's has no Default either")]
    pub const fn new() -> Once {
        Once { owner: Owner::new(), word: OnceWord::new() }
    }

    pub(super) const fn completed() -> Once {
        Once { owner: Owner::new(), word: OnceWord::complete() }
    }

    /// Runs `f` unless a closure has run; returns when one is done.
    ///
    /// # Panics
    /// If an earlier closure panicked.
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.word.is_complete() {
            self.call("Once", Poison::Minds, |_| f());
        }
    }

    /// The same, also if an earlier closure panicked.
    #[inline]
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.word.is_complete() {
            self.call("Once", Poison::Ignores, f);
        }
    }

    #[cold]
    #[track_caller]
    pub(super) fn call(&self, what: &str, poison: Poison, f: impl FnOnce(&OnceState)) {
        match self.word.begin(&Sema, self.why(), poison) {
            Begin::Done => {}
            Begin::Poisoned => panic!("{what} instance has previously been poisoned"),
            Begin::Run { poisoned } => {
                let mut finish = Finish { once: self, state: POISONED };
                self.owner.set(Location::caller());
                f(&OnceState { poisoned });
                finish.state = COMPLETE;
            }
        }
    }

    fn why(&self) -> Why {
        Why { reason: WaitReason::OnceDo, on: core::ptr::from_ref(self) as usize }
    }

    /// Whether a closure has run to its end.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.word.is_complete()
    }

    /// Whether a closure panicked and none has run to its end since.
    pub(super) fn is_poisoned(&self) -> bool {
        self.word.is_poisoned()
    }

    /// Waits until a closure has run to its end.
    ///
    /// # Panics
    /// If one panicked.
    pub fn wait(&self) {
        if !self.word.is_complete() && !self.word.wait(&Sema, self.why(), Poison::Minds) {
            panic!("Once instance has previously been poisoned");
        }
    }

    /// The same, also if one panicked: waits for the next.
    pub fn wait_force(&self) {
        self.word.wait(&Sema, self.why(), Poison::Ignores);
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}
