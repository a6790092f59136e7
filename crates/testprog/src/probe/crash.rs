//! Panics, overflows and faults.

#![allow(unsafe_code, reason = "a write to an address that is not there")]

use super::{Ending, done};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::hint::black_box;
use std::panic::{self, catch_unwind, resume_unwind};
use std::process::{self, ExitCode};
use std::thread;

pub(crate) fn panic() -> Ending {
    print!("before");
    panics_here()
}

#[inline(never)]
fn panics_here() -> Ending {
    panic!("what happened: {}", black_box(5));
}

/// A payload that is no text.
pub(crate) fn panic_any() -> Ending {
    panic::panic_any(5);
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in drop, panicking: {}", thread::panicking());
    }
}

/// A panic that meets a panic aborts.
pub(crate) fn panic_in_drop() -> Ending {
    let _panics = PanicsInDrop;
    panic!("first");
}

/// Main's thread-locals are dropped after a panic too, as far as they are after a return.
pub(crate) fn panic_tls() -> Ending {
    let _ = super::exit::tls();
    panic!("after the first use");
}

/// The program's own hook sees main's panic.
pub(crate) fn hook() -> Ending {
    panic::set_hook(Box::new(|info| {
        let line = info.location().map_or(0, panic::Location::line);
        println!("hook: {:?} {} {:?}", info.payload_as_str(), line > 0, thread::current().name());
    }));
    panics_here()
}

pub(crate) fn threadpanic() -> Ending {
    let unnamed = thread::spawn(|| panic!("in a thread"));
    println!("{:?}", unnamed.join().map_err(|p| p.downcast_ref::<&str>().map(|s| s.to_string())));
    let named = thread::Builder::new().name("named".to_owned()).spawn(panics_here);
    let payload = named.map_err(|e| e.to_string())?.join().map(|_| ());
    println!("{:?}", payload.map_err(|p| p.downcast_ref::<String>().cloned()));
    done()
}

pub(crate) fn catch() -> Ending {
    let caught = catch_unwind(|| panics_here().is_ok());
    println!("{}", caught.is_err());
    let again = catch_unwind(|| resume_unwind(Box::new(3)));
    println!("{:?} {}", again.map_err(|p| p.downcast_ref::<i32>().copied()), thread::panicking());
    Ok(ExitCode::from(9))
}

/// A backtrace has the caller in it, and main.
pub(crate) fn bt() -> Ending {
    let trace = Backtrace::force_capture();
    println!("{:?}", trace.status() == BacktraceStatus::Captured);
    let trace = trace.to_string();
    println!("{} {}", trace.contains("crash::bt"), trace.contains("probe::run"));
    println!("{:?}", Backtrace::capture().status() == BacktraceStatus::Disabled);
    done()
}

/// Of a thread of std's.
pub(crate) fn overflow() -> Ending {
    let overflows = thread::Builder::new().name("overflows".to_owned()).spawn(|| descend(0));
    let depth = overflows.map_err(|e| e.to_string())?.join();
    Err(format!("no overflow: {depth:?}"))
}

pub(crate) fn main_overflow() -> Ending {
    Err(format!("no overflow: {}", descend(0)))
}

#[inline(never)]
fn descend(depth: usize) -> usize {
    let frame = black_box([depth; 64]);
    if black_box(depth) == usize::MAX {
        return 0;
    }
    black_box(descend(depth + 1)) + frame[depth % 64]
}

pub(crate) fn segv() -> Ending {
    println!("before");
    let nowhere = black_box(std::ptr::without_provenance_mut::<u8>(16));
    // SAFETY: none; the fault is what is asked for. The kernel ends the program by SIGSEGV.
    unsafe { nowhere.write_volatile(1) };
    Err("no fault".to_owned())
}

pub(crate) fn abort() -> Ending {
    println!("before");
    process::abort();
}
