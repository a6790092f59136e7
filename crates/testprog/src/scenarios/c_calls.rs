//! Calls of the C library, by std and by a library in C.

#![allow(unsafe_code, reason = "loads a library in C and calls it")]

use super::{DONE, Entry, Run::Main};
use std::ffi::{CStr, CString, c_int};
use std::net::TcpListener;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

pub(crate) const SCENARIOS: &[Entry] = &[
    ("CallNames", Main(call_names)),
    ("VforkChildren", Main(vfork_children)),
    ("ReadCost", Main(read_cost)),
];

type Function = extern "C" fn(c_int) -> c_int;

/// `int name(int)` of the library that the first argument names; it stays loaded.
fn c_function(name: &CStr) -> Function {
    let path = env::args().nth(2).expect("the path of the library");
    let path = CString::new(path).expect("a path has no NUL");
    // SAFETY: a C string; the library has no constructors.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "dlopen failed");
    // SAFETY: an open library and a C string.
    let f = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!f.is_null(), "no {name:?}");
    // SAFETY: the library defines it with this type.
    unsafe { std::mem::transmute::<*mut libc::c_void, Function>(f) }
}

/// Goroutines block in as many ways as std and C have; the trace at the end names the calls.
fn call_names() -> ExitCode {
    static LOCK: Mutex<()> = Mutex::new(());
    let (reader, writer) = std::io::pipe().expect("descriptors");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
    for name in [c"c_read", c"c_poll", c"c_usleep", c"c_cond_wait"] {
        let f = c_function(name);
        drop(rt0::go(move || f(fd)));
    }
    let _held = LOCK.lock().expect("nobody panics");
    drop(rt0::go(|| drop(LOCK.lock().expect("nobody panics"))));
    drop(rt0::go(|| thread::sleep(Duration::from_secs(60))));
    drop(rt0::go(|| thread::spawn(|| thread::sleep(Duration::from_secs(60))).join()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    drop(rt0::go(move || listener.accept()));
    // The child ends with this process's end of the pipe.
    let mut cat = Command::new("cat");
    cat.stdin(reader.try_clone().expect("descriptors"));
    drop(rt0::go(move || cat.status()));
    for _ in 0..100 {
        rt0::time::sleep(Duration::from_millis(2));
    }
    rt0::debug::schedtrace();
    drop((reader, writer));
    DONE
}

/// Children that share the memory of this process, and its M, for a moment.
fn vfork_children() -> ExitCode {
    static STOP: AtomicBool = AtomicBool::new(false);
    let child = c_function(c"c_vfork");
    let load: Vec<_> = (0..3)
        .map(|_| {
            rt0::go(|| {
                while !STOP.load(Ordering::SeqCst) {
                    rt0::gosched();
                }
            })
        })
        .collect();
    let parents: Vec<_> = (0..4)
        .map(|_| {
            rt0::go(move || {
                let (reader, writer) = std::io::pipe().expect("descriptors");
                let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
                (0..25).for_each(|_| assert_eq!(child(fd), 5));
                drop(writer);
                let mut written = Vec::new();
                let mut reader = reader;
                std::io::Read::read_to_end(&mut reader, &mut written).expect("a pipe");
                assert_eq!(written.len(), 50);
            })
        })
        .collect();
    for h in parents {
        h.join().expect("no panic");
    }
    STOP.store(true, Ordering::SeqCst);
    for h in load {
        h.join().expect("no panic");
    }
    println!("done");
    DONE
}

/// Prints what a read of one byte takes on a thread and on a goroutine, in ns.
fn read_cost() -> ExitCode {
    let measure = || {
        let mut zero = fs::File::open("/dev/zero").expect("it is there");
        let mut best = u128::MAX;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            for _ in 0..10_000 {
                std::io::Read::read_exact(&mut zero, &mut [0]).expect("it has no end");
            }
            best = best.min(start.elapsed().as_nanos() / 10_000);
        }
        best
    };
    let thread = thread::spawn(measure).join().expect("no panic");
    let goroutine = rt0::go(measure).join().expect("no panic");
    println!("{thread} {goroutine}");
    DONE
}
