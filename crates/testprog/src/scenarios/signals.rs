//! What signals do to a program, and what it makes of them.

#![allow(unsafe_code, reason = "threads, masks, handlers and forks of C's")]

use super::{DONE, Entry, Run::Main, Run::Plain, number};
use rt0::chan::{Receiver, bounded, unbounded};
use rt0::context::background;
use rt0::signal::{Signal, ignore, ignored, notify, notify_context, reset, stop};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("SignalIgnoreSIGTRAP", Main(ignore_sigtrap)),
    ("SignalDefault", Main(default)),
    ("SignalReset", Main(reset_to_default)),
    ("SignalTexts", Main(texts)),
    ("Nohup", Main(nohup)),
    ("NotifyContext", Main(context)),
    ("NotifyContextParent", Main(context_parent)),
    ("SignalWait", Main(wait)),
    ("SignalStopDeadlock", Main(stop_deadlock)),
    ("SignalGone", Main(gone)),
    ("AtomicStop", Main(atomic_stop)),
    ("SignalStress", Main(stress)),
    ("SignalThreads", Main(threads)),
    ("SignalStorm", Main(storm)),
    ("SignalEMFILE", Main(emfile)),
    ("SignalBlocked", Plain(blocked)),
    ("SignalForked", Main(forked)),
    ("SignalExec", Main(exec)),
    ("SignalURG", Main(urg)),
    ("SignalQuit", Main(quit)),
    ("SignalFault", Main(fault)),
    ("SignalLibrary", Plain(library)),
    ("SignalSleep", Main(sleep)),
];

fn kill_self(signal: Signal) {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::kill(std::process::id() as i32, signal.as_raw()) }, 0);
}

fn say(text: &str) {
    println!("{text}");
    std::io::stdout().flush().expect("somebody reads");
}

fn pause() {
    rt0::time::sleep(Duration::from_millis(100));
}

fn caught(signals: &[Signal]) -> Receiver<Signal> {
    let (to, from) = bounded(1);
    notify(&to, signals).expect("a descriptor is left");
    from
}

fn chosen() -> Signal {
    Signal::from_raw(number(15) as i32).expect("a signal")
}

fn ignore_sigtrap() -> ExitCode {
    ignore(&[Signal::TRAP]);
    assert!(ignored(Signal::TRAP));
    kill_self(Signal::TRAP);
    pause();
    println!("OK");
    DONE
}

/// What a signal does that nobody asked for.
fn default() -> ExitCode {
    kill_self(chosen());
    pause();
    println!("still here");
    DONE
}

/// Go: TestReset, TestIgnore.
fn reset_to_default() -> ExitCode {
    let sig = chosen();
    let from = caught(&[sig]);
    kill_self(sig);
    assert_eq!(from.recv(), Ok(sig));
    ignore(&[sig]);
    assert!(ignored(sig));
    kill_self(sig);
    pause();
    assert!(from.try_recv().is_err());
    reset(&[sig]);
    assert!(!ignored(sig));
    say("reset");
    default()
}

fn texts() -> ExitCode {
    let (to, from) = unbounded();
    notify(&to, Signal::ALL).expect("a descriptor is left");
    for sig in Signal::ALL {
        kill_self(*sig);
        let got = from.recv().expect("a signal");
        assert_eq!(got, *sig);
        print!("{got:?}: {got}; ");
    }
    println!();
    DONE
}

/// Go: TestNohup, TestDetectNohup: started with HUP ignored.
fn nohup() -> ExitCode {
    assert!(ignored(Signal::HUP) && !ignored(Signal::INT) && !ignored(Signal::PIPE));
    kill_self(Signal::HUP);
    pause();
    let (to, from) = bounded(1);
    notify(&to, &[Signal::HUP]).expect("a descriptor is left");
    assert!(!ignored(Signal::HUP));
    kill_self(Signal::HUP);
    assert_eq!(from.recv(), Ok(Signal::HUP));
    stop(&to);
    assert!(ignored(Signal::HUP));
    kill_self(Signal::HUP);
    pause();
    assert!(from.try_recv().is_err());
    println!("OK");
    DONE
}

/// Go: TestNotifyContextNotifications: many of them, then one when nobody listens any more.
fn context() -> ExitCode {
    let sig = chosen();
    let (ctx, stop) = notify_context(&background(), &[sig]).expect("a descriptor is left");
    for _ in 0..3 {
        kill_self(sig);
        let _ = ctx.done().recv();
    }
    say(&format!("{:?} {}", ctx.err(), ctx.cause().expect("it has ended")));
    drop(stop);
    kill_self(sig);
    pause();
    DONE
}

/// Go: TestNotifyContextStop, TestNotifyContextCancelParent, and one that has ended before.
fn context_parent() -> ExitCode {
    let (parent, cancel) = rt0::context::with_cancel(&background());
    let (first, stop) = notify_context(&parent, &[Signal::INT]).expect("a descriptor is left");
    let (second, keep) = notify_context(&parent, &[Signal::INT]).expect("a descriptor is left");
    assert!(first.err().is_none());
    drop(stop);
    assert!(first.err().is_some() && second.err().is_none());
    cancel.cancel();
    let _ = second.done().recv();
    let (third, _stop) = notify_context(&parent, &[Signal::INT]).expect("a descriptor is left");
    let _ = third.done().recv();
    kill_self(Signal::INT); // is caught for them all the same
    pause();
    let text = "context canceled";
    assert!([&second, &third].iter().all(|c| c.cause().expect("ended").to_string() == text));
    drop(keep);
    println!("OK");
    DONE
}

/// Nothing runs, and nothing else can come: but the signal can.
fn wait() -> ExitCode {
    let from = caught(&[Signal::USR1]);
    say("ready");
    assert_eq!(from.recv(), Ok(Signal::USR1));
    println!("OK");
    DONE
}

/// The last one to listen stops: from then on nothing can come.
fn stop_deadlock() -> ExitCode {
    let (to, from) = bounded(1);
    notify(&to, &[Signal::USR1, Signal::HUP]).expect("a descriptor is left");
    stop(&to);
    let _ = from.recv();
    DONE
}

/// A channel without a receiver hears nothing: the signal does what it did.
fn gone() -> ExitCode {
    drop(caught(&[chosen()]));
    default()
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    HANDLED.fetch_add(1, SeqCst);
}

fn handle_in_c(signal: Signal) {
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(signal.as_raw(), count as *const () as libc::sighandler_t) };
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is() {
            return;
        }
        rt0::time::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Go: TestAtomicStop. A signal that comes while the last channel stops goes there, or where it
/// went before: to a handler in C, which can count.
fn atomic_stop() -> ExitCode {
    handle_in_c(Signal::USR1);
    let (mut here, rounds) = (0, number(2000) as usize);
    for sent in 0..rounds {
        let (to, from) = bounded(1);
        notify(&to, &[Signal::USR1]).expect("a descriptor is left");
        let killer = rt0::go(|| kill_self(Signal::USR1));
        if sent % 3 == 0 {
            rt0::gosched();
        }
        for _ in 0..sent % 50 * 20 {
            std::hint::spin_loop();
        }
        stop(&to);
        here += usize::from(from.try_recv().is_ok());
        killer.join().expect("nobody panics");
        eventually("the signal comes", || here + HANDLED.load(SeqCst) > sent);
        assert!(from.try_recv().is_err(), "it came after the stop");
        assert_eq!(here + HANDLED.load(SeqCst), sent + 1, "it came twice");
    }
    eprintln!("{here} of {rounds} were caught");
    println!("OK");
    DONE
}

/// Many come and go while signals arrive; in the end it is as it was, and one channel hears.
fn stress() -> ExitCode {
    let signals = [Signal::USR1, Signal::USR2, Signal::WINCH, Signal::HUP];
    signals.iter().for_each(|sig| handle_in_c(*sig));
    let ends = AtomicBool::new(false);
    let heard = AtomicUsize::new(0);
    rt0::scope(|s| {
        s.go(|| {
            while !ends.load(SeqCst) {
                signals.iter().for_each(|sig| kill_self(*sig));
                rt0::gosched();
            }
        });
        let users: Vec<_> = (0..6)
            .map(|i| {
                let (signals, heard) = (&signals, &heard);
                s.go(move || {
                    for round in 0..number(100) as usize {
                        let some = &signals[(i + round) % 4..];
                        let (to, from) = bounded(1);
                        notify(&to, some).expect("a descriptor is left");
                        if i % 2 == 0 {
                            let got = from.recv().expect("a signal");
                            assert!(some.contains(&got));
                            heard.fetch_add(1, SeqCst);
                        }
                        match round % 3 {
                            0 => stop(&to),
                            1 if i == 1 => drop(notify_context(&background(), some)),
                            _ => {} // forgotten with its receiver
                        }
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|u| u.join().expect("nobody panics"));
        ends.store(true, SeqCst);
    });
    reset(Signal::ALL);
    let before = HANDLED.load(SeqCst);
    kill_self(Signal::HUP);
    eventually("it is as it was", || HANDLED.load(SeqCst) > before);
    eprintln!("{} were heard", heard.load(SeqCst));
    eventually("its goroutine has ended", || rt0::num_goroutine() == 1);
    println!("OK");
    DONE
}

/// Whatever a thread is doing when it is the one to be interrupted.
fn threads() -> ExitCode {
    static STOP: AtomicBool = AtomicBool::new(false);
    static TIDS: [AtomicI32; 4] = [const { AtomicI32::new(0) }; 4];
    let here = |i: usize| TIDS[i].store(rustix::thread::gettid().as_raw_nonzero().get(), SeqCst);
    let (to, from) = bounded(1);
    notify(&to, &[Signal::USR1]).expect("a descriptor is left");
    drop(rt0::go(move || {
        let _guard = rt0::lock_os_thread();
        here(0);
        while !STOP.load(SeqCst) {
            std::hint::spin_loop();
        }
    }));
    drop(rt0::go(move || {
        let _guard = rt0::lock_os_thread();
        here(1);
        while !STOP.load(SeqCst) {
            rt0::time::sleep(Duration::from_millis(1)); // is in the scheduler
        }
    }));
    let sleeper = thread::spawn(move || {
        here(2);
        thread::park(); // no goroutine
    });
    without_signal_stack(&TIDS[3], &STOP);
    for i in 0..400 {
        let tid = &TIDS[i % 4];
        eventually("the thread is there", || tid.load(SeqCst) != 0);
        let (pid, tid) = (std::process::id() as i32, tid.load(SeqCst));
        // SAFETY: numbers.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) };
        assert_eq!(sent, 0);
        assert_eq!(from.recv(), Ok(Signal::USR1));
    }
    STOP.store(true, SeqCst);
    sleeper.thread().unpark();
    println!("OK");
    DONE
}

/// A thread of C's, which computes.
fn without_signal_stack(tid: &'static AtomicI32, stop: &'static AtomicBool) {
    static ENDS: std::sync::OnceLock<&AtomicBool> = std::sync::OnceLock::new();
    static TID: std::sync::OnceLock<&AtomicI32> = std::sync::OnceLock::new();
    extern "C" fn body(_: *mut libc::c_void) -> *mut libc::c_void {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        TID.get().expect("set before").store(tid, SeqCst);
        while !ENDS.get().expect("set before").load(SeqCst) {
            std::hint::spin_loop();
        }
        std::ptr::null_mut()
    }
    let _ = (ENDS.set(stop), TID.set(tid));
    let mut thread = MaybeUninit::uninit();
    // SAFETY: a function for a thread, which takes no argument.
    let made = unsafe {
        libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), body, std::ptr::null_mut())
    };
    assert_eq!(made, 0);
}

/// No descriptor is left for what the goroutine waits with: the signal comes all the same.
fn emfile() -> ExitCode {
    let opened: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let (to, from) = bounded(1);
    let mut left = opened;
    while notify(&to, &[Signal::USR1]).is_err() {
        left.pop().expect("it needs a few"); // until there are just enough
    }
    for _ in 0..3 {
        kill_self(Signal::USR1);
        assert_eq!(from.recv(), Ok(Signal::USR1));
        pause();
    }
    drop(left);
    println!("OK");
    DONE
}

/// Every thread is interrupted again and again, in every call that can be: nothing fails.
fn storm() -> ExitCode {
    let rounds = number(30) as usize;
    let (to, from) = bounded(1);
    notify(&to, &[Signal::USR1]).expect("a descriptor is left");
    let ends = AtomicBool::new(false);
    rt0::scope(|s| {
        let killer = s.go(|| {
            let mut n = 0;
            while !ends.load(SeqCst) {
                for task in std::fs::read_dir("/proc/self/task").expect("procfs").flatten() {
                    let tid = task.file_name().to_string_lossy().parse::<i32>().expect("a number");
                    // SAFETY: numbers; the thread may have ended.
                    unsafe {
                        libc::syscall(libc::SYS_tgkill, std::process::id(), tid, libc::SIGUSR1)
                    };
                    n += 1;
                }
                rt0::time::sleep(Duration::from_micros(50));
            }
            n
        });
        let work: [fn(); 6] = [echo, pipe, child, file, sleeps, look_up];
        let busy: Vec<_> =
            work.into_iter().map(|f| s.go(move || (0..rounds).for_each(|_| f()))).collect();
        let plain =
            thread::spawn(move || (0..rounds).for_each(|_| [echo, pipe].iter().for_each(|f| f())));
        busy.into_iter().for_each(|b| b.join().expect("nobody panics"));
        plain.join().expect("nobody panics");
        ends.store(true, SeqCst);
        eprintln!("{} signals", killer.join().expect("nobody panics"));
    });
    assert_eq!(from.try_recv(), Ok(Signal::USR1));
    std::mem::forget(from); // the last signal may be on its way
    println!("OK");
    DONE
}

fn echo() {
    let listener = rt0::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = rt0::go(move || {
        let (mut stream, _) = listener.accept().expect("a peer");
        rt0::io::copy(&mut stream.try_clone().expect("a descriptor"), &mut stream).expect("open")
    });
    let mut stream = rt0::net::TcpStream::connect(address).expect("it listens");
    for _ in 0..20 {
        stream.write_all(&[7; 1000]).expect("connected");
        stream.read_exact(&mut [0; 1000]).expect("connected");
    }
    drop(stream);
    assert_eq!(server.join().expect("nobody panics"), 20_000);
}

fn pipe() {
    let (mut reader, mut writer) = rt0::io::pipe().expect("two descriptors");
    let writing = rt0::go(move || writer.write_all(&[7; 200_000]).expect("it reads"));
    assert_eq!(reader.read_to_end(&mut Vec::new()).expect("a pipe"), 200_000);
    writing.join().expect("nobody panics");
}

fn child() {
    let out = rt0::process::Command::new("sh").args(["-c", "echo a; exit 3"]).output();
    let out = out.expect("sh is here");
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(3), &b"a\n"[..]));
}

fn file() {
    let path = std::env::temp_dir().join(format!("rt0-storm-{}", std::process::id()));
    rt0::fs::write(&path, [7; 100_000]).expect("there is room");
    assert_eq!(rt0::fs::read(&path).expect("it is there").len(), 100_000);
    rt0::fs::remove_file(&path).expect("ours");
}

fn sleeps() {
    let start = rt0::time::Instant::now();
    rt0::time::sleep(Duration::from_millis(3));
    thread::sleep(Duration::from_millis(3));
    assert!(start.elapsed() >= Duration::from_millis(6));
}

fn look_up() {
    let mut found = rt0::net::lookup_host(("localhost", 80)).expect("localhost is known");
    assert!(found.all(|address| address.ip().is_loopback()));
}

/// Started with a signal blocked, which threads inherit.
fn blocked() -> ExitCode {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: an empty set is filled.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM) };
    // SAFETY: a set.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
    rt0::run(|| {
        for _ in 0..20 {
            let (to, from) = bounded(1);
            kill_self(Signal::TERM); // is pending when it is asked for
            for sig in [Signal::TERM, Signal::INT] {
                notify(&to, &[sig]).expect("a descriptor is left");
                if sig == Signal::INT {
                    kill_self(sig);
                }
                assert_eq!(from.recv(), Ok(sig));
            }
            kill_self(Signal::TERM);
            assert_eq!(from.recv(), Ok(Signal::TERM));
            stop(&to);
        }
        kill_self(Signal::TERM); // is blocked again
        pause();
        println!("OK");
    });
    DONE
}

/// A child that executes nothing has no goroutines: it is killed as if nobody had asked.
fn forked() -> ExitCode {
    let (to, from) = bounded(4);
    notify(&to, &[Signal::TERM]).expect("a descriptor is left");
    // SAFETY: the child waits only.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: no precondition.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::kill(child, libc::SIGTERM) }, 0);
    let mut status = 0;
    // SAFETY: the status is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM, "{status:#x}");
    assert!(from.try_recv().is_err(), "the parent hears its child's signal");
    kill_self(Signal::TERM);
    assert_eq!(from.recv(), Ok(Signal::TERM));
    println!("OK");
    DONE
}

/// What a child that executes a program finds.
fn exec() -> ExitCode {
    let (to, _from) = bounded(1);
    notify(&to, &[Signal::TERM, Signal::USR1, Signal::PIPE]).expect("a descriptor is left");
    ignore(&[Signal::INT]);
    let hogs: Vec<_> = (0..3).map(|_| rt0::go(pause)).collect();
    let out = rt0::process::Command::new("cat").arg("/proc/self/status").output();
    let out = String::from_utf8_lossy(&out.expect("cat is here").stdout).into_owned();
    for line in out.lines().filter(|l| l.starts_with("Sig") || l.starts_with("ShdPnd")) {
        println!("{line}");
    }
    hogs.into_iter().for_each(|h| h.join().expect("nobody panics"));
    DONE
}

/// Goroutines are preempted by the signal that the program asks for.
fn urg() -> ExitCode {
    static STOP: AtomicBool = AtomicBool::new(false);
    let compute = || {
        while !STOP.load(SeqCst) {
            std::hint::spin_loop();
        }
    };
    let hogs: Vec<_> = (0..4).map(|_| rt0::go(compute)).collect();
    let (to, from) = unbounded();
    notify(&to, &[Signal::URG]).expect("a descriptor is left");
    for _ in 0..20 {
        kill_self(Signal::URG);
        assert_eq!(from.recv(), Ok(Signal::URG));
    }
    pause();
    assert!(from.try_recv().is_err(), "one of ours");
    ignore(&[Signal::URG]);
    kill_self(Signal::URG);
    pause();
    assert!(from.try_recv().is_err());
    STOP.store(true, SeqCst);
    hogs.into_iter().for_each(|h| h.join().expect("nobody panics"));
    println!("OK");
    DONE
}

/// QUIT is the program's while it asks for it.
fn quit() -> ExitCode {
    let (to, from) = bounded(1);
    notify(&to, &[Signal::QUIT]).expect("a descriptor is left");
    kill_self(Signal::QUIT);
    assert_eq!(from.recv(), Ok(Signal::QUIT));
    ignore(&[Signal::QUIT]);
    kill_self(Signal::QUIT);
    pause();
    reset(&[Signal::QUIT]);
    say("caught");
    kill_self(Signal::QUIT);
    pause();
    DONE
}

/// Who asks for SEGV is told of one that was sent, and a fault is a fault.
fn fault() -> ExitCode {
    let from = caught(&[Signal::SEGV]);
    kill_self(Signal::SEGV);
    assert_eq!(from.recv(), Ok(Signal::SEGV));
    say("caught");
    // SAFETY: none: it faults, which is what this is about.
    unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
    DONE
}

/// Outside of a runtime there is nobody to deliver; inside there is.
fn library() -> ExitCode {
    let (to, from) = bounded(1);
    assert!(notify(&to, &[Signal::USR1]).is_err());
    rt0::run(move || {
        notify(&to, &[Signal::USR1]).expect("a descriptor is left");
        kill_self(Signal::USR1);
        assert_eq!(from.recv(), Ok(Signal::USR1));
    });
    println!("OK");
    DONE
}

fn sleep() -> ExitCode {
    say("ready");
    rt0::time::sleep(Duration::from_secs(60));
    DONE
}
