//! Stacks: slots that hold a goroutine's stack, its thread control block and its G.
//!
//! Go: stack.go `stackinit`, `stackalloc`, proc.go `malg`. Stacks never move (DESIGN D2): a slot is
//! reserved address space, and only what a goroutine touches costs memory.
//!
//! ```text
//!  base                                                                              base + bytes
//!   | guard 20 KiB | stack: grows down <------- hi | static TLS | struct pthread | G | colour |
//! ```
//! The colour shifts G and block by up to 15 cache lines: without it the hot lines of all
//! goroutines would share one set of the first-level cache. And slots are a page more than a power
//! of two apart, for the same reason a level up: the pages of all goroutines would share a few sets
//! of the TLB, and a hundred goroutines would not find theirs there. The page is the guard's.
//!
//! # Invariants
//! * `ST1`: slots are never unmapped; the G and the block in one live as long as the process.
//! * `ST2`: a slot's stack memory is used by the goroutine that owns the G (GS1), and by nobody
//!   when it is dead.

pub(crate) mod arena;
pub(crate) mod cache;
pub(crate) mod names;
pub(crate) mod overflow;

use crate::atomic::Ordering;
use crate::g::{G, Status, allgadd};
use crate::sys::mem::PAGE;
use crate::tls::{tcb, template::Template};
use arena::{NoSlot, Slot};
use std::io;

/// Bytes below a stack that fault. C code may have frames larger than a page and no probes. One
/// page more than is asked of it: see the colour.
pub(crate) const GUARD_BYTES: usize = 20 << 10;
/// What a dead goroutine's stack may keep in memory.
pub(crate) const KEEP_BYTES: usize = 16 << 10;
const SMALLEST: usize = 64 << 10;
const LARGEST: usize = 1 << 30;
const COLOURS: usize = 16;

/// A size of stacks: 64 KiB << n, up to 1 GiB, with block, G and all but a page of the guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class(u32);

impl Class {
    pub(crate) const COUNT: usize = 15;
    pub(crate) const SMALL: Class = Class(0);
    /// 256 KiB.
    pub(crate) const DEFAULT: Class = Class(2);

    pub(crate) const fn bytes(self) -> usize {
        SMALLEST << self.0
    }

    /// From one slot to the next: an odd number of pages.
    pub(crate) const fn slot_bytes(self) -> usize {
        const { assert!((SMALLEST / PAGE).is_multiple_of(2)) };
        self.bytes() + PAGE
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(i: u32) -> Class {
        Class(i.min(Class::COUNT as u32 - 1))
    }

    /// The smallest class of at least `bytes`.
    pub(crate) fn for_bytes(bytes: usize) -> io::Result<Class> {
        if bytes > LARGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("rt0: stack_size({bytes}): the largest goroutine stack is 1 GiB"),
            ));
        }
        let n = bytes.max(SMALLEST).next_power_of_two() / SMALLEST;
        Ok(Class(n.trailing_zeros()))
    }
}

/// Go: stackinit. The tables are static; what can fail at boot is the first reservation, and
/// runtime.main's stack makes it.
pub(crate) fn stackinit() {
    arena::init();
}

/// A new G with stack and, given a template, a block. Go: malg. In user context: it allocates.
pub(crate) fn malg(class: Class, template: Option<&Template>) -> Result<&'static G, NoSlot> {
    if class == Class::DEFAULT
        && let Some(t) = template
        && let Some(gp) = malg_batch(t)?
    {
        return Ok(gp);
    }
    make(&arena::carve(class)?, class, template)
}

/// Goroutine 1's, on a stack of RLIMIT_STACK. It has an arena of its own, for few programs have
/// another as large: then it lies just below the libraries, and shares their page table.
pub(crate) fn malg_first() -> Result<&'static G, NoSlot> {
    let class = main_class();
    if class != Class::DEFAULT {
        arena::begin_with_one(class);
    }
    malg(class, None)
}

/// As many as a batch of slots holds: one, and the others to the cache. `None`: no batch now.
fn malg_batch(t: &Template) -> Result<Option<&'static G>, NoSlot> {
    let class = Class::DEFAULT;
    // The word below the stack's end is the first to be used.
    let used = |slot: &Slot| place(slot, class, Some(t)).map_or(slot.base, |at| at.hi - 1);
    let Some([first, others @ ..]) = arena::carve_batch(class, used)? else { return Ok(None) };
    let gp = make(&first, class, Some(t))?;
    let mut made = [None; arena::BATCH - 1];
    let all = others.iter().zip(&mut made).try_for_each(|(slot, place)| {
        *place = Some(make(slot, class, Some(t))?);
        Ok(())
    });
    {
        let _pin = crate::tls::pin::pin();
        cache::put_clean(made.into_iter().flatten());
    }
    all?;
    Ok(Some(gp))
}

/// Where things lie in a slot.
struct Layout {
    g: usize,
    /// 0 without a template.
    block: usize,
    lo: usize,
    hi: usize,
}

fn place(slot: &Slot, class: Class, template: Option<&Template>) -> Result<Layout, NoSlot> {
    let g = g_address(slot.base, slot.index, class);
    let lo = slot.base + GUARD_BYTES;
    let Some(t) = template else { return Ok(Layout { g, block: 0, lo, hi: g & !63 }) };
    let block = (g - t.sym.pthread_size) & !(t.sym.static_align - 1);
    let hi = (block - t.below()) & !63;
    if hi < lo + (8 << 10) {
        return Err(NoSlot::TooSmall);
    }
    Ok(Layout { g, block, lo, hi })
}

#[allow(unsafe_code, reason = "carves up a slot that nobody else has")]
fn make(slot: &Slot, class: Class, template: Option<&Template>) -> Result<&'static G, NoSlot> {
    let Layout { g, block, lo, hi } = place(slot, class, template)?;
    // SAFETY: ST1, ST2: inside the new slot, aligned, written once.
    unsafe { (g as *mut G).write(G::new()) };
    // SAFETY: ST1: just written, never freed.
    let gp: &'static G = unsafe { &*(g as *const G) };
    if let Some(t) = template {
        // SAFETY: TB1: fresh, zeroed, and room on both sides by the layout.
        unsafe { tcb::build(t, block, lo, hi - lo) };
        gp.fs.store(block, Ordering::Relaxed); // ORDERING: GS2
        gp.tcb_fresh.store(1, Ordering::Relaxed); // ORDERING: GS2
        crate::g::set_prefetch(g - block + crate::tls::getg_below(t), g - hi + 64);
    }
    gp.parker.belongs_to(gp);
    // ORDERING: GS2, all four
    gp.stack_lo.store(lo, Ordering::Relaxed);
    gp.stack_hi.store(hi, Ordering::Relaxed);
    gp.stackguard0.store(lo, Ordering::Relaxed);
    gp.stackguard1.store(lo, Ordering::Relaxed);
    gp.stack_class.store(class.0, Ordering::Relaxed); // ORDERING: GS2
    gp.casgstatus(Status::Idle, Status::Dead);
    let _pin = crate::tls::pin::pin();
    allgadd(gp);
    Ok(gp)
}

/// The usable stack: lowest address and upper end.
pub(crate) fn bounds(gp: &G) -> (usize, usize) {
    // ORDERING: constant
    (gp.stack_lo.load(Ordering::Relaxed), gp.stack_hi.load(Ordering::Relaxed))
}

/// Where the G of a slot lies.
fn g_address(base: usize, index: usize, class: Class) -> usize {
    let colour = (index % COLOURS) * 64;
    (base + class.slot_bytes() - colour - size_of::<G>()) & !63
}

/// Readies the block of a dead goroutine for the next one.
#[allow(unsafe_code, reason = "the goroutine is dead and owned by the caller")]
pub(crate) fn recycle(gp: &'static G, t: &Template) {
    // ORDERING: GS2
    if gp.goid.get() != 0 {
        // SAFETY: TB2: dead goroutines have retired their block.
        unsafe { tcb::recycle(t, gp.fs.load(Ordering::Relaxed)) };
    }
}

/// Numbers the goroutine: its id, and its block's thread id.
#[allow(unsafe_code, reason = "the goroutine has not been queued")]
pub(crate) fn number(gp: &'static G, t: Option<&Template>, goid: u64) {
    gp.goid.set(goid);
    if let Some(t) = t {
        let tcb = gp.fs.load(Ordering::Relaxed); // ORDERING: GS2
        // SAFETY: TB2: built by malg or recycled, and not queued since.
        unsafe { tcb::set_tid(t, tcb, goid) };
    }
}

/// The size of a goroutine's stack: the limit that an overflow names.
pub(crate) fn limit_bytes(gp: &G) -> usize {
    // ORDERING: constant
    Class::from_index(gp.stack_class.load(Ordering::Relaxed)).bytes()
}

/// A stack that the runtime itself needs cannot be had.
pub(crate) fn out_of_stacks(e: &NoSlot) -> ! {
    crate::throw::fatal_with(format_args!("{e}"), "out of memory (stack allocation)")
}

/// The class for goroutine 1: RLIMIT_STACK, as a main thread would have.
pub(crate) fn main_class() -> Class {
    const UNLIMITED: u64 = 8 << 20;
    let soft = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    let bytes = soft.unwrap_or(UNLIMITED).min(64 << 20) as usize;
    Class::for_bytes(bytes.max(Class::DEFAULT.bytes())).unwrap_or(Class::DEFAULT)
}

/// The pages of a dead goroutine's stack that lie `keep` bytes or more below its top.
pub(crate) fn trimmable(gp: &G, keep: usize) -> (usize, usize) {
    // ORDERING: constant
    let lo = gp.stack_lo.load(Ordering::Relaxed);
    if gp.baton.is_thread() {
        return (lo, 0); // it may not have left it yet, and has done so itself
    }
    let hi = gp.stack_hi.load(Ordering::Relaxed); // ORDERING: constant
    let end = hi.saturating_sub(keep) & !(PAGE - 1);
    (lo, end.saturating_sub(lo))
}
