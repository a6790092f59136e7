//! A program that defines `read` itself, as a crate in it might: the one that rt0 has gives way.
//! tests/interpose.rs runs it.

#![allow(unsafe_code, reason = "it defines a C function")]
#![allow(clippy::disallowed_types, reason = "a user's code counts with std's atomics")]

use std::ffi::{c_int, c_long, c_void};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The kernel's, counted.
///
/// # Safety
/// As libc's.
// SAFETY: it is meant to take the place of libc's, and does the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buf: *mut c_void, n: usize) -> isize {
    CALLS.fetch_add(1, SeqCst);
    // SAFETY: the caller's arguments.
    let r: c_long = unsafe { libc::syscall(libc::SYS_read, fd, buf, n) };
    r as isize
}

#[rt0::main]
fn main() {
    let (readers, writers): (Vec<_>, Vec<_>) =
        (0..8).map(|_| std::io::pipe().expect("descriptors")).unzip();
    let handles: Vec<_> = readers
        .into_iter()
        .map(|mut r| rt0::go(move || r.read(&mut [0; 8]).expect("a writer")))
        .collect();
    // They block, more of them than there are Ps, in a function that does not say so.
    rt0::time::sleep(Duration::from_millis(20));
    writers.into_iter().for_each(|mut w| w.write_all(b"four").expect("a reader"));
    let bytes: usize = handles.into_iter().map(|h| h.join().expect("no panic")).sum();
    println!("{bytes} bytes, own read: {}", CALLS.load(SeqCst) >= 8);
}
