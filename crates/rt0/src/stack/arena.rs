//! Address space for slots.
//!
//! Arenas of one class each, reserved without commitment and never given back. The first is small
//! and later ones grow to 1 GiB, so that a process under RLIMIT_AS or overcommit_memory=2 gets as far
//! as it can and then a clear error.
//!
//! Guards are page-table markers (Linux 6.13, MADV_GUARD_INSTALL); before that, mprotect, which costs
//! two of the process's 65,530 mappings a stack: near that limit a warning says so.

#![allow(unsafe_code, reason = "MM1: guards fresh memory")]

use super::{Class, GUARD_BYTES};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::sys::mem::{self, Guard};
use crate::sys::stderr::rtprint;
use std::io;

const FIRST_BYTES: usize = 16 << 20;
const MOST_BYTES: usize = 1 << 30;
const MAX_ARENAS: usize = 4096;

/// An arena, readable from signal handlers.
struct Arena {
    base: AtomicUsize,
    bytes: AtomicUsize,
    class: AtomicU32,
    carved: AtomicUsize,
}

static ARENAS: [Arena; MAX_ARENAS] = [const {
    Arena {
        base: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        class: AtomicU32::new(0),
        carved: AtomicUsize::new(0),
    }
}; MAX_ARENAS];

struct Arenas {
    count: usize,
    /// Which arena each class carves from now, plus one.
    current: [usize; Class::COUNT],
    /// How large the class's next arena is to be.
    next_bytes: [usize; Class::COUNT],
    guard: Guard,
    mprotected: usize,
    warned: bool,
}

static STATE: RtMutex<Arenas> = RtMutex::new(
    Rank::StackArena,
    Arenas {
        count: 0,
        current: [0; Class::COUNT],
        next_bytes: [FIRST_BYTES; Class::COUNT],
        guard: Guard::Marker,
        mprotected: 0,
        warned: false,
    },
);

/// A carved slot.
pub(crate) struct Slot {
    pub(crate) base: usize,
    pub(crate) index: usize,
}

/// Part of stackinit: the small class serves only the runtime's own few goroutines.
pub(crate) fn init() {
    STATE.lock().next_bytes[Class::SMALL.index()] = 16 * Class::SMALL.bytes();
}

/// The next slot of a class, guarded.
pub(crate) fn carve(class: Class) -> io::Result<Slot> {
    let _pin = crate::sched::pin();
    let (slot, kind) = take(class).map_err(|e| no_space(class, e))?;
    // SAFETY: MM1: the slot is new; nobody uses it.
    let got = unsafe { mem::guard(slot.base, GUARD_BYTES, kind) };
    match got {
        Ok(got) if got == kind && kind == Guard::Marker => Ok(slot),
        Ok(got) => {
            count_mprotect(got);
            Ok(slot)
        }
        Err(e) => Err(io::Error::new(
            io::Error::from(e).kind(),
            format!(
                "rt0: cannot guard a goroutine's stack (errno={}): the process has reached \
                 vm.max_map_count; raise it (sysctl vm.max_map_count=1048576) or run Linux 6.13 or \
                 later, which needs no mapping for a guard",
                e.raw_os_error()
            ),
        )),
    }
}

fn take(class: Class) -> Result<(Slot, Guard), rustix::io::Errno> {
    let mut st = STATE.lock();
    if st.current[class.index()] == 0 {
        reserve(&mut st, class)?;
    }
    let arena = &ARENAS[st.current[class.index()] - 1];
    // ORDERING: under the lock
    let index = arena.carved.load(Ordering::Relaxed);
    let base = arena.base.load(Ordering::Relaxed) + index * class.bytes(); // ORDERING: as above
    arena.carved.store(index + 1, Ordering::Release); // ORDERING: pairs with slot_of
    // ORDERING: under the lock
    if (index + 2) * class.bytes() > arena.bytes.load(Ordering::Relaxed) {
        st.current[class.index()] = 0;
    }
    Ok((Slot { base, index }, st.guard))
}

/// Reserves the class's next arena, smaller if the kernel refuses, down to one slot.
fn reserve(st: &mut Arenas, class: Class) -> Result<(), rustix::io::Errno> {
    if st.count == MAX_ARENAS {
        return Err(rustix::io::Errno::NOMEM);
    }
    let mut bytes = st.next_bytes[class.index()].max(class.bytes());
    let base = loop {
        match mem::reserve(bytes) {
            Ok(base) => break base,
            Err(e) if bytes / 2 < class.bytes() => return Err(e),
            Err(_) => bytes /= 2,
        }
    };
    if bytes <= FIRST_BYTES || crate::boot::osinit::phys_huge_page_size() != 0 {
        mem::no_huge_pages(base, bytes);
    }
    st.next_bytes[class.index()] = (bytes * 4).min(MOST_BYTES);
    let arena = &ARENAS[st.count];
    // ORDERING: published by `base`, stored last
    arena.bytes.store(bytes, Ordering::Relaxed);
    arena.class.store(class.index() as u32, Ordering::Relaxed); // ORDERING: as above
    arena.base.store(base, Ordering::Release); // ORDERING: pairs with slot_of
    st.count += 1;
    st.current[class.index()] = st.count;
    Ok(())
}

fn no_space(class: Class, e: rustix::io::Errno) -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!(
            "rt0: cannot reserve {} bytes of address space for a goroutine's stack (errno={}): \
             RLIMIT_AS (ulimit -v) or vm.overcommit_memory=2 leaves no room; raise the limit, or give \
             goroutines smaller stacks with Builder::stack_size",
            class.bytes(),
            e.raw_os_error()
        ),
    )
}

/// The kernel has no markers: from now on guards cost mappings, and near the limit we say so.
fn count_mprotect(got: Guard) {
    let mut st = STATE.lock();
    st.guard = got;
    st.mprotected += 1;
    if st.warned || !st.mprotected.is_multiple_of(1024) {
        return;
    }
    let mut buf = [0u8; 24];
    let text = crate::sys::proc::read_small(c"/proc/sys/vm/max_map_count", &mut buf);
    let limit = crate::sys::proc::parse_digits(text).unwrap_or(65_530) as usize;
    if st.mprotected * 2 > limit / 10 * 9 {
        st.warned = true;
        rtprint!(
            "rt0: warning: {} goroutine stacks use {} of {limit} mappings (vm.max_map_count); \
             goroutines beyond that will fail\n",
            st.mprotected,
            st.mprotected * 2
        );
    }
}

/// What a slot is, for whoever has an address in it.
pub(crate) struct Found {
    pub(crate) base: usize,
    pub(crate) index: usize,
    pub(crate) class: Class,
}

/// The carved slot that `addr` lies in. Async-signal-safe.
pub(crate) fn slot_of(addr: usize) -> Option<Found> {
    for arena in &ARENAS {
        // ORDERING: pairs with reserve
        let base = arena.base.load(Ordering::Acquire);
        if base == 0 {
            return None;
        }
        // ORDERING: published by base
        let bytes = arena.bytes.load(Ordering::Relaxed);
        if !(base..base + bytes).contains(&addr) {
            continue;
        }
        let class = Class::from_index(arena.class.load(Ordering::Relaxed)); // ORDERING: as above
        let index = (addr - base) / class.bytes();
        // ORDERING: pairs with take
        if index >= arena.carved.load(Ordering::Acquire) {
            return None;
        }
        return Some(Found { base: base + index * class.bytes(), index, class });
    }
    None
}
