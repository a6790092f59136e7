//! What a dump says of the process as a whole.

use crate::atomic::{AtomicPtr, Ordering, Word};
use core::fmt::{Result, Write};

/// What boot found out about the process.
pub(crate) struct Process {
    program: AtomicPtr<u8>,
    program_len: Word,
    pub(crate) arguments: Word,
    pub(crate) variables: Word,
    /// Images loaded when the runtime started.
    pub(crate) images: Word,
    /// Go: maxstacksize.
    pub(crate) main_stack_bytes: Word,
}

pub(crate) static PROCESS: Process = Process {
    program: AtomicPtr::new(core::ptr::null_mut()),
    program_len: Word::new(0),
    arguments: Word::new(0),
    variables: Word::new(0),
    images: Word::new(0),
    main_stack_bytes: Word::new(0),
};

impl Process {
    pub(crate) fn set_program(&self, name: &'static [u8]) {
        self.program_len.set(name.len() as u64);
        // ORDERING: after the length
        self.program.store(name.as_ptr().cast_mut(), Ordering::Release);
    }

    #[allow(unsafe_code, reason = "a `'static` slice stored as two words")]
    fn program(&self) -> &'static str {
        let p = self.program.load(Ordering::Acquire); // ORDERING: pairs with set_program
        if p.is_null() {
            return "?";
        }
        // SAFETY: set_program stored the parts of a `'static` slice, the pointer last.
        let name = unsafe { core::slice::from_raw_parts(p, self.program_len.get() as usize) };
        core::str::from_utf8(name).unwrap_or("?")
    }
}

/// The address space of live goroutines' stacks.
fn live_stack_bytes() -> u64 {
    // ORDERING: a report
    let outside = crate::sched::SCHED.stack_bytes_outside.load(Ordering::Relaxed);
    let ps = crate::sched::procresize::allp_ever();
    ps.fold(outside, |sum, pp| sum.wrapping_add(pp.stack_bytes.get()))
}

/// What a reader of the dump must know of the process.
fn runtime_line(out: &mut dyn Write) -> Result {
    writeln!(
        out,
        "runtime: rt0 {}, program {} ({} arguments, {} variables, {} images), gomaxprocs={}, \
         goroutine TLS: {}, clock: {}, main stack limit: {} bytes, \
         live stacks: {} bytes reserved",
        env!("CARGO_PKG_VERSION"),
        PROCESS.program(),
        PROCESS.arguments.get(),
        PROCESS.variables.get(),
        PROCESS.images.get(),
        crate::sched::SCHED.gomaxprocs(),
        crate::tls::mode_name(),
        if crate::sys::clock::in_vdso() { "vdso" } else { "system call" },
        PROCESS.main_stack_bytes.get(),
        live_stack_bytes(),
    )
}

/// The line, on standard error.
pub(crate) fn print() {
    if !super::vars::dumps_suppressed() {
        let mut out = crate::sys::stderr::Stderr::new();
        let _ = runtime_line(&mut out);
    }
}
