//! Fatal ends.
//!
//! Go: panic.go `throw`, `fatal`, `fatalthrow`; exit status 2 as there.
//!
//! Nothing here allocates, takes a lock or unwinds: a throw may come from g0, from a signal handler
//! and from under any lock. A throw within a throw ends the process without a report (Go's "panic
//! during panic", status 3).

use crate::atomic::{AtomicU32, Ordering};
use crate::sys::{exit_group, stderr::rtprint};

static DYING: AtomicU32 = AtomicU32::new(0);

/// First to die reports; a second thread waits for the end, a second throw of the same one exits.
fn startpanic() {
    let me = crate::sys::gettid() as u32;
    // ORDERING: a one-time latch, no data behind it
    match DYING.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(other) if other == me => {
            rtprint!("panic during panic\n");
            exit_group(3);
        }
        Err(_) => loop {
            crate::sys::futex::wait(&DYING, me, Some(1_000_000_000));
        },
    }
}

/// A bug of the runtime: `fatal error: MSG`, every goroutine, exit status 2.
#[cold]
#[inline(never)]
pub(crate) fn throw(msg: &str) -> ! {
    startpanic();
    rtprint!("fatal error: {msg}\n");
    let here = core::ptr::from_ref(&msg) as usize;
    match crate::stack::names::stack_of(here) {
        Some(stack) => rtprint!("runtime: thrown on {stack}\n"),
        None => rtprint!("runtime: thrown on a thread that is no M\n"),
    }
    crate::debug::dump::all_goroutines();
    exit_group(2);
}

/// An error of the user's that nothing can continue from: `fatal error: MSG`, exit status 2.
#[cold]
#[inline(never)]
pub(crate) fn fatal(msg: &str) -> ! {
    startpanic();
    rtprint!("fatal error: {msg}\n");
    exit_group(2);
}

/// As [`fatal`], with a line of detail in front, as Go prints for limits.
#[cold]
#[inline(never)]
pub(crate) fn fatal_with(detail: core::fmt::Arguments<'_>, msg: &str) -> ! {
    startpanic();
    rtprint!("runtime: {detail}\nfatal error: {msg}\n");
    exit_group(2);
}

/// A panic that nobody can see any more: Go's report and exit status 2.
#[cold]
pub(crate) fn fatalpanic(text: &str, who: crate::debug::dump::Panicked<'_>) -> ! {
    startpanic();
    rtprint!("panic: {text}\n\n");
    crate::debug::dump::panicked(&who);
    exit_group(2);
}
