//! Goroutine-local TLS: every goroutine has a thread control block of its own.
//!
//! Rust, C and LLVM believe that the code between two calls stays on one thread. A goroutine that
//! moves breaks that: `thread_local!` values with borrows, `thread::current()`, errno, the panic
//! count, TLS addresses that LLVM kept in a register. So a goroutine *is* a thread to all
//! user-space code: FS base points to a block built as glibc builds one, and moves with it. Facts
//! and measurements: ARCHITECTURE.md, "Sound goroutines".
//!
//! Until a second goroutine is made nothing of this is needed: goroutine 1 uses the block of the
//! thread that booted, and so does that thread's g0. [`init`] runs when the first goroutine beyond
//! main is made; it learns glibc's layout ([`template`]), tries it out ([`selftest`]), and gives
//! the boot thread's g0 a block of its own, for goroutine 1 may move away from now on.
//!
//! # Invariants
//! * `TL1`: a block has one user at a time: the goroutine it belongs to, or an M's g0.
//! * `TL2`: the FS base is the running goroutine's block whenever user code runs on an M; on g0 it
//!   is the M's own, so that a foreign signal handler never finds somebody else's block.
//! * `TL3`: blocks are never freed (glibc may keep pointers into them).
//! * `TL4`: `CURG` in a goroutine's block is its G for its whole life; elsewhere it is null.

pub(crate) mod pin;
#[cfg(debug_assertions)]
pub(crate) mod ranks;
pub(crate) mod selftest;
pub(crate) mod setxid;
pub(crate) mod symbols;
pub(crate) mod tcb;
pub(crate) mod template;

use crate::arch::fsgs::{self, Access, fs_base};
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::m::M;
use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static CURG: Cell<Option<&'static G>> = const { Cell::new(None) };
    static OWN_M: Cell<Option<&'static M>> = const { Cell::new(None) };
}

/// The goroutine this code runs on; `None` on g0 and on threads that are no goroutines. Go: `getg`.
#[inline(always)]
pub(crate) fn getg() -> Option<&'static G> {
    #[cfg(feature = "control-shared-tls")]
    if mode() == Mode::Shared {
        return getg_by_stack();
    }
    // A block whose TLS is being destroyed still has it: the cell has no destructor.
    CURG.with(Cell::get)
}

/// How far below the thread pointer the word is that [`getg`] reads; 0 where it is not in static
/// TLS, as in a library that was loaded late.
pub(crate) fn getg_below(t: &template::Template) -> usize {
    let below = CURG.with(|c| fs_base().wrapping_sub(core::ptr::from_ref(c).addr()));
    if below <= t.below() { below } else { 0 }
}

/// The control breaks what user code keeps per thread; the runtime itself must go on working, or
/// it would be the runtime's fault that is seen.
#[cfg(feature = "control-shared-tls")]
fn getg_by_stack() -> Option<&'static G> {
    use crate::stack::names::{StackShape, stack_of};
    let local = 0u8;
    match stack_of(core::ptr::from_ref(core::hint::black_box(&local)).addr()) {
        Some(StackShape::Goroutine(gp)) if !gp.is_system() => Some(gp),
        _ => None,
    }
}

/// TL4: called once on the block that becomes a goroutine's.
pub(crate) fn set_curg(gp: Option<&'static G>) {
    CURG.with(|c| c.set(gp));
}

/// Marks the block in use as the own block of an M.
pub(crate) fn set_own_m(mp: Option<&'static M>) {
    OWN_M.with(|c| c.set(mp));
}

/// The M this code runs on, from anywhere: goroutine, g0 or (none) a plain thread.
#[allow(unsafe_code, reason = "TL4: a block with a goroutine runs on an M")]
pub(crate) fn this_m() -> Option<&'static M> {
    if getg().is_some() {
        // SAFETY: FG1: a goroutine's block is in use on an M only.
        return Some(unsafe { fsgs::getm() });
    }
    OWN_M.with(Cell::get)
}

/// How goroutines get their TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Mode {
    /// No goroutine beyond main yet: one block for all.
    Single = 0,
    /// Own blocks, switched by `wrfsbase`.
    FsGsBase = 1,
    /// Own blocks, switched by `arch_prctl`.
    ArchPrctl = 2,
    /// No blocks of their own: each is a thread (sched/one_to_one.rs).
    OneToOne = 4,
    /// Goroutines share the block of their thread: unsound, the control of the soundness suite.
    #[cfg(feature = "control-shared-tls")]
    Shared = 3,
}

static MODE: AtomicU32 = AtomicU32::new(Mode::Single as u32);

/// The mode now active.
#[inline(always)]
pub(crate) fn mode() -> Mode {
    // ORDERING: written once, before the first goroutine that depends on it is queued
    match MODE.load(Ordering::Relaxed) {
        1 => Mode::FsGsBase,
        2 => Mode::ArchPrctl,
        4 => Mode::OneToOne,
        #[cfg(feature = "control-shared-tls")]
        3 => Mode::Shared,
        _ => Mode::Single,
    }
}

/// The mode's name, for dumps and inittrace.
pub(crate) fn mode_name() -> &'static str {
    match mode() {
        Mode::Single => "single (no goroutine beyond main)",
        Mode::FsGsBase => "fsgsbase",
        Mode::ArchPrctl => "arch_prctl",
        Mode::OneToOne => "one thread each",
        #[cfg(feature = "control-shared-tls")]
        Mode::Shared => "shared (unsound control)",
    }
}

/// How FS is written. Meaningful once the mode is no longer `Single`; before, FS never changes.
#[inline(always)]
pub(crate) fn access() -> Access {
    mode().access()
}

impl Mode {
    #[inline(always)]
    pub(crate) fn access(self) -> Access {
        if self == Mode::ArchPrctl { Access::ArchPrctl } else { Access::Instructions }
    }
}

static INIT: OnceLock<Result<template::Template, &'static str>> = OnceLock::new();

/// What [`init`] learnt.
pub(crate) fn template() -> Option<&'static template::Template> {
    INIT.get().and_then(|r| r.as_ref().ok())
}

/// Makes goroutines beyond main possible. Blocks and allocates: call it in user context only.
///
/// An error names what this libc lacks; no goroutine can then be made (DESIGN D1).
pub(crate) fn init() -> Result<&'static template::Template, &'static str> {
    INIT.get_or_init(init_once).as_ref().map_err(|e| *e)
}

/// [`init`] has failed for the reason `why`, and goroutines are threads. Before the first is made.
pub(crate) fn set_one_to_one(why: &'static str) {
    let now = crate::sys::nanotime();
    MODE.store(Mode::OneToOne as u32, Ordering::Release); // ORDERING: as in init_once
    crate::debug::ms::trace_late("tlsinit", now, mode_name());
    if crate::debug::vars::get().inittrace.get() > 0 {
        crate::sys::stderr::rtprint!("boot tls blocks: {why}\n");
    }
}

#[cold]
fn init_once() -> Result<template::Template, &'static str> {
    let start_ns = crate::sys::nanotime();
    let how = if fsgs::available() && crate::debug::vars::get().tlsmode.get() != 1 {
        Access::Instructions
    } else {
        Access::ArchPrctl
    };
    match crate::debug::vars::get().tlsmode.get() {
        2 => return Err("GODEBUG=tlsmode=2"),
        3 => return Err("GODEBUG=tlsmode=3"),
        _ => {}
    }
    // For sched/barrier.rs. Once there is a second thread this takes 20 ms, and 350 on a busy
    // machine: until all processors have been in their schedulers. sysmon would watch nothing
    // meanwhile.
    if symbols::is_single_threaded() {
        crate::sys::raw::membarrier_register();
    }
    let t = template::learn()?;
    let block = selftest::run(&t, how)?;
    setxid::wrap();
    give_m0_a_block(&t, block, how);
    let mode = if how == Access::Instructions { Mode::FsGsBase } else { Mode::ArchPrctl };
    #[cfg(feature = "control-shared-tls")]
    let mode = {
        let _ = mode;
        Mode::Shared
    };
    // ORDERING: goroutines made later are published through queues
    MODE.store(mode as u32, Ordering::Release);
    crate::debug::ms::trace_late("tlsinit", start_ns, mode_name());
    Ok(t)
}

/// Goroutine 1 keeps the boot thread's block; that thread's g0 gets a new one.
fn give_m0_a_block(t: &template::Template, block: usize, how: Access) {
    let m0 = crate::m::m0();
    tcb::with_block(block, how, || {
        tcb::first_run(t);
        set_own_m(Some(m0));
    });
    // ORDERING: m0 reads it at its next switch to g0, on this thread or after a queue operation
    m0.g0_fs.store(block, Ordering::Release);
}
