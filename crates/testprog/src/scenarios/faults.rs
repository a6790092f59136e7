//! Faults and overflows of goroutines, in every place where a goroutine's code can be.
//!
//! # Safety
//! None: each of these programs is to be ended by a fault. What is called of C's besides has no
//! precondition.

#![allow(unsafe_code, reason = "faults on purpose")]

use super::{DONE, Entry, Run::Main};
use std::arch::asm;
use std::hint::black_box;
use std::panic::panic_any;
use std::process::ExitCode;
use std::ptr::without_provenance;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("OverflowBig", Main(overflow_big)),
    ("OverflowInC", Main(|| alone(|| sort_by(overflow_in_c)))),
    ("OverflowInDestructor", Main(|| alone(|| drop(Overflows)))),
    ("OverflowWhileUnwinding", Main(|| alone(overflow_while_unwinding))),
    ("OverflowLocked", Main(|| alone(|| locked(overflow)))),
    ("OverflowInBlocking", Main(|| alone(|| rt0::blocking(overflow)))),
    ("OverflowInThreadLocal", Main(|| alone(|| AT_END.with(|_| ())))),
    ("FaultInC", Main(|| alone(|| sort_by(fault_in_c)))),
    ("FaultOfC", Main(|| alone(fault_of_c))),
    ("FaultInDestructor", Main(|| alone(|| drop(Faults)))),
    ("FaultLocked", Main(|| alone(|| locked(fault)))),
    ("FaultInBlocking", Main(|| alone(|| rt0::blocking(fault)))),
    ("FaultOnWrite", Main(|| alone(fault_on_write))),
    ("FaultNowhere", Main(|| alone(fault_nowhere))),
    ("FaultInHandler", Main(|| alone(|| fault_in_handler(0)))),
    ("FaultInHandlerOnItsStack", Main(|| alone(|| fault_in_handler(libc::SA_ONSTACK)))),
    ("FaultOfMain", Main(fault_of_main)),
    ("IllegalInstruction", Main(|| alone(illegal_instruction))),
    ("Breakpoint", Main(|| alone(breakpoint))),
    ("DivideThread", Main(|| on_thread(divide))),
    ("IllegalThread", Main(|| on_thread(illegal_instruction))),
];

/// In a goroutine, which ends the process.
fn alone(f: fn()) -> ExitCode {
    drop(rt0::go(f));
    rt0::time::sleep(Duration::from_secs(100));
    ExitCode::from(66)
}

/// On a thread that the runtime has nothing to do with.
fn on_thread(f: fn()) -> ExitCode {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let _ = thread::spawn(f).join();
    DONE
}

#[expect(unconditional_recursion, reason = "overflowing is the point")]
#[inline(never)]
fn recurse(n: u64) -> u64 {
    let mut frame = [n; 64];
    black_box(&mut frame);
    recurse(n + 1) + black_box(frame[3])
}

fn overflow() {
    black_box(recurse(0));
}

#[inline(never)]
fn fault() {
    // SAFETY: none, as the head says.
    black_box(unsafe { black_box(without_provenance::<u8>(16)).read_volatile() });
}

fn overflow_big() -> ExitCode {
    let h = rt0::Builder::new().name("big".into()).stack_size(64 << 20).go(overflow);
    let _ = h.map(rt0::JoinHandle::join);
    DONE
}

type Comparison = extern "C" fn(*const libc::c_void, *const libc::c_void) -> i32;

extern "C" fn overflow_in_c(_: *const libc::c_void, _: *const libc::c_void) -> i32 {
    overflow();
    0
}

extern "C" fn fault_in_c(_: *const libc::c_void, _: *const libc::c_void) -> i32 {
    fault();
    0
}

/// C calls Rust.
fn sort_by(f: Comparison) {
    let mut numbers = [2_u32, 1];
    // SAFETY: two numbers.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 2, 4, Some(f)) };
}

struct Overflows;

impl Drop for Overflows {
    fn drop(&mut self) {
        overflow();
    }
}

struct Faults;

impl Drop for Faults {
    fn drop(&mut self) {
        fault();
    }
}

thread_local!(static AT_END: Overflows = const { Overflows });

fn overflow_while_unwinding() {
    std::panic::set_hook(Box::new(|_| ()));
    let _overflows = Overflows;
    panic_any("unwinds");
}

fn locked(f: fn()) {
    let _locked = rt0::lock_os_thread();
    f();
}

fn fault_of_c() {
    // SAFETY: none, as the head says.
    black_box(unsafe { libc::strlen(black_box(without_provenance(32))) });
}

fn fault_on_write() {
    let read_only = black_box(&0_u64 as *const u64).cast_mut();
    // SAFETY: none, as the head says.
    unsafe { read_only.write_volatile(1) };
}

/// An address that no address can be: the processor does not say which.
fn fault_nowhere() {
    let p = black_box(without_provenance::<u8>(0xdead_0000_0000_0000));
    // SAFETY: none, as the head says.
    black_box(unsafe { p.read_volatile() });
}

extern "C" fn faulty_handler(_: i32) {
    fault();
}

fn fault_in_handler(flags: i32) {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed memory is a valid action.
    let a = unsafe { action.assume_init_mut() };
    a.sa_sigaction = faulty_handler as extern "C" fn(i32) as usize;
    a.sa_flags = flags;
    // SAFETY: a valid action.
    unsafe { libc::sigaction(libc::SIGUSR2, a, std::ptr::null_mut()) };
    // SAFETY: no precondition.
    unsafe { libc::raise(libc::SIGUSR2) };
}

/// Before there is another goroutine.
fn fault_of_main() -> ExitCode {
    fault();
    DONE
}

fn illegal_instruction() {
    // SAFETY: none, as the head says.
    unsafe { asm!("ud2") };
}

fn breakpoint() {
    // SAFETY: none, as the head says.
    unsafe { asm!("int3") };
}

/// Rust checks divisors; C and assembly do not.
fn divide() {
    // SAFETY: none, as the head says.
    unsafe { asm!("div {0}", in(reg) 0_u64, inout("rax") 7_u64 => _, inout("rdx") 0_u64 => _) };
}
