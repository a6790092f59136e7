//! Exit hooks and the end of the process.
//!
//! Go: internal/runtime/exithook `Add`, `Run`; proc.go `runExitHooks`; `os.Exit`.

#![allow(
    clippy::disallowed_types,
    reason = "hooks are registered and taken in user context, where a std Mutex is what it seems"
)]

use crate::atomic::{AtomicU64, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// Go: exithook.Hook.
struct Hook {
    run: Box<dyn FnOnce() + Send>,
    run_on_failure: bool,
}

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// The thread or goroutine that runs hooks, by `whoami`; 0: nobody.
static RUNNER: AtomicU64 = AtomicU64::new(0);

fn add(hook: Hook) {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
}

/// Registers `f` to run when main returns, `rt0::run` ends, or [`exit`] is called, last registered
/// first.
///
/// It runs whatever the status, on the goroutine that ends the program; other goroutines still run
/// beside it. A hook that panics or calls [`exit`] is a fatal error, as in Go. Go: `exithook.Hook`
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
/// dropped then. Go: runExitHooks.
pub(crate) fn run_exit_hooks(code: i32) {
    let me = whoami();
    // ORDERING: a latch; the hooks are behind their Mutex
    match RUNNER.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(other) if other == me => crate::throw::fatal("exit hook invoked exit"),
        // Another goroutine is ending the process; this one is not needed for that.
        Err(_) => loop {
            crate::time::sleep(std::time::Duration::from_secs(3600));
        },
    }
    loop {
        let hook = HOOKS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(hook) = hook else { break };
        if code != 0 && !hook.run_on_failure {
            continue;
        }
        if catch_unwind(AssertUnwindSafe(hook.run)).is_err() {
            crate::throw::fatal("exit hook invoked panic");
        }
    }
    RUNNER.store(0, Ordering::Release); // ORDERING: a latch; the hooks are behind their Mutex
}

/// Runs the exit hooks and ends the process with `code`.
///
/// Works on goroutines and on plain threads. Destructors of other goroutines' values do not run;
/// std's output buffer is flushed and libc's `atexit` handlers run, as with [`std::process::exit`].
/// Go: `os.Exit`, with the hooks that `runtime.main` would run.
pub fn exit(code: i32) -> ! {
    run_exit_hooks(code);
    exit_with(code)
}

/// Go: exit. libc's and std's own ends included.
pub(crate) fn exit_with(code: i32) -> ! {
    std::process::exit(code)
}
