//! Goexit of main, deadlocks, exit codes and exit hooks.

use super::{DONE, Entry, Run::Main, Run::Plain};
use std::panic::{catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("GoexitDeadlock", Main(goexit_deadlock)),
    ("GoexitExit", Main(goexit_exit)),
    ("GoexitThenExit", Main(goexit_then_exit)),
    ("GoexitInPanic", Main(goexit_in_panic)),
    ("PanicAfterGoexit", Main(panic_after_goexit)),
    ("RecoveredPanicAfterGoexit", Main(recovered_panic_after_goexit)),
    ("JoinDeadlock", Main(join_deadlock)),
    ("ScopeDeadlock", Main(scope_deadlock)),
    ("ParkIsNoDeadlock", Main(park_is_no_deadlock)),
    ("ExitCode", Main(exit_code)),
    ("ExitCall", Main(exit_call)),
    ("ExitFromThread", Main(exit_from_thread)),
    ("ExitFromGoroutine", Main(exit_from_goroutine)),
    ("MainReturnsEarly", Main(main_returns_early)),
    ("HooksSimple", Main(hooks_simple)),
    ("HooksGoodExit", Main(hooks_good_exit)),
    ("HooksBadExit", Main(hooks_bad_exit)),
    ("HooksPanics", Main(hooks_panics)),
    ("HooksCallsExit", Main(hooks_calls_exit)),
    ("HooksAfterPanic", Main(hooks_after_panic)),
    ("HooksMayBlock", Main(hooks_may_block)),
    ("MainErr", Plain(main_err)),
];

fn goexit_deadlock() -> ExitCode {
    drop(rt0::go(|| {
        for _ in 0..10 {
            rt0::gosched();
        }
    }));
    rt0::goexit()
}

fn goexit_exit() -> ExitCode {
    println!("t1");
    drop(rt0::go(|| rt0::time::sleep(Duration::from_millis(1))));
    println!("t2\nt3\nt4");
    rt0::goexit()
}

fn goexit_then_exit() -> ExitCode {
    println!("t1");
    drop(rt0::go(|| {
        rt0::time::sleep(Duration::from_millis(10));
        println!("t2");
        rt0::exit(7);
    }));
    rt0::goexit()
}

fn goexit_in_panic() -> ExitCode {
    struct Exits;
    impl Drop for Exits {
        fn drop(&mut self) {
            let _ = catch_unwind(|| rt0::goexit());
        }
    }
    drop(rt0::go(|| {
        let r = catch_unwind(|| {
            let _exits = Exits;
            resume_unwind(Box::new("over"));
        });
        assert!(r.is_err());
    }));
    rt0::goexit()
}

fn panic_after_goexit() -> ExitCode {
    drop(rt0::go(|| {
        rt0::time::sleep(Duration::from_millis(10));
        panic!("hello");
    }));
    rt0::goexit()
}

fn recovered_panic_after_goexit() -> ExitCode {
    drop(rt0::go(|| assert!(catch_unwind(|| resume_unwind(Box::new(1))).is_err())));
    rt0::goexit()
}

/// Two goroutines that wait for each other's end, and main for one of them.
fn join_deadlock() -> ExitCode {
    let (tx, rx) = std::sync::mpsc::channel::<rt0::JoinHandle<()>>();
    let first = rt0::go(move || {
        let second = rt0::blocking(|| rx.recv().expect("main sends"));
        drop(second.join());
    });
    let (tx2, rx2) = std::sync::mpsc::channel::<rt0::JoinHandle<()>>();
    let second = rt0::Builder::new().name("second".into()).go(move || {
        let first = rt0::blocking(|| rx2.recv().expect("main sends"));
        drop(first.join());
    });
    tx.send(second.expect("a goroutine")).expect("received");
    tx2.send(first).expect("received");
    rt0::goexit()
}

fn scope_deadlock() -> ExitCode {
    let (tx, rx) = std::sync::mpsc::channel::<rt0::JoinHandle<()>>();
    let h = rt0::go(move || {
        let own = rt0::blocking(|| rx.recv().expect("main sends"));
        rt0::scope(|s| {
            s.go(|| drop(own.join()));
        });
    });
    tx.send(h).expect("received");
    rt0::goexit()
}

/// A thread that the runtime knows nothing of may unpark: no deadlock is reported.
fn park_is_no_deadlock() -> ExitCode {
    let me = rt0::current().expect("goroutine 1");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        me.unpark();
    });
    rt0::park();
    println!("unparked");
    DONE
}

fn exit_code() -> ExitCode {
    ExitCode::from(super::number(0) as u8)
}

fn exit_call() -> ExitCode {
    print!("buffered");
    rt0::exit(super::number(0) as i32)
}

fn exit_from_thread() -> ExitCode {
    rt0::at_exit(|| println!("hook on a thread: {}", rt0::current().is_none()));
    std::thread::spawn(|| rt0::exit(5));
    rt0::time::sleep(Duration::from_secs(5));
    DONE
}

fn exit_from_goroutine() -> ExitCode {
    drop(rt0::go(|| rt0::exit(6)));
    rt0::time::sleep(Duration::from_secs(5));
    DONE
}

/// Goroutines that still run vanish.
fn main_returns_early() -> ExitCode {
    for _ in 0..100 {
        drop(rt0::go(|| {
            rt0::time::sleep(Duration::from_secs(60));
            println!("not seen");
        }));
    }
    rt0::gosched();
    println!("main returns");
    DONE
}

fn hooks_simple() -> ExitCode {
    rt0::at_exit(|| println!("foo"));
    rt0::at_exit_on_success(|| println!("bar"));
    DONE
}

fn hooks_good_exit() -> ExitCode {
    rt0::at_exit(|| println!("apple"));
    rt0::at_exit_on_success(|| println!("orange"));
    rt0::exit(0)
}

fn hooks_bad_exit() -> ExitCode {
    rt0::at_exit(|| println!("blix"));
    rt0::at_exit_on_success(|| println!("not after a failure"));
    rt0::at_exit(|| println!("blub"));
    rt0::exit(1)
}

fn hooks_panics() -> ExitCode {
    rt0::at_exit(|| println!("not reached"));
    rt0::at_exit(|| resume_unwind(Box::new("in a hook")));
    rt0::at_exit(|| println!("good"));
    DONE
}

fn hooks_calls_exit() -> ExitCode {
    rt0::at_exit(|| println!("not reached"));
    rt0::at_exit(|| rt0::exit(9));
    rt0::at_exit(|| println!("good"));
    DONE
}

fn hooks_after_panic() -> ExitCode {
    rt0::at_exit(|| println!("always"));
    rt0::at_exit_on_success(|| println!("not after a failure"));
    panic!("main panics");
}

/// Hooks are ordinary code: they start goroutines, wait, and may add hooks.
fn hooks_may_block() -> ExitCode {
    rt0::at_exit(|| {
        rt0::time::sleep(Duration::from_millis(5));
        println!("{}", rt0::go(|| "joined").join().expect("no panic"));
        rt0::at_exit(|| println!("added late"));
    });
    DONE
}

/// A main that returns an error.
fn main_err() -> ExitCode {
    mod with_error {
        #[rt0::main]
        pub(crate) fn main() -> Result<(), String> {
            rt0::gosched();
            Err("what went wrong".to_owned())
        }
    }
    with_error::main();
    DONE
}
