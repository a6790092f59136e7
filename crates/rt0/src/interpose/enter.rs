//! Around a call: is this a goroutine, and may its P be marked?

#![allow(unsafe_code, reason = "sets the caller's errno")]

use crate::atomic::{AtomicU32, Ordering};
use crate::g::{G, Place};
use crate::sched::c_call::{enter_call, exit_call};
use crate::sched::hogs::Ended;
use crate::sched::syscall::Expect;

/// Where a call is made from.
pub(super) enum From {
    /// A thread that is no goroutine, or one whose calls a preloaded library wants to see.
    Libc(Section),
    /// A goroutine.
    Goroutine(Section),
}

/// A call that is on its way.
pub(super) struct Section(Option<&'static G>);

impl Section {
    /// Whether a goroutine's P is marked.
    #[inline(always)]
    pub(super) fn is_marked(&self) -> bool {
        self.0.is_some()
    }

    /// The call has returned.
    #[inline(always)]
    pub(super) fn end(self) {
        self.end_as(Ended::Else);
    }

    /// The call has returned for a reason that matters to the scheduler.
    #[inline(always)]
    pub(super) fn end_as(self, ended: Ended) {
        if let Some(gp) = self.0 {
            exit_call(gp, ended);
        }
    }
}

/// Before call number `call`, by a function that is at `here` while the call lasts.
#[inline]
pub(super) fn begin(call: u32, expect: Expect, here: &Place) -> From {
    let Some(gp) = crate::tls::getg() else { return From::Libc(Section(None)) };
    let section = Section(enter_call(gp, call, expect, here).then_some(gp));
    if is_preloaded() { From::Libc(section) } else { From::Goroutine(section) }
}

/// As a C function returns it: -1 and errno for `-errno`.
#[inline(always)]
pub(super) fn result(r: isize) -> isize {
    if (-4095..0).contains(&r) { fail(-r as i32) } else { r }
}

#[cold]
fn fail(error: i32) -> isize {
    // SAFETY: no precondition.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is this thread's, or goroutine's, own.
    unsafe { errno.write(error) };
    -1
}

/// 0: not looked yet; 1: no; 2: yes.
static PRELOADED: AtomicU32 = AtomicU32::new(0);

/// Whether LD_PRELOAD names a library.
#[inline(always)]
fn is_preloaded() -> bool {
    match PRELOADED.load(Ordering::Relaxed) {
        // ORDERING: idempotent
        1 => false,
        0 => look(),
        _ => true,
    }
}

#[cold]
fn look() -> bool {
    let of = |name: &core::ffi::CStr| {
        // SAFETY: a C string. The environment is libc's; setenv beside it is the program's race.
        let p = unsafe { libc::getenv(name.as_ptr()) };
        // SAFETY: null, or a C string of at least its final zero.
        unsafe { p.as_ref() }.is_some_and(|first| *first != 0)
    };
    let yes = !cfg!(target_feature = "crt-static") && of(c"LD_PRELOAD");
    PRELOADED.store(1 + u32::from(yes), Ordering::Relaxed); // ORDERING: idempotent
    yes
}
