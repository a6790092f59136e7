//! Address space for slots.
//!
//! Arenas of one class each, reserved without commitment and never given back. The first is small
//! and later ones grow to 1 GiB, so that a process under RLIMIT_AS or overcommit_memory=2 gets as
//! far as it can and then a clear error.
//!
//! Guards are page-table markers (Linux 6.13, MADV_GUARD_INSTALL); before that, mprotect, which
//! costs two of the process's 65,530 mappings a stack: near that limit a warning says so. Such old
//! kernels have to be told as well that huge pages are not wanted here.
//!
//! A program with many goroutines gets slots by the batch: one system call for their guards and one
//! for the pages that will be touched first, instead of a call and two page faults for each.

#![allow(unsafe_code, reason = "MM1: guards fresh memory")]

use super::{Class, GUARD_BYTES};
use crate::atomic::{AtomicUsize, Ordering};
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::malloc::{Table, immortal};
use crate::sys::mem::{self, AdviseAll, Guard};
use crate::sys::stderr::rtprint;
use core::fmt;
use std::io;

const FIRST_BYTES: usize = 16 << 20;
const MOST_BYTES: usize = 1 << 30;
const MAX_ARENAS: usize = 4096;
/// Mappings left to the rest of the process when guards cost some.
const SPARE_MAPPINGS: usize = 2048;
/// Address space left to the rest of the process: the last of it would be spent on stacks, and then
/// the error that says so could not be printed.
const SPARE_BYTES: usize = 64 << 20;

/// An arena, readable from signal handlers.
struct Arena {
    base: usize,
    bytes: usize,
    class: Class,
    carved: AtomicUsize,
}

static ARENAS: Table<Arena> = Table::new(Rank::ArenaTable);

struct Arenas {
    count: usize,
    /// Which arena each class carves from now.
    current: [Option<&'static Arena>; Class::COUNT],
    /// How large the class's next arena is to be.
    next_bytes: [usize; Class::COUNT],
    guard: Guard,
    mprotected: usize,
    max_map_count: usize,
    reserved_bytes: usize,
    warned: bool,
    /// The kernel can advise several ranges at once.
    batches: bool,
}

static STATE: RtMutex<Arenas> = RtMutex::new(
    Rank::StackArena,
    Arenas {
        count: 0,
        current: [None; Class::COUNT],
        next_bytes: [FIRST_BYTES; Class::COUNT],
        guard: Guard::Marker,
        mprotected: 0,
        max_map_count: 0,
        reserved_bytes: 0,
        warned: false,
        batches: true,
    },
);

/// A carved slot.
pub(crate) struct Slot {
    pub(crate) base: usize,
    pub(crate) index: usize,
}

/// Part of stackinit: the small class serves only the runtime's own few goroutines.
pub(crate) fn init() {
    let mut st = STATE.lock();
    st.next_bytes[Class::SMALL.index()] = 16 * Class::SMALL.bytes();
    if crate::debug::vars::get().stackguard.get() == 1 {
        st.guard = Guard::Mprotect;
    }
}

/// The class's first arena is for one slot.
pub(super) fn begin_with_one(class: Class) {
    STATE.lock().next_bytes[class.index()] = class.bytes();
}

/// The next slot of a class, guarded.
pub(crate) fn carve(class: Class) -> Result<Slot, NoSlot> {
    let _pin = crate::tls::pin::pin();
    carve_pinned(class)
}

/// Why there is no slot. Not an `io::Error` yet, for that allocates, and this is made in the
/// runtime too.
pub(crate) enum NoSlot {
    Space(Class, rustix::io::Errno),
    Mapping(i32),
    /// The block does not fit.
    TooSmall,
}

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSlot::Space(class, e) => write!(
                f,
                "rt0: cannot reserve {} bytes of address space for a goroutine's stack (errno={}): \
                 RLIMIT_AS (ulimit -v) or vm.overcommit_memory=2 leaves no room; raise the limit, \
                 or give goroutines smaller stacks with Builder::stack_size",
                class.bytes(),
                e.raw_os_error()
            ),
            NoSlot::Mapping(errno) => write!(
                f,
                "rt0: cannot guard a goroutine's stack (errno={errno}): the process has no \
                 mappings left; raise vm.max_map_count (sysctl vm.max_map_count=1048576) or run \
                 Linux 6.13 or later, which needs no mapping for a guard"
            ),
            NoSlot::TooSmall => {
                f.write_str("rt0: the program's thread-local variables do not fit this stack size")
            }
        }
    }
}

impl From<NoSlot> for io::Error {
    /// In user context: it allocates.
    fn from(why: NoSlot) -> io::Error {
        let kind = match why {
            NoSlot::TooSmall => io::ErrorKind::InvalidInput,
            NoSlot::Space(..) | NoSlot::Mapping(_) => io::ErrorKind::OutOfMemory,
        };
        io::Error::new(kind, why.to_string())
    }
}

fn carve_pinned(class: Class) -> Result<Slot, NoSlot> {
    let (slot, kind) = take(class).map_err(|e| NoSlot::Space(class, e))?;
    guard(&slot, kind)?;
    Ok(slot)
}

fn guard(slot: &Slot, kind: Guard) -> Result<(), NoSlot> {
    if kind == Guard::Mprotect {
        count_mprotect()?;
    }
    // SAFETY: MM1: the slot is new; nobody uses it.
    match unsafe { mem::guard(slot.base, GUARD_BYTES, kind) } {
        Ok(got) => {
            if got != kind {
                STATE.lock().guard = got;
                // A kernel that has markers would know by itself.
                each(mem::no_huge_pages);
            }
            Ok(())
        }
        Err(e) => Err(NoSlot::Mapping(e.raw_os_error())),
    }
}

fn take(class: Class) -> Result<(Slot, Guard), rustix::io::Errno> {
    let mut st = STATE.lock();
    let arena = match st.current[class.index()] {
        Some(arena) => arena,
        None => reserve(&mut st, class)?,
    };
    Ok((take_reserved(&mut st, arena, 1), st.guard))
}

/// The first of the next `n` slots of its class's arena, which has as many.
fn take_reserved(st: &mut Arenas, arena: &Arena, n: usize) -> Slot {
    let class = arena.class;
    // ORDERING: under the lock
    let index = arena.carved.load(Ordering::Relaxed);
    arena.carved.store(index + n, Ordering::Release); // ORDERING: pairs with slot_of
    if (index + n + 1) * class.slot_bytes() > arena.bytes {
        st.current[class.index()] = None;
    }
    Slot { base: arena.base + index * class.slot_bytes(), index }
}

/// Slots that are carved together.
pub(crate) const BATCH: usize = 16;

/// Several slots, guarded, with pages from `used` of each slot to its end. `None`: they have to be
/// carved one by one, as in a program that has few.
pub(crate) fn carve_batch(
    class: Class,
    used: impl Fn(&Slot) -> usize,
) -> Result<Option<[Slot; BATCH]>, NoSlot> {
    let _pin = crate::tls::pin::pin();
    let Some((first, kind)) = take_batch(class) else { return Ok(None) };
    let slots = core::array::from_fn(|i| Slot {
        base: first.base + i * class.slot_bytes(),
        index: first.index + i,
    });
    let guards = slots.each_ref().map(|slot| [slot.base, GUARD_BYTES]);
    // SAFETY: MM1: the slots are new; nobody uses them.
    if !unsafe { mem::advise_all(&guards, AdviseAll::Guard) } {
        STATE.lock().batches = false;
        slots.iter().try_for_each(|slot| guard(slot, kind))?;
        return Ok(Some(slots));
    }
    let pages = slots.each_ref().map(|slot| {
        let from = used(slot) & !(mem::PAGE - 1);
        [from, slot.base + class.slot_bytes() - from]
    });
    // Where the kernel refuses, the first touch makes them.
    // SAFETY: MM1: the slots are new; nobody uses them.
    unsafe { mem::advise_all(&pages, AdviseAll::Populate) };
    Ok(Some(slots))
}

fn take_batch(class: Class) -> Option<(Slot, Guard)> {
    let mut st = STATE.lock();
    let arena = st.current[class.index()]?;
    if !st.batches || st.guard != Guard::Marker {
        return None;
    }
    // ORDERING: under the lock
    let room = arena.bytes / class.slot_bytes() - arena.carved.load(Ordering::Relaxed);
    // The first arena of the default class holds as many as are few.
    let many = st.next_bytes[class.index()] > 4 * FIRST_BYTES;
    (many && room >= BATCH).then(|| (take_reserved(&mut st, arena, BATCH), st.guard))
}

/// Reserves the class's next arena, smaller if the kernel refuses, down to one slot.
fn reserve(st: &mut Arenas, class: Class) -> Result<&'static Arena, rustix::io::Errno> {
    if st.count == MAX_ARENAS {
        return Err(rustix::io::Errno::NOMEM);
    }
    let wanted = (st.next_bytes[class.index()] / class.bytes()).max(1);
    let mut slots = wanted;
    let (base, bytes) = loop {
        let bytes = slots * class.slot_bytes();
        match mem::reserve_stacks(bytes) {
            Ok(base) if slots == wanted || spare_is_left(st) => break (base, bytes),
            Ok(base) => {
                // SAFETY: MM1: just made, handed to nobody.
                unsafe { mem::release(base, bytes) };
                return Err(rustix::io::Errno::NOMEM);
            }
            Err(e) if slots == 1 => return Err(e),
            Err(_) => slots /= 2,
        }
    };
    st.reserved_bytes += bytes;
    if st.guard == Guard::Mprotect {
        mem::no_huge_pages(base, bytes);
    }
    st.next_bytes[class.index()] = (slots * class.bytes() * 4).min(MOST_BYTES);
    let arena = immortal(Arena { base, bytes, class, carved: AtomicUsize::new(0) });
    ARENAS.push(arena);
    st.count += 1;
    st.current[class.index()] = Some(arena);
    Ok(arena)
}

/// Whether `SPARE_BYTES` could still be mapped. Not asked of a process that is small itself.
fn spare_is_left(st: &Arenas) -> bool {
    if st.reserved_bytes < SPARE_BYTES {
        return true;
    }
    let Ok(base) = mem::reserve(SPARE_BYTES) else { return false };
    // SAFETY: MM1: just made, handed to nobody.
    unsafe { mem::release(base, SPARE_BYTES) };
    true
}

/// The kernel has no markers: guards cost mappings. Near the limit we say so, and what the rest of
/// the process needs (threads, malloc, an error's report) is left alone.
fn count_mprotect() -> Result<(), NoSlot> {
    let mut st = STATE.lock();
    if st.max_map_count == 0 {
        let mut buf = [0u8; 24];
        let text = crate::sys::proc::read_small(c"/proc/sys/vm/max_map_count", &mut buf);
        st.max_map_count = crate::sys::proc::parse_digits(text).unwrap_or(65_530) as usize;
    }
    let (used, limit) = (2 * (st.mprotected + 1), st.max_map_count);
    if used + SPARE_MAPPINGS > limit {
        return Err(NoSlot::Mapping(rustix::io::Errno::NOMEM.raw_os_error()));
    }
    st.mprotected += 1;
    if !st.warned && used > limit / 10 * 9 {
        st.warned = true;
        rtprint!(
            "rt0: warning: the guards of goroutine stacks use {used} of {limit} mappings \
             (vm.max_map_count); soon no more goroutines can be made\n"
        );
    }
    Ok(())
}

/// Calls `f` with each arena: where it is and how long. Async-signal-safe.
pub(crate) fn each(mut f: impl FnMut(usize, usize)) {
    ARENAS.iter().for_each(|arena| f(arena.base, arena.bytes));
}

/// What a slot is, for whoever has an address in it.
pub(crate) struct Found {
    pub(crate) base: usize,
    pub(crate) index: usize,
    pub(crate) class: Class,
}

/// The carved slot that `addr` lies in. Async-signal-safe.
pub(crate) fn slot_of(addr: usize) -> Option<Found> {
    let Arena { base, class, carved, .. } =
        ARENAS.iter().find(|a| (a.base..a.base + a.bytes).contains(&addr))?;
    let index = (addr - base) / class.slot_bytes();
    // ORDERING: pairs with take_reserved
    let is_carved = index < carved.load(Ordering::Acquire);
    is_carved.then(|| Found { base: base + index * class.slot_bytes(), index, class: *class })
}
