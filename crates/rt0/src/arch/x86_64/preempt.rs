//! Stopping a goroutine between two instructions: the trampoline, and the registers it saves.
//!
//! Go: preempt_amd64.s `asyncPreempt`.
//!
//! The signal handler (sched/preempt.rs) raises `m.locks`, makes room below the red zone, puts the
//! interrupted rip there and lets the thread continue in [`async_preempt`], on the goroutine's own
//! stack:
//!
//! ```text
//!   high | interrupted frame              |  <- rsp when interrupted
//!        | red zone, 128 bytes            |
//!        | interrupted rip                |  <- rsp on entry: `ret 128` undoes both
//!        | rbp, flags, 14 registers       |  <- rbx
//!        | xsave area, 64-aligned         |
//! ```
//! It saves every register that user code can see, parks the goroutine, and comes back, perhaps on
//! another M, to restore them. The FS base is the goroutine's and moves with it (TL1).
//!
//! # Safety
//! * `AP1`: entered only by the handler's rewriting, with one count of `m.locks` raised, and with
//!   room for [`room_bytes`] below the red zone.
//! * `AP2`: `locks` is lowered by the last instruction that a second preemption could disturb; the
//!   handler refuses inside [`contains`].

#![allow(unsafe_code, reason = "AP1, AP2: the trampoline")]

use crate::atomic::{AtomicUsize, Ordering};
use crate::m::M;
use core::arch::naked_asm;
use core::arch::x86_64::__cpuid_count;
use core::mem::offset_of;

/// Bytes of the xsave area; 0: this CPU has no xsavec, and nothing is preempted by signal.
static XSAVE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Measures the register state. Once, before the first signal: cpuid is slow in a virtual machine.
pub(crate) fn init() {
    const OSXSAVE: u32 = 1 << 27;
    const XSAVEC: u32 = 1 << 1;
    if __cpuid_count(1, 0).ecx & OSXSAVE == 0 || __cpuid_count(0xd, 1).eax & XSAVEC == 0 {
        return;
    }
    let bytes = __cpuid_count(0xd, 0).ebx as usize;
    XSAVE_BYTES.store(bytes.next_multiple_of(64), Ordering::Release); // ORDERING: before any signal
}

/// Whether goroutines can be preempted by signal on this CPU.
pub(crate) fn available() -> bool {
    XSAVE_BYTES.load(Ordering::Acquire) != 0 // ORDERING: pairs with init
}

/// Stack that a preemption needs below the red zone: registers, xsave area, and the frames of
/// parking.
pub(crate) fn room_bytes() -> usize {
    XSAVE_BYTES.load(Ordering::Relaxed) + 8192 // ORDERING: constant after init
}

/// Where the handler sends the thread.
pub(crate) fn entry() -> usize {
    async_preempt as *const () as usize
}

/// Whether `pc` lies in the trampoline.
pub(crate) fn contains(pc: usize) -> bool {
    (entry()..async_preempt_end as *const () as usize).contains(&pc)
}

unsafe extern "C" {
    fn async_preempt_end();
}

#[unsafe(naked)]
unsafe extern "C" fn async_preempt() {
    naked_asm!(
        // The interrupted frame is the caller, and not behind a call.
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".cfi_def_cfa rsp, 136",
        ".cfi_offset rip, -136",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_offset rbp, -144",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "pushfq",
        "cld",                          // the ABI's direction flag
        "push rax", "push rcx", "push rdx", "push rbx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11",
        "push r12", "push r13", "push r14", "push r15",
        "mov rbx, rsp",
        "sub rsp, [rip + {bytes}]",
        "and rsp, -64",
        // xsavec leaves the reserved header words as they are, and xrstor wants them zero.
        "xor eax, eax",
        "mov [rsp + 512], rax", "mov [rsp + 520], rax", "mov [rsp + 528], rax",
        "mov [rsp + 536], rax", "mov [rsp + 544], rax", "mov [rsp + 552], rax",
        "mov [rsp + 560], rax", "mov [rsp + 568], rax",
        "mov eax, -1",
        "mov edx, -1",                  // everything that is enabled
        "xsavec64 [rsp]",
        "call {park}",
        "mov eax, -1",
        "mov edx, -1",
        "xrstor64 [rsp]",
        "mov rsp, rbx",
        "pop r15", "pop r14", "pop r13", "pop r12",
        "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rbx", "pop rdx", "pop rcx", "pop rax",
        "dec dword ptr gs:[{locks}]",   // changes flags: popfq restores them
        "popfq",
        "pop rbp",
        ".cfi_def_cfa rsp, 136",
        ".cfi_same_value rbp",
        "ret 128",                      // and over the red zone
        ".cfi_endproc",
        ".globl {end}",
        "{end}:",
        "nop",
        bytes = sym XSAVE_BYTES,
        park = sym crate::sched::preempt::preempt_park,
        locks = const offset_of!(M, locks),
        end = sym async_preempt_end,
    )
}
