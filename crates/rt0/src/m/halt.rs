//! Holding a thread still to look at its stack.
//!
//! A dump asks, then signals. The thread's handler leaves three registers here and waits until the
//! dump lets it go; it does nothing else, so it may have been interrupted anywhere. What is looked
//! at cannot change meanwhile, and the one who looks needs no help.
//!
//! ```text
//!            ask                accept (handler)
//!   IDLE ------------> ASKED ---------------------> HALTED
//!    ^  <------------    |                             |
//!    |      cancel                                     |
//!    +-------------------------------------------------+
//!                        release
//! ```
//! # Invariants
//! * `HA1`: one asker at a time: who moved IDLE to ASKED moves it back, by `cancel` or `release`.
//! * `HA2`: the registers are written by the thread itself, in ASKED, and read in HALTED.

use crate::atomic::{AtomicU32, AtomicUsize, Ordering, const_unless_loom, fence, mutated};

const IDLE: u32 = 0;
pub(crate) const ASKED: u32 = 1;
pub(crate) const HALTED: u32 = 2;

pub(crate) struct Halt {
    state: AtomicU32,            // HA1
    registers: [AtomicUsize; 3], // HA2: pc, sp, bp
}

impl Halt {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Halt {
                state: AtomicU32::new(IDLE),
                registers: [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)],
            }
        }
    }

    /// Asks; the signal comes after. False: somebody else is at it.
    pub(crate) fn ask(&self) -> bool {
        // ORDERING: pairs with release of the last asker
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let asked = self.state.compare_exchange(IDLE, ASKED, order.0, order.1).is_ok();
        if !mutated("halt.ask") {
            fence(Ordering::SeqCst); // ORDERING: pairs with is_asked; then the thread is read
        }
        asked
    }

    /// The thread's handler: leaves the registers. False: nobody asked, or no longer.
    pub(crate) fn accept(&self, registers: [usize; 3]) -> bool {
        // ORDERING: pairs with ask
        if self.state.load(Ordering::Acquire) != ASKED {
            return false;
        }
        if mutated("halt.accept") {
            let asked =
                self.state.compare_exchange(ASKED, HALTED, Ordering::AcqRel, Ordering::Relaxed);
            self.leave(registers);
            return asked.is_ok();
        }
        self.leave(registers);
        // ORDERING: pairs with registers
        self.state.compare_exchange(ASKED, HALTED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn leave(&self, registers: [usize; 3]) {
        for (word, value) in self.registers.iter().zip(registers) {
            word.store(value, Ordering::Relaxed); // ORDERING: published by the state
        }
    }

    /// Whether the thread has to stay.
    pub(crate) fn is_halted(&self) -> bool {
        // ORDERING: pairs with release: who reads the registers has done so
        let order = if mutated("halt.stay") { Ordering::Relaxed } else { Ordering::Acquire };
        self.state.load(order) == HALTED
    }

    /// Whether somebody asks, of who has just become the M's thread and has said so: the signal may
    /// have gone to the one before. Else the asker sees who it is now.
    pub(crate) fn is_asked(&self) -> bool {
        fence(Ordering::SeqCst); // ORDERING: pairs with ask
        self.state.load(Ordering::Acquire) == ASKED // ORDERING: the same
    }

    /// Its registers, once it waits.
    pub(crate) fn registers(&self) -> Option<[usize; 3]> {
        // ORDERING: pairs with accept
        if self.state.load(Ordering::Acquire) != HALTED {
            return None;
        }
        // ORDERING: after the state, which accept published them by
        Some([0, 1, 2].map(|i| self.registers[i].load(Ordering::Relaxed)))
    }

    /// The asker has waited long enough. False: the thread has halted after all.
    pub(crate) fn cancel(&self) -> bool {
        // ORDERING: nothing was published
        self.state.compare_exchange(ASKED, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The asker lets the thread go on.
    pub(crate) fn release(&self) {
        // ORDERING: pairs with is_halted and ask: the stack is not looked at any more
        self.state.store(IDLE, Ordering::Release);
    }

    /// The handler, let go, stays all the same: the process ends.
    #[cfg(not(loom))]
    pub(crate) fn stay(&self) {
        self.state.store(HALTED, Ordering::Release); // ORDERING: pairs with registers
    }

    /// What both sides sleep on: the state.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.state
    }
}
