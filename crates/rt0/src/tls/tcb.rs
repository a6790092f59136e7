//! Building, reusing and retiring a goroutine's thread control block.
//!
//! ```text
//!   static TLS (module images, surplus)   | struct pthread            |
//!   <------------- below() -------------> tcb <-- pthread_size ------->
//! ```
//!
//! Life: [`build`] once per stack slot; [`first_run`] on the block's first goroutine; [`retire`] at
//! the end of each goroutine, running on the block; [`recycle`] before the next one.
//!
//! # Safety
//! * `TB1`: the memory of a block is the runtime's and zero before `build`.
//! * `TB2`: TL1: nobody runs on the block while it is built or recycled.

#![allow(unsafe_code, reason = "TB1, TB2: writes thread control blocks")]

use super::template::{StackWord, Template};
use crate::arch::fsgs::{self, Access, fs_base};

/// Thread ids of goroutines: above the kernel's largest (2^22), below glibc's 30-bit mask, so that
/// the owner of a recursive mutex is never mistaken.
const FIRST_TID: u32 = 1 << 24;
const LAST_TID: u32 = (1 << 30) - 1;

/// The thread id of a goroutine. A billion goroutines later the early ids are long free again.
/// Number 0 is the block that no goroutine uses.
fn tid_of(goid: u64) -> u32 {
    FIRST_TID + (goid % u64::from(LAST_TID - FIRST_TID)) as u32
}

/// A view of a block as words.
#[derive(Clone, Copy)]
struct Words(usize);

impl Words {
    /// # Safety
    /// TB1, TB2: `off` lies within the block.
    unsafe fn set(self, off: usize, v: usize) {
        // SAFETY: the caller's promise.
        unsafe { ((self.0 + off) as *mut usize).write(v) };
    }
    /// # Safety
    /// TB1: `off` lies within the block.
    unsafe fn get(self, off: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { ((self.0 + off) as *const usize).read() }
    }
    /// # Safety
    /// TB1, TB2: `off` lies within the block.
    unsafe fn set32(self, off: isize, v: u32) {
        // SAFETY: the caller's promise.
        unsafe { (self.0.wrapping_add_signed(off) as *mut u32).write(v) };
    }
}

const OFF_DTV: usize = 0x08;
const OFF_MULTIPLE_THREADS: isize = 0x18;
const OFF_STACK_GUARD: usize = 0x28;
const OFF_POINTER_GUARD: usize = 0x30;

/// Builds a block at `tcb` for a goroutine with the given stack. Allocates (the dtv).
///
/// # Safety
/// TB1: `tcb - below() .. tcb + pthread_size` is zeroed memory of the runtime's.
pub(crate) unsafe fn build(t: &Template, tcb: usize, stack_lo: usize, stack_bytes: usize) {
    let w = Words(tcb);
    for (i, word) in t.words.iter().enumerate() {
        // SAFETY: TB1: i < pthread_size / 8.
        unsafe { w.set(i * 8, *word) };
    }
    for &i in &t.relocs {
        // SAFETY: TB1: a word of the block.
        unsafe { w.set(i * 8, t.words[i] - t.base + tcb) };
    }
    for &(i, kind) in &t.stack_words {
        let v = match kind {
            StackWord::Base => stack_lo,
            StackWord::Size => stack_bytes,
            StackWord::Cleared => 0,
        };
        // SAFETY: TB1: a word of the block.
        unsafe { w.set(i * 8, v) };
    }
    // Not on glibc's lists of stacks: the node points to itself.
    let node = tcb + t.sym.list_off;
    // SAFETY: TB1: glibc's own offset.
    unsafe { w.set(t.sym.list_off, node) };
    // SAFETY: TB1: glibc's own offset, the node's second word.
    unsafe { w.set(t.sym.list_off + 8, node) };
    let me = Words(fs_base());
    for off in [OFF_STACK_GUARD, OFF_POINTER_GUARD] {
        // SAFETY: the ABI's offsets, in this thread's own block.
        let guard = unsafe { me.get(off) };
        // SAFETY: TB1.
        unsafe { w.set(off, guard) };
    }
    // SAFETY: TB1: the ABI's offsets.
    unsafe { w.set32(OFF_MULTIPLE_THREADS, 1) };
    // SAFETY: TB1.
    unsafe { w.set(OFF_DTV, 0) };
    // SAFETY: TB2.
    unsafe { new_identity(t, tcb) };
    // SAFETY: SY1, TB1: installs a dtv and copies the modules' images below the block.
    let r = unsafe { (t.sym.allocate_tls)(tcb as *mut _) };
    if r as usize != tcb {
        crate::throw::fatal("out of memory: libc could not allocate a goroutine's TLS vector");
    }
    // SAFETY: TB1.
    unsafe { reset_resolver(t, tcb) };
}

/// # Safety
/// TB1, TB2.
unsafe fn reset_resolver(t: &Template, tcb: usize) {
    if t.resp_tp_off != 0 {
        let p = tcb.wrapping_add_signed(t.resp_tp_off) as *mut usize;
        // SAFETY: TB1: libc's `__resp`, found by the template.
        unsafe { p.write(tcb + t.res_off) };
    }
}

/// # Safety
/// TB1, TB2.
unsafe fn new_identity(t: &Template, tcb: usize) {
    let w = Words(tcb);
    // SAFETY: TB1: glibc's own offset.
    unsafe { w.set32(t.sym.tid_off as isize, tid_of(0)) };
    if t.sym.rseq_off != 0 {
        // No rseq registration: cpu_id_start = 0, cpu_id = -1, as glibc marks "unregistered".
        // SAFETY: TB1: the area that __rseq_offset names.
        unsafe { w.set32(t.sym.rseq_off, 0) };
        // SAFETY: TB1: the area that __rseq_offset names.
        unsafe { w.set32(t.sym.rseq_off + 4, u32::MAX) };
    }
}

/// The block is goroutine `goid`'s from now on.
///
/// # Safety
/// TB2: built or recycled, and not used since.
pub(crate) unsafe fn set_tid(t: &Template, tcb: usize, goid: u64) {
    // SAFETY: TB1: glibc's own offset.
    unsafe { Words(tcb).set32(t.sym.tid_off as isize, tid_of(goid)) };
}

/// A block without a stack, for m0's g0. Its memory comes from the kernel once a process.
pub(crate) fn build_detached(t: &Template) -> usize {
    let bytes = (t.sym.static_size + 2 * t.sym.static_align).next_multiple_of(4096);
    let Ok(base) = crate::sys::mem::reserve(bytes) else {
        crate::throw::fatal("out of memory: no room for a thread control block");
    };
    let tcb = (base + t.below()).next_multiple_of(t.sym.static_align);
    // SAFETY: TB1: a new mapping, with room on both sides.
    unsafe { build(t, tcb, base, bytes) };
    tcb
}

/// Resets a block for its next goroutine: module images, identity. libc's own TLS (malloc's thread
/// cache, locale) stays, as it would on a thread that goes on.
///
/// # Safety
/// TB2: the last goroutine on the block has [`retire`]d.
pub(crate) unsafe fn recycle(t: &Template, tcb: usize) {
    for im in &t.images {
        let dst = tcb.wrapping_add_signed(im.tp_off) as *mut u8;
        // SAFETY: TB1: the module's place in the block; the loader mapped its image at `src`.
        unsafe { dst.copy_from_nonoverlapping(im.src as *const u8, im.file_bytes) };
        // SAFETY: TB1: the zero part follows the copied one.
        let zero = unsafe { dst.add(im.file_bytes) };
        // SAFETY: TB1.
        unsafe { zero.write_bytes(0, im.mem_bytes - im.file_bytes) };
    }
    if !t.libc_apart {
        // SAFETY: TB1, TB2.
        unsafe { reset_resolver(t, tcb) };
    }
    // SAFETY: TB1, TB2.
    unsafe { new_identity(t, tcb) };
}

/// On the block itself, before its first goroutine's code: what `start_thread` does.
pub(crate) fn first_run(t: &Template) {
    // SAFETY: SY1: sets libc's ctype pointers in this block.
    unsafe { (t.sym.ctype_init)() };
}

/// On the block itself, after the goroutine's code: TLS destructors, pthread keys, and the blocks
/// of libraries loaded later. What `start_thread` does at a thread's end. Returns whether
/// [`first_run`] is due again.
pub(crate) fn retire(t: &Template) -> bool {
    // SAFETY: SY1: runs what __cxa_thread_atexit_impl registered on this block.
    unsafe { (t.sym.call_tls_dtors)() };
    let tcb = fs_base();
    // SAFETY: TB1: the block in use.
    unsafe { run_key_destructors(t, tcb) };
    let mut again = false;
    if let Some(freeres) = t.sym.thread_freeres {
        // SAFETY: SY1: frees libc's per-thread buffers; ctype_init undoes what it cleared.
        unsafe { freeres() };
        again = true;
    }
    // SAFETY: TB1: the block in use.
    unsafe { free_dynamic_blocks(t, tcb) };
    again
}

const KEY_BLOCKS: usize = 32;
const KEYS_PER_BLOCK: usize = 32;
/// PTHREAD_DESTRUCTOR_ITERATIONS.
const KEY_ROUNDS: usize = 4;

/// # Safety
/// TB1: `tcb` is the running block.
unsafe fn run_key_destructors(t: &Template, tcb: usize) {
    if let Some(off) = t.specific_used_off {
        // SAFETY: TB1: glibc's flag, found by the template.
        let flag = unsafe { ((tcb + off) as *const u8).read() };
        if flag == 0 {
            return;
        }
        // SAFETY: TB1: the flag again: the values go below, as at a thread's end.
        unsafe { ((tcb + off) as *mut u8).write(0) };
    }
    for _ in 0..KEY_ROUNDS {
        let mut again = false;
        for b in 0..KEY_BLOCKS {
            // SAFETY: TB1: `specific` is an array of 32 pointers to blocks of 32 pairs.
            let block = unsafe { Words(tcb).get(t.sym.specific_off + b * 8) };
            if block == 0 {
                continue;
            }
            for j in 0..KEYS_PER_BLOCK {
                // SAFETY: TB1: `specific` is an array of 32 pointers to blocks of 32 pairs.; :
                // entry j of an allocated block.
                again |= unsafe { run_one_key(t, block + j * 16, b * KEYS_PER_BLOCK + j) };
            }
        }
        if !again {
            return;
        }
    }
}

/// # Safety
/// `entry` is the (sequence, data) pair of `key` in the running block.
unsafe fn run_one_key(t: &Template, entry: usize, key: usize) -> bool {
    let e = Words(entry);
    // SAFETY: the caller's promise.
    let data = unsafe { e.get(8) };
    if data == 0 {
        return false;
    }
    // SAFETY: the caller's promise.
    unsafe { e.set(8, 0) };
    // SAFETY: SY1: __pthread_keys has 1024 entries.
    let [seq, dtor] = unsafe { t.sym.keys.wrapping_add(key).read() };
    // SAFETY: the caller's promise.
    if dtor == 0 || unsafe { e.get(0) } != seq {
        return false;
    }
    // SAFETY: the destructor that pthread_key_create was given.
    let f = unsafe { core::mem::transmute::<usize, extern "C" fn(usize)>(dtor) };
    f(data);
    true
}

/// Frees the TLS of modules loaded after start-up; `__tls_get_addr` makes them anew.
///
/// # Safety
/// TB1: `tcb` is the running block and no code of such a module runs on it any more.
unsafe fn free_dynamic_blocks(t: &Template, tcb: usize) {
    // SAFETY: TB1: the dtv: word pairs (value, to_free), its length before it.
    let dtv = unsafe { Words(tcb).get(OFF_DTV) };
    // SAFETY: TB1: the dtv: word pairs (value, to_free), its length before it.
    let generation = unsafe { Words(dtv).get(0) };
    if t.dtv_generation == Some(generation) {
        return; // no module was loaded since, and none before allocates on first use
    }
    // SAFETY: TB1: its length lies before it.
    let n = unsafe { Words(dtv - 16).get(0) };
    for i in 1..=n {
        let entry = Words(dtv + i * 16);
        // SAFETY: TB1: the dtv: word pairs (value, to_free), its length before it.; : entry i of n.
        let to_free = unsafe { entry.get(8) };
        if to_free == 0 {
            continue;
        }
        // SAFETY: glibc allocated it with malloc for this block.
        unsafe { libc::free(to_free as *mut _) };
        // SAFETY: TLS_DTV_UNALLOCATED.
        unsafe { entry.set(0, usize::MAX) };
        // SAFETY: TLS_DTV_UNALLOCATED.
        unsafe { entry.set(8, 0) };
    }
}

/// Runs `f` on another block: TLS accesses inside go there.
#[inline(never)]
pub(crate) fn with_block(block: usize, how: Access, f: impl FnOnce()) {
    let old = fs_base();
    // SAFETY: FG2: the block is built and nobody else's; `f` is not inlined into TLS users.
    unsafe { fsgs::set_fs_base(block, how) };
    opaque(f);
    // SAFETY: FG2: this thread's own.
    unsafe { fsgs::set_fs_base(old, how) };
}

#[inline(never)]
fn opaque(f: impl FnOnce()) {
    f();
    core::hint::black_box(());
}
