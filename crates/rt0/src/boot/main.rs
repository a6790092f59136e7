//! runtime.main, and the two ways to it: `#[rt0::main]` and `rt0::run`.
//!
//! Go: proc.go `main`, and asm `rt0_go`'s last lines (newproc, mstart); c-archive's `libInit`.
//!
//! ```text
//!   #[rt0::main]  boot thread = M 0, goroutine 1 runs main; ends by exit(code), wherever it is
//!   rt0::run      boot thread = M 0, goroutine 1 runs the closure; M 0 then leaves the scheduler
//!                 and run returns its value. Later calls, and calls on other threads, are guests:
//!                 their closure runs as one more goroutine while the thread sleeps.
//! ```
//! A library is the second case: nothing calls `main`.
//!
//! What both leave behind, and when goroutines can be made, is sched/lifecycle.rs (MN1 there).

use super::exit::{exit, exit_with, run_hooks_and_go_on};
use super::inittask::{do_init, do_init_main};
use crate::atomic::Ordering;
use crate::debug::process::PROCESS;
use crate::join::{__rust_begin_short_backtrace, Goexit};
use crate::m::{M, m0};
use crate::sched::{SCHED, lifecycle, newproc, park, schedule};
use crate::stack;
use core::panic::Location;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{ExitCode, Termination};

/// Boots, makes goroutine 1 and runs the scheduler until M 0 has to return: the end of rt0_go.
fn boot(main: impl FnOnce() + Send) {
    let mp = super::entry::rt0_go_hosted();
    newproc_main(mp, main);
    lifecycle::set_running();
    schedule::mstart(mp);
}

/// newproc(runtime.main): goroutine 1, on a stack of RLIMIT_STACK and the boot thread's block.
fn newproc_main(mp: &'static M, main: impl FnOnce() + Send) {
    let newg = match stack::malg_first() {
        Ok(gp) => gp,
        Err(e) => stack::out_of_stacks(&e),
    };
    newg.fs.store(mp.thread_fs.get() as usize, Ordering::Relaxed); // ORDERING: not queued yet
    // Go: maxstacksize.
    PROCESS.main_stack_bytes.set(stack::limit_bytes(newg) as u64);
    newproc::newproc_first(mp, newg, main, Location::caller());
}

/// What `#[rt0::main]` calls. Never returns: the process exits with what `body` reports.
pub fn rt0_main<T: Termination>(body: fn() -> T) -> ! {
    if !lifecycle::claim_boot() {
        // A constructor or an outer `run` booted already: main is a guest.
        let code = run(move || exit_number(body().report()));
        exit_with(code);
    }
    boot(move || main(move || exit_number(body().report())));
    crate::throw::throw("mstart returned")
}

/// The number in an ExitCode, which std does not tell: the one that it is equal to.
fn exit_number(code: ExitCode) -> i32 {
    (0..=u8::MAX).find(|n| ExitCode::from(*n) == code).map_or(1, i32::from)
}

/// Go: main.
fn main(main_main: impl FnOnce() -> i32) {
    let call = || {
        main_init();
        __rust_begin_short_backtrace(main_main)
    };
    let code = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(code) => code,
        Err(payload) if payload.is::<Goexit>() => return main_goexited(),
        Err(payload) => {
            // As std does: the hook has printed the message; the status is 101.
            core::mem::forget(payload);
            101
        }
    };
    wait_for_panics();
    exit(code);
}

/// What runtime.main does before main.main. A panic of an init task is one of main's.
fn main_init() {
    // From here on newproc starts Ms, by wakep; sysmon and the thread that makes Ms start with the
    // first goroutine beyond main (newm.rs), so that a program without one has one thread.
    SCHED.main_started.store(true, Ordering::Relaxed); // ORDERING: goroutine 1's own thread
    do_init("runtime", runtime_init);
    // They run on the process's first thread, whatever they start or wait for. Go: lockOSThread.
    crate::sched::lock_os_thread::init_begins();
    let init = catch_unwind(do_init_main);
    crate::sched::lock_os_thread::init_ends();
    if let Err(payload) = init {
        resume_unwind(payload);
    }
    // sysmon prints it; and where it is, goroutine 1 may leave its thread.
    if crate::debug::vars::get().schedtrace.get() > 0 && crate::sched::one_to_one::prepare().is_ok()
    {
        crate::sched::newm::start_threads();
    }
}

/// On goroutine 1, before the program's own code there. Go: runtime_inittask; its gcenable waits
/// for the first goroutine beyond main (sched/background.rs).
fn runtime_init() {
    if super::env::gogetenv(b"RUST_BACKTRACE").is_some_and(|v| v != b"0") {
        crate::debug::uncaught::std_shows_stacks();
    }
}

/// Goroutine 1 ends without main returning; the others go on. Go: Goexit on the main goroutine.
fn main_goexited() {
    SCHED.main_goexited.store(true, Ordering::Release); // ORDERING: pairs with deadlock.rs
}

/// Main returned, but a goroutine reports a panic: that report ends the process. Go: main's wait
/// for runningPanicDefers.
fn wait_for_panics() {
    // ORDERING: pairs with join.rs
    let panicking = || SCHED.running_panic_defers.load(Ordering::Acquire) != 0;
    for _ in 0..1000 {
        if !panicking() {
            return;
        }
        park::gosched();
        std::thread::yield_now();
    }
    while panicking() {
        crate::time::sleep(std::time::Duration::from_millis(1));
    }
}

/// Boots the runtime if it is not running, runs `f` as a goroutine, and returns its value.
///
/// The thread blocks meanwhile. The first call's `f` is goroutine 1; when it ends, what other
/// goroutines there are go on as long as the process does, but plain threads can make new ones only
/// while a `run` is active. Called on a goroutine it just calls `f`. Works in libraries that
/// programs in any language load.
///
/// # Panics
/// Resumes the panic of `f` on the calling thread.
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if crate::tls::getg().is_some() {
        return f();
    }
    if !lifecycle::claim_boot() {
        return guest(f);
    }
    lifecycle::set_run_mode();
    let mut result: Option<Result<T, Box<dyn Any + Send>>> = None;
    let out = &mut result;
    boot(move || {
        let call = || {
            main_init();
            __rust_begin_short_backtrace(f)
        };
        let r = catch_unwind(AssertUnwindSafe(call));
        if r.as_ref().is_err_and(|p| p.is::<Goexit>()) {
            return main_goexited();
        }
        wait_for_panics();
        run_hooks_and_go_on(i32::from(r.is_err()));
        *out = Some(r);
    });
    leave_m0();
    lifecycle::set_main_returned();
    match result {
        Some(Ok(v)) => v,
        Some(Err(payload)) => resume_unwind(payload),
        None => crate::throw::throw("run: M 0 returned before goroutine 1 ended"),
    }
}

/// The boot thread is a plain thread again, on its own block.
#[allow(unsafe_code, reason = "MN1: the block is this thread's own")]
fn leave_m0() {
    let m0 = m0();
    SCHED.lock.lock().m0_left = true;
    if crate::tls::mode() != crate::tls::Mode::Single {
        // SAFETY: FG2, MN1: glibc made the block for this thread, and goroutine 1 is dead.
        unsafe {
            crate::arch::fsgs::set_fs_base(m0.thread_fs.get() as usize, crate::tls::access());
        }
    }
    plain_thread_again();
}

#[inline(never)]
fn plain_thread_again() {
    crate::tls::set_curg(None);
    crate::tls::set_own_m(None);
    crate::arch::fsgs::set_m(None);
}

/// `run` while the runtime is there: one more goroutine.
fn guest<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    lifecycle::guest(true);
    // As large a stack as goroutine 1 has: `f` may be a whole program, or a test.
    let bytes = stack::main_class().bytes();
    let r = crate::scope::scope(|s| {
        let started = crate::join::Builder::new().stack_size(bytes).go_scoped(s, f);
        match started {
            Ok(h) => h.join(),
            Err(e) => panic!("rt0::run: {e}"),
        }
    });
    lifecycle::guest(false);
    match r {
        Ok(v) => v,
        Err(payload) if payload.is::<Goexit>() => {
            panic!("rt0::run: its goroutine called goexit, so there is no value to return")
        }
        Err(payload) => resume_unwind(payload),
    }
}
