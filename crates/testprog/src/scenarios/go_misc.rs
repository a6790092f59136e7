//! Go's testprog: what is left of it.

use super::{DONE, Entry, Run::Main};
use rt0::net::{TcpListener, TcpStream};
use std::io::Read;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("AsyncPreempt", Main(async_preempt)),
    ("LockOSThreadTemplateThreadRace", Main(template_thread_race)),
    ("SignalExitStatus", Main(signal_exit_status)),
    ("mexitSTW", Main(mexit_stw)),
    ("After1", Main(after_1)),
    ("SignalInVDSO", Main(signal_in_vdso)),
    ("SetLimitThenDefaultGOMAXPROCS", Main(set_then_default)),
    ("NetpollDeadlock", Main(netpoll_deadlock)),
    ("NetpollWaiters", Main(netpoll_waiters)),
    ("SignalDuringExec", Main(signal_during_exec)),
    ("HooksExit2", Main(hooks_exit_2)),
];

fn ok() -> ExitCode {
    println!("OK");
    DONE
}

/// A loop without a call, with calls of leaves only, and main which wants a turn on the one P.
fn async_preempt() -> ExitCode {
    rt0::set_gomaxprocs(1);
    static READY: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
    #[inline(never)]
    fn leaf(x: u32) -> u32 {
        x.wrapping_mul(3)
    }
    drop(rt0::go(|| {
        READY[0].store(true, Ordering::Release);
        loop {
            std::hint::spin_loop();
        }
    }));
    drop(rt0::go(|| {
        READY[1].store(true, Ordering::Release);
        let mut x = 1;
        loop {
            x = std::hint::black_box(leaf(x));
        }
    }));
    while !READY.iter().all(|r| r.load(Ordering::Acquire)) {
        rt0::gosched();
    }
    ok()
}

/// Goroutines that end locked make the template thread do the work, while others start threads.
fn template_thread_race() -> ExitCode {
    let handles: Vec<_> = (0..10)
        .map(|_| {
            rt0::go(|| {
                drop(rt0::go(|| std::mem::forget(rt0::lock_os_thread())).join());
                let _guard = rt0::lock_os_thread();
                drop(rt0::go(rt0::gosched).join());
            })
        })
        .collect();
    for h in handles {
        h.join().expect("nobody panics");
    }
    ok()
}

/// TERM kills as a signal does, whatever runs.
fn signal_exit_status() -> ExitCode {
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::TERM).expect("our own process");
    rt0::time::sleep(Duration::from_secs(20));
    DONE
}

/// Threads that end while the world is stopped again and again.
fn mexit_stw() -> ExitCode {
    let ends = Instant::now() + Duration::from_millis(300);
    let resizer = rt0::go(move || {
        while Instant::now() < ends {
            for n in [1, 2, 4] {
                rt0::set_gomaxprocs(n);
            }
        }
    });
    while Instant::now() < ends {
        let ending: Vec<_> =
            (0..4).map(|_| rt0::go(|| std::mem::forget(rt0::lock_os_thread()))).collect();
        for h in ending {
            h.join().expect("nobody panics");
        }
    }
    resizer.join().expect("nobody panics");
    ok()
}

fn after_1() -> ExitCode {
    assert!(rt0::chan::after(Duration::from_millis(1)).recv().is_ok());
    println!("ready");
    DONE
}

/// The clock's own code is interrupted by preemption.
fn signal_in_vdso() -> ExitCode {
    let ends = Instant::now() + Duration::from_millis(300);
    let other = rt0::go(move || while Instant::now() < ends {});
    while Instant::now() < ends {}
    other.join().expect("nobody panics");
    println!("success");
    DONE
}

/// The variable is gone, so the default is the machine's.
fn set_then_default() -> ExitCode {
    let default = rt0::set_gomaxprocs(0);
    rt0::set_gomaxprocs(7);
    assert_eq!(rt0::set_default_gomaxprocs(), 7);
    assert_eq!(rt0::gomaxprocs(), default);
    println!("{default}");
    DONE
}

/// A dial that fails is no deadlock, nor is what comes after it.
fn netpoll_deadlock() -> ExitCode {
    let unused = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    println!("dialing");
    match TcpStream::connect(unused.expect("a port")) {
        Ok(_) => println!("connected"),
        Err(e) => println!("error:  {:?}", e.kind()),
    }
    println!("done");
    DONE
}

/// Connections that come and go leave no waiter behind: an idle end is found to be a deadlock.
fn netpoll_waiters() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    for _ in 0..8 {
        let server = rt0::scope(|s| {
            let accept = s.go(|| listener.accept().expect("a peer").0);
            drop(TcpStream::connect(at).expect("listens"));
            accept.join().expect("nobody panics")
        });
        let mut server = server;
        assert_eq!(server.read(&mut [0]).expect("a stream"), 0);
    }
    ok()
}

/// Preemption signals while a process is started: the child sees none.
fn signal_during_exec() -> ExitCode {
    static STOP: AtomicU32 = AtomicU32::new(0);
    let hogs: Vec<_> =
        (0..3).map(|_| rt0::go(|| while STOP.load(Ordering::Relaxed) == 0 {})).collect();
    for _ in 0..10 {
        assert!(Command::new("true").status().expect("it is there").success());
    }
    STOP.store(1, Ordering::Relaxed);
    for h in hogs {
        h.join().expect("nobody panics");
    }
    ok()
}

/// Many exit at once: hooks run once, and the process ends once.
fn hooks_exit_2() -> ExitCode {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    rt0::at_exit(|| {
        assert_eq!(CALLS.fetch_add(1, Ordering::Relaxed), 0, "a hook ran twice");
        rt0::time::sleep(Duration::from_millis(20));
    });
    for _ in 0..10 {
        drop(rt0::go(|| rt0::exit(0)));
    }
    rt0::exit(0)
}
