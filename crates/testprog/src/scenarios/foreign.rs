//! Ends that are not Rust's: exceptions of other languages, and libc's ends of threads.
//!
//! # Safety
//! `pthread_exit`, `pthread_cancel` and exceptions unwind frames here that have nothing to drop,
//! and whose functions say that they may be unwound.

#![allow(unsafe_code, reason = "C functions that unwind")]

use super::{DONE, Entry, Run::Main};
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::ptr::{null, null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("ForeignException", Main(|| alone(raise))),
    ("ForeignExceptionCaught", Main(|| alone(|| drop(catch_unwind(raise))))),
    ("ForeignExceptionOfMain", Main(|| ends_by(raise))),
    ("ForeignExceptionThread", Main(|| on_thread(raise))),
    ("PthreadExit", Main(|| alone(exit_thread))),
    ("PthreadExitOfMain", Main(|| ends_by(exit_thread))),
    ("PthreadExitThread", Main(pthread_exit_thread)),
    ("PthreadCancel", Main(|| alone(cancel_self))),
    ("PthreadCancelFromThread", Main(cancel_from_thread)),
    ("PthreadCancelThread", Main(pthread_cancel_thread)),
];

/// In a goroutine, which ends the process.
fn alone(f: fn()) -> ExitCode {
    drop(rt0::go(f));
    rt0::time::sleep(Duration::from_secs(100));
    ExitCode::from(66)
}

fn ends_by(f: fn()) -> ExitCode {
    f();
    ExitCode::from(66)
}

/// On a thread that the runtime has nothing to do with.
fn on_thread(f: fn()) -> ExitCode {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let _ = thread::spawn(f).join();
    DONE
}

/// The Itanium ABI's, on x86-64.
#[repr(C, align(16))]
struct Exception {
    class: u64,
    cleanup: Option<extern "C" fn(c_int, *mut Exception)>,
    private: [usize; 2],
}

type Start = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

unsafe extern "C-unwind" {
    fn _Unwind_RaiseException(exception: *mut Exception) -> c_int;
    fn pthread_exit(value: *mut c_void) -> !;
    fn pause() -> c_int;
}

unsafe extern "C" {
    fn pthread_create(to: *mut usize, attr: *const c_void, f: Start, arg: *mut c_void) -> c_int;
    fn pthread_join(thread: usize, value: *mut *mut c_void) -> c_int;
    fn pthread_cancel(thread: usize) -> c_int;
    fn pthread_self() -> usize;
}

/// As another language throws.
#[inline(never)]
fn raise() {
    let class = u64::from_be_bytes(*b"RT0TEST\0");
    let exception = Box::new(Exception { class, cleanup: None, private: [0; 2] });
    // SAFETY: as the head says; the exception lives on.
    let code = unsafe { _Unwind_RaiseException(Box::into_raw(exception)) };
    println!("nobody caught it: {}", black_box(code));
}

#[inline(never)]
fn exit_thread() {
    // SAFETY: as the head says.
    unsafe { pthread_exit(null_mut()) }
}

/// A thread of C's that runs `f`, and what it returns.
fn value_of(f: Start, then: impl FnOnce(usize)) -> usize {
    rt0::go(|| ()).join().expect("the runtime is fully there");
    let (mut thread, mut value) = (0, null_mut());
    // SAFETY: as the head says.
    assert_eq!(unsafe { pthread_create(&mut thread, null(), f, null_mut()) }, 0);
    then(thread);
    // SAFETY: joined once.
    assert_eq!(unsafe { pthread_join(thread, &mut value) }, 0);
    value.addr()
}

fn pthread_exit_thread() -> ExitCode {
    extern "C-unwind" fn exits(_: *mut c_void) -> *mut c_void {
        // SAFETY: as the head says.
        unsafe { pthread_exit(without_provenance_mut(7)) }
    }
    println!("{}", value_of(exits, |_| ()));
    DONE
}

fn pthread_cancel_thread() -> ExitCode {
    extern "C-unwind" fn pauses(_: *mut c_void) -> *mut c_void {
        loop {
            // SAFETY: as the head says.
            unsafe { pause() };
        }
    }
    let value = value_of(pauses, |thread| {
        // SAFETY: it is joined afterwards.
        assert_eq!(unsafe { pthread_cancel(thread) }, 0);
    });
    println!("{}", value == usize::MAX); // PTHREAD_CANCELED
    DONE
}

#[inline(never)]
fn cancel_self() {
    // SAFETY: no precondition.
    let own = unsafe { pthread_self() };
    // SAFETY: as the head says.
    println!("{}", unsafe { pthread_cancel(own) });
}

/// A plain thread cancels a goroutine.
fn cancel_from_thread() -> ExitCode {
    static GOROUTINE: AtomicUsize = AtomicUsize::new(0);
    drop(rt0::go(|| {
        // SAFETY: no precondition.
        GOROUTINE.store(unsafe { pthread_self() }, SeqCst);
        rt0::time::sleep(Duration::from_secs(100));
    }));
    on_thread(|| {
        while GOROUTINE.load(SeqCst) == 0 {
            thread::yield_now();
        }
        // SAFETY: the goroutine lives.
        println!("{}", unsafe { pthread_cancel(GOROUTINE.load(SeqCst)) });
    })
}
