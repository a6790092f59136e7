//! Where a panic began that nobody caught.
//!
//! Go's report of a panic shows the stack, for nothing is unwound there. Here it is, when the
//! report is written: by then the handle may have outlived the goroutine. So the stack is taken
//! down when the panic is about to leave the goroutine's closure (arch/x86_64/watched.rs), as
//! addresses, which costs some microseconds; names are looked up if there is a report.

#![allow(unsafe_code, reason = "calls a closure through a frame in assembly")]

use super::api::tool_with_own;
use super::frame::Registers;
use super::print::{self, Detail};
use super::stacks::{Stack, Tool};
use crate::arch::{here::here, watched::call_watched};
use core::cell::Cell;
use core::fmt::{Result, Write};
use std::any::Any;
use std::panic::{PanicHookInfo, resume_unwind, set_hook, take_hook};

/// The stack of a panic.
pub(crate) struct Uncaught {
    stack: Box<Stack>,
    /// std's panic hook has shown one on this goroutine.
    is_shown: bool,
}

impl Uncaught {
    /// From where the panic began, with the frames of the unwinder and the panic itself left out.
    pub(super) fn write(&self, out: &mut dyn Write, tool: &mut Tool, detail: Detail) -> Result {
        tool.stack = *self.stack;
        if self.is_shown && detail == Detail::Program && !print::is_resumed(tool) {
            return out.write_str("\t(its stack is above, by the panic hook)\n");
        }
        print::stack_of_panic(out, tool, detail)
    }
}

/// Calls `f`. If a panic leaves it, its stack is in `uncaught`.
pub(crate) fn watch<T>(f: impl FnOnce() -> T, uncaught: &Cell<Option<Uncaught>>) -> T {
    let mut call = Call { f: Some(f), result: None };
    let data = (&raw mut call).cast::<u8>();
    let arg = core::ptr::from_ref(uncaught).cast();
    // SAFETY: `data` and `arg` are what the two take, and outlive the call.
    unsafe { call_watched(data, run_of(&call), take, arg) };
    match call.result {
        Some(result) => result,
        None => crate::throw::throw("a call returned without a result"),
    }
}

struct Call<F, T> {
    f: Option<F>,
    result: Option<T>,
}

fn run_of<T, F: FnOnce() -> T>(_: &Call<F, T>) -> unsafe extern "C-unwind" fn(*mut u8) {
    run::<T, F>
}

unsafe extern "C-unwind" fn run<T, F: FnOnce() -> T>(data: *mut u8) {
    // SAFETY: `watch` passes its Call, and looks at it again only afterwards.
    let call = unsafe { &mut *data.cast::<Call<F, T>>() };
    call.result = call.f.take().map(|f| f());
}

extern "C" fn take(arg: *const ()) {
    // SAFETY: `watch` passes the cell, which its caller has borrowed to it on this goroutine.
    let uncaught = unsafe { &*arg.cast::<Cell<Option<Uncaught>>>() };
    let [pc, sp, bp] = here();
    let stack = RESUMED.take().or_else(|| {
        let mut tool = tool_with_own(Registers { pc, sp, bp })?;
        Some(Uncaught { stack: Box::new(tool.get().stack), is_shown: SHOWN.take() })
    });
    uncaught.set(stack);
}

thread_local! {
    /// Of a panic that was caught only to be thrown again.
    static RESUMED: Cell<Option<Uncaught>> = const { Cell::new(None) };
    /// std's hook has shown the stack of the last panic.
    static SHOWN: Cell<bool> = const { Cell::new(false) };
}

/// In a program whose environment has RUST_BACKTRACE: std's panic hook shows stacks, so the report
/// need not show them again. A hook cannot be asked whether it did. So std's own is wrapped by one
/// that notes it; one that the program has set stays, or takes the place of ours when it is set
/// later, and then the report shows the stack.
pub(crate) fn std_shows_stacks() {
    let hook = take_hook();
    // There is none of the program's any more: this is std's.
    let of_std = take_hook();
    if !is_same(&*hook, &*of_std) {
        return set_hook(hook);
    }
    set_hook(Box::new(move |info| {
        hook(info);
        SHOWN.set(true);
    }));
}

type Hook = dyn Fn(&PanicHookInfo<'_>) + Sync + Send;

/// Whether two hooks are one function. std's has no data, so that its boxes have one address, and
/// one place in std makes them, with one table.
#[allow(ambiguous_wide_pointer_comparisons, reason = "a no, by two tables, is only less good")]
fn is_same(a: &Hook, b: &Hook) -> bool {
    size_of_val(a) == 0 && core::ptr::eq(a, b)
}

/// Throws a panic again that left a `watch` in the closure of a goroutine: the report is to show
/// where it began.
pub(crate) fn resume(payload: Box<dyn Any + Send>, uncaught: Option<Uncaught>) -> ! {
    RESUMED.set(uncaught);
    resume_unwind(payload)
}
