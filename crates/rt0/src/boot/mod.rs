//! From the ELF entry to main.main, in the order of the seed.
//!
//! Go: rt0_linux_amd64.s, asm_amd64.s `rt0_go`, runtime1.go, os_linux.go, proc.go `schedinit`,
//! `main`.
//!
//! entry → check → args (auxv, vdso) → osinit → schedinit → newproc(main) → mstart → main → exit.

pub(crate) mod alg;
pub(crate) mod args;
pub(crate) mod auxv;
pub(crate) mod check;
pub(crate) mod debugvars;
pub(crate) mod entry;
pub(crate) mod env;
pub(crate) mod exit;
pub(crate) mod gc;
pub(crate) mod inittask;
pub(crate) mod main;
pub(crate) mod modules;
pub(crate) mod osinit;
pub(crate) mod rand;
pub(crate) mod schedinit;
pub(crate) mod signals;
pub(crate) mod vdso;
