//! `check`: what the runtime takes for granted, tried out.
//!
//! Go: runtime1.go `check`. Sizes and offsets are compile-time assertions; atomics, NaN, the switch
//! and the futex are tried.

#![allow(unsafe_code, reason = "tries the context switch")]

use crate::arch::fsgs::Access;
use crate::arch::switch;
use crate::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::g::G;
use crate::m::M;
use crate::sys::signal;
use core::mem::{MaybeUninit, offset_of};

const _: () = {
    assert!(size_of::<usize>() == 8 && size_of::<*const u8>() == 8 && size_of::<u32>() == 4);
    assert!(size_of::<Option<&'static G>>() == 8, "AtomicRef stores a reference as a pointer");
    assert!(cfg!(target_endian = "little"));
    assert!(offset_of!(M, me) == 0, "gs:[0] is the M");
    assert!(align_of::<M>() >= 4, "p/owner.rs uses the low bits of an M's address");
    assert!(size_of::<G>() <= 256, "stack/mod.rs counts on a small G");
};

/// Throws when the machine does not do what the code relies on.
pub(crate) fn check() {
    check_atomics();
    check_nan();
    check_switch();
}

fn check_atomics() {
    let z = AtomicU32::new(1);
    // ORDERING: one thread
    let cas = |from, to| z.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if !cas(1, 2) || z.load(Ordering::SeqCst) != 2 {
        crate::throw::throw("cas1");
    }
    if cas(5, 6) || z.load(Ordering::SeqCst) != 2 {
        crate::throw::throw("cas3");
    }
    z.store(u32::MAX, Ordering::SeqCst); // ORDERING: one thread
    if !cas(u32::MAX, u32::MAX - 1) {
        crate::throw::throw("cas5");
    }
    let w = AtomicU64::new(1 << 40);
    // ORDERING: one thread
    if w.fetch_add(1, Ordering::SeqCst) != 1 << 40 || w.swap(7, Ordering::SeqCst) != (1 << 40) + 1 {
        crate::throw::throw("xadd64 or xchg64 failed");
    }
    // ORDERING: one thread
    if z.fetch_or(0xf0, Ordering::SeqCst) & z.fetch_and(0x0f, Ordering::SeqCst) == 0 {
        crate::throw::throw("atomicor8 or atomicand8");
    }
}

fn check_nan() {
    let nan = core::hint::black_box(f64::from_bits(u64::MAX));
    let other = core::hint::black_box(f64::from_bits(u64::MAX - 1));
    let same = core::hint::black_box(nan);
    if nan == same || nan == other || !nan.is_nan() {
        crate::throw::throw("float64nan");
    }
}

/// The contexts of the two sides.
static PEER: AtomicUsize = AtomicUsize::new(0);
static BACK: AtomicUsize = AtomicUsize::new(0);

/// `peer` runs on it, for a few frames.
#[repr(align(16))]
struct PeerStack([MaybeUninit<u8>; 1024]);

/// There and back through the real switch: the values live in callee-saved registers over it, and
/// the stack is aligned on both sides.
fn check_switch() {
    let mut stack = PeerStack([MaybeUninit::uninit(); 1024]);
    let top = stack.0.as_mut_ptr_range().end as usize;
    let frame = top - 104; // 8 above a multiple of 16 after the ret, as at a call
    // A context whose return address is `peer`: seven words of registers below it are zero.
    // SAFETY: `stack` is this function's, and aligned.
    unsafe { (frame as *mut [usize; 8]).write([0x37f_0000_1f80, 0, 0, 0, 0, 0, 0, PEER_PC()]) };
    PEER.store(frame, Ordering::Relaxed); // ORDERING: one thread
    let (a, b, c) = core::hint::black_box((11usize, 13usize, 17usize));
    // A library's process may have handlers already. There is no room for a signal on `stack`, and
    // what lies below it is this function's.
    let mask = signal::block_all();
    // SAFETY: SW1: the context was just made; FS stays.
    unsafe { switch::switch(BACK.as_ptr(), frame, 0, Access::Instructions) };
    signal::set_mask(mask);
    if core::hint::black_box(a * b * c) != 2431 {
        crate::throw::throw("check: the context switch lost a register");
    }
}

#[allow(non_snake_case, reason = "reads like the constant it is")]
fn PEER_PC() -> usize {
    peer as *const () as usize
}

/// Entered by the switch's `ret` as if called: checks its alignment and goes back.
extern "C" fn peer() {
    let aligned = core::hint::black_box(0u128);
    if !core::ptr::from_ref(&aligned).addr().is_multiple_of(16) {
        crate::throw::throw("check: the stack is not aligned after a switch");
    }
    // SAFETY: SW1: check_switch waits there; this context is never continued.
    unsafe {
        switch::switch(
            PEER.as_ptr(),
            BACK.load(Ordering::Relaxed), // ORDERING: one thread
            0,
            Access::Instructions,
        );
    }
}
