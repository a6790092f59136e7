//! A call that learns of panics that leave it, before anything is unwound.
//!
//! Unwinding has two phases. In the first one nothing happens yet: the unwinder asks the
//! personality function of each frame on the way up whether it wants the exception, until one does.
//! So a frame below the `catch_unwind` of a goroutine's root is asked exactly if nobody nearer
//! catches the panic, and while the whole stack is still there. This one never wants it; it only
//! looks.
//!
//! Rejected: a panic hook, which sees caught panics too, is the program's to replace, and is not
//! called for `resume_unwind`.

#![allow(unsafe_code, reason = "a frame with a personality function of its own")]

use core::arch::naked_asm;
use core::ffi::{c_int, c_void};

/// What a call leaves on its stack for [`personality`], the lowest word first.
#[repr(C)]
struct Note {
    seen: extern "C" fn(*const ()),
    arg: *const (),
}

/// Calls `f(data)`, and `seen(arg)` whenever a panic is about to leave `f`: on top of the stack of
/// the code that panicked.
///
/// # Safety
/// `f` may be called with `data`. `seen` does not unwind, and takes `arg` while `f` runs.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn call_watched(
    data: *mut u8,
    f: unsafe extern "C-unwind" fn(*mut u8),
    seen: extern "C" fn(*const ()),
    arg: *const (),
) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x9b, {personality}", // relative, through a pointer
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rcx",             // a Note
        "push rdx",
        "call rsi",             // rsp is 16-aligned
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_same_value rbp",
        "ret",
        ".cfi_endproc",
        personality = sym PERSONALITY,
    )
}

type Personality = unsafe extern "C" fn(c_int, c_int, u64, *mut c_void, *mut c_void) -> c_int;
static PERSONALITY: Personality = personality;

unsafe extern "C" {
    /// The Itanium ABI's: of a frame that is asked, its stack pointer in the call.
    fn _Unwind_GetCFA(context: *mut c_void) -> usize;
}

const SEARCH_PHASE: c_int = 1;
const CONTINUE_UNWIND: c_int = 8;

/// Called by the unwinder for the frame of `call_watched` alone.
unsafe extern "C" fn personality(
    _version: c_int,
    actions: c_int,
    _class: u64,
    _exception: *mut c_void,
    context: *mut c_void,
) -> c_int {
    if actions & SEARCH_PHASE != 0 {
        // SAFETY: the unwinder's own context.
        let sp = unsafe { _Unwind_GetCFA(context) };
        // SAFETY: the frame is `call_watched`'s, and its stack pointer in the call is at the Note.
        let note = unsafe { &*core::ptr::with_exposed_provenance::<Note>(sp) };
        (note.seen)(note.arg);
    }
    CONTINUE_UNWIND
}
