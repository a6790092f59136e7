//! The switch alone, between two contexts that no scheduler knows: what the benchmarks count.
//!
//! # Safety
//! * `BA1`: both contexts run in turn on one thread, whose M's count of locks is raised: nothing
//!   preempts or moves it, and the stack looked at is never other than the goroutine's or `stack`.

#![allow(unsafe_code, reason = "BA1: two contexts")]

use super::fsgs::Access;
use super::switch::switch;
use core::arch::naked_asm;
use core::cell::Cell;

/// The stack of the other context; of this type it is aligned as a stack must be.
pub(crate) type Stack = [u128; 1024];

struct Pair {
    here: Cell<usize>,
    there: Cell<usize>,
    fs: usize,
    how: Access,
}

/// Switches `n` times there and back. `fs` is this thread's block, to be written by each switch, or
/// 0. With the M's count of locks raised.
pub(crate) fn round_trips(n: u64, stack: &mut Stack, fs: usize, how: Access) {
    let pair = Pair { here: Cell::new(0), there: Cell::new(0), fs, how };
    let frame = stack.len() - 8; // a saved context (switch.rs), two words a unit
    let word = |high: usize, low: usize| (high as u128) << 64 | low as u128;
    stack[frame] = word(0, 0x1f80 | (0x037f << 32));
    stack[frame + 2] = word(0, core::ptr::from_ref(&pair) as usize); // r12
    stack[frame + 3] = word(start as *const () as usize, 0);
    pair.there.set(stack[frame..].as_mut_ptr() as usize);
    for _ in 0..n {
        // SAFETY: BA1: `pair` and `stack` outlive the loop, after which nobody continues the other.
        unsafe { switch(pair.here.as_ptr(), pair.there.get(), pair.fs, pair.how) };
    }
}

/// The first frame of the other context; r12 holds the pair.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!("mov rdi, r12", "call {f}", "ud2", f = sym back_again)
}

extern "C" fn back_again(pair: *const Pair) -> ! {
    // SAFETY: BA1: round_trips has it, and does not return while this runs.
    let pair = unsafe { &*pair };
    loop {
        // SAFETY: BA1: `here` was left a moment ago.
        unsafe { switch(pair.there.as_ptr(), pair.here.get(), pair.fs, pair.how) };
    }
}
