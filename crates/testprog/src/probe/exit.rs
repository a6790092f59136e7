//! How a program ends: statuses, buffers, destructors and handlers.

#![allow(unsafe_code, reason = "libc::atexit")]

use super::{Ending, done};
use std::io::Write;
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) fn noflush() -> Ending {
    print!("no newline at the end of main");
    done()
}

pub(crate) fn exitflush() -> Ending {
    print!("no newline before exit");
    process::exit(3);
}

pub(crate) fn exit_in_thread() -> Ending {
    print!("no newline before exit");
    let exits = thread::spawn(|| process::exit(7));
    let _ = exits.join();
    thread::sleep(Duration::from_secs(60));
    Err("exit came back".to_owned())
}

pub(crate) fn err() -> Ending {
    println!("about to fail");
    Err("what failed".to_owned())
}

pub(crate) fn code() -> Ending {
    Ok(ExitCode::from(42))
}

/// Newest first, after main.
pub(crate) fn atexit() -> Ending {
    extern "C" fn first() {
        println!("registered first");
    }
    extern "C" fn second() {
        println!("registered second");
    }
    // SAFETY: the handler may run at any time and does not unwind.
    unsafe { libc::atexit(first) };
    // SAFETY: as the first one.
    unsafe { libc::atexit(second) };
    println!("end of main");
    done()
}

struct Says(&'static str);

impl Drop for Says {
    fn drop(&mut self) {
        // Not println: it panics when std's own thread-locals are gone.
        let _ = writeln!(std::io::stdout(), "dropped: {}", self.0);
    }
}

thread_local! {
    static VALUE: Says = const { Says("a thread-local") };
}

/// Whether main's thread-locals are dropped, and when, seen from outside.
pub(crate) fn tls() -> Ending {
    thread::spawn(|| VALUE.with(|value| println!("in a thread: {}", value.0)))
        .join()
        .map_err(|_| "the thread panicked")?;
    VALUE.with(|value| println!("in main: {}", value.0));
    println!("end of main");
    done()
}

/// The thread-locals of a thread that still runs when main returns are not dropped.
pub(crate) fn tnodtor() -> Ending {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        VALUE.with(|value| println!("in a thread: {}", value.0));
        let _ = tell.send(());
        thread::sleep(Duration::from_secs(60));
    });
    told.recv().map_err(|e| e.to_string())?;
    println!("end of main");
    done()
}

/// A lock that another thread holds for ever does not keep the program from ending.
pub(crate) fn stdout_lock_held() -> Ending {
    println!("before");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let _lock = std::io::stdout().lock();
        let _ = tell.send(());
        thread::sleep(Duration::from_secs(60));
    });
    told.recv().map_err(|e| e.to_string())?;
    done()
}
