//! C functions that know of goroutines.
//!
//! An executable's own definition of a C symbol takes precedence over libc's for every caller in
//! the process: std, C code linked in, shared libraries, those loaded later included. So rt0
//! defines the functions in which std and C libraries block (table.rs). On a goroutine each marks
//! its P as "in a call" (sched/c_call.rs), makes the call, and unmarks it; sysmon takes a marked P
//! while work waits. Everywhere else it passes straight on: on plain threads, on g0, inside
//! another marked section, inside the runtime, on an alternate signal stack, before boot.
//!
//! What is not seen here (libc's calls to itself, inline system calls, page faults) sysmon finds by
//! the state of the thread, a little later.
//!
//! # How the real function is reached
//! * On a goroutine a function that is a plain system call is made as one, and errno set. That
//!   needs no lookup, so it works in any signal handler, and it leaves out libc's bookkeeping for
//!   pthread_cancel, which no goroutine is ever told to end by (exit.rs).
//! * On other threads it is libc's own, which stays a cancellation point, by `dlsym(RTLD_NEXT)`.
//!   The thread that makes Ms looks all of them up when it starts, for a handler must not; until
//!   then the first call does. A program that never makes a goroutine looks up what it calls.
//! * With LD_PRELOAD goroutines go through libc's names too: the preloaded library wants the call.
//! * In a static program plain system calls are made directly on every thread, and the others are
//!   passed to names that libc.a has for the same code. What has none is not defined there.
//!
//! # Weak definitions
//! Each symbol is weak and jumps to the Rust function behind it. A crate or C file of the program
//! that defines the same function wins, with no link error, and what it does not mark sysmon
//! finds. In static programs strong definitions would also collide with libc.a's members. In a
//! library (cdylib) the symbols are local: std in the library uses them, its host does not.
//!
//! One link mode knows no weak assembly: with `lto = "fat"` LLVM makes one module of the program
//! and says `symbol 'read' is already defined`. Such a program uses `lto = "thin"`, or rt0 without
//! this feature. `--no-default-features` leaves all of it out.
//!
//! # Rejected
//! `#[no_mangle]` definitions: strong, so two crates that define `read` do not link. libc's
//! `__read` aliases in dynamic programs: a handful of functions have one, and each costs a
//! relocation in programs that never call it. Handing the P over at the start of every call: see
//! sched/syscall.rs.

#[cfg(feature = "interpose")]
mod enter;
#[cfg(feature = "interpose")]
mod exit;
#[cfg(feature = "interpose")]
mod futex;
#[cfg(feature = "interpose")]
mod getattr;
#[cfg(feature = "interpose")]
mod join;
#[cfg(feature = "interpose")]
mod real;
#[cfg(feature = "interpose")]
mod table;

/// What a dump says of a goroutine in the call that was marked with this number.
#[cfg(feature = "interpose")]
pub(crate) fn call_text(call: u32) -> &'static str {
    table::text(call)
}

/// The same without interposition: calls have no numbers.
#[cfg(not(feature = "interpose"))]
pub(crate) fn call_text(_call: u32) -> &'static str {
    "syscall"
}

/// Boot, before handlers of ours are installed.
pub(crate) fn init_for_handlers() {
    #[cfg(feature = "interpose")]
    real::find_for_handlers();
}

/// On the thread that makes Ms, before the first: finds libc's definitions.
pub(crate) fn init() {
    #[cfg(feature = "interpose")]
    real::find_all();
}
