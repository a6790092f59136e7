//! The context switch and the first frame of a goroutine.
//!
//! Go: asm_amd64.s `gogo`, `mcall`, `gosave_systemstack_switch`, `goexit`.
//!
//! A context is one stack pointer. What the System V ABI says a callee preserves lies above it:
//!
//! ```text
//!   high  | return address |   into the function that called switch, or g_start
//!         | rbp            |
//!         | rbx            |
//!         | r12            |   a new goroutine: its G
//!         | r13 r14 r15    |
//!   sp -> | x87 cw | mxcsr |   8 bytes
//! ```
//! The FS base is part of the context but not saved: it is a constant of the G (`g.fs`), and the
//! caller passes the new one, or 0 when it does not change.
//!
//! # Safety
//! * `SW1`: the context switched to was saved by `switch` or made by `prepare`, is not running, and
//!   is switched to at most once.
//! * `SW2`: nothing of the old context is published before the new side runs (finish_switch): the
//!   old stack is in use until `mov rsp`.

#![allow(unsafe_code, reason = "SW1, SW2: the switch")]

use super::fsgs::Access;
use crate::g::G;
use core::arch::naked_asm;

/// Words of a saved context, the return address included.
const FRAME_WORDS: usize = 8;
pub(crate) const CONTEXT_BYTES: usize = FRAME_WORDS * 8;
/// mxcsr and x87 control word at thread start, as the ABI has them.
const DEFAULT_FP: usize = 0x1f80 | (0x037f << 32);

macro_rules! switch_fn {
    ($(#[$m:meta])* $name:ident, $($set_fs:literal),*) => {
        $(#[$m])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(save: *mut usize, load: usize, fs: usize) {
            naked_asm!(
                // The distances hold on either stack, so also behind `mov rsp`.
                ".cfi_startproc",
                "push rbp", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset rbp, 0",
                "push rbx", "push r12", "push r13", "push r14", "push r15",
                "push rax",             // room: a full stack shows while FS is the old one
                ".cfi_adjust_cfa_offset 48",
                // Before the control words: it waits for all that was begun. What comes after it
                // goes on beside the new side's first instructions.
                "test rdx, rdx",
                "jz 2f",                // the same block as now
                $($set_fs),*,
                "2:",
                "stmxcsr [rsp]",        // callee-saved control bits, not the status bits
                "fnstcw [rsp + 4]",
                "mov [rdi], rsp",       // the old context is complete
                "mov rsp, rsi",         // from here on the old stack is free
                "ldmxcsr [rsp]",
                "fldcw [rsp + 4]",
                "add rsp, 8", ".cfi_adjust_cfa_offset -8",
                "pop r15", ".cfi_adjust_cfa_offset -8",
                "pop r14", ".cfi_adjust_cfa_offset -8",
                "pop r13", ".cfi_adjust_cfa_offset -8",
                "pop r12", ".cfi_adjust_cfa_offset -8",
                "pop rbx", ".cfi_adjust_cfa_offset -8",
                "pop rbp", ".cfi_adjust_cfa_offset -8", ".cfi_same_value rbp",
                "ret",
                ".cfi_endproc",
            )
        }
    };
}

switch_fn!(
    /// rdi: where to save the stack pointer; rsi: the one to load; rdx: FS base or 0.
    switch_instructions,
    "wrfsbase rdx"
);
switch_fn!(
    /// The same with `arch_prctl(ARCH_SET_FS, rdx)`; the call clobbers rcx and r11.
    switch_arch_prctl,
    "mov r8, rsi", "mov r9, rdi", "mov rsi, rdx", "mov edi, 0x1002", "mov eax, 158", "syscall",
    "mov rsi, r8", "mov rdi, r9"
);

/// Leaves the running context in `save` and continues the one at `load`.
///
/// # Safety
/// SW1 for `load`; `fs` is 0 or the block that goes with it; `how` is what the machine has.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, load: usize, fs: usize, how: Access) {
    match how {
        // SAFETY: the caller's promise.
        Access::Instructions => unsafe { switch_instructions(save, load, fs) },
        // SAFETY: the caller's promise.
        Access::ArchPrctl => unsafe { switch_arch_prctl(save, load, fs) },
    }
}

/// Calls `f(arg)` on another stack, whose upper end is `top`, and comes back.
///
/// # Safety
/// `top` is 16-aligned, the end of writable memory that nobody uses. `f` does not unwind.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_on(top: usize, f: extern "C" fn(usize), arg: usize) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        ".cfi_same_value rbp",
        "ret",
        ".cfi_endproc",
    )
}

/// The root frame of every goroutine. `ret` from nowhere lands here; r12 holds the G.
///
/// rbp = 0 and an undefined rip end a backtrace here, for gdb, perf and std.
#[unsafe(naked)]
unsafe extern "C" fn g_start() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "nop",                  // a return address belongs to the instruction before it
        "xor ebp, ebp",
        "mov rdi, r12",
        "call {f}",             // rsp is 16-aligned here: prepare saw to it
        "ud2",
        ".cfi_endproc",
        f = sym crate::sched::goexit::goroutine_start,
    )
}

/// pc, sp and bp of a saved context: what a walk of its stack starts from.
///
/// # Safety
/// `sp` is the context's stack pointer, in memory that stays mapped. Somebody may continue the
/// context meanwhile: the words then mean nothing.
pub(crate) unsafe fn saved(sp: usize) -> [usize; 3] {
    let words = sp as *const usize;
    // SAFETY: the caller's promise; volatile, for they may change.
    let word = |i: usize| unsafe { words.wrapping_add(i).read_volatile() };
    [word(FRAME_WORDS - 1), sp + FRAME_WORDS * 8, word(FRAME_WORDS - 2)]
}

/// Lays out the first context of `gp` below `top` and returns its stack pointer. Go: newproc1's
/// `gostartcallfn`.
///
/// # Safety
/// `top` is the upper end of writable stack memory that nobody uses, at least 128 bytes deep.
pub(crate) unsafe fn prepare(top: usize, gp: &'static G) -> usize {
    // 16 bytes of zero above the frame: a caller's frame for those who look for one.
    let frame = (top & !15) - 16 - FRAME_WORDS * 8;
    let words: [usize; FRAME_WORDS + 2] = [
        DEFAULT_FP,
        0,                                // r15
        0,                                // r14
        0,                                // r13
        core::ptr::from_ref(gp) as usize, // r12
        0,                                // rbx
        0,                                // rbp
        // Behind its nop: who walks the stack takes it for a return address.
        g_start as *const () as usize + 1,
        0,
        0,
    ];
    // SAFETY: the caller's promise: frame..top is free stack memory.
    unsafe { (frame as *mut [usize; FRAME_WORDS + 2]).write(words) };
    frame
}
