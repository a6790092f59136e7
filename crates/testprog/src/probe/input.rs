//! What a program finds when it starts.

#![allow(unsafe_code, reason = "a constructor in .init_array, and signal masks")]

use super::{Ending, done};
use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead, Read, Write};
use std::mem::MaybeUninit;
use std::net::ToSocketAddrs;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Bytes, for arguments need not be UTF-8.
pub(crate) fn args() -> Ending {
    for arg in env::args_os().skip(1) {
        println!("{:?} {:x?}", arg, arg.as_bytes());
    }
    println!("{} in all", env::args_os().len());
    done()
}

pub(crate) fn env() -> Ending {
    println!("FOO={:?} UNSET={:?}", env::var("FOO"), env::var("UNSET"));
    let mut names: Vec<_> = env::vars_os().map(|(name, _)| name).collect();
    names.sort();
    println!("{names:?}");
    // SAFETY: no other thread uses the environment.
    unsafe { env::set_var("FOO", "changed") };
    println!("FOO={:?}", env::var_os("FOO"));
    done()
}

pub(crate) fn stdin() -> Ending {
    let mut line = String::new();
    println!("{:?} {line:?}", io::stdin().read_line(&mut line).map_err(|e| e.kind()));
    let mut rest = String::new();
    println!("{:?} {rest:?}", io::stdin().read_to_string(&mut rest).map_err(|e| e.kind()));
    println!("{line:?}{rest:?}");
    done()
}

pub(crate) fn stdin_lock() -> Ending {
    for (number, line) in io::stdin().lock().lines().enumerate() {
        println!("{number} {:?}", line.map_err(|e| e.kind()));
    }
    done()
}

/// The test looks at the name only: the two programs have different ones.
pub(crate) fn exe() -> Ending {
    let exe = env::current_exe().map_err(|e| e.to_string())?;
    let arg = env::args_os().next().ok_or("no argument 0")?;
    println!("{}", exe == fs::canonicalize(arg).map_err(|e| e.to_string())?);
    done()
}

pub(crate) fn cwd() -> Ending {
    println!("{:?}", env::current_dir());
    env::set_current_dir("/").map_err(|e| e.to_string())?;
    println!("{:?}", fs::canonicalize("."));
    done()
}

/// Nothing is open beside the standard streams, and there is one thread.
pub(crate) fn fds() -> Ending {
    for what in ["fd", "task"] {
        let entries = fs::read_dir(format!("/proc/self/{what}")).map_err(|e| e.to_string())?;
        println!("{what}: {}", entries.count());
    }
    done()
}

/// The mask, and which signals are ignored: std ignores SIGPIPE.
pub(crate) fn signals() -> Ending {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let shown = |line: &&str| ["SigBlk", "SigIgn", "SigPnd"].iter().any(|s| line.starts_with(s));
    status.lines().filter(shown).for_each(|line| println!("{line}"));
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: without a new mask the call only writes the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
    for signal in 1..=31 {
        // SAFETY: written by the call before.
        let blocked = unsafe { libc::sigismember(set.as_ptr(), signal) };
        print!("{blocked}");
    }
    println!();
    done()
}

/// Rounding, denormals and the x87's precision are as a C program has them.
pub(crate) fn float() -> Ending {
    let (tenth, tiny) = (black_box(0.1_f64), black_box(f64::MIN_POSITIVE));
    println!("{} {} {}", tenth + 0.2, tiny / 4.0, black_box(1.0_f64) / 3.0);
    println!(
        "{:e} {:?} {:?}",
        f32::MIN_POSITIVE / black_box(8.0),
        0.0 / black_box(0.0),
        tenth.sin()
    );
    println!("{:?}", "2.2250738585072011e-308".parse::<f64>());
    done()
}

pub(crate) fn dns() -> Ending {
    let found = ("localhost", 80).to_socket_addrs().map_err(|e| e.to_string())?;
    println!("{}", found.into_iter().all(|address| address.ip().is_loopback()));
    println!("{:?}", ("nope.invalid", 80).to_socket_addrs().map(|_| ()).map_err(|e| e.kind()));
    done()
}

static CONSTRUCTED: AtomicUsize = AtomicUsize::new(0);

/// glibc passes constructors argc, argv and envp.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(usize) = {
    extern "C" fn constructor(argc: usize) {
        CONSTRUCTED.store(argc + 1, SeqCst);
        if argc > 1 && env::args_os().nth(1).is_some_and(|arg| arg == "ctor") {
            let _ = io::stdout().write_all(b"constructor\n");
        }
    }
    constructor
};

pub(crate) fn ctor() -> Ending {
    println!("main; the constructor saw {} arguments", CONSTRUCTED.load(SeqCst) - 1);
    done()
}
