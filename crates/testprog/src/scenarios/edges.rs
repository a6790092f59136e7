//! What stands between a process that waits and one that is dead: each way to wait, with somebody
//! who will end the wait; stuck.rs has those with nobody who can. The rows of docs/TESTPROG.md's
//! table of edges.
//!
//! # Safety
//! What is called of C's has no precondition, or gets statics that are initialised.

#![allow(unsafe_code, reason = "waits inside libc")]

use super::{DONE, Entry, Run::Main, Run::Plain};
use rt0::chan::bounded;
use rt0::context::{background, with_cancel, with_timeout};
use rt0::sync::{Condvar, Mutex, Notify, Semaphore, broadcast, mpsc, oneshot, watch};
use std::future::poll_fn;
use std::io::Read;
use std::process::ExitCode;
use std::task::Poll;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("LockedGoroutineWorks", Main(locked_goroutine_works)),
    ("LockedMainWaits", Main(locked_main_waits)),
    ("StdinRead", Main(stdin_read)),
    ("ThreadReadsStdin", Main(thread_reads_stdin)),
    ("RunWaits", Plain(run_waits)),
    ("GuestWaits", Plain(guest_waits)),
    ("FutureOfThread", Main(future_of_thread)),
    ("FutureOfTimer", Main(future_of_timer)),
    ("ContextTimeout", Main(context_timeout)),
    ("WaitsWithDeadline", Main(waits_with_deadline)),
    ("AfterFunc", Main(after_func)),
    ("TickerRuns", Main(ticker_runs)),
    ("SelectOnTimer", Main(select_on_timer)),
    ("ReadDeadline", Main(read_deadline)),
    ("ProcessWaits", Main(process_waits)),
    ("CCondvarTimed", Main(c_condvar_timed)),
    ("CPipe", Main(c_pipe)),
    ("SigWait", Main(sig_wait)),
    ("MainGoneThreadWorks", Main(main_gone_thread_works)),
    ("HookWaits", Main(hook_waits)),
    ("MainAloneThreadWorks", Main(main_alone_thread_works)),
    ("MainAloneJoins", Main(main_alone_joins)),
];

const A_WHILE: Duration = Duration::from_millis(300);
pub(super) const LONG: Duration = Duration::from_secs(10_000);

fn goes_on() -> ExitCode {
    println!("goes on");
    DONE
}

/// There is a goroutine beside main, so that sysmon is there.
pub(super) fn with_company() {
    drop(rt0::go(|| rt0::chan::never::<()>().recv().is_ok()));
}

/// It sleeps in C, on a thread of its own.
fn locked_goroutine_works() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        let _locked = rt0::lock_os_thread();
        // SAFETY: no precondition.
        unsafe { libc::usleep(A_WHILE.as_micros() as u32) };
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

fn locked_main_waits() -> ExitCode {
    let _locked = rt0::lock_os_thread();
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        thread::sleep(A_WHILE);
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

/// By rt0, while main waits for it.
fn stdin_read() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        let mut text = String::new();
        let read = rt0::io::stdin().read_to_string(&mut text);
        tx.send(read.is_ok())
    }));
    assert_eq!(rx.recv(), Ok(true));
    goes_on()
}

/// By std, on a thread that has the only handle.
fn thread_reads_stdin() -> ExitCode {
    with_company();
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        tx.send(read.is_ok())
    });
    assert_eq!(rx.recv(), Ok(true));
    goes_on()
}

/// A library, and a thread of its program's.
fn run_waits() -> ExitCode {
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        thread::sleep(A_WHILE);
        tx.send(())
    });
    rt0::run(|| {
        with_company();
        rx.recv().expect("sent");
    });
    goes_on()
}

/// Two threads in `run`: one of them brings what the other waits for.
fn guest_waits() -> ExitCode {
    let (tx, rx) = bounded(0);
    let (there, is_there) = bounded(0);
    let guest = thread::spawn(move || {
        is_there.recv().expect("told");
        rt0::run(|| {
            thread::sleep(A_WHILE);
            tx.send(())
        })
    });
    rt0::run(|| {
        with_company();
        there.send(()).expect("received");
        rx.recv().expect("sent");
    });
    guest.join().expect("no panic").expect("received");
    goes_on()
}

fn future_of_thread() -> ExitCode {
    with_company();
    let mut started = false;
    rt0::future::block_on(poll_fn(|cx| {
        if started {
            return Poll::Ready(());
        }
        started = true;
        let waker = cx.waker().clone();
        thread::spawn(move || {
            thread::sleep(A_WHILE);
            waker.wake();
        });
        Poll::Pending
    }));
    goes_on()
}

/// The receiver of a timer's channel, as a stream is waited for.
fn future_of_timer() -> ExitCode {
    with_company();
    let mut started = false;
    let sleeper = rt0::future::spawn_future(poll_fn(move |cx| {
        if started {
            return Poll::Ready(());
        }
        started = true;
        let waker = cx.waker().clone();
        drop(rt0::go(move || {
            rt0::time::sleep(A_WHILE);
            waker.wake();
        }));
        Poll::Pending
    }));
    rt0::future::block_on(async { sleeper.await }).expect("no panic");
    goes_on()
}

fn context_timeout() -> ExitCode {
    with_company();
    let (ctx, _cancel) = with_timeout(&background(), A_WHILE);
    let (_open, empty) = bounded::<()>(0);
    assert!(ctx.recv(&empty).is_err());
    let (ctx, _cancel) = with_timeout(&background(), A_WHILE);
    let _ = ctx.done().recv();
    let (ctx, _cancel) = with_timeout(&background(), A_WHILE);
    let (child, _cancel_child) = with_cancel(&ctx);
    let _ = child.done().recv();
    assert!(child.err().is_some());
    goes_on()
}

/// Each has nobody who could end it but its own deadline.
fn waits_with_deadline() -> ExitCode {
    const D: Duration = Duration::from_millis(60);
    with_company();
    let mutex = Mutex::new(());
    let guard = mutex.lock().expect("not poisoned");
    drop(Condvar::new().wait_timeout(guard, D));
    let (_open, empty) = bounded::<()>(0);
    assert!(empty.recv_timeout(D).is_err());
    let semaphore = Semaphore::new(0);
    assert!(semaphore.acquire_timeout(1, D).is_err());
    assert!(!Notify::new().notified_timeout(D));
    let (_tx, mut rx) = oneshot::channel::<()>();
    assert!(rx.recv_timeout(D).is_err());
    let (_tx, mut rx) = watch::channel(());
    assert!(rx.changed_timeout(D).is_err());
    let (_tx, mut rx) = broadcast::channel::<()>(1);
    assert!(rx.recv_timeout(D).is_err());
    let (_tx, rx) = mpsc::channel::<()>();
    assert!(rx.recv_timeout(D).is_err());
    rt0::park_timeout(D);
    assert!(rt0::time::timeout(D, || rt0::time::sleep(LONG)).is_err());
    goes_on()
}

/// Nobody is there but a function that a timer will call.
fn after_func() -> ExitCode {
    with_company();
    let (tx, rx) = bounded(1);
    let _timer = rt0::time::Timer::after_func(A_WHILE, move || {
        let _ = tx.try_send(());
    });
    rx.recv().expect("sent");
    goes_on()
}

fn ticker_runs() -> ExitCode {
    with_company();
    let ticker = rt0::time::Ticker::new(A_WHILE);
    for _ in 0..2 {
        ticker.receiver().recv().expect("a tick");
    }
    goes_on()
}

fn select_on_timer() -> ExitCode {
    with_company();
    let (nothing, after) = (rt0::chan::never::<()>(), rt0::chan::after(A_WHILE));
    rt0::select! { recv(nothing) -> _ => unreachable!("nobody sends"), recv(after) -> _ => () }
    rt0::select! { recv(nothing) -> _ => unreachable!("nobody sends"), default(A_WHILE) => () }
    goes_on()
}

fn read_deadline() -> ExitCode {
    with_company();
    let socket = rt0::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(A_WHILE)).expect("a deadline");
    assert!(socket.recv(&mut [0]).is_err());
    goes_on()
}

fn process_waits() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        let mut child = rt0::process::Command::new("sleep").arg("0.3").spawn().expect("a process");
        tx.send(child.wait().is_ok())
    }));
    assert_eq!(rx.recv(), Ok(true));
    goes_on()
}

pub(super) struct OfC<T>(pub(super) std::cell::UnsafeCell<T>);
// SAFETY: what is made of it below is for all threads.
unsafe impl<T> Sync for OfC<T> {}

pub(super) static MUTEX: OfC<libc::pthread_mutex_t> =
    OfC(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
pub(super) static CONDVAR: OfC<libc::pthread_cond_t> =
    OfC(std::cell::UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER));

fn c_condvar_timed() -> ExitCode {
    let h = rt0::go(|| {
        let mut until = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for a time.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut until) };
        until.tv_sec += 1;
        // SAFETY: initialised.
        unsafe { libc::pthread_mutex_lock(MUTEX.0.get()) };
        // SAFETY: initialised, and the mutex is ours.
        unsafe { libc::pthread_cond_timedwait(CONDVAR.0.get(), MUTEX.0.get(), &raw const until) }
    });
    assert_eq!(h.join().expect("no panic"), libc::ETIMEDOUT);
    goes_on()
}

/// A read of a pipe that a thread of the same process will write to: the kernel wakes the reader.
fn c_pipe() -> ExitCode {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    thread::spawn(move || {
        thread::sleep(A_WHILE);
        drop(writer);
    });
    let h = rt0::go(move || reader.read(&mut [0]).expect("a pipe"));
    assert_eq!(h.join().expect("no panic"), 0);
    goes_on()
}

/// A thread waits for a signal by itself, which comes from another process.
fn sig_wait() -> ExitCode {
    with_company();
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a place for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1) };
    // SAFETY: initialised.
    let set = unsafe { set.assume_init() };
    let (tx, rx) = bounded(0);
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // SAFETY: a set of signals.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        // SAFETY: no precondition.
        tell.send(unsafe { libc::gettid() }).expect("main listens");
        let mut which = 0;
        // SAFETY: a set of signals, and a place for one.
        tx.send(unsafe { libc::sigwait(&raw const set, &raw mut which) })
    });
    let script = format!("sleep 0.3; kill -USR1 {}", told.recv().expect("a number"));
    let shell = std::process::Command::new("/bin/sh").args(["-c", &script]).spawn();
    assert_eq!(rx.recv(), Ok(0));
    shell.and_then(|mut shell| shell.wait()).expect("a shell");
    goes_on()
}

/// Main has gone, no goroutine is left: a thread ends the process.
fn main_gone_thread_works() -> ExitCode {
    thread::spawn(|| {
        thread::sleep(A_WHILE);
        println!("goes on");
        rt0::exit(0)
    });
    rt0::goexit()
}

fn hook_waits() -> ExitCode {
    with_company();
    rt0::at_exit(|| {
        let (tx, rx) = bounded(0);
        thread::spawn(move || {
            thread::sleep(A_WHILE);
            tx.send(())
        });
        rx.recv().expect("sent");
        println!("goes on");
    });
    DONE
}

/// Main waits in std, and there is no other goroutine: sysmon has not started.
/// Threads that sleep, one after the other on what main looks at meanwhile.
fn main_alone_joins() -> ExitCode {
    let (tx, rx) = std::sync::mpsc::channel();
    let second = thread::spawn(move || rx.recv().expect("the first one sends") + 1);
    let first = thread::spawn(move || {
        thread::sleep(A_WHILE);
        tx.send(1)
    });
    assert_eq!(second.join().expect("no panic"), 2);
    first.join().expect("no panic").expect("the second one listens");
    goes_on()
}

fn main_alone_thread_works() -> ExitCode {
    let (tx, rx) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for i in 0..3 {
            thread::sleep(A_WHILE / 3);
            tx.send(i).expect("main listens");
        }
    });
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    goes_on()
}
