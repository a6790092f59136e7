//! Ends by panics, hooks and exits, where one meets the other. Each prints what it saw.

use super::{DONE, Entry, Run::Main};
use rt0::chan::{bounded, never};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("HookExits", Main(hook_exits)),
    ("HookExitsByStd", Main(hook_exits_by_std)),
    ("HookAborts", Main(hook_aborts)),
    ("HookSends", Main(hook_sends)),
    ("HookSleeps", Main(hook_sleeps)),
    ("HookParks", Main(hook_parks)),
    ("HookStarts", Main(hook_starts)),
    ("HookBlocksForEver", Main(hook_blocks_for_ever)),
    ("HookGoexits", Main(hook_goexits)),
    ("HookTaken", Main(hook_taken)),
    ("HookTakenInPanic", Main(hook_taken_in_panic)),
    ("AtExitGoexits", Main(at_exit_goexits)),
    ("AtExitStdExits", Main(at_exit_std_exits)),
    ("AtExitOthersPanic", Main(at_exit_others_panic)),
    ("AtExitOthersExit", Main(at_exit_others_exit)),
    ("ExitAgainInDestructor", Main(exit_again_in_destructor)),
    ("ExitInDestructor", Main(exit_in_destructor)),
    ("ExitWhileUnwinding", Main(exit_while_unwinding)),
    ("ExitBesideHogs", Main(exit_beside_hogs)),
    ("ExitByMany", Main(exit_by_many)),
    ("GoexitWhileUnwinding", Main(goexit_while_unwinding)),
    ("GoexitInDestructor", Main(goexit_in_destructor)),
    ("ResumeInMain", Main(resume_in_main)),
    ("Payloads", Main(payloads)),
    ("PanicThrownAgain", Main(panic_thrown_again)),
    ("PanicInResult", Main(panic_in_result)),
    ("PanicInResultLater", Main(panic_in_result_later)),
    ("PanicInPayload", Main(panic_in_payload)),
    ("PanicInThreadLocal", Main(panic_in_thread_local)),
    ("PanicInScope", Main(panic_in_scope)),
    ("PanicInOnce", Main(panic_in_once)),
    ("PanicInTimer", Main(panic_in_timer)),
    ("PanicInAfterFunc", Main(panic_in_after_func)),
    ("PanicOfSignal", Main(panic_of_signal)),
    ("PanicInFuture", Main(panic_in_future)),
    ("PanicInBlocking", Main(panic_in_blocking)),
    ("PanicLocked", Main(panic_locked)),
    ("PanicInInit", Main(|| DONE)),
];

/// Long enough for whatever is to end the process.
fn wait() -> ExitCode {
    rt0::time::sleep(Duration::from_secs(100));
    ExitCode::from(66)
}

fn pause() {
    rt0::time::sleep(Duration::from_millis(50));
}

struct Defer<F: FnMut()>(F);

impl<F: FnMut()> Drop for Defer<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

type Payload = Box<dyn std::any::Any + Send>;

fn text(payload: &Payload) -> &'static str {
    payload.downcast_ref::<&str>().copied().unwrap_or("?")
}

fn lone_panic() -> ExitCode {
    drop(rt0::go(|| panic_any("lone")));
    wait()
}

fn hook_exits() -> ExitCode {
    rt0::at_exit(|| println!("at exit"));
    set_hook(Box::new(|_| rt0::exit(42)));
    lone_panic()
}

fn hook_exits_by_std() -> ExitCode {
    set_hook(Box::new(|_| std::process::exit(42)));
    lone_panic()
}

fn hook_aborts() -> ExitCode {
    set_hook(Box::new(|_| std::process::abort()));
    lone_panic()
}

fn hook_sends() -> ExitCode {
    let (tx, rx) = bounded::<String>(0);
    set_hook(Box::new(move |info| {
        let _ = tx.send(info.payload_as_str().unwrap_or("?").to_owned());
    }));
    let h = rt0::go(|| panic_any("to a channel"));
    println!("{}", rx.recv().expect("the hook sends"));
    println!("{}", h.join().is_err());
    DONE
}

/// Many are in the hook at once.
fn hook_sleeps() -> ExitCode {
    set_hook(Box::new(|_| pause()));
    let panics: Vec<_> = (0..100).map(|n| rt0::go(move || panic_any(n))).collect();
    let number = |p: Payload| p.downcast_ref::<i32>().copied();
    let sum: i32 =
        panics.into_iter().filter_map(|h| number(h.join().expect_err("it panics"))).sum();
    println!("{sum}");
    DONE
}

fn hook_parks() -> ExitCode {
    let (tx, rx) = bounded(1);
    set_hook(Box::new(move |_| {
        let _ = tx.send(rt0::current());
        rt0::park();
        println!("unparked");
    }));
    let h = rt0::go(|| panic_any("parked"));
    rx.recv().expect("the hook sends").expect("a goroutine").unpark();
    println!("{}", text(&h.join().expect_err("it panics")));
    DONE
}

fn hook_starts() -> ExitCode {
    set_hook(Box::new(|_| println!("{:?}", rt0::go(|| "joined in the hook").join().ok())));
    println!("{}", rt0::go(|| panic_any("first")).join().is_err());
    DONE
}

fn hook_blocks_for_ever() -> ExitCode {
    set_hook(Box::new(|_| {
        let _ = never::<()>().recv();
    }));
    drop(rt0::go(|| panic_any("never thrown")).join());
    DONE
}

/// It is as good as a payload of another kind, and the next goroutine has no part in it.
fn hook_goexits() -> ExitCode {
    set_hook(Box::new(|_| rt0::goexit()));
    println!("{}", rt0::go(|| panic_any("lost")).join().is_err());
    let _ = take_hook();
    set_hook(Box::new(|_| println!("another hook")));
    println!("{}", text(&rt0::go(|| panic_any("kept")).join().expect_err("it panics")));
    DONE
}

fn hook_taken() -> ExitCode {
    set_hook(Box::new(|_| println!("mine")));
    drop(rt0::go(|| panic_any("1")).join());
    let mine = take_hook();
    set_hook(Box::new(move |info| {
        print!("around ");
        mine(info);
    }));
    drop(rt0::go(|| panic_any("2")).join());
    let _ = take_hook();
    drop(rt0::go(|| panic_any("by std's")).join());
    DONE
}

fn hook_taken_in_panic() -> ExitCode {
    set_hook(Box::new(|_| ()));
    let h = rt0::go(|| {
        let _defer = Defer(|| println!("{}", catch_unwind(take_hook).is_err()));
        panic_any("first");
    });
    println!("{}", text(&h.join().expect_err("it panics")));
    DONE
}

fn at_exit_goexits() -> ExitCode {
    rt0::at_exit(|| println!("not reached"));
    rt0::at_exit(|| rt0::goexit());
    DONE
}

fn at_exit_std_exits() -> ExitCode {
    rt0::at_exit(|| println!("not reached"));
    rt0::at_exit(|| std::process::exit(3));
    DONE
}

fn at_exit_others_panic() -> ExitCode {
    set_hook(Box::new(|_| ()));
    rt0::at_exit(|| {
        let _ = lone_panic();
    });
    DONE
}

/// The first one's code counts, however long its hooks take.
fn at_exit_others_exit() -> ExitCode {
    rt0::at_exit(|| {
        drop(rt0::go(|| rt0::exit(4)));
        thread::spawn(|| rt0::exit(5));
        pause();
        println!("hooks are done");
    });
    ExitCode::from(3)
}

struct Exits(Cell<i32>);

impl Drop for Exits {
    fn drop(&mut self) {
        match self.0.get() {
            0 => {}
            -1 => panic!("in a destructor of a thread-local"),
            code => rt0::exit(code),
        }
    }
}

thread_local!(static AT_END: Exits = const { Exits(Cell::new(0)) });

/// Of main's: the process is ending already. std's own text.
fn exit_again_in_destructor() -> ExitCode {
    AT_END.with(|e| e.0.set(7));
    DONE
}

fn exit_in_destructor() -> ExitCode {
    drop(rt0::go(|| AT_END.with(|e| e.0.set(9))));
    wait()
}

fn panic_in_thread_local() -> ExitCode {
    drop(rt0::go(|| AT_END.with(|e| e.0.set(-1))));
    wait()
}

fn exit_while_unwinding() -> ExitCode {
    set_hook(Box::new(|_| ()));
    drop(rt0::go(|| {
        let _defer = Defer(|| rt0::exit(5));
        panic_any("unwinds");
    }));
    wait()
}

fn exit_beside_hogs() -> ExitCode {
    for _ in 0..8 {
        drop(rt0::go(|| {
            loop {
                std::hint::spin_loop();
            }
        }));
    }
    drop(rt0::go(|| {
        pause();
        std::process::exit(7);
    }));
    wait()
}

/// Goroutines and threads, in all ways at once: the process ends once, without a word.
fn exit_by_many() -> ExitCode {
    for _ in 0..20 {
        drop(rt0::go(|| rt0::exit(11)));
        drop(rt0::go(|| std::process::exit(11)));
        thread::spawn(|| rt0::exit(11));
        thread::spawn(|| std::process::exit(11));
    }
    wait()
}

fn goexit_while_unwinding() -> ExitCode {
    set_hook(Box::new(|_| ()));
    let h = rt0::go(|| {
        let _defer = Defer(|| println!("{}", catch_unwind(|| rt0::goexit()).is_err()));
        panic_any("unwinds");
    });
    println!("{}", text(&h.join().expect_err("it panics")));
    DONE
}

fn goexit_in_destructor() -> ExitCode {
    let h = rt0::go(|| {
        let _first = Defer(|| println!("the others run too"));
        let _defer = Defer(|| rt0::goexit());
    });
    println!("{}", h.join().is_err_and(|p| p.is::<rt0::Goexit>()));
    DONE
}

/// What a join returned is main's panic then.
fn resume_in_main() -> ExitCode {
    let Err(payload) = rt0::go(|| panic!("of another goroutine")).join();
    resume_unwind(payload)
}

fn payloads() -> ExitCode {
    set_hook(Box::new(|_| ()));
    let vec = rt0::go(|| panic_any(vec![1, 2, 3])).join().expect_err("it panics");
    println!("{:?}", vec.downcast_ref::<Vec<i32>>());
    let n = std::hint::black_box(7);
    let string = rt0::go(move || panic!("number {n}")).join().expect_err("it panics");
    println!("{:?}", string.downcast_ref::<String>());
    println!("{}", rt0::go(|| rt0::goexit()).join().is_err_and(|p| p.is::<rt0::Goexit>()));
    DONE
}

fn panic_thrown_again() -> ExitCode {
    let h = rt0::go(|| {
        let Err(payload) = catch_unwind(|| panic!("once by the hook"));
        resume_unwind(payload);
    });
    println!("{}", text(&h.join().expect_err("it panics")));
    DONE
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a result");
    }
}

/// Nobody takes the result, so it is dropped by the goroutine.
fn panic_in_result() -> ExitCode {
    let h = rt0::Builder::new().name("returns a bomb".into()).go(|| {
        pause();
        Bomb
    });
    drop(h);
    wait()
}

/// So it is by who has the handle.
fn panic_in_result_later() -> ExitCode {
    let h = rt0::go(|| Bomb);
    while !h.is_finished() {
        rt0::gosched();
    }
    println!("{}", catch_unwind(AssertUnwindSafe(|| drop(h))).is_err());
    DONE
}

fn panic_in_payload() -> ExitCode {
    set_hook(Box::new(|_| ()));
    let payload = rt0::go(|| panic_any(Bomb)).join();
    println!("{}", catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
    drop(rt0::go(|| panic_any(Bomb)));
    wait()
}

fn panic_in_scope() -> ExitCode {
    set_hook(Box::new(|_| ()));
    let joined = rt0::scope(|s| s.go(|| panic_any("joined")).join().is_err());
    let panics = || {
        rt0::scope(|s| {
            s.go(|| panic_any("not joined"));
        });
    };
    println!("{joined} {}", catch_unwind(panics).is_err());
    drop(rt0::go(panics));
    wait()
}

fn panic_in_once() -> ExitCode {
    static STD: LazyLock<u32> = LazyLock::new(|| panic_any("in a lazy lock"));
    static OURS: rt0::sync::LazyLock<u32> = rt0::sync::LazyLock::new(|| panic_any("in ours"));
    set_hook(Box::new(|_| ()));
    for f in [|| *STD, || *OURS, || *STD, || *OURS] {
        let payload = rt0::go(f).join().expect_err("it panics");
        println!("{}", text(&payload).starts_with("in "));
    }
    let once = Arc::new(rt0::sync::Once::new());
    let of = Arc::clone(&once);
    let first = rt0::go(move || of.call_once(|| panic_any("in once"))).join();
    let again = catch_unwind(AssertUnwindSafe(|| once.call_once(|| ())));
    println!("{} {}", first.is_err(), again.is_err());
    DONE
}

fn panic_in_timer() -> ExitCode {
    let _timer = rt0::time::Timer::after_func(Duration::from_millis(1), || panic!("of a timer"));
    wait()
}

fn panic_in_after_func() -> ExitCode {
    let (ctx, cancel) = rt0::context::with_cancel(&rt0::context::background());
    let _func = ctx.after_func(|| panic!("of a context"));
    cancel.cancel();
    wait()
}

fn panic_of_signal() -> ExitCode {
    use rt0::signal::{Signal, notify};
    let (tx, rx) = bounded(1);
    notify(&tx, &[Signal::USR1]).expect("a signal");
    drop(rt0::go(move || panic!("{}", rx.recv().expect("a signal"))));
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::USR1).expect("our own process");
    wait()
}

fn panic_in_future() -> ExitCode {
    set_hook(Box::new(|_| ()));
    println!("{}", rt0::future::spawn_future(async { panic_any("joined") }).join().is_err());
    let awaited = rt0::future::spawn_future(async { panic_any("awaited") });
    println!("{}", rt0::future::block_on(async { awaited.await.is_err() }));
    drop(rt0::future::spawn_future(async { panic_any("of a future") }));
    wait()
}

fn panic_in_blocking() -> ExitCode {
    set_hook(Box::new(|_| ()));
    println!("{}", rt0::go(|| rt0::blocking(|| panic_any("caught"))).join().is_err());
    drop(rt0::go(|| rt0::blocking(|| panic_any("in a call"))));
    wait()
}

fn panic_locked() -> ExitCode {
    set_hook(Box::new(|_| ()));
    drop(rt0::go(|| {
        let _locked = rt0::lock_os_thread();
        panic_any("on a thread of its own");
    }));
    wait()
}

rt0::init_task! { name: "testprog/ends", order: 50, run: panic_in_init }

fn panic_in_init() {
    assert!(std::env::args().nth(1).as_deref() != Some("PanicInInit"), "in an init task");
}
