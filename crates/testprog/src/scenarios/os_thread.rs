//! Goroutines locked to threads, by the names of Go's programs.

use super::{DONE, Entry, Run::Main};
use rt0::time::sleep;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) const SCENARIOS: &[Entry] = &[
    ("LockOSThreadMain", Main(lock_os_thread_main)),
    ("LockOSThreadAlt", Main(lock_os_thread_alt)),
    ("LockOSThreadAvoidsStatePropagation", Main(lock_os_thread_avoids_state_propagation)),
    ("InitThread", Main(init_thread)),
    ("LockedDeadlock", Main(locked_deadlock)),
    ("LockedDeadlock2", Main(locked_deadlock2)),
];

fn gettid() -> u32 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
    let pid = status.lines().find_map(|l| l.strip_prefix("Pid:")).expect("a line `Pid:`");
    pid.trim().parse().expect("a number")
}

rt0::init_task! { name: "testprog/os_thread", order: 30, run: wait_in_init }

static INIT_RAN_ON: AtomicU32 = AtomicU32::new(0);

/// For the scenario InitThread only: an init task that starts goroutines and waits for them.
fn wait_in_init() {
    if std::env::args().nth(1).as_deref() != Some("InitThread") {
        return;
    }
    for _ in 0..20 {
        let busy: Vec<_> = (0..4).map(|_| rt0::go(|| sleep(Duration::from_micros(100)))).collect();
        for h in busy {
            h.join().expect("no panic");
        }
        let tid = gettid();
        INIT_RAN_ON.store(tid, Ordering::SeqCst);
        if tid != process::id() {
            return;
        }
    }
}

/// Init tasks stay on the process's first thread, and main does not.
fn init_thread() -> ExitCode {
    if INIT_RAN_ON.load(Ordering::SeqCst) != process::id() {
        println!("init moved to another thread");
        return ExitCode::FAILURE;
    }
    let stop = std::time::Instant::now() + Duration::from_secs(20);
    while gettid() == process::id() {
        if std::time::Instant::now() > stop {
            println!("main is still locked");
            return ExitCode::FAILURE;
        }
        let busy: Vec<_> = (0..8).map(|_| rt0::go(|| sleep(Duration::from_micros(50)))).collect();
        for h in busy {
            h.join().expect("no panic");
        }
    }
    println!("OK");
    DONE
}

/// A goroutine ends while it is locked to the process's first thread. With GOMAXPROCS=1 it starts
/// there.
fn lock_os_thread_main() -> ExitCode {
    let on_main = rt0::go(|| {
        std::mem::forget(rt0::lock_os_thread());
        gettid() == process::id()
    });
    if !on_main.join().expect("no panic") {
        println!("failed to start goroutine on main thread");
        return ExitCode::FAILURE;
    }
    for _ in 0..100 {
        sleep(Duration::from_millis(1));
        if gettid() == process::id() {
            println!("goroutine migrated to locked thread");
            return ExitCode::FAILURE;
        }
    }
    println!("OK");
    DONE
}

/// A goroutine ends while it is locked to another thread, which ends.
fn lock_os_thread_alt() -> ExitCode {
    let guard = rt0::lock_os_thread();
    let sub = rt0::go(|| {
        std::mem::forget(rt0::lock_os_thread());
        gettid()
    });
    let sub = sub.join().expect("no panic");
    drop(guard);
    for _ in 0..5000 {
        sleep(Duration::from_millis(1));
        if gettid() == sub {
            println!("locked thread reused");
            return ExitCode::FAILURE;
        }
        if !std::path::Path::new(&format!("/proc/self/task/{sub}")).exists() {
            println!("OK");
            return DONE;
        }
    }
    println!("sub thread {sub} still running");
    ExitCode::FAILURE
}

/// Gives this thread alone another file mask. False where that is not permitted.
#[allow(unsafe_code, reason = "libc's unshare and umask")]
fn own_umask(mask: u32) -> bool {
    // SAFETY: a number; the thread stops to share directory and mask with the others.
    if unsafe { libc::unshare(libc::CLONE_FS) } != 0 {
        return false;
    }
    // SAFETY: a number.
    unsafe { libc::umask(mask) };
    true
}

/// What a locked goroutine does to its thread (a file mask of its own, by unshare) is not seen on
/// threads that are made later.
fn lock_os_thread_avoids_state_propagation() -> ExitCode {
    let mask = || {
        let text = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
        let line = text.lines().find_map(|l| l.strip_prefix("Umask:")).expect("a line `Umask:`");
        u32::from_str_radix(line.trim(), 8).expect("an octal number")
    };
    let before = mask();
    let guard = rt0::lock_os_thread();
    if !own_umask(before ^ 0o111) {
        println!("unshare not permitted");
        return DONE;
    }
    assert_eq!(mask(), before ^ 0o111);
    // More threads than there were: each of these blocks one.
    let seen: Vec<_> = (0..20)
        .map(|_| {
            rt0::go(move || {
                rt0::blocking(|| std::thread::sleep(Duration::from_millis(50)));
                mask()
            })
        })
        .collect();
    for h in seen {
        if h.join().expect("no panic") != before {
            println!("the state of the locked thread is seen elsewhere");
            return ExitCode::FAILURE;
        }
    }
    drop(guard);
    println!("OK");
    DONE
}

/// Go: `select {}`.
fn wait_for_ever() {
    let _: Result<(), _> = rt0::chan::never().recv();
}

/// Main waits, locked.
fn locked_deadlock() -> ExitCode {
    let _guard = rt0::lock_os_thread();
    wait_for_ever();
    DONE
}

/// The same on another goroutine, while main waits unlocked.
fn locked_deadlock2() -> ExitCode {
    drop(rt0::go(|| {
        let _guard = rt0::lock_os_thread();
        wait_for_ever();
    }));
    rt0::time::sleep(Duration::from_millis(1));
    wait_for_ever();
    DONE
}
