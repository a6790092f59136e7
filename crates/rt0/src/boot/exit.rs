//! Exit hooks and the end of the process.
//!
//! Go: internal/runtime/exithook `Add`, `Run`; proc.go `runExitHooks`; `os.Exit`.

#![allow(
    clippy::disallowed_types,
    reason = "hooks are registered and taken in user context, where a std Mutex is what it seems"
)]

use crate::atomic::{AtomicU64, Ordering};
use crate::join::Goexit;
use crate::sync::MutexGuard;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// Go: exithook.Hook.
struct Hook {
    run: Box<dyn FnOnce() + Send>,
    run_on_failure: bool,
}

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// Who ends the process has it: while hooks run, and then for good, but where `run` ends.
static ENDING: crate::sync::Mutex<()> = crate::sync::Mutex::new(());

/// The thread or goroutine that has `ENDING`, by `whoami`; 0: nobody.
static RUNNER: AtomicU64 = AtomicU64::new(0);

/// Of `RUNNER`: its hooks have run, the process is about to end.
const HOOKS_DONE: u64 = 1 << 63;

fn add(hook: Hook) {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
}

/// Registers `f` to run when main returns, `rt0::run` ends, or [`exit`] is called, last registered
/// first.
///
/// It runs whatever the status, on the goroutine that ends the program; other goroutines still run
/// beside it. A hook that panics or calls [`exit`] is a fatal error, as in Go; so
/// is one that calls [`goexit`](crate::goexit). Go: `exithook.Hook`
/// with `RunOnFailure`.
pub fn at_exit<F: FnOnce() + Send + 'static>(f: F) {
    add(Hook { run: Box::new(f), run_on_failure: true });
}

/// As [`at_exit`], but only when the status is 0: for work that is pointless after a failure. Go:
/// `exithook.Hook` without `RunOnFailure`.
pub fn at_exit_on_success<F: FnOnce() + Send + 'static>(f: F) {
    add(Hook { run: Box::new(f), run_on_failure: false });
}

/// Identifies the caller: a goroutine by its id, a plain thread by its kernel id above 2^62.
fn whoami() -> u64 {
    match crate::tls::getg() {
        Some(gp) => gp.goid.get(),
        None => 1 << 62 | crate::sys::gettid() as u64,
    }
}

/// Runs and uses up the hooks, newest first; those that do not want to run after a failure are
/// dropped then. If somebody else is at it, waits until the hooks have run: for ever, if the
/// process ends then. Go: runExitHooks.
#[must_use = "says whether others may end the process now"]
fn run_exit_hooks(code: i32) -> Option<MutexGuard<'static, ()>> {
    let me = whoami();
    // ORDERING: only the caller's own name matters
    match RUNNER.load(Ordering::Relaxed) {
        runner if runner == me => crate::throw::fatal("exit hook invoked exit"),
        // A handler of libc's or a destructor, at the very end.
        runner if runner == me | HOOKS_DONE => return None,
        _ => {}
    }
    let ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
    RUNNER.store(me, Ordering::Relaxed); // ORDERING: for its own eyes only
    loop {
        let hook = HOOKS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(hook) = hook else { break };
        if code != 0 && !hook.run_on_failure {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(hook.run)) {
            Ok(()) => {}
            Err(p) if p.is::<Goexit>() => crate::throw::fatal("exit hook invoked goexit"),
            Err(_) => crate::throw::fatal("exit hook invoked panic"),
        }
    }
    Some(ending)
}

/// The hooks, at the end of `run`: the process goes on.
pub(super) fn run_hooks_and_go_on(code: i32) {
    let ending = run_exit_hooks(code);
    RUNNER.store(0, Ordering::Relaxed); // ORDERING: as in run_exit_hooks
    drop(ending);
}

/// Runs the exit hooks and ends the process with `code`.
///
/// Where several end the process at once, the first one's code counts; the others wait.
///
/// Works on goroutines and on plain threads. Destructors of other goroutines' values do not run;
/// std's output buffer is flushed and libc's `atexit` handlers run, as with [`std::process::exit`].
/// Go: `os.Exit`, with the hooks that `runtime.main` would run.
pub fn exit(code: i32) -> ! {
    let ending = run_exit_hooks(code);
    RUNNER.store(whoami() | HOOKS_DONE, Ordering::Relaxed); // ORDERING: as in run_exit_hooks
    core::mem::forget(ending);
    exit_with(code)
}

/// Go: exit. libc's and std's own ends included.
pub(crate) fn exit_with(code: i32) -> ! {
    std::process::exit(code)
}
