//! Fatal ends.
//!
//! Go: panic.go `throw`, `fatal`, `fatalthrow`; exit status 2 as there.
//!
//! Nothing here allocates, takes a lock or unwinds: a throw may come from g0, from a signal handler
//! and from under any lock. A throw within a throw ends the process without a report (Go's "panic
//! during panic", status 3).

use crate::arch::here::here;
use crate::atomic::{AtomicU32, Ordering};
use crate::debug::fatal::{At, Blame, end, goroutines};
use crate::sys::{exit_group, stderr, stderr::rtprint};

static DYING: AtomicU32 = AtomicU32::new(0);

/// First to die reports; a second thread waits for the end, a second throw of the same one exits.
pub(crate) fn startpanic() {
    let me = crate::sys::gettid() as u32;
    // ORDERING: a one-time latch, no data behind it
    match DYING.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => stderr::begin_last_report(),
        Err(other) if other == me => {
            rtprint!("panic during panic\n");
            exit_group(3);
        }
        Err(other) => loop {
            crate::sys::futex::wait(&DYING, other, Some(1_000_000_000));
        },
    }
}

/// A bug of the runtime: `fatal error: MSG`, every goroutine, exit status 2.
#[cold]
#[inline(never)]
pub(crate) fn throw(msg: &str) -> ! {
    startpanic();
    rtprint!("fatal error: {msg}\n");
    let at = core::ptr::from_ref(&msg) as usize;
    match crate::stack::names::stack_of(at) {
        Some(stack) => rtprint!("runtime: thrown on {stack}\n"),
        None => rtprint!("runtime: thrown on a thread that is no M\n"),
    }
    crate::debug::process::print();
    goroutines(At::Here(here()), Blame::Runtime);
    end()
}

/// An error of the user's that nothing can continue from: `fatal error: MSG`, all goroutines, exit
/// status 2.
#[cold]
#[inline(never)]
pub(crate) fn fatal(msg: &str) -> ! {
    startpanic();
    rtprint!("fatal error: {msg}\n");
    goroutines(At::Here(here()), Blame::Program);
    end()
}

/// As [`fatal`], of an error that has no place in the program: the stack of who found it is not
/// shown.
#[cold]
pub(crate) fn fatal_of_all(msg: &str) -> ! {
    startpanic();
    rtprint!("fatal error: {msg}\n");
    goroutines(At::Nowhere, Blame::Program);
    end()
}

/// As [`fatal`], with a line of detail in front, as Go prints for limits.
#[cold]
#[inline(never)]
pub(crate) fn fatal_with(detail: core::fmt::Arguments<'_>, msg: &str) -> ! {
    startpanic();
    rtprint!("runtime: {detail}\nfatal error: {msg}\n");
    goroutines(At::Here(here()), Blame::Program);
    end()
}

/// A panic that nobody can see any more: Go's report and exit status 2.
#[cold]
pub(crate) fn fatalpanic(text: &str, who: &crate::debug::dump::Panicked<'_>) -> ! {
    startpanic();
    rtprint!("panic: {text}\n");
    goroutines(At::Unwound(who), Blame::Panic);
    end()
}
