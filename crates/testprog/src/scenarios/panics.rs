//! Panics that nobody can observe, and those of main.

use super::{DONE, Entry, Run::Main};
use std::fmt;
use std::panic::{catch_unwind, panic_any, resume_unwind};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("MainGoroutineID", Main(main_goroutine_id)),
    ("PanicRace", Main(panic_race)),
    ("RecursivePanic", Main(recursive_panic)),
    ("GoschedInPanic", Main(gosched_in_panic)),
    ("SyscallInPanic", Main(syscall_in_panic)),
    ("PanicLoop", Main(panic_loop)),
    ("StringPanic", Main(string_panic)),
    ("DebugPanic", Main(debug_panic)),
    ("UnnamedTypePanic", Main(unnamed_type_panic)),
    ("PanicDetachedBefore", Main(panic_detached_before)),
    ("PanicDetachedAfter", Main(panic_detached_after)),
    ("PanicNamed", Main(panic_named)),
    ("PanicFromThread", Main(panic_from_thread)),
    ("PanicDeep", Main(panic_deep)),
    ("PanicInDestructor", Main(panic_in_destructor)),
    ("PanicInWaitGroup", Main(panic_in_wait_group)),
    ("PanicInMain", Main(panic_in_main)),
    ("PanicWhileMainReturns", Main(panic_while_main_returns)),
    ("TracebackAncestors", Main(traceback_ancestors)),
];

fn main_goroutine_id() -> ExitCode {
    println!("{:?}", rt0::current().map(|g| g.id()));
    println!("{:?}", std::thread::current().name());
    panic!("test");
}

/// Long enough for whatever is to end the process, and short enough not to hang a test.
fn wait() -> ExitCode {
    rt0::time::sleep(Duration::from_secs(5));
    ExitCode::from(66)
}

/// Many panic at once: one report, whole.
fn panic_race() -> ExitCode {
    for _ in 0..20 {
        drop(rt0::go(|| resume_unwind(Box::new("crash"))));
    }
    wait()
}

fn recursive_panic() -> ExitCode {
    drop(rt0::go(|| {
        let caught = catch_unwind(|| resume_unwind(Box::new("bad"))).map(|()| 0);
        let payload = caught.expect_err("it panics");
        println!("wrap: {}", payload.downcast_ref::<&str>().copied().unwrap_or("?"));
        panic!("again");
    }));
    wait()
}

/// A payload that yields while it is printed.
struct Yields;

impl fmt::Display for Yields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rt0::gosched();
        rt0::time::sleep(Duration::from_millis(1));
        f.write_str("errorThatGosched")
    }
}

rt0::register_itab!(Yields: dyn fmt::Display + 'static);

fn gosched_in_panic() -> ExitCode {
    drop(rt0::go(|| resume_unwind(Box::new(Yields))));
    wait()
}

/// A payload that writes while it is printed.
struct Writes;

#[allow(clippy::print_in_format_impl, reason = "writing while being printed is the point")]
impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        println!("1");
        rt0::blocking(|| std::thread::sleep(Duration::from_millis(30)));
        println!("2");
        f.write_str("3")
    }
}

rt0::register_itab!(Writes: dyn fmt::Display + 'static);

fn syscall_in_panic() -> ExitCode {
    drop(rt0::go(|| resume_unwind(Box::new(Writes))));
    wait()
}

/// A payload that panics while it is printed.
struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new("double error"))
    }
}

rt0::register_itab!(Panics: dyn fmt::Display + 'static);

fn panic_loop() -> ExitCode {
    drop(rt0::go(|| resume_unwind(Box::new(Panics))));
    wait()
}

fn string_panic() -> ExitCode {
    drop(rt0::go(|| panic!("important multi-line\nstring message")));
    wait()
}

/// Known by its Debug only.
#[derive(Debug)]
struct Failure {
    #[expect(dead_code, reason = "Debug shows it")]
    code: u32,
}

rt0::register_itab!(Failure: dyn fmt::Debug + 'static);

fn debug_panic() -> ExitCode {
    drop(rt0::go(|| panic_any(Failure { code: 7 })));
    wait()
}

fn unnamed_type_panic() -> ExitCode {
    drop(rt0::go(|| panic_any(7_u128)));
    wait()
}

fn panic_detached_before() -> ExitCode {
    drop(rt0::go(|| {
        rt0::time::sleep(Duration::from_millis(10));
        panic!("the handle went first");
    }));
    wait()
}

fn panic_detached_after() -> ExitCode {
    let h = rt0::go(|| panic!("the panic went first"));
    while !h.is_finished() {
        rt0::gosched();
    }
    println!("still here");
    drop(h);
    wait()
}

fn panic_named() -> ExitCode {
    let h = rt0::Builder::new().name("worker 7".into()).go(|| panic!("named"));
    drop(h);
    wait()
}

fn panic_from_thread() -> ExitCode {
    std::thread::spawn(|| drop(rt0::go(|| panic!("made by a thread"))));
    wait()
}

#[inline(never)]
fn descend(n: u32) -> u32 {
    assert!(n > 0, "at the bottom");
    std::hint::black_box(descend(n - 1)) + 1
}

fn panic_deep() -> ExitCode {
    drop(rt0::go(|| descend(300)));
    wait()
}

/// The stack is that of the panic, not of what ran while it unwound.
fn panic_in_destructor() -> ExitCode {
    struct Unwound;
    impl Drop for Unwound {
        fn drop(&mut self) {
            let _ = catch_unwind(|| panic!("caught"));
            rt0::time::sleep(Duration::from_millis(1));
        }
    }
    drop(rt0::go(|| {
        let _unwound = Unwound;
        descend(1)
    }));
    wait()
}

fn panic_in_wait_group() -> ExitCode {
    let group = std::sync::Arc::new(rt0::sync::WaitGroup::new());
    group.go(|| {
        descend(2);
    });
    group.wait();
    ExitCode::from(66)
}

fn panic_in_main() -> ExitCode {
    drop(rt0::go(|| rt0::time::sleep(Duration::from_secs(60))));
    panic!("main panics");
}

/// Main returns while a goroutine reports: the report is not cut off.
fn panic_while_main_returns() -> ExitCode {
    struct Slow;
    impl fmt::Display for Slow {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            rt0::time::sleep(Duration::from_millis(50));
            f.write_str("not lost")
        }
    }
    rt0::register_itab!(Slow: dyn fmt::Display + 'static);
    let (tx, rx) = std::sync::mpsc::channel();
    drop(rt0::go(move || {
        struct Tells(std::sync::mpsc::Sender<()>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let _tells = Tells(tx);
        resume_unwind(Box::new(Slow));
    }));
    let _ = rx.recv();
    rt0::time::sleep(Duration::from_millis(5));
    DONE
}

fn traceback_ancestors() -> ExitCode {
    drop(rt0::go(|| {
        drop(rt0::go(|| {
            drop(rt0::go(|| {
                rt0::time::sleep(Duration::from_millis(50)); // the handle goes first
                panic!("deep")
            }));
            rt0::time::sleep(Duration::from_secs(5));
        }));
        rt0::time::sleep(Duration::from_secs(5));
    }));
    wait()
}
