//! argc, argv and what lies above them on the initial stack.
//!
//! Go: runtime1.go `args`, os_linux.go `sysargs`, `sysauxv`.
//!
//! ```text
//!   argc | argv[0..argc] | 0 | envp... | 0 | auxv pairs ... | AT_NULL
//! ```
//! Where the ELF entry was not ours (gold, a library), the vector is found through libc's
//! `__libc_stack_end`; failing that, auxv comes from `/proc/self/auxv` or `getauxval`.
//!
//! # Safety
//! * `AG1`: the kernel's layout above holds at `argv`; it is never written by anyone.

#![allow(unsafe_code, reason = "AG1: reads the initial stack")]

use super::auxv;
use super::entry::ENTRY;
use crate::atomic::Ordering;

/// Sets argc and argv, then everything that auxv tells. Go: args.
pub(crate) fn args() {
    if !super::entry::entered() {
        find_initial_stack();
    }
    // ORDERING: set at boot
    sysargs(ENTRY.argc.load(Ordering::Relaxed), ENTRY.argv.load(Ordering::Relaxed));
}

/// libc keeps the initial stack pointer: `[__libc_stack_end]` is argc.
fn find_initial_stack() {
    unsafe extern "C" {
        static __libc_stack_end: *const usize;
    }
    // SAFETY: libc's variable, set before main.
    let sp = unsafe { __libc_stack_end };
    if sp.is_null() {
        return;
    }
    // SAFETY: AG1.
    let argc = unsafe { sp.read() };
    // ORDERING: boot, one thread
    ENTRY.argc.store(argc, Ordering::Relaxed);
    ENTRY.argv.store(sp as usize + 8, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// Walks over argv and envp to auxv. Go: sysargs.
fn sysargs(argc: usize, argv: usize) {
    if argv != 0 {
        let mut p = argv + (argc + 1) * 8;
        while word(p) != 0 {
            p += 8;
        }
        sysauxv(|i| (word(p + 8 + i * 16), word(p + 16 + i * 16)));
        return;
    }
    let mut buf = [0u8; 1024];
    let raw = crate::sys::proc::read_small(c"/proc/self/auxv", &mut buf);
    sysauxv(|i| match raw.get(i * 16..i * 16 + 16) {
        Some(b) => (le(&b[..8]), le(&b[8..])),
        None => (0, 0),
    });
}

fn le(b: &[u8]) -> usize {
    b.iter().rev().fold(0, |v, x| v << 8 | usize::from(*x))
}

fn word(p: usize) -> usize {
    read(p)
}

/// Of the vectors, up to the word of zeros that ends them, or of a string, up to its end.
fn read<T: Copy>(p: usize) -> T {
    // SAFETY: AG1: nobody reads behind those.
    unsafe { (p as *const T).read() }
}

/// Takes what the runtime needs from auxv. Go: sysauxv.
fn sysauxv(pair: impl Fn(usize) -> (usize, usize)) {
    let aux = auxv::get();
    for i in 0.. {
        match pair(i) {
            (auxv::AT_NULL, _) => break,
            (tag, val) => aux.set(tag, val),
        }
    }
    if aux.pagesz() != crate::sys::mem::PAGE {
        crate::throw::fatal_with(
            format_args!("physical page size is {} bytes, not 4096", aux.pagesz()),
            "bad system page size",
        );
    }
    crate::arch::fsgs::set_available(aux.fsgsbase());
    super::rand::set_startup_rand(startup_random_data(aux.random()));
    super::vdso::vdsoauxv(aux.sysinfo_ehdr());
}

/// The 16 bytes that the kernel left for us. Go: startupRandomData.
fn startup_random_data(at: usize) -> Option<[u8; 16]> {
    if at == 0 {
        return None;
    }
    // SAFETY: AT_RANDOM is the address of 16 bytes.
    Some(unsafe { (at as *const [u8; 16]).read() })
}

/// The argument vector. Go: argslice.
pub(crate) fn arg(i: usize) -> Option<&'static core::ffi::CStr> {
    // ORDERING: set at boot
    let (argc, argv) = (ENTRY.argc.load(Ordering::Relaxed), ENTRY.argv.load(Ordering::Relaxed));
    if i >= argc || argv == 0 {
        return None;
    }
    c_str(word(argv + i * 8))
}

/// Addresses of the strings of the initial environment.
fn initial_env() -> impl Iterator<Item = usize> {
    // ORDERING: set at boot
    let (argc, argv) = (ENTRY.argc.load(Ordering::Relaxed), ENTRY.argv.load(Ordering::Relaxed));
    let mut at = argv + (argc + 1) * 8;
    core::iter::from_fn(move || {
        let p = if argv == 0 { 0 } else { word(at) };
        at += 8;
        (p != 0).then_some(p)
    })
}

/// How many they are. Go: the length of envs.
pub(crate) fn initial_vars() -> usize {
    initial_env().count()
}

/// The value of one. Only its length is asked for, of all those strings.
pub(crate) fn initial_var(name: &[u8]) -> Option<&'static [u8]> {
    let is = |p: &usize| name.iter().chain(b"=").zip(*p..).all(|(c, at)| *c == read::<u8>(at));
    let found = initial_env().find(is)?;
    c_str(found + name.len() + 1).map(core::ffi::CStr::to_bytes)
}

fn c_str(p: usize) -> Option<&'static core::ffi::CStr> {
    if p == 0 {
        return None;
    }
    // SAFETY: AG1: a C string of the kernel's.
    Some(unsafe { core::ffi::CStr::from_ptr(p as *const core::ffi::c_char) })
}
