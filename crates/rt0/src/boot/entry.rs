//! The ELF entry, and the hosted half of `rt0_go`.
//!
//! Go: rt0_linux_amd64.s `_rt0_amd64_linux`; asm_amd64.s `_rt0_amd64`, `rt0_go`.
//!
//! The kernel jumps to `_rt0_amd64_linux` with the initial stack; after it has noted what Go notes,
//! `rt0_go` goes on to libc's `_start` with rsp and rdx as the kernel (or ld.so) left them. libc
//! and std start as in any Rust program and call `fn main`, which `#[rt0::main]` made a call of
//! [`rt0_go_hosted`]: there boot continues with settls, check, args, osinit, schedinit, newproc and
//! mstart. Go programs that link libc start in the same two halves.
//!
//! A program whose linker ignored our ENTRY, or a library, has only the second half.
//!
//! # Safety
//! * `EN1`: before libc there is no relocation applied (static-pie), no TLS, no memcpy (an IFUNC):
//!   rip-relative stores of registers only.
//! * `EN2`: `ENTRY` and g0's bounds are written once, before any other thread exists.

#![allow(unsafe_code, reason = "EN1, EN2: the first instructions of the process")]

use crate::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::m::M;
use core::arch::naked_asm;
use core::mem::offset_of;

/// What the first instructions note down.
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) argc: AtomicUsize,
    pub(crate) argv: AtomicUsize,
    /// Initial stack pointer.
    pub(crate) sp: AtomicUsize,
    pub(crate) tsc: AtomicU64,
    /// 1 if `_rt0_amd64_linux` was the ELF entry.
    pub(crate) entered: AtomicUsize,
}

pub(crate) static ENTRY: Entry = Entry {
    argc: AtomicUsize::new(0),
    argv: AtomicUsize::new(0),
    sp: AtomicUsize::new(0),
    tsc: AtomicU64::new(0),
    entered: AtomicUsize::new(0),
};

/// g0's bounds at the entry: Go's 64 KiB below the stack pointer, until mstart0 knows better.
#[repr(C)]
struct G0Bounds {
    lo: AtomicUsize,
    hi: AtomicUsize,
}

static G0_AT_ENTRY: G0Bounds = G0Bounds { lo: AtomicUsize::new(0), hi: AtomicUsize::new(0) };

/// The ELF entry point. On entry: `[rsp]` = argc, `rsp + 8` = argv, rdx = ld.so's fini or 0.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn _rt0_amd64_linux() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",   // nothing called this: backtraces end here
        "jmp {}",
        ".cfi_endproc",
        sym _rt0_amd64,
    )
}

/// argc to rdi, argv to rsi, as in Go.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn _rt0_amd64() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "mov rdi, [rsp]",
        "lea rsi, [rsp + 8]",
        "jmp {}",
        ".cfi_endproc",
        sym rt0_go,
    )
}

/// The half before libc. rdi = argc, rsi = argv, rsp and rdx as at the entry; both are handed on.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rt0_go() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "xor ebp, ebp",                         // the outermost frame
        "mov r8, rdx",                          // rdtsc needs rdx
        "mov [rip + {e} + {argc}], rdi",
        "mov [rip + {e} + {argv}], rsi",
        "mov [rip + {e} + {sp}], rsp",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "mov [rip + {e} + {tsc}], rax",
        "lea rcx, [rsp - 65536]",               // g0: 64 KiB below here
        "mov [rip + {b} + {lo}], rcx",
        "mov [rip + {b} + {hi}], rsp",
        "mov qword ptr [rip + {e} + {entered}], 1",
        "mov rdx, r8",
        "xor edi, edi",
        "xor esi, esi",
        ".weak _start",                         // a shared library has none and never comes here
        "jmp _start",
        ".cfi_endproc",
        e = sym ENTRY,
        b = sym G0_AT_ENTRY,
        argc = const offset_of!(Entry, argc),
        argv = const offset_of!(Entry, argv),
        sp = const offset_of!(Entry, sp),
        tsc = const offset_of!(Entry, tsc),
        entered = const offset_of!(Entry, entered),
        lo = const offset_of!(G0Bounds, lo),
        hi = const offset_of!(G0Bounds, hi),
    )
}

/// Keeps the entry in executables whose linker does not ask for it by name.
#[used]
static KEEP: unsafe extern "C" fn() -> ! = _rt0_amd64_linux;

/// Whether the process came through our entry.
pub(crate) fn entered() -> bool {
    // ORDERING: EN2
    ENTRY.entered.load(Ordering::Relaxed) != 0
}

/// The half after libc and std started: boots the runtime on this thread, which becomes M 0. What
/// follows is `newproc(runtime.main)` and `mstart`, in main.rs. Go: rt0_go.
pub(crate) fn rt0_go_hosted() -> &'static M {
    let m0 = crate::m::m0();
    let here = core::ptr::from_ref(&m0) as usize;
    super::schedinit::trace_start();
    m0.g0.set_g0_bounds(here);
    let tid = crate::sys::gettid();
    m0.procid.set(tid as u64);
    if entered() && on_initial_stack(here, tid) {
        // ORDERING: EN2
        m0.g0.stack_hi.store(G0_AT_ENTRY.hi.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    super::schedinit::step("settls", || settls(m0));
    super::schedinit::step("check", super::check::check);
    super::schedinit::step("args", super::args::args);
    super::schedinit::step("osinit", super::osinit::osinit);
    super::schedinit::schedinit(m0);
    m0
}

/// Whether this is the thread the kernel started, on the stack it gave it.
fn on_initial_stack(here: usize, tid: i32) -> bool {
    // ORDERING: EN2
    let top = G0_AT_ENTRY.hi.load(Ordering::Relaxed);
    let is_first = || rustix::process::getpid().as_raw_nonzero().get() == tid;
    here < top && top - here < 8 << 20 && is_first()
}

/// Ties the thread to M 0 and shows that TLS works: a store through the goroutine slot must be
/// seen by a load through it, as in rt0_go. libc owns FS; GS is ours.
fn settls(m0: &'static M) {
    m0.me.store(m0.addr(), Ordering::Relaxed); // ORDERING: EN2
    m0.locks.store(1, Ordering::Relaxed); // ORDERING: EN2
    let fs = crate::arch::fsgs::fs_base();
    m0.thread_fs.set(fs as u64);
    m0.g0_fs.store(fs, Ordering::Relaxed); // ORDERING: EN2
    m0.fs_now.store(fs, Ordering::Relaxed); // ORDERING: EN2
    crate::arch::fsgs::set_m(Some(m0));
    // SAFETY: FG1: set on the line above.
    let back = unsafe { crate::arch::fsgs::getm() };
    let tls_works = {
        crate::tls::set_curg(Some(&m0.g0));
        let got = crate::tls::getg();
        crate::tls::set_curg(None);
        got.is_some_and(|g| core::ptr::eq(g, &m0.g0)) && crate::tls::getg().is_none()
    };
    if !core::ptr::eq(back, m0) || !tls_works {
        crate::throw::throw("settls: thread-local storage does not hold what was stored");
    }
    crate::tls::set_own_m(Some(m0));
}
