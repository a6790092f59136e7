//! Where the running function is, for those who walk its stack later.

#![allow(unsafe_code, reason = "reads registers")]

use core::arch::asm;

/// What the caller of the function that this is inlined into may have in registers that a function
/// preserves: rbx, rbp, r12 to r15. Where the function has used one it has saved it in its frame.
#[inline(always)]
pub(crate) fn preserved(to: &mut [usize; 6]) {
    // SAFETY: the six words of the array are written.
    unsafe {
        asm!(
            "mov [{to}], rbx",
            "mov [{to} + 8], rbp",
            "mov [{to} + 16], r12",
            "mov [{to} + 24], r13",
            "mov [{to} + 32], r14",
            "mov [{to} + 40], r15",
            to = in(reg) to.as_mut_ptr(),
            options(nostack, preserves_flags),
        );
    }
}

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
