//! Who holds a P: one word that the holder checks with plain loads and sysmon changes by CAS.
//!
//! Go keeps this in `p.status`, `m.p` and the G's scan bit, and asks the goroutine to stop before
//! it takes its P. Here sysmon may also take the P of a goroutine that runs or blocks outside the
//! runtime without asking (DESIGN D3, D4): the goroutine goes on without a P and takes one at its
//! next runtime call.
//!
//! ```text
//!                 acquire                      enter_syscall
//!     IDLE ------------------> RUNNING(m) <---------------------> SYSCALL(m)
//!      ^  <------------------   |   ^            exit_syscall         |
//!      |        release   claim |   | unclaim (sysmon) or             |
//!      |                        v   | reclaim (the M itself)          |
//!      +------------------- CLAIMED(m)                                |
//!      |    take                                                      |
//!      +--------------------------------------------------------------+
//!                               retake_syscall
//! ```
//! SYSCALL(m) has a bit by which sysmon asks the goroutine to let others run when its call returns:
//! `ask` sets it, `exit_syscall` and `retake_syscall` clear it.
//!
//! The M's way into the runtime is: raise `m.locks`; see RUNNING(m); use the P. Sysmon's way is:
//! CLAIM; barrier; see `m.locks == 0`; take. The M's half is a store and a load without a fence, so
//! sysmon's barrier is the kernel's (`membarrier`, or a context switch: sched/barrier.rs).
//! Exactly one of the two CASes that leave CLAIMED succeeds. Sysmon's way is
//! [`Owner::take_outside`].
//!
//! # Invariants
//! * `PO1`: RUNNING(m) and SYSCALL(m) name the M whose `m.p` is this P; nobody else writes m.p.
//! * `PO2`: whoever moved the word to IDLE owns the P until it stores RUNNING again.

use crate::atomic::{AtomicUsize, Ordering, const_unless_loom, mutated};

/// Tag of a P whose M is in a system call.
const SYSCALL: usize = 1;
/// Tag of a P that sysmon is about to take.
const CLAIMED: usize = 2;
/// Beside SYSCALL: others shall run when the call returns.
const ASKED: usize = 4;
const IDLE: usize = 0;

/// What became of the P during a system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is the M's still.
    Kept,
    /// The same, but others shall run now.
    Asked,
    /// It was taken.
    Lost,
}

/// The owner word. `m` is the M's address: at least 8-aligned and not null.
pub(crate) struct Owner(AtomicUsize);

impl Owner {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Owner(AtomicUsize::new(IDLE))
        }
    }

    /// By the one who took the P off the idle list, or took it from another M (PO2).
    pub(crate) fn acquire(&self, m: usize) {
        // ORDERING: pairs with the Acquire side of every CAS below
        self.0.store(m, Ordering::Release);
    }

    /// By the holder: gives the P up. False if sysmon took it first.
    pub(crate) fn release(&self, m: usize) -> bool {
        loop {
            // ORDERING: pairs with acquire of the next holder, through sched.lock
            match self.0.compare_exchange(m, IDLE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(w) if w == m | CLAIMED => {
                    if self.reclaim(m) {
                        continue;
                    }
                    return false;
                }
                Err(_) => return false,
            }
        }
    }

    /// The M's check at the door of the runtime: a plain load.
    #[inline(always)]
    pub(crate) fn is(&self, m: usize) -> bool {
        // ORDERING: after the raise of m.locks, see the head of this file
        self.0.load(Ordering::Relaxed) == m
    }

    /// The M found the word changed: it takes the P back from a claim that is not finished. True if
    /// the P is its own, also where sysmon let go by itself.
    ///
    /// What the failed CAS saw decides. A second load could see the next claim, and the M would
    /// forget a P that sysmon, which sees `m.locks`, leaves with it.
    pub(crate) fn reclaim(&self, m: usize) -> bool {
        // ORDERING: pairs with take
        match self.0.compare_exchange(m | CLAIMED, m, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) if mutated("owner.reclaim") => self.is(m),
            Err(seen) => seen == m,
        }
    }

    /// By the holder on its way into a system call.
    pub(crate) fn enter_syscall(&self, m: usize) {
        // ORDERING: pairs with retake_syscall: the P's queues are in order when it is taken
        if cfg!(loom) {
            // A claim succeeds on the word before this store, so it comes before it in the word's
            // history. Loom does not conclude that for a plain store, and lets `take` see the claim
            // although it was overwritten; for a swap it does.
            self.0.swap(m | SYSCALL, Ordering::Release);
        } else {
            self.0.store(m | SYSCALL, Ordering::Release);
        }
    }

    /// By the M on its way out.
    #[inline]
    pub(crate) fn exit_syscall(&self, m: usize) -> Exit {
        if mutated("owner.exit_syscall") {
            let mine = self.0.load(Ordering::Acquire) == m | SYSCALL;
            self.0.store(m, Ordering::Release);
            return if mine { Exit::Kept } else { Exit::Lost };
        }
        // ORDERING: pairs with retake_syscall
        match self.0.compare_exchange(m | SYSCALL, m, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Exit::Kept,
            Err(seen) if seen == m | SYSCALL | ASKED => self.exit_asked(m),
            Err(_) => Exit::Lost,
        }
    }

    /// Sysmon may take what it has asked for.
    #[cold]
    fn exit_asked(&self, m: usize) -> Exit {
        if mutated("owner.exit_asked") {
            self.0.store(m, Ordering::Release);
            return Exit::Asked;
        }
        let asked = m | SYSCALL | ASKED;
        // ORDERING: pairs with retake_syscall
        match self.0.compare_exchange(asked, m, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Exit::Asked,
            Err(_) => Exit::Lost,
        }
    }

    /// Sysmon: others shall run when the call returns.
    pub(crate) fn ask(&self, m: usize) {
        let (old, new) = (m | SYSCALL, m | SYSCALL | ASKED);
        // ORDERING: hands nothing over; it continues the release sequence of enter_syscall
        let _ = self.0.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Sysmon, a stopper, or an M that has work for it: takes the P of an M in a system call.
    pub(crate) fn retake_syscall(&self, m: usize) -> bool {
        if mutated("owner.retake") {
            self.0.store(IDLE, Ordering::Release);
            return true;
        }
        [m | SYSCALL, m | SYSCALL | ASKED].into_iter().any(|word| {
            // ORDERING: pairs with enter_syscall
            self.0.compare_exchange(word, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Sysmon, or a stopper: takes the P if its M is outside the runtime. One at a time: the
    /// barrier must lie after this claim, and the M may have taken the P back from an earlier one.
    ///
    /// `barrier` makes the M's CPU pass a full fence, or says that it cannot; `in_runtime` looks at
    /// `m.locks`.
    pub(crate) fn take_outside(
        &self,
        m: usize,
        barrier: impl FnOnce() -> bool,
        in_runtime: impl FnOnce() -> bool,
    ) -> bool {
        if !self.claim(m) {
            return false;
        }
        let passed = mutated("owner.barrier") || barrier();
        if !passed || in_runtime() && !mutated("owner.look") {
            self.unclaim(m);
            return false;
        }
        self.take(m)
    }

    /// Step 1: says that the P is wanted.
    fn claim(&self, m: usize) -> bool {
        // ORDERING: SeqCst; the barrier between this and the look at m.locks follows
        self.0.compare_exchange(m, m | CLAIMED, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Step 2, when the M was outside the runtime: takes it. False if the M was faster.
    fn take(&self, m: usize) -> bool {
        if mutated("owner.take") {
            self.0.store(IDLE, Ordering::Release);
            return true;
        }
        // ORDERING: pairs with reclaim
        self.0.compare_exchange(m | CLAIMED, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Step 2, when the M was inside the runtime: lets go. The M may have done so itself.
    fn unclaim(&self, m: usize) {
        // ORDERING: nothing was touched in between
        let _ = self.0.compare_exchange(m | CLAIMED, m, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The address of the M in the word, whatever its state.
    pub(crate) fn holder(&self) -> Option<usize> {
        // ORDERING: a hint; the CAS that follows decides
        match self.0.load(Ordering::Relaxed) & !(SYSCALL | CLAIMED | ASKED) {
            0 => None,
            m => Some(m),
        }
    }

    /// Whether the holder is in a system call, for sysmon and reports.
    pub(crate) fn in_syscall(&self) -> bool {
        // ORDERING: a hint; retake_syscall decides
        self.0.load(Ordering::Relaxed) & SYSCALL != 0
    }
}
