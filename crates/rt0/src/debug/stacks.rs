//! The stack of a goroutine as it is at one moment, taken from outside.
//!
//! Go: traceback.go `traceback1`, preempt.go `suspendG`. Where a goroutine's registers are depends
//! on what it does:
//!
//! * parked, or queued: in its saved context, on its stack. A preempted one too: the walk goes
//!   through the trampoline (arch/x86_64/preempt.rs).
//! * in a marked call: it left a place to walk from before it went (`G::set_place`). Its thread is
//!   not signalled, for that would end calls that the kernel does not restart.
//! * running: in its thread, which is held meanwhile (halted.rs).
//!
//! # Invariants
//! * `TK1`: nobody but the last dump stops anything else. What is read from a context that somebody
//!   continues meanwhile is thrown away: the status and `g.contexts` are the same before and after,
//!   and they are read in the order of `G::next_context`.
//! * `TO1`: a tool has one user, who took it by `BUSY` or made it.
//! * `TK2`: memory of stacks stays mapped, so reading one that is in use is nonsense at worst.

#![allow(unsafe_code, reason = "TK2: reads contexts that may be in use")]

use super::frame::{Frame, Registers};
use super::halted;
use super::print::Texts;
use super::symbols::Symboliser;
use super::unwind::{Rules, Walk};
use crate::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
use crate::g::{G, Place, Status};
use crate::sys::{mem, nanotime};

/// Frames at either end of a stack that are kept. Go: tracebackInnerFrames, tracebackOuterFrames.
const KEPT: usize = 50;

/// The frames of a stack, or as many as there is room for.
#[derive(Clone, Copy)]
pub(super) struct Stack {
    /// The innermost, then a ring of the outermost.
    frames: [Frame; 2 * KEPT],
    seen: usize,
}

impl Stack {
    fn take(&mut self, walk: Walk<'_>) {
        self.seen = 0;
        for frame in walk {
            let at = match self.seen {
                n if n < 2 * KEPT => n,
                n => KEPT + n % KEPT,
            };
            self.frames[at] = frame;
            self.seen += 1;
        }
    }

    /// The innermost frames, as many as `to` has room for; how many that is.
    pub(super) fn copy_to(&self, to: &mut [Frame]) -> usize {
        let n = self.seen.min(to.len()).min(2 * KEPT);
        to[..n].copy_from_slice(&self.frames[..n]);
        n
    }

    /// A stack of these frames, the innermost first.
    pub(super) fn copy_from(&mut self, frames: &[Frame]) {
        self.seen = frames.len().min(2 * KEPT);
        self.frames[..self.seen].copy_from_slice(&frames[..self.seen]);
    }

    /// The innermost frames, how many are left out, and the outermost.
    pub(super) fn parts(&self) -> (&[Frame], usize, impl Iterator<Item = &Frame>) {
        let n = self.seen;
        let inner = &self.frames[..n.min(2 * KEPT)];
        if n <= 2 * KEPT {
            return (inner, 0, [].iter().chain(&[]));
        }
        let ring = &self.frames[KEPT..];
        let (newer, older) = ring.split_at(n % KEPT);
        (&inner[..KEPT], n - 2 * KEPT, older.iter().chain(newer))
    }
}

/// What one dump works with: large, in a mapping of its own, all zero when new. So nothing in it
/// is, or has, a reference.
pub(super) struct Tool {
    rules: Rules,
    pub(super) names: Symboliser,
    pub(super) texts: Texts,
    pub(super) stack: Stack,
}

/// The tool that most dumps share, for what it remembers; and whether it is in use.
static SHARED: AtomicPtr<Tool> = AtomicPtr::new(core::ptr::null_mut());
static BUSY: AtomicBool = AtomicBool::new(false);

/// A tool in one user's hands.
pub(super) struct Taken {
    tool: *mut Tool,
    is_shared: bool,
}

/// Never waits: while the shared one is in use others get their own. `None`: no memory.
pub(super) fn tool() -> Option<Taken> {
    // ORDERING: pairs with Taken's drop
    let is_shared = !BUSY.swap(true, Ordering::Acquire);
    let known = if is_shared { SHARED.load(Ordering::Relaxed) } else { core::ptr::null_mut() };
    if !known.is_null() {
        return Some(Taken { tool: known, is_shared });
    }
    let Some(room) = mem::fresh::<Tool>() else {
        if is_shared {
            BUSY.store(false, Ordering::Release); // ORDERING: nothing was written
        }
        return None;
    };
    let tool = room.as_mut_ptr();
    if is_shared {
        SHARED.store(tool, Ordering::Relaxed); // ORDERING: published by BUSY
    }
    Some(Taken { tool, is_shared })
}

/// Where the shared one is.
pub(super) fn shared() -> Option<core::ops::Range<usize>> {
    let at = SHARED.load(Ordering::Relaxed).addr(); // ORDERING: an address, nothing is read there
    (at != 0).then(|| at..at + size_of::<Tool>())
}

/// One of its own for the last report: whoever had the shared one may be held.
pub(super) fn private() -> Option<Taken> {
    let tool = mem::fresh::<Tool>()?.as_mut_ptr();
    Some(Taken { tool, is_shared: false })
}

impl Taken {
    pub(super) fn get(&mut self) -> &mut Tool {
        // SAFETY: TO1: all zero bytes are a Tool, and this is its only user.
        unsafe { &mut *self.tool }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_shared {
            BUSY.store(false, Ordering::Release); // ORDERING: pairs with tool
        } else {
            // SAFETY: MM1: a mapping of this user's only.
            unsafe { mem::release(self.tool as usize, size_of::<Tool>()) };
        }
    }
}

/// What was found out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The stack is the goroutine's, of one moment.
    Taken,
    /// Nothing is known: its thread did not answer, or it changed too often.
    Unknown,
    /// It has ended.
    Gone,
}

/// How long all threads together that do not answer may delay one dump.
pub(super) struct Patience {
    left_ns: i64,
}

impl Patience {
    pub(super) fn new() -> Self {
        Patience { left_ns: 2_000_000_000 }
    }

    /// After `n` tries: the thread may be between two goroutines, and has to get further before it
    /// is held again.
    fn pause(&mut self, n: usize) {
        let ns = 50_000 << (n / 10).min(5);
        halted::pause(ns);
        self.left_ns -= ns;
    }

    /// Of one who has other things to do.
    pub(super) fn short() -> Self {
        Patience { left_ns: 1_000_000 }
    }
}

/// How often a goroutine may change while it is looked at.
const TRIES: usize = 100;

impl Tool {
    /// The running code's own stack, from `at` on. `end`: as `Walk::new` has it.
    pub(super) fn own(&mut self, at: Registers, end: usize) {
        let walk = Walk::new(&mut self.rules, at, end, true);
        self.stack.take(walk);
    }

    /// The stack of `gp`, which is not the running goroutine. `look` reads what else is wanted of
    /// the same moment.
    pub(super) fn goroutine(
        &mut self,
        gp: &'static G,
        patience: &mut Patience,
        mut look: impl FnMut(&'static G, u32),
    ) -> Outcome {
        let mut last = Outcome::Gone;
        for n in 0..TRIES {
            // ORDERING: the fences here
            let contexts = gp.contexts.load(Ordering::Relaxed);
            fence(Ordering::Acquire); // ORDERING: pairs with next_context
            let (status, id) = (gp.status(), gp.goid.get());
            last = self.look_once(gp, status, patience);
            look(gp, status);
            let same = is_in_state(gp, status, contexts) && gp.goid.get() == id;
            if same && last != Outcome::Unknown {
                return last;
            }
            if patience.left_ns <= 0 || halted::is_frozen() {
                break;
            }
            if last == Outcome::Unknown {
                patience.pause(n);
            }
        }
        self.stack.seen = 0;
        if last == Outcome::Gone { last } else { Outcome::Unknown }
    }

    /// The stack of a goroutine that was seen in this state. False if it is in another by now, or
    /// its thread does not answer.
    pub(super) fn in_state(&mut self, gp: &'static G, status: u32, contexts: u32) -> bool {
        let outcome = self.look_once(gp, status, &mut Patience::short());
        outcome == Outcome::Taken && is_in_state(gp, status, contexts)
    }

    /// The same for one that runs and whose thread sleeps in the kernel at `pc` and `sp`. It is not
    /// woken to look at rbp, so the walk ends at a frame that needs it.
    pub(super) fn asleep(&mut self, gp: &'static G, pc: usize, sp: usize) {
        self.stack.seen = 0;
        let (lo, hi) = crate::stack::bounds(gp);
        if (lo..hi).contains(&sp) {
            let walk = Walk::new(&mut self.rules, Registers { pc, sp, bp: 0 }, hi, true);
            self.stack.take(walk);
        }
    }

    fn look_once(&mut self, gp: &'static G, status: u32, patience: &mut Patience) -> Outcome {
        self.stack.seen = 0;
        let is = |s: Status| status == s as u32;
        if is(Status::Dead) || is(Status::Idle) {
            return Outcome::Gone;
        }
        if is(Status::Running) {
            return self.running(gp, patience);
        }
        let (lo, hi) = crate::stack::bounds(gp);
        let stays = is(Status::Syscall) || gp.baton.is_thread();
        let at = gp.sched.load(Ordering::Relaxed); // ORDERING: TK1
        if at < lo || at + crate::arch::switch::CONTEXT_BYTES > hi || !at.is_multiple_of(8) {
            return Outcome::Unknown;
        }
        let [pc, sp, bp] = if stays {
            // SAFETY: TK2: within the stack; a Place, or nonsense. Volatile: it may be in use.
            unsafe { (at as *const Place).read_volatile() }
        } else {
            // SAFETY: TK2: within the stack.
            unsafe { crate::arch::switch::saved(at) }
        };
        if (lo..hi).contains(&sp) {
            let registers = Registers { pc, sp, bp };
            // Where it went into a call it executes; where it parked it returns to.
            self.stack.take(Walk::new(&mut self.rules, registers, hi, stays));
        }
        Outcome::Taken
    }

    fn running(&mut self, gp: &'static G, patience: &mut Patience) -> Outcome {
        // ORDERING: a hint; the M's curg decides when it is held
        let Some(mp) = gp.m.load(Ordering::Relaxed) else { return Outcome::Unknown };
        let curg = || mp.curg.load(Ordering::Relaxed); // ORDERING: the thread is held
        let is_its = || curg().is_some_and(|g| core::ptr::eq(g, gp));
        if let Some(registers) = halted::frozen_registers(mp).filter(|_| halted::is_frozen()) {
            self.stack.take(Walk::new(&mut self.rules, registers, 0, true));
            return Outcome::Taken;
        }
        if halted::is_frozen() {
            return Outcome::Unknown;
        }
        let _pin = crate::tls::pin::pin();
        let start = nanotime();
        let held = halted::hold(mp, start + patience.left_ns);
        let Some(held) = held else {
            patience.left_ns -= nanotime() - start;
            return Outcome::Unknown;
        };
        if !is_its() || !is_of(held.registers.sp, gp) {
            return Outcome::Unknown;
        }
        self.stack.take(Walk::new(&mut self.rules, held.registers, 0, true));
        Outcome::Taken
    }
}

/// Whether what was read before is of the context in which the goroutine was seen so (TK1).
pub(super) fn is_in_state(gp: &'static G, status: u32, contexts: u32) -> bool {
    fence(Ordering::Acquire); // ORDERING: what was read before the second look
    let same = gp.status() == status;
    fence(Ordering::Acquire); // ORDERING: the status before the number
    // ORDERING: the fences here
    same && gp.contexts.load(Ordering::Relaxed) == contexts
}

/// Whether a thread that has `gp` as its goroutine is there, and not still on the stack that it
/// switches from: the scheduler's, or that of the goroutine before. Signal stacks are nobody's.
fn is_of(sp: usize, gp: &'static G) -> bool {
    use crate::stack::names::{StackShape, stack_of};
    match stack_of(sp) {
        Some(StackShape::Goroutine(on)) => core::ptr::eq(on, gp),
        Some(StackShape::Gsignal(_)) | None => true,
        Some(StackShape::Guard(_) | StackShape::Block(_) | StackShape::G0(_)) => false,
    }
}
