//! The images this process is made of.
//!
//! Go: symtab.go `moduledataverify`, `modulesinit`. moduledataverify checks that what a dump of
//! stacks needs is sound: our image's ELF headers, its `.eh_frame_hdr` sorted by address (the
//! unwinder does a binary search), and the root frame of goroutines inside its text. modulesinit
//! records the ranges of text, data and TLS of every image loaded.
//!
//! # Safety
//! * `MD1`: program headers named by auxv or by the loader describe memory that is mapped for the
//!   life of the image.

#![allow(unsafe_code, reason = "MD1: reads ELF structures of loaded images")]

use crate::atomic::{AtomicUsize, Ordering};
use crate::debug::images::{self, Image};
use crate::lock::{mutex::RtMutex, rank::Rank};
use core::ffi::c_void;

const MAX_MODULES: usize = 64;

/// Address ranges of one image. Go: moduledata's text, etext, data, edata, bss.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Moduledata {
    pub(crate) text: (usize, usize),
    pub(crate) data: (usize, usize),
    pub(crate) tls_bytes: usize,
}

struct Modules {
    list: [Moduledata; MAX_MODULES],
    len: usize,
}

static MODULES: RtMutex<Modules> = RtMutex::new(
    Rank::Misc,
    Modules {
        list: [Moduledata { text: (0, 0), data: (0, 0), tls_bytes: 0 }; MAX_MODULES],
        len: 0,
    },
);

/// Where our image lies, for `in_text`.
static OWN_TEXT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Throws if our own image is not what it should be. Go: moduledataverify1.
pub(crate) fn moduledataverify() {
    let (phdr, phnum) = super::auxv::get().phdrs();
    let here = moduledataverify as *const () as usize;
    let own = own_image(phdr, phnum, here);
    let Some((bias, phdrs)) = own else { return library_verify(here) };
    verify(bias, phdrs, here);
}

/// The main program's headers, if our code lies in it.
fn own_image(
    phdr: usize,
    phnum: usize,
    here: usize,
) -> Option<(usize, &'static [libc::Elf64_Phdr])> {
    if phdr == 0 || phnum == 0 {
        return None;
    }
    // SAFETY: MD1: AT_PHDR and AT_PHNUM.
    let phdrs = unsafe { core::slice::from_raw_parts(phdr as *const libc::Elf64_Phdr, phnum) };
    let bias = match phdrs.iter().find(|p| p.p_type == libc::PT_PHDR) {
        Some(p) => phdr - p.p_vaddr as usize,
        None => 0, // static without PIE: linked where it is loaded
    };
    let ours = phdrs.iter().any(|p| {
        let lo = bias + p.p_vaddr as usize;
        p.p_type == libc::PT_LOAD && (lo..lo + p.p_memsz as usize).contains(&here)
    });
    ours.then_some((bias, phdrs))
}

/// We are in a shared library: the loader knows which.
fn library_verify(here: usize) {
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, here: *mut c_void) -> i32 {
        // SAFETY: the loader's record, valid for the call.
        let info = unsafe { &*info };
        // SAFETY: MD1.
        let phdrs =
            unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
        let (bias, here) = (info.dlpi_addr as usize, here as usize);
        let ours = phdrs.iter().any(|p| {
            let lo = bias + p.p_vaddr as usize;
            p.p_type == libc::PT_LOAD && (lo..lo + p.p_memsz as usize).contains(&here)
        });
        if ours {
            verify(bias, phdrs, here);
        }
        i32::from(ours)
    }
    // SAFETY: `each` takes `here` as a number.
    unsafe { libc::dl_iterate_phdr(Some(each), here as *mut c_void) };
}

fn verify(bias: usize, phdrs: &[libc::Elf64_Phdr], here: usize) {
    for p in phdrs {
        let (lo, bytes) = (bias + p.p_vaddr as usize, p.p_memsz as usize);
        if p.p_type == libc::PT_LOAD
            && p.p_flags & libc::PF_X != 0
            && (lo..lo + bytes).contains(&here)
        {
            OWN_TEXT[0].store(lo, Ordering::Relaxed); // ORDERING: boot, one thread
            OWN_TEXT[1].store(lo + bytes, Ordering::Relaxed); // ORDERING: boot, one thread
        }
        if p.p_type == libc::PT_GNU_EH_FRAME {
            verify_eh_frame_hdr(lo, bytes);
        }
    }
    if !in_own_text(crate::sched::goexit::goroutine_start as *const () as usize) {
        crate::throw::throw("moduledataverify: goroutine_start is outside of this image's text");
    }
}

/// Version 1, a table of (pc, fde) as 32-bit offsets, sorted by pc.
fn verify_eh_frame_hdr(at: usize, bytes: usize) {
    const TABLE_ENC: u8 = 0x3b; // DW_EH_PE_datarel | DW_EH_PE_sdata4
    // SAFETY: MD1: the segment is mapped.
    let raw = unsafe { core::slice::from_raw_parts(at as *const u8, bytes) };
    let [1, _, 0x03, TABLE_ENC, ..] = raw else {
        // Another encoding is legal; there is then no table of this form to check.
        return;
    };
    let Some(count) = raw.get(8..12) else {
        crate::throw::throw("moduledataverify: .eh_frame_hdr is cut off");
    };
    let count = u32::from_le_bytes([count[0], count[1], count[2], count[3]]) as usize;
    let Some(table) = raw.get(12..12 + count * 8) else {
        crate::throw::throw("moduledataverify: .eh_frame_hdr is cut off");
    };
    let pc = |e: &[u8; 8]| i32::from_le_bytes([e[0], e[1], e[2], e[3]]);
    if !table.as_chunks().0.is_sorted_by_key(pc) {
        crate::throw::throw("moduledataverify: .eh_frame_hdr is not sorted by program counter");
    }
}

/// Whether `pc` is code of the image that holds the runtime.
pub(crate) fn in_own_text(pc: usize) -> bool {
    // ORDERING: written at boot
    (OWN_TEXT[0].load(Ordering::Relaxed)..OWN_TEXT[1].load(Ordering::Relaxed)).contains(&pc)
}

/// Records every image now loaded. Go: modulesinit.
pub(crate) fn modulesinit() {
    let mut modules = MODULES.lock();
    modules.len = 0;
    // SAFETY: `record` takes `data` as `Modules`, which this function has locked.
    unsafe { libc::dl_iterate_phdr(Some(record), (&raw mut *modules).cast()) };
    crate::debug::process::PROCESS.images.set(modules.len as u64);
}

/// Behind the last byte of the segment that has `at`; 0 if none has.
fn segment_end(bias: usize, phdrs: &[libc::Elf64_Phdr], at: usize) -> usize {
    let segments = phdrs.iter().filter(|p| p.p_type == libc::PT_LOAD);
    let mut ranges = segments.map(|p| {
        let lo = bias + p.p_vaddr as usize;
        lo..lo + p.p_memsz as usize
    });
    ranges.find(|r| r.contains(&at)).map_or(0, |r| r.end)
}

unsafe extern "C" fn record(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> i32 {
    // SAFETY: the loader's record, valid for the call.
    let info = unsafe { &*info };
    // SAFETY: modulesinit passes its locked table.
    let modules = unsafe { &mut *data.cast::<Modules>() };
    // SAFETY: MD1.
    let phdrs = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
    let mut m = Moduledata::default();
    let mut image = Image { bias: info.dlpi_addr as usize, ..Image::default() };
    image.name = info.dlpi_name as usize;
    for p in phdrs {
        let lo = info.dlpi_addr as usize + p.p_vaddr as usize;
        let range = (lo, lo + p.p_memsz as usize);
        match p.p_type {
            libc::PT_LOAD if p.p_flags & libc::PF_X != 0 => m.text = range,
            libc::PT_LOAD if p.p_flags & libc::PF_W != 0 => m.data = range,
            libc::PT_TLS => m.tls_bytes = p.p_memsz as usize,
            libc::PT_GNU_EH_FRAME => image.eh_frame_hdr = lo,
            _ => {}
        }
    }
    image.text = m.text;
    image.eh_frame_end = segment_end(image.bias, phdrs, image.eh_frame_hdr);
    images::add(&image);
    if modules.len == MAX_MODULES {
        return 1;
    }
    let at = modules.len;
    modules.list[at] = m;
    modules.len += 1;
    0
}
