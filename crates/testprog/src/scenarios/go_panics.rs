//! Go's testprog: panics. What is uncaught there in main is uncaught here in a goroutine whose
//! handle is gone, for a panic of main ends as std's does. The hook prints nothing, so that the
//! report stands alone.

use super::{DONE, Entry, Run::Main};
use rt0::sync::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("RecursivePanic2", Main(|| lone(recursive_panic_2))),
    ("RecursivePanic3", Main(|| lone(recursive_panic_3))),
    ("RecursivePanic4", Main(|| lone(recursive_panic_4))),
    ("RecursivePanic5", Main(|| lone(recursive_panic_5))),
    ("RepanickedPanic", Main(|| lone(repanicked_panic))),
    ("RepanickedMiddlePanic", Main(|| lone(repanicked_middle_panic))),
    ("RepanickedPanicSandwich", Main(|| lone(repanicked_panic_sandwich))),
    ("DoublePanicWithSameValue", Main(|| lone(double_panic_with_same_value))),
    ("NoHelperGoroutines", Main(no_helper_goroutines)),
    ("PanicTraceback", Main(|| lone(panic_traceback))),
    ("Crash", Main(crash)),
    (
        "StringerPanic",
        Main(|| lone(|| panic_any(Stringer("important multi-line\nstringer message")))),
    ),
    ("ErrorPanic", Main(|| lone(|| panic_any(Stringer("important multi-line\nerror message"))))),
    ("DoubleErrorPanic", Main(|| lone(|| panic_any(Circle)))),
    ("DoubleStringerPanic", Main(|| lone(|| panic_any(Circle)))),
    ("CircularPanic", Main(|| lone(|| panic_any(Circle)))),
    ("DoublePanic", Main(|| lone(double_panic))),
    ("NilPanic", Main(|| lone(|| panic_any(())))),
    ("RecoverBeforePanicAfterGoexit", Main(recover_before_panic_after_goexit)),
    ("RecoverBeforePanicAfterGoexit2", Main(recover_before_panic_after_goexit)),
    ("panicDeferFatal", Main(|| lone(panic_defer_fatal))),
    ("panicDoublieDeferFatal", Main(|| lone(panic_double_defer_fatal))),
    ("UserHook", Main(user_hook)),
    ("HookPanics", Main(hook_panics)),
    ("DropPanics", Main(drop_panics)),
];

/// In a goroutine that nobody observes; the report ends the process.
fn lone(f: fn()) -> ExitCode {
    set_hook(Box::new(|_| {}));
    drop(rt0::go(f));
    rt0::time::sleep(Duration::from_secs(20));
    ExitCode::from(66)
}

/// Calls its function when it is dropped: Go's defer.
struct Defer<F: FnMut()>(F);

impl<F: FnMut()> Drop for Defer<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `f`, says what it panicked with, and goes on.
fn say(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        println!("{}", payload.downcast_ref::<&str>().copied().unwrap_or("?"));
    }
}

fn recursive_panic_2() {
    say(|| panic_any("first panic"));
    say(|| panic_any("second panic"));
    panic_any("third panic");
}

/// A panic while one unwinds, which is caught before it meets the first.
fn recursive_panic_3() {
    let _defer = Defer(|| {
        let _second = catch_unwind(|| panic_any("second panic"));
    });
    panic_any("first panic");
}

fn recursive_panic_4() {
    let _defer = Defer(|| panic_any("second panic"));
    panic_any("first panic");
}

fn recursive_panic_5() {
    say(|| {
        say(|| panic_any("first panic"));
        panic_any("second panic");
    });
    panic_any("third panic");
}

fn repanicked_panic() {
    let Err(payload) = catch_unwind(|| panic_any("message"));
    resume_unwind(payload);
}

fn repanicked_middle_panic() {
    let middle = catch_unwind(|| {
        drop(catch_unwind(|| panic_any("inner")));
        panic_any("middle");
    });
    let Err(middle) = middle;
    drop(catch_unwind(AssertUnwindSafe(|| resume_unwind(middle))));
    panic_any("outer");
}

fn repanicked_panic_sandwich() {
    let Err(outer) = catch_unwind(|| panic_any("outer"));
    drop(catch_unwind(|| panic_any("inner")));
    resume_unwind(outer);
}

fn double_panic_with_same_value() {
    let message = "message";
    drop(catch_unwind(|| panic_any(message)));
    panic_any(message);
}

/// None of the runtime's own goroutines is counted.
fn no_helper_goroutines() -> ExitCode {
    let n = rt0::num_goroutine();
    assert_eq!(n, 1, "goroutines in a program that started none");
    lone(|| panic_any("oops"))
}

fn panic_traceback() {
    let _defer = Defer(|| panic_any("panic pt1"));
    panic_any("hello");
}

/// A panic that is caught leaves nothing behind, on main and on others.
fn crash() -> ExitCode {
    fn test(name: &'static str) {
        let r = catch_unwind(|| {
            let nothing: Option<u32> = std::hint::black_box(None);
            nothing.expect("nil")
        });
        println!("{name}: {}", if r.is_err() { "recovered done" } else { "no panic" });
    }
    set_hook(Box::new(|_| {}));
    test("main");
    for name in ["new-thread", "second-new-thread"] {
        drop(rt0::go(move || test(name)).join());
    }
    test("main-again");
    DONE
}

struct Stringer(&'static str);

impl fmt::Display for Stringer {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new(self.0))
    }
}

rt0::register_itab!(Stringer: dyn fmt::Display + 'static);

/// Its text panics with a value whose text panics.
struct Circle;

impl fmt::Display for Circle {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Circle)
    }
}

rt0::register_itab!(Circle: dyn fmt::Display + 'static);

fn double_panic() {
    let _defer = Defer(|| panic_any("YYY"));
    panic_any("XXX");
}

fn recover_before_panic_after_goexit() -> ExitCode {
    set_hook(Box::new(|_| {}));
    let _defer = Defer(|| drop(catch_unwind(|| panic_any("caught while main ends"))));
    rt0::goexit();
}

fn panic_defer_fatal() {
    static LOCK: Mutex<()> = Mutex::new(());
    let _guard = LOCK.lock();
    panic_any("runtime.errorString(\"invalid memory address or nil pointer dereference\")");
}

fn panic_double_defer_fatal() {
    if let Err(payload) = catch_unwind(panic_defer_fatal) {
        resume_unwind(payload);
    }
}

/// The program's own hook is called, once, where the panic is; the report follows.
fn user_hook() -> ExitCode {
    set_hook(Box::new(|info| {
        let who = rt0::current().map(|g| g.id());
        eprintln!("hook: {} in {who:?}", info.payload_as_str().unwrap_or("?"));
    }));
    drop(rt0::go(|| panic_any("seen by the hook")).join());
    drop(rt0::Builder::new().go(|| panic_any("seen by both")));
    rt0::time::sleep(Duration::from_secs(20));
    DONE
}

fn hook_panics() -> ExitCode {
    set_hook(Box::new(|_| panic_any("from the hook")));
    drop(rt0::go(|| panic_any("first")));
    rt0::time::sleep(Duration::from_secs(20));
    DONE
}

/// Rust aborts at a panic in a destructor while it unwinds: with the goroutine that did it.
fn drop_panics() -> ExitCode {
    drop(rt0::go(|| {
        let _defer = Defer(|| panic!("in drop"));
        panic!("first");
    }));
    rt0::time::sleep(Duration::from_secs(20));
    DONE
}
