//! Where the running function is, for those who walk its stack later.

#![allow(unsafe_code, reason = "reads three registers")]

use core::arch::asm;

/// pc, sp and bp in the function that this is inlined into: a place to walk the stack from for as
/// long as that function has not returned.
#[inline(always)]
pub(crate) fn here() -> [usize; 3] {
    let (pc, sp, bp): (usize, usize, usize);
    // SAFETY: no memory is touched, and nothing changed but the outputs.
    unsafe {
        asm!(
            "lea {pc}, [rip]",
            "mov {sp}, rsp",
            "mov {bp}, rbp",
            pc = out(reg) pc,
            sp = out(reg) sp,
            bp = out(reg) bp,
            options(nomem, nostack, preserves_flags),
        );
    }
    [pc, sp, bp]
}
