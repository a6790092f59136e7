//! The preemption mix: goroutines of every kind at once, most of which never call the runtime.
//!
//! Each kind does something that a preemption at the wrong place would break: it computes in
//! registers of every width or below its stack pointer, holds malloc's, the loader's or std's
//! locks, unwinds, sits in the kernel, starts threads, processes and goroutines. A round checks its
//! own result. The watchdog checks that every goroutine gets on.

mod compute;
mod kernel;
mod libraries;
mod memory;
pub(crate) mod run;
mod vectors;
mod worker;

use worker::Kind;

/// Goroutine `i` is of kind `i`, modulo their number.
const KINDS: &[Kind] = &[
    Kind::new("cpu", compute::cpu),
    Kind::new("fp", compute::fp),
    Kind::new("malloc", memory::malloc),
    Kind::new("mbig", memory::mbig),
    Kind::new("grow", memory::grow),
    Kind::new("print", libraries::print),
    Kind::new("hash", libraries::hash),
    Kind::new("rand", libraries::rand),
    Kind::new("mutex", libraries::mutex),
    Kind::new("memcpy", memory::memcpy),
    Kind::new("sys", kernel::sys),
    Kind::new("panic", libraries::panic),
    Kind::new("bt", libraries::bt),
    Kind::new("ymm", vectors::ymm).unless(vectors::no_ymm),
    Kind::new("zmm", vectors::zmm).unless(vectors::no_zmm),
    Kind::new("redzone", compute::redzone),
    Kind::new("tid", libraries::tid),
    Kind::new("file", kernel::file),
    Kind::new("dl", libraries::dl).unless(crate::soundness::no_dlopen),
    Kind::new("once", libraries::once),
    Kind::new("vdso", compute::vdso),
    Kind::new("sleep", kernel::sleep),
    Kind::new("spawn", kernel::spawn),
    Kind::new("cmd", kernel::cmd),
    Kind::new("go", kernel::go),
];
