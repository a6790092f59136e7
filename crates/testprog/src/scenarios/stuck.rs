//! Each way to wait, with nobody who could end the wait: the process says so. edges.rs has those
//! with somebody.
//!
//! # Safety
//! What is called of C's has no precondition, or gets statics that are initialised.

#![allow(unsafe_code, reason = "waits inside libc")]

use super::edges::{CONDVAR, LONG, MUTEX, OfC, with_company};
use super::{DONE, Entry, Run::Main, Run::Plain};
use rt0::chan::bounded;
use rt0::context::{background, with_cancel, with_timeout};
use rt0::sync::{Barrier, Condvar, Mutex, Notify, Once, RwLock, Semaphore, WaitGroup};
use rt0::sync::{broadcast, mpsc, oneshot, watch};
use std::future::{pending, poll_fn};
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("LockedDies", Main(locked_dies)),
    ("LockedMainDies", Main(locked_main_dies)),
    ("RunDies", Plain(run_dies)),
    ("GuestDies", Plain(guest_dies)),
    ("FutureDies", Main(future_dies)),
    ("FutureOfGoroutineDies", Main(future_of_goroutine_dies)),
    ("ContextDies", Main(context_dies)),
    ("ScopeDies", Main(scope_dies)),
    ("WaitGroupDies", Main(wait_group_dies)),
    ("CondvarDies", Main(condvar_dies)),
    ("BarrierDies", Main(barrier_dies)),
    ("OnceDies", Main(once_dies)),
    ("RwLockDies", Main(rw_lock_dies)),
    ("SelectDies", Main(select_dies)),
    ("SemaphoreDies", Main(semaphore_dies)),
    ("NotifyDies", Main(notify_dies)),
    ("OneshotDies", Main(oneshot_dies)),
    ("WatchDies", Main(watch_dies)),
    ("BroadcastDies", Main(broadcast_dies)),
    ("MpscDies", Main(mpsc_dies)),
    ("ThreadHoldsSenderDies", Main(thread_holds_sender_dies)),
    ("HandledSignalDies", Main(handled_signal_dies)),
    ("CSemaphoreDies", Main(c_semaphore_dies)),
    ("CCondvarDies", Main(c_condvar_dies)),
    ("CInheritingDies", Main(c_inheriting_dies)),
    ("TimerGoneDies", Main(timer_gone_dies)),
    ("ProcessDoneDies", Main(process_done_dies)),
    ("StdinDoneDies", Main(stdin_done_dies)),
    ("BlockingDies", Main(blocking_dies)),
    ("HookDies", Main(hook_dies)),
    ("HookDiesOthersExit", Main(hook_dies_others_exit)),
    ("MainAloneDies", Main(main_alone_dies)),
    ("MainAloneRecvDies", Main(main_alone_recv_dies)),
    ("MainAloneCondvarDies", Main(main_alone_condvar_dies)),
    ("MainAloneJoinDies", Main(main_alone_join_dies)),
];

fn stuck() {
    let (_open, empty) = bounded::<()>(0);
    let _ = empty.recv();
}

fn locked_dies() -> ExitCode {
    let h = rt0::go(|| {
        let _locked = rt0::lock_os_thread();
        stuck();
    });
    drop(h.join());
    DONE
}

fn locked_main_dies() -> ExitCode {
    let _locked = rt0::lock_os_thread();
    with_company();
    stuck();
    DONE
}

/// The program's main function is its own.
fn run_dies() -> ExitCode {
    rt0::run(|| {
        with_company();
        stuck();
    });
    DONE
}

/// Two threads in `run`, and both stuck.
fn guest_dies() -> ExitCode {
    let (there, is_there) = bounded(0);
    let guest = thread::spawn(move || {
        is_there.recv().expect("told");
        rt0::run(stuck);
    });
    rt0::run(|| {
        there.send(()).expect("received");
        rt0::blocking(|| drop(guest.join()));
    });
    DONE
}

fn future_dies() -> ExitCode {
    with_company();
    rt0::future::block_on(pending::<()>());
    DONE
}

/// Its waker is in the hands of a goroutine that waits for it.
fn future_of_goroutine_dies() -> ExitCode {
    let h = rt0::future::spawn_future(poll_fn(|cx| {
        let waker = cx.waker().clone();
        drop(rt0::go(move || {
            stuck();
            waker.wake();
        }));
        Poll::<()>::Pending
    }));
    drop(rt0::future::block_on(async { h.await }));
    DONE
}

fn context_dies() -> ExitCode {
    with_company();
    let (ctx, _cancel) = with_cancel(&background());
    let (_open, empty) = bounded::<()>(0);
    let _ = ctx.recv(&empty);
    DONE
}

fn scope_dies() -> ExitCode {
    rt0::scope(|s| {
        s.go(stuck);
    });
    DONE
}

fn wait_group_dies() -> ExitCode {
    let group = Arc::new(WaitGroup::new());
    group.go(stuck);
    group.wait();
    DONE
}

fn condvar_dies() -> ExitCode {
    with_company();
    let mutex = Mutex::new(());
    drop(Condvar::new().wait(mutex.lock().expect("not poisoned")));
    DONE
}

fn barrier_dies() -> ExitCode {
    let three = Arc::new(Barrier::new(3));
    let other = Arc::clone(&three);
    drop(rt0::go(move || other.wait().is_leader()));
    three.wait();
    DONE
}

/// Who initialises waits for who waits for the initialisation.
fn once_dies() -> ExitCode {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rt0::go(|| ONCE.call_once(|| ())).join()));
    DONE
}

fn rw_lock_dies() -> ExitCode {
    let lock = Arc::new(RwLock::new(()));
    let _read = lock.read();
    let writer = Arc::clone(&lock);
    drop(rt0::go(move || drop(writer.write())).join());
    DONE
}

fn select_dies() -> ExitCode {
    with_company();
    let ((_a, a), (b, _b)) = (bounded::<()>(0), bounded::<()>(0));
    rt0::select! { recv(a) -> _ => (), send(b, ()) -> _ => () }
    DONE
}

fn semaphore_dies() -> ExitCode {
    with_company();
    let semaphore = Semaphore::new(1);
    let _one = semaphore.acquire();
    drop(semaphore.acquire());
    DONE
}

fn notify_dies() -> ExitCode {
    with_company();
    Notify::new().notified();
    DONE
}

fn oneshot_dies() -> ExitCode {
    with_company();
    let (_tx, mut rx) = oneshot::channel::<()>();
    let _ = rx.recv();
    DONE
}

fn watch_dies() -> ExitCode {
    with_company();
    let (_tx, mut rx) = watch::channel(());
    let _ = rx.changed();
    DONE
}

fn broadcast_dies() -> ExitCode {
    with_company();
    let (_tx, mut rx) = broadcast::channel::<()>(1);
    let _ = rx.recv();
    DONE
}

fn mpsc_dies() -> ExitCode {
    with_company();
    let (_tx, rx) = mpsc::channel::<()>();
    let _ = rx.recv();
    DONE
}

/// A thread has the sender, and waits for a lock of std's that main has.
fn thread_holds_sender_dies() -> ExitCode {
    with_company();
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _locked = LOCK.lock();
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        let _locked = LOCK.lock();
        tx.send(())
    });
    let _ = rx.recv();
    DONE
}

/// A handler of the program's cannot wake who waits in rt0.
fn handled_signal_dies() -> ExitCode {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: a handler that does nothing.
    unsafe { libc::signal(libc::SIGUSR1, nothing as extern "C" fn(i32) as usize) };
    with_company();
    stuck();
    DONE
}

fn c_semaphore_dies() -> ExitCode {
    static SEMAPHORE: OfC<std::mem::MaybeUninit<libc::sem_t>> =
        OfC(std::cell::UnsafeCell::new(std::mem::MaybeUninit::zeroed()));
    let semaphore = || SEMAPHORE.0.get().cast::<libc::sem_t>();
    // SAFETY: never moved, initialised once.
    unsafe { libc::sem_init(semaphore(), 0, 0) };
    // SAFETY: initialised above.
    drop(rt0::go(move || unsafe { libc::sem_wait(semaphore()) }).join());
    DONE
}

fn c_condvar_dies() -> ExitCode {
    let h = rt0::go(|| {
        // SAFETY: initialised.
        unsafe { libc::pthread_mutex_lock(MUTEX.0.get()) };
        // SAFETY: initialised, and the mutex is ours.
        unsafe { libc::pthread_cond_wait(CONDVAR.0.get(), MUTEX.0.get()) }
    });
    drop(h.join());
    DONE
}

/// A mutex whose owner inherits the priority of who waits: the kernel knows the owner.
fn c_inheriting_dies() -> ExitCode {
    static LOCK: OfC<libc::pthread_mutex_t> =
        OfC(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    let mut how = std::mem::MaybeUninit::<libc::pthread_mutexattr_t>::zeroed();
    // SAFETY: a place for attributes.
    unsafe { libc::pthread_mutexattr_init(how.as_mut_ptr()) };
    // SAFETY: initialised.
    unsafe { libc::pthread_mutexattr_setprotocol(how.as_mut_ptr(), libc::PTHREAD_PRIO_INHERIT) };
    // SAFETY: nobody uses it yet.
    unsafe { libc::pthread_mutex_init(LOCK.0.get(), how.as_ptr()) };
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // SAFETY: initialised.
        tell.send(unsafe { libc::pthread_mutex_lock(LOCK.0.get()) }).expect("main listens");
        loop {
            thread::park();
        }
    });
    assert_eq!(told.recv(), Ok(0));
    // SAFETY: initialised.
    drop(rt0::go(|| unsafe { libc::pthread_mutex_lock(LOCK.0.get()) }).join());
    DONE
}

/// Timers that ran, were dropped, stopped or cancelled leave nothing behind.
fn timer_gone_dies() -> ExitCode {
    with_company();
    drop(rt0::time::Timer::new(LONG));
    drop(rt0::time::Ticker::new(LONG));
    let timer = rt0::time::Timer::after_func(LONG, || ());
    assert!(timer.stop());
    drop(with_timeout(&background(), LONG));
    let (tx, rx) = bounded(1);
    drop(rt0::go(move || tx.send(1)));
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    let _ = rt0::time::timeout(LONG, || ());
    let (_open, empty) = bounded::<()>(0);
    rt0::select! { recv(empty) -> _ => (), default(Duration::from_millis(1)) => () }
    stuck();
    DONE
}

fn process_done_dies() -> ExitCode {
    with_company();
    let status = rt0::process::Command::new("true").status();
    assert!(status.expect("it is there").success());
    stuck();
    DONE
}

fn stdin_done_dies() -> ExitCode {
    with_company();
    let mut text = String::new();
    rt0::io::stdin().read_to_string(&mut text).expect("text");
    stuck();
    DONE
}

fn blocking_dies() -> ExitCode {
    let (_tx, rx) = std::sync::mpsc::channel::<()>();
    drop(rt0::go(move || rt0::blocking(|| rx.recv().is_ok())).join());
    DONE
}

/// Main has returned, and a hook waits for ever.
fn hook_dies() -> ExitCode {
    with_company();
    rt0::at_exit(stuck);
    DONE
}

/// So it is when others want to exit, too.
fn hook_dies_others_exit() -> ExitCode {
    rt0::at_exit(|| {
        drop(rt0::go(|| rt0::exit(1)));
        thread::spawn(|| rt0::exit(1));
        stuck();
    });
    DONE
}

/// A lock of std's, taken twice.
fn main_alone_dies() -> ExitCode {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _locked = LOCK.lock();
    drop(LOCK.lock());
    DONE
}

/// It has the sender itself.
fn main_alone_join_dies() -> ExitCode {
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let waits = thread::spawn(move || rx.recv().is_ok());
    let got = waits.join();
    drop(tx);
    ExitCode::from(66 + u8::from(got.is_ok()))
}

fn main_alone_recv_dies() -> ExitCode {
    let (_tx, rx) = std::sync::mpsc::channel::<()>();
    let _ = rx.recv();
    DONE
}

/// A thread is there, and waits for main.
fn main_alone_condvar_dies() -> ExitCode {
    static PAIR: (std::sync::Mutex<()>, std::sync::Condvar) =
        (std::sync::Mutex::new(()), std::sync::Condvar::new());
    let wait = || drop(PAIR.1.wait_while(PAIR.0.lock().expect("not poisoned"), |()| true));
    thread::spawn(wait);
    wait();
    DONE
}
