//! What a fresh `struct pthread` looks like, learnt from a real one.
//!
//! A helper thread copies its own. Words that point into the structure are relocations; words that
//! name its stack are patched; words that point into its stack are cleared. So almost no
//! version-specific offset is written down here.
//!
//! # Safety
//! * `TM1`: the helper copies its own control block while it runs; it is `pthread_size` bytes long.

#![allow(unsafe_code, reason = "TM1: reads a thread control block")]

use super::symbols::Symbols;
use crate::arch::fsgs::fs_base;
use core::ffi::c_void;

/// What a word of the stack description becomes in a goroutine's block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StackWord {
    Base,
    Size,
    Cleared,
}

/// The TLS image of one module, as laid out in the static TLS block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// Offset from the thread pointer (negative).
    pub(crate) tp_off: isize,
    pub(crate) src: usize,
    pub(crate) file_bytes: usize,
    pub(crate) mem_bytes: usize,
}

pub(crate) struct Template {
    pub(crate) sym: Symbols,
    pub(crate) words: Vec<usize>,
    /// The address the words were copied from.
    pub(crate) base: usize,
    pub(crate) relocs: Vec<usize>,
    pub(crate) stack_words: Vec<(usize, StackWord)>,
    /// Modules whose image is reset when a block is used again: all but libc, whose caches stay.
    pub(crate) images: Vec<Image>,
    /// A module was loaded whose TLS is not in the static block.
    pub(crate) has_dynamic: bool,
    /// libc has an image of its own (a dynamic program).
    pub(crate) libc_apart: bool,
    /// Where struct pthread says that pthread keys were used, if that was found out.
    pub(crate) specific_used_off: Option<usize>,
    /// The dtv's generation on a fresh thread. `None`: some module's TLS is allocated on first
    /// use, so every dtv has to be looked through.
    pub(crate) dtv_generation: Option<usize>,
    /// Offset of the resolver state in struct pthread, and of its pointer from the thread pointer.
    pub(crate) res_off: usize,
    pub(crate) resp_tp_off: isize,
}

impl Template {
    /// Bytes of static TLS below the thread pointer, the surplus for later libraries included.
    pub(crate) fn below(&self) -> usize {
        self.sym.static_size - self.sym.pthread_size
    }
}

/// Learns the layout. Starts one short-lived thread.
pub(crate) fn learn() -> Result<Template, &'static str> {
    let sym = Symbols::find()?;
    if sym.pthread_size < 704 || sym.pthread_size > 4096 || sym.pthread_size > sym.static_size {
        return Err("libc's struct pthread has an unlikely size");
    }
    let mut t = Template {
        words: vec![0; sym.pthread_size / 8],
        sym,
        base: 0,
        relocs: Vec::new(),
        stack_words: Vec::new(),
        images: Vec::new(),
        has_dynamic: false,
        libc_apart: false,
        specific_used_off: None,
        dtv_generation: None,
        res_off: 0,
        resp_tp_off: 0,
    };
    collect_images(&mut t);
    let mut thread: libc::pthread_t = 0;
    let arg = (&raw mut t).cast::<c_void>();
    // SAFETY: `t` outlives the thread: it is joined below.
    let r = unsafe { libc::pthread_create(&mut thread, core::ptr::null(), helper, arg) };
    if r != 0 {
        return Err("pthread_create failed for the thread that shows libc's TLS layout");
    }
    // SAFETY: created above, joined once.
    unsafe { libc::pthread_join(thread, core::ptr::null_mut()) };
    if t.relocs.is_empty() {
        return Err("libc's struct pthread holds no pointer to itself");
    }
    Ok(t)
}

extern "C" fn helper(arg: *mut c_void) -> *mut c_void {
    // SAFETY: `learn` passes its template and waits.
    let t = unsafe { &mut *arg.cast::<Template>() };
    let me = fs_base();
    t.base = me;
    // SAFETY: TM1.
    let own = unsafe { core::slice::from_raw_parts(me as *const usize, t.words.len()) };
    t.words.copy_from_slice(own);
    find_resolver(t, me);
    find_specific_used(t, me);
    find_dtv_generation(t, me);
    classify(t, me);
    core::ptr::null_mut()
}

/// `__resp` is libc's TLS pointer to the resolver state, which lies in struct pthread.
fn find_resolver(t: &mut Template, me: usize) {
    // SAFETY: SY1.
    let state = unsafe { (t.sym.res_state)() } as usize;
    t.res_off = state.wrapping_sub(me);
    let lo = me - t.below();
    let mut p = me - 8;
    while p >= lo {
        // SAFETY: TM1: static TLS, `below` bytes of it, lies below the thread pointer.
        if unsafe { (p as *const usize).read() } == state {
            t.resp_tp_off = p as isize - me as isize;
            return;
        }
        p -= 8;
    }
}

/// glibc keeps a flag right behind the array of key blocks. It must go from 0 to 1 when a key is
/// set.
fn find_specific_used(t: &mut Template, me: usize) {
    const KEY_BLOCKS_BYTES: usize = 32 * 8;
    let off = t.sym.specific_off + KEY_BLOCKS_BYTES;
    if off >= t.sym.pthread_size {
        return;
    }
    // SAFETY: TM1: a byte of this thread's struct pthread.
    let flag = || unsafe { ((me + off) as *const u8).read_volatile() };
    let before = flag();
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: writes the key.
    if unsafe { libc::pthread_key_create(&mut key, None) } != 0 {
        return;
    }
    // SAFETY: a live key; the value is not looked at.
    unsafe { libc::pthread_setspecific(key, core::ptr::without_provenance(1)) };
    let after = flag();
    // SAFETY: created above.
    unsafe { libc::pthread_key_delete(key) };
    if before == 0 && after == 1 {
        t.specific_used_off = Some(off);
    }
}

/// The first word of a dtv is the generation of the module list it knows.
fn find_dtv_generation(t: &mut Template, me: usize) {
    const OFF_DTV: usize = 8;
    if t.has_dynamic {
        return;
    }
    // SAFETY: TM1: the ABI's offset of the dtv pointer.
    let dtv = unsafe { ((me + OFF_DTV) as *const usize).read() };
    // SAFETY: the dtv of this thread.
    t.dtv_generation = Some(unsafe { (dtv as *const usize).read() });
}

fn classify(t: &mut Template, me: usize) {
    let (stack, size, guard) = own_stack();
    let (block, block_size) = (stack - guard, size + guard);
    for i in 0..t.words.len() {
        let w = t.words[i];
        if (me..me + t.sym.pthread_size).contains(&w) {
            t.relocs.push(i);
        } else if w == block || w == stack {
            t.stack_words.push((i, StackWord::Base));
        } else if w == block_size || w == size {
            t.stack_words.push((i, StackWord::Size));
        } else if (block..block + block_size).contains(&w) {
            t.stack_words.push((i, StackWord::Cleared));
        }
    }
}

/// (lowest usable address, usable bytes, guard bytes) of this thread's stack.
fn own_stack() -> (usize, usize, usize) {
    let mut attr = core::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
    let a = attr.as_mut_ptr();
    let (mut addr, mut size, mut guard) = (core::ptr::null_mut(), 0, 0);
    // SAFETY: no arguments.
    let me = unsafe { libc::pthread_self() };
    // SAFETY: a real thread; `a` is initialised by the call, read twice and destroyed.
    unsafe { libc::pthread_getattr_np(me, a) };
    // SAFETY: a real thread; `a` is initialised by the call, read twice and destroyed.
    unsafe { libc::pthread_attr_getstack(a, &mut addr, &mut size) };
    // SAFETY: a real thread; `a` is initialised by the call, read twice and destroyed.
    unsafe { libc::pthread_attr_getguardsize(a, &mut guard) };
    // SAFETY: a real thread; `a` is initialised by the call, read twice and destroyed.
    unsafe { libc::pthread_attr_destroy(a) };
    (addr as usize, size, guard)
}

/// The TLS images of the modules loaded now, with their place in the static block.
fn collect_images(t: &mut Template) {
    unsafe extern "C" fn each(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        data: *mut c_void,
    ) -> i32 {
        // SAFETY: dl_iterate_phdr passes a valid record for the length of the call.
        let info = unsafe { &*info };
        // SAFETY: `data` is the template below; nothing else uses it meanwhile.
        let t = unsafe { &mut *data.cast::<Template>() };
        // SAFETY: the loader's record: dlpi_phnum headers, mapped with the module.
        let phdrs =
            unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
        // SAFETY: a C string of the loader's.
        let name = unsafe { core::ffi::CStr::from_ptr(info.dlpi_name) }.to_bytes();
        let is = |part: &[u8]| name.windows(part.len()).any(|w| w == part);
        for p in phdrs.iter().filter(|p| p.p_type == libc::PT_TLS) {
            if info.dlpi_tls_data.is_null() {
                t.has_dynamic = true;
                continue;
            }
            let image = Image {
                tp_off: info.dlpi_tls_data as isize - fs_base() as isize,
                src: (info.dlpi_addr + p.p_vaddr) as usize,
                file_bytes: p.p_filesz as usize,
                mem_bytes: p.p_memsz as usize,
            };
            let static_tls = -(t.below() as isize)..0;
            if is(b"/libc.so") || is(b"/ld-linux") {
                t.libc_apart = true;
            } else if static_tls.contains(&image.tp_off) {
                t.images.push(image);
            } else {
                t.has_dynamic = true;
            }
        }
        0
    }
    let data = core::ptr::from_mut(t).cast::<c_void>();
    // SAFETY: `each` takes `data` as a template; the call ends before `t` is used again.
    unsafe { libc::dl_iterate_phdr(Some(each), data) };
}
