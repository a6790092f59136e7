//! Stack overflow, named.
//!
//! Go: stack.go `newstack`'s overflow report. A fault in a goroutine's guard is reported in Go's
//! words, with the goroutine, and ends the process with status 2 (debug/signals.rs, which knows of
//! the fault).

use crate::debug::fatal::{self, At, Blame};
use crate::debug::frame::Registers;
use crate::g::G;
use crate::sys::stderr::rtprint;

/// Go's three lines, then the goroutines.
pub(crate) fn overflow(gp: &'static G, at: Registers) -> ! {
    crate::throw::startpanic();
    let (lo, hi) = super::bounds(gp);
    rtprint!(
        "runtime: goroutine stack exceeds {}-byte limit\n\
         runtime: sp={:#x} stack=[{lo:#x}, {hi:#x}]\n\
         fatal error: stack overflow\n",
        super::limit_bytes(gp),
        at.sp,
    );
    fatal::goroutines(At::Signal(at), Blame::Program);
    fatal::end()
}
