//! What an address on a stack belongs to.
//!
//! Go: stkframe.go `stkobjinit` records the layout that stack scanning needs. Here the same
//! registry answers the question a fault handler or a dump has: whose stack, guard or block is
//! this?

use super::{GUARD_BYTES, arena, g_address};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::m::M;

/// The kinds of stack there are.
#[derive(Clone, Copy)]
pub(crate) enum StackShape {
    /// Guard of a goroutine: an access means overflow.
    Guard(&'static G),
    /// A goroutine's stack.
    Goroutine(&'static G),
    /// A goroutine's control block or G.
    Block(&'static G),
    /// An M's scheduler stack.
    G0(&'static M),
    /// An M's signal stack.
    Gsignal(&'static M),
}

impl core::fmt::Display for StackShape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StackShape::Guard(g) => write!(f, "the guard below goroutine {}", g.goid.get()),
            StackShape::Goroutine(g) => write!(f, "the stack of goroutine {}", g.goid.get()),
            StackShape::Block(g) => write!(f, "the control block of goroutine {}", g.goid.get()),
            StackShape::G0(m) => write!(f, "the g0 stack of M {}", m.id.get()),
            StackShape::Gsignal(m) => write!(f, "the signal stack of M {}", m.id.get()),
        }
    }
}

static READY: AtomicU32 = AtomicU32::new(0);

/// From here on [`stack_of`] answers. Go: stkobjinit.
pub(crate) fn stkobjinit() {
    // ORDERING: pairs with stack_of
    READY.store(1, Ordering::Release);
}

/// Names the stack that `addr` is on; `None` for memory that is no stack of the runtime's.
/// Async-signal-safe: it takes no lock.
pub(crate) fn stack_of(addr: usize) -> Option<StackShape> {
    // ORDERING: pairs with stkobjinit
    if READY.load(Ordering::Acquire) == 0 {
        return None;
    }
    if let Some(found) = arena::slot_of(addr) {
        let gp = g_in_slot(g_address(found.base, found.index, found.class))?;
        // ORDERING: constant
        let hi = gp.stack_hi.load(Ordering::Relaxed);
        return Some(if addr < found.base + GUARD_BYTES {
            StackShape::Guard(gp)
        } else if addr < hi {
            StackShape::Goroutine(gp)
        } else {
            StackShape::Block(gp)
        });
    }
    crate::m::allm().find_map(|mp| {
        // ORDERING: constant once the thread runs
        let within = |lo: usize, hi: usize| lo != 0 && (lo..hi).contains(&addr);
        let g0 = within(
            mp.g0.stack_lo.load(Ordering::Relaxed), // ORDERING: constant once the thread runs
            mp.g0.stack_hi.load(Ordering::Relaxed), // ORDERING: constant once the thread runs
        );
        let sig = within(
            mp.gsignal_lo.load(Ordering::Relaxed), // ORDERING: constant once the thread runs
            mp.gsignal_hi.load(Ordering::Relaxed), // ORDERING: constant once the thread runs
        );
        match (g0, sig) {
            (true, _) => Some(StackShape::G0(mp)),
            (_, true) => Some(StackShape::Gsignal(mp)),
            _ => None,
        }
    })
}

#[allow(unsafe_code, reason = "ST1: a carved slot holds a G")]
fn g_in_slot(addr: usize) -> Option<&'static G> {
    // SAFETY: ST1: zeroed until malg writes the G; an all-zero G is a valid idle one.
    let gp = unsafe { &*(addr as *const G) };
    // ORDERING: constant once made
    (gp.stack_hi.load(Ordering::Acquire) != 0).then_some(gp)
}
