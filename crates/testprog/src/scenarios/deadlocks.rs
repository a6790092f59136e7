//! Processes that can never go on, and such as only look so. Names as Go's where Go has the
//! program.
//!
//! # Safety
//! A mutex and a semaphore of C's lie in statics: they are initialised before their first use, and
//! what is called on them is made for many threads.

#![allow(unsafe_code, reason = "waits inside libc")]

use super::{DONE, Entry, Run::Main};
use rt0::chan::{self, bounded, never};
use rt0::sync::{Condvar, Mutex, RwLock, WaitGroup};
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("SimpleDeadlock", Main(simple_deadlock)),
    ("InitDeadlock", Main(not_reached)),
    ("MultiDeadlock", Main(multi_deadlock)),
    ("DiningDeadlock", Main(dining_deadlock)),
    ("PartialDeadlock", Main(partial_deadlock)),
    ("PartialChanDeadlock", Main(partial_chan_deadlock)),
    ("QuitChanDeadlock", Main(quit_chan_deadlock)),
    ("TimerStopped", Main(timer_stopped)),
    ("NochanTimer", Main(nochan_timer)),
    ("SleepThen", Main(sleep_then)),
    ("GoexitMainOthersDeadlock", Main(goexit_main_others_deadlock)),
    ("StdMutexDeadlock", Main(std_mutex_deadlock)),
    ("StdChannelDeadlock", Main(std_channel_deadlock)),
    ("CMutexDeadlock", Main(c_mutex_deadlock)),
    ("ThreadsDeadlock", Main(threads_deadlock)),
    ("ThreadEndsSilently", Main(thread_ends_silently)),
    ("JoinedThreadDeadlock", Main(joined_thread_deadlock)),
    ("LockOfThreadDeadlock", Main(lock_of_thread_deadlock)),
    ("NetDone", Main(net_done)),
    ("IoWait", Main(io_wait)),
    ("TimerPending", Main(timer_pending)),
    ("TimerPendingAlone", Main(timer_pending_alone)),
    ("InCall", Main(in_call)),
    ("InBlocking", Main(in_blocking)),
    ("Computes", Main(computes)),
    ("ThreadWillSend", Main(thread_will_send)),
    ("ThreadReads", Main(thread_reads)),
    ("TimedThread", Main(timed_thread)),
    ("HandlerMayPost", Main(handler_may_post)),
    ("ThreadsPlayBall", Main(threads_play_ball)),
];

const A_WHILE: Duration = Duration::from_millis(300);

fn simple_deadlock() -> ExitCode {
    let _: Result<(), _> = never().recv();
    DONE
}

rt0::init_task! { name: "testprog/deadlocks", order: 40, run: init_deadlock }

fn init_deadlock() {
    if std::env::args().nth(1).as_deref() == Some("InitDeadlock") {
        simple_deadlock();
    }
}

fn not_reached() -> ExitCode {
    println!("init has come to its end");
    DONE
}

/// A goroutine for each way to wait.
fn multi_deadlock() -> ExitCode {
    let (mutex, lock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
    let (_held, _written) = (mutex.lock(), lock.write());
    let m = Arc::clone(&mutex);
    drop(rt0::go(move || drop(m.lock())));
    let l = Arc::clone(&lock);
    drop(rt0::go(move || drop(l.read())));
    drop(rt0::go(|| never::<()>().recv().is_ok()));
    let (tx, rx) = bounded::<()>(0);
    let (t, r) = (tx.clone(), rx.clone());
    drop(rt0::go(move || t.send(()).is_ok()));
    let (full, kept) = bounded::<()>(0);
    drop(rt0::go(move || {
        let idle = never::<()>();
        rt0::select! { recv(idle) -> _ => (), send(full, ()) -> _ => () }
    }));
    drop(rt0::go(move || {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        drop(condvar.wait(mutex.lock().expect("not poisoned")));
        drop((rx, tx, kept));
    }));
    drop(rt0::go(rt0::park));
    let (_open, empty) = bounded::<()>(1);
    drop(rt0::go(move || empty.recv().is_ok()));
    assert_eq!(r.recv(), Ok(()));
    let group = WaitGroup::new();
    group.add(1);
    group.wait();
    DONE
}

/// Each has the fork to the left and waits for the one to the right.
fn dine() -> Vec<rt0::JoinHandle<()>> {
    const NAMES: [&str; 5] = ["Plato", "Kant", "Hume", "Marx", "Hegel"];
    let forks: Vec<_> = NAMES.iter().map(|_| Arc::new(Mutex::new(()))).collect();
    let all_have_one = Arc::new(rt0::sync::Barrier::new(NAMES.len()));
    let sit_down = |(i, name): (usize, &str)| {
        let left = Arc::clone(&forks[i]);
        let right = Arc::clone(&forks[(i + 1) % NAMES.len()]);
        let all_have_one = Arc::clone(&all_have_one);
        let philosopher = rt0::Builder::new().name(name.into()).go(move || {
            let _left = left.lock();
            all_have_one.wait();
            let _right = right.lock();
        });
        philosopher.expect("a goroutine")
    };
    NAMES.into_iter().enumerate().map(sit_down).collect()
}

fn dining_deadlock() -> ExitCode {
    for philosopher in dine() {
        drop(philosopher.join());
    }
    DONE
}

/// The same, while main lives and looks.
fn partial_deadlock() -> ExitCode {
    let philosophers = dine();
    let found = loop {
        rt0::time::sleep(Duration::from_millis(1));
        if let Some(found) = rt0::debug::deadlocks().pop() {
            break found;
        }
    };
    drop(philosophers);
    println!("{} in a circle, {} behind", found.circle.len(), found.behind.len());
    DONE
}

/// Two receive, each from the one that the other would send to, and a third joins one of them. It
/// has returned when somebody looks: what it had on its stack is no handle any more.
#[inline(never)]
fn receive_from_each_other() {
    let [(tx, rx), (tx2, rx2)] = [(); 2].map(|()| bounded::<()>(0));
    let first = rt0::go(move || {
        let _ = rx.recv();
        drop(tx2);
    });
    drop(rt0::go(move || {
        let _ = rx2.recv();
        drop(tx);
    }));
    drop(rt0::go(move || first.join().is_ok()));
}

/// Leaves nothing of it on the stack.
#[inline(never)]
fn in_a_function_that_returns(f: fn()) {
    f();
    overwrite_stack();
}

#[inline(never)]
fn overwrite_stack() {
    std::hint::black_box(&mut [0_u8; 16 << 10]);
}

fn partial_chan_deadlock() -> ExitCode {
    in_a_function_that_returns(receive_from_each_other);
    let found = loop {
        rt0::time::sleep(Duration::from_millis(1));
        let found = rt0::debug::deadlocks().pop();
        if let Some(found) = found.filter(|d| !d.behind.is_empty()) {
            break found;
        }
    };
    println!("{} in a circle, {} behind", found.circle.len(), found.behind.len());
    DONE
}

fn quit_chan_deadlock() -> ExitCode {
    in_a_function_that_returns(receive_from_each_other);
    while rt0::debug::waits().len() < 3 {
        rt0::time::sleep(Duration::from_millis(1));
    }
    // SAFETY: a number.
    unsafe { libc::raise(libc::SIGQUIT) };
    DONE
}

/// Go: timer_stopped.
fn timer_stopped() -> ExitCode {
    let timer = rt0::time::Timer::new(Duration::from_secs(100));
    timer.stop();
    let (tx, rx) = bounded::<()>(0);
    drop(rt0::go(move || {
        let _ = rx.recv_timeout(Duration::from_secs(100));
        rt0::park();
    }));
    rt0::time::sleep(Duration::from_millis(1));
    let _ = tx.send(());
    simple_deadlock()
}

/// Go: nochan_timer: nobody receives from it.
fn nochan_timer() -> ExitCode {
    let _after = chan::after(Duration::from_secs(100));
    let _tick = chan::tick(Duration::from_secs(100));
    simple_deadlock()
}

/// Go: netdone.
fn net_done() -> ExitCode {
    let listener = rt0::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let at = listener.local_addr().expect("bound");
    let client = rt0::go(move || rt0::net::TcpStream::connect(at).expect("a connection"));
    let (server, _) = listener.accept().expect("a client");
    let client = client.join().expect("no panic");
    simple_deadlock();
    drop((server, client));
    DONE
}

fn sleep_then() -> ExitCode {
    drop(rt0::go(|| {
        rt0::time::sleep(A_WHILE);
        println!("woke");
    }));
    simple_deadlock()
}

fn goexit_main_others_deadlock() -> ExitCode {
    drop(rt0::go(simple_deadlock));
    rt0::goexit()
}

fn std_mutex_deadlock() -> ExitCode {
    let [a, b] = [(), ()].map(|()| Arc::new(std::sync::Mutex::new(())));
    let (first, second) = (Arc::clone(&a), Arc::clone(&b));
    let met = Arc::new(std::sync::Barrier::new(2));
    let other = Arc::clone(&met);
    let h = rt0::go(move || {
        let _a = first.lock();
        other.wait();
        drop(second.lock());
    });
    let _b = b.lock();
    met.wait();
    drop(a.lock());
    drop(h.join());
    DONE
}

fn std_channel_deadlock() -> ExitCode {
    let (tx, rx) = mpsc::channel::<()>();
    let h = rt0::go(move || rx.recv().is_ok());
    drop(h.join());
    drop(tx);
    DONE
}

/// Inside libc, where nothing is interposed.
fn c_mutex_deadlock() -> ExitCode {
    struct Lock(std::cell::UnsafeCell<libc::pthread_mutex_t>);
    // SAFETY: a pthread mutex is for all threads.
    unsafe impl Sync for Lock {}
    static LOCK: Lock = Lock(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    // SAFETY: initialised, never moved.
    let lock = || unsafe { libc::pthread_mutex_lock(LOCK.0.get()) };
    lock();
    let h = rt0::go(lock);
    drop(h.join());
    DONE
}

/// Plain threads that wait for goroutines and for each other, in rt0 and in std.
fn threads_deadlock() -> ExitCode {
    let (tx, rx) = bounded::<()>(0);
    let (tx2, rx2) = bounded::<()>(0);
    thread::spawn(move || {
        let _ = rx2.recv();
        drop(tx);
    });
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    let _ = rx.recv();
    drop(tx2);
    DONE
}

/// Its handle is lost with it, and nobody gets word of that.
fn thread_ends_silently() -> ExitCode {
    let (tx, rx) = bounded::<()>(0);
    thread::spawn(move || {
        thread::sleep(A_WHILE);
        std::mem::forget(tx);
    });
    let _ = rx.recv();
    DONE
}

fn joined_thread_deadlock() -> ExitCode {
    drop(rt0::go(|| ())); // a program with one goroutine has nobody that could see it
    let (tx, rx) = bounded::<()>(0);
    let t = thread::spawn(move || rx.recv().is_ok());
    drop(t.join());
    drop(tx);
    DONE
}

/// A thread has a lock of rt0's, and waits for one that main has.
fn lock_of_thread_deadlock() -> ExitCode {
    let [a, b] = [(), ()].map(|()| Arc::new(Mutex::new(())));
    let (first, second) = (Arc::clone(&a), Arc::clone(&b));
    let (tell, told) = mpsc::channel();
    let _b = b.lock();
    thread::spawn(move || {
        let _a = first.lock();
        tell.send(()).expect("main listens");
        drop(second.lock());
    });
    told.recv().expect("the thread tells");
    drop(a.lock());
    DONE
}

fn goes_on() -> ExitCode {
    println!("goes on");
    DONE
}

/// Go: iowait.
fn io_wait() -> ExitCode {
    let listener = rt0::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let at = listener.local_addr().expect("bound");
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || tx.send(listener.accept().is_ok())));
    // From another process, which this one cannot know of.
    let to = format!("sleep 0.3; exec 3<>/dev/tcp/127.0.0.1/{}", at.port());
    let shell = std::process::Command::new("/bin/bash").args(["-c", &to]).spawn();
    assert_eq!(rx.recv(), Ok(true));
    shell.and_then(|mut shell| shell.wait()).expect("a shell");
    goes_on()
}

fn timer_pending() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        rt0::time::sleep(A_WHILE);
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

fn timer_pending_alone() -> ExitCode {
    let timer = rt0::time::Timer::new(A_WHILE);
    timer.receiver().recv().expect("a time");
    goes_on()
}

/// Go: syscall.
fn in_call() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        let mut pipe = std::process::Command::new("/bin/sleep")
            .arg("0.3")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a process");
        let _ = pipe.stdout.take().expect("piped").read(&mut [0]);
        let _ = pipe.wait();
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

fn in_blocking() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        rt0::blocking(|| thread::sleep(A_WHILE));
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

fn computes() -> ExitCode {
    let (tx, rx) = bounded(0);
    drop(rt0::go(move || {
        let start = std::time::Instant::now();
        while start.elapsed() < A_WHILE {}
        tx.send(())
    }));
    rx.recv().expect("sent");
    goes_on()
}

fn thread_will_send() -> ExitCode {
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        thread::sleep(A_WHILE);
        tx.send(())
    });
    rx.recv().expect("sent");
    goes_on()
}

/// It waits for the end of its standard input.
fn thread_reads() -> ExitCode {
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        let mut child = std::process::Command::new("/bin/sleep").arg("0.3").spawn();
        let _ = child.as_mut().map(std::process::Child::wait);
        tx.send(())
    });
    rx.recv().expect("sent");
    goes_on()
}

fn timed_thread() -> ExitCode {
    let (tx, rx) = bounded(0);
    let (_open, empty) = bounded::<()>(0);
    thread::spawn(move || {
        let _ = empty.recv_timeout(A_WHILE);
        tx.send(())
    });
    rx.recv().expect("sent");
    goes_on()
}

/// A signal's handler posts a semaphore: the thread that waits for it is not stuck.
fn handler_may_post() -> ExitCode {
    struct Semaphore(std::cell::UnsafeCell<std::mem::MaybeUninit<libc::sem_t>>);
    // SAFETY: a semaphore is for all threads.
    unsafe impl Sync for Semaphore {}
    static POSTED: Semaphore =
        Semaphore(std::cell::UnsafeCell::new(std::mem::MaybeUninit::zeroed()));
    fn semaphore() -> *mut libc::sem_t {
        POSTED.0.get().cast()
    }
    extern "C" fn post(_: i32) {
        // SAFETY: initialised below before the handler is there; sem_post may be called in one.
        unsafe { libc::sem_post(semaphore()) };
    }
    // SAFETY: never moved, initialised once.
    unsafe { libc::sem_init(semaphore(), 0, 0) };
    // SAFETY: a handler that calls async-signal-safe functions only.
    unsafe { libc::signal(libc::SIGUSR1, post as extern "C" fn(i32) as usize) };
    let (tx, rx) = bounded(0);
    thread::spawn(move || {
        // SAFETY: initialised above.
        while unsafe { libc::sem_wait(semaphore()) } != 0 {}
        tx.send(())
    });
    let script = format!("sleep 0.5; kill -USR1 {}", std::process::id());
    let shell = std::process::Command::new("/bin/sh").args(["-c", &script]).spawn();
    rx.recv().expect("sent");
    shell.and_then(|mut shell| shell.wait()).expect("a shell");
    goes_on()
}

/// Threads that wake each other, so that nearly all sleep nearly always, and goroutines that wait.
fn threads_play_ball() -> ExitCode {
    let (done, all_done) = bounded(0);
    for _ in 0..2 {
        let (there, here) = (mpsc::channel(), mpsc::channel::<u32>());
        thread::spawn(move || {
            for n in there.1 {
                let _ = here.0.send(n);
            }
        });
        let done = done.clone();
        thread::spawn(move || {
            let until = std::time::Instant::now() + 5 * A_WHILE;
            for n in 0.. {
                there.0.send(n).expect("the other listens");
                assert_eq!(here.1.recv(), Ok(n));
                if std::time::Instant::now() > until {
                    break;
                }
            }
            done.send(())
        });
    }
    drop(rt0::go(simple_deadlock));
    all_done.recv().expect("sent");
    all_done.recv().expect("sent");
    goes_on()
}
