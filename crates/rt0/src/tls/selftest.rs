//! Tries a block out before the first goroutine depends on it.
//!
//! Each check is something that would otherwise go wrong silently: identity, errno, `thread_local!`
//! values and destructors, the resolver, reset on reuse.

use super::tcb;
use super::template::Template;
use crate::arch::fsgs::{Access, fs_base};
use std::cell::Cell;

struct Noisy<'a>(&'a Cell<u32>);

thread_local! {
    static VALUE: Cell<u32> = const { Cell::new(7) };
    static WITH_DROP: OnDrop = const { OnDrop };
}

static DROPS: crate::atomic::AtomicU32 = crate::atomic::AtomicU32::new(0);

struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        DROPS.fetch_add(1, crate::atomic::Ordering::Relaxed); // ORDERING: read on this thread
    }
}

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// What the block's user sees.
#[derive(Default)]
struct Seen {
    value: u32,
    errno_at: usize,
    pthread: usize,
    resolver_at: usize,
    panicked: bool,
}

#[inline(never)]
fn look(t: &Template) -> Seen {
    let value = VALUE.with(|v| v.replace(9));
    WITH_DROP.with(|_| ());
    Seen {
        value,
        errno_at: libc_errno(),
        pthread: fs_base(),
        resolver_at: resolver(t),
        // A program built with panic=abort never unwinds.
        panicked: cfg!(panic = "abort") || unwinds(),
    }
}

/// Panics and catches it.
fn unwinds() -> bool {
    let unwound = Cell::new(0);
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _n = Noisy(&unwound);
        std::panic::resume_unwind(Box::new(0u8));
    }));
    r.is_err() && unwound.get() == 1 && !std::thread::panicking()
}

#[allow(unsafe_code, reason = "asks libc for an address")]
fn libc_errno() -> usize {
    // SAFETY: returns the address of this block's errno.
    unsafe { libc::__errno_location() as usize }
}

#[allow(unsafe_code, reason = "asks libc for an address")]
fn resolver(t: &Template) -> usize {
    // SAFETY: SY1: returns the address of this block's resolver state.
    unsafe { (t.sym.res_state)() as usize }
}

/// Builds a block, uses it twice, and returns it, ready for use.
pub(crate) fn run(t: &Template, how: Access) -> Result<usize, &'static str> {
    let block = tcb::build_detached(t);
    let outside = Seen { errno_at: libc_errno(), ..Seen::default() };
    VALUE.with(|v| v.set(8));
    for round in 0..2 {
        let mut seen = Seen::default();
        // ORDERING: this thread's own test
        let drops = DROPS.load(crate::atomic::Ordering::Relaxed);
        tcb::with_block(block, how, || {
            tcb::first_run(t);
            seen = look(t);
            tcb::retire(t);
        });
        check(t, block, &seen, &outside)?;
        // ORDERING: this thread's own test
        if DROPS.load(crate::atomic::Ordering::Relaxed) != drops + 1 {
            return Err("TLS self-test: a thread_local destructor did not run");
        }
        recycle(t, block);
        if round == 1 && VALUE.with(Cell::get) != 8 {
            return Err("TLS self-test: a thread_local of this thread changed");
        }
    }
    Ok(block)
}

#[allow(unsafe_code, reason = "nobody runs on the test's block")]
fn recycle(t: &Template, block: usize) {
    // SAFETY: TB2: with_block has left it, after retire.
    unsafe { tcb::recycle(t, block) };
}

fn check(t: &Template, block: usize, seen: &Seen, outside: &Seen) -> Result<(), &'static str> {
    if seen.value != 7 {
        return Err("TLS self-test: a thread_local did not start with its initial value");
    }
    if seen.pthread != block {
        return Err("TLS self-test: the FS base did not change");
    }
    if seen.errno_at == outside.errno_at || seen.errno_at.abs_diff(block) > t.sym.static_size {
        return Err("TLS self-test: errno is not in the block");
    }
    if seen.resolver_at != block + t.res_off {
        return Err("TLS self-test: the resolver state is not in the block");
    }
    if !seen.panicked {
        return Err("TLS self-test: unwinding does not work on the block");
    }
    Ok(())
}
