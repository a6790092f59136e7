//! `syscall`, by which std's locks reach the kernel's futex.
//!
//! Only waits on a futex are marked; they never hand the P over at once, for most are short. All
//! other numbers are passed on without a frame of our own, so that `clone` and `vfork` through it
//! work as far as they do through libc's. It is no cancellation point in libc either.

#![allow(unsafe_code, reason = "RS1: system calls on behalf of the caller")]

use super::enter::{From, begin, result};
use super::table::Id;
use crate::arch::here::here;
use crate::atomic::{AtomicU32, Ordering};
use crate::sched::deadlock;
use crate::sched::hogs::Ended;
use crate::sched::syscall::Expect;
use crate::sys::nanotime;
use core::arch::global_asm;

/// FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2.
const WAITS: u32 = 1 << 0 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 13;
/// All but FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME.
const COMMAND: u32 = 0x7f;

// The number is in rdi, the arguments in rsi, rdx, rcx, r8, r9 and on the stack, above the return
// address.
global_asm!(
    ".weak syscall",
    ".type syscall, @function",
    "syscall:",
    ".cfi_startproc",
    "cmp rdi, {futex}",
    "je 2f",
    "1:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "syscall",
    "cmp rax, -4095",
    "jae 3f",
    "ret",
    "2:",
    "mov eax, edx",
    "and eax, {command}",
    "cmp eax, 13",
    "ja 1b",
    "mov r11d, {waits}",
    "bt r11d, eax",
    "jnc 1b",
    "jmp {wait}",        // the stack is as the caller left it: argument 7 lies where it is expected
    "3:",
    "mov rdi, rax",
    "jmp {result}",
    ".cfi_endproc",
    ".size syscall, . - syscall",
    futex = const libc::SYS_futex,
    command = const COMMAND,
    waits = const WAITS,
    wait = sym futex_wait,
    result = sym c_result,
);

extern "C" fn c_result(r: isize) -> isize {
    result(r)
}

/// Whether only another thread of this process can end it.
fn is_for_good(op: usize, timeout: usize) -> bool {
    let command = op as i32 & !libc::FUTEX_CLOCK_REALTIME;
    let private = |c| c | libc::FUTEX_PRIVATE_FLAG;
    timeout == 0
        && (command == private(libc::FUTEX_WAIT) || command == private(libc::FUTEX_WAIT_BITSET))
}

/// The same call, by a goroutine that is alone: in pieces, to see between them whether anybody is
/// left who could wake it.
#[cold]
fn watching([address, op, value, _, address2, value3]: [usize; 6]) -> isize {
    let op = op & !(libc::FUTEX_CLOCK_REALTIME as usize);
    let is_absolute = op as i32 & !libc::FUTEX_PRIVATE_FLAG == libc::FUTEX_WAIT_BITSET;
    let wait = |ns: i64| {
        let until = if is_absolute { nanotime() + ns } else { ns };
        let until = [until / 1_000_000_000, until % 1_000_000_000];
        let a = [address, op, value, until.as_ptr().expose_provenance(), address2, value3];
        // SAFETY: RS1: the caller's arguments, and a timespec.
        let r = unsafe { crate::sys::raw::syscall(libc::SYS_futex, a) };
        (r != -(libc::ETIMEDOUT as isize)).then_some(r)
    };
    let word = core::ptr::with_exposed_provenance_mut::<u32>(address);
    let lasts = || {
        // SAFETY: RS1: the kernel has just read the word, or `wait` would have ended with EFAULT.
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.load(Ordering::Acquire) == value as u32 // ORDERING: as who changed it left it
    };
    deadlock::wait_watching(wait, lasts)
}

/// `syscall(SYS_futex, …)` with an operation that waits.
unsafe extern "C" fn futex_wait(
    n: i64,
    address: usize,
    op: usize,
    value: usize,
    timeout: usize,
    address2: usize,
    value3: usize,
) -> isize {
    let place = here();
    let (From::Goroutine(section) | From::Libc(section)) =
        begin(Id::futex as u32, Expect::Short, &place);
    let arguments = [address, op, value, timeout, address2, value3];
    let r = if section.is_marked() && is_for_good(op, timeout) && !deadlock::is_looked_for() {
        watching(arguments)
    } else {
        // SAFETY: RS1: the caller's arguments.
        unsafe { crate::sys::raw::syscall(n, arguments) }
    };
    section.end_as(if r == 0 { Ended::Woken } else { Ended::Else });
    result(r)
}
