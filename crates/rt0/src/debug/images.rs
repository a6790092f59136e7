//! The images that the process is made of, and which of them an address lies in.
//!
//! Go: symtab.go `findmoduledatap`. Boot notes those that the program started with; later ones are
//! asked for from glibc, whose `_dl_find_object` takes no lock (2.35 and later).
//!
//! # Safety
//! * `MD1` (boot/modules.rs): what the loader says of an image is true, and mapped, while code of
//!   the image runs or is on a stack.

#![allow(unsafe_code, reason = "MD1: what the loader says of its images")]

use crate::atomic::{AtomicUsize, Ordering};
use core::ffi::{CStr, c_char, c_int, c_void};
use rustix::fs::{CWD, readlinkat_raw};

/// Images that are told apart.
pub(crate) const MOST: usize = 64;

/// An image, or as much of it as a dump of stacks wants to know.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Image {
    /// What its addresses in the file and in memory differ by.
    pub(crate) bias: usize,
    /// First byte of its code, and behind the last.
    pub(crate) text: (usize, usize),
    /// Its PT_GNU_EH_FRAME; 0: none.
    pub(crate) eh_frame_hdr: usize,
    /// Behind the last byte of the segment that has it.
    pub(crate) eh_frame_end: usize,
    /// A C string of the loader's, or 0.
    pub(crate) name: usize,
    /// Place in the table here; `MOST`: none.
    pub(crate) number: usize,
}

/// The file of the process's program, also if it was removed or replaced.
const PROGRAM: &CStr = c"/proc/self/exe";

impl Image {
    /// The file that it was mapped from.
    pub(crate) fn path(&self) -> Option<&'static CStr> {
        if self.name == 0 {
            return None;
        }
        // SAFETY: MD1: the loader's, for as long as the image is there.
        let name = unsafe { CStr::from_ptr(self.name as *const c_char) };
        Some(if name.is_empty() { PROGRAM } else { name })
    }

    /// What readers call that file. The loader has no name for the program itself: the kernel's
    /// fits into `room`.
    pub(crate) fn shown_path<'a>(&self, room: &'a mut [u8; 1024]) -> Option<&'a [u8]> {
        let path = self.path()?;
        if path == PROGRAM
            && let Ok(len) = readlinkat_raw(CWD, PROGRAM, &mut room[..])
        {
            return room.get(..len);
        }
        Some(path.to_bytes())
    }

    /// Its code, as the file's headers number it.
    pub(crate) fn text_in_file(&self) -> (u64, u64) {
        let of = |at: usize| at.wrapping_sub(self.bias) as u64;
        (of(self.text.0), of(self.text.1))
    }
}

/// The fields of an image, which is complete once `LEN` counts it.
struct Slot([AtomicUsize; 6]);

static SLOTS: [Slot; MOST] = [const { Slot([const { AtomicUsize::new(0) }; 6]) }; MOST];
static LEN: AtomicUsize = AtomicUsize::new(0);
/// glibc's `_dl_find_object`, if it has one.
static FIND_OBJECT: AtomicUsize = AtomicUsize::new(0);

/// Boot, one thread: notes an image.
pub(crate) fn add(image: &Image) {
    let n = LEN.load(Ordering::Relaxed); // ORDERING: one writer
    let Some(Slot(words)) = SLOTS.get(n) else { return };
    let i = image;
    let values = [i.bias, i.text.0, i.text.1, i.eh_frame_hdr, i.eh_frame_end, i.name];
    for (word, value) in words.iter().zip(values) {
        word.store(value, Ordering::Relaxed); // ORDERING: published by LEN
    }
    LEN.store(n + 1, Ordering::Release); // ORDERING: pairs with find
}

/// Boot: looks up what [`find`] asks for images that were loaded later.
pub(crate) fn init() {
    if !cfg!(target_feature = "crt-static") {
        // SAFETY: a C string.
        let p = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
        FIND_OBJECT.store(p as usize, Ordering::Release); // ORDERING: one word
    }
}

/// The image whose code has `pc`. Async-signal-safe.
pub(crate) fn find(pc: usize) -> Option<Image> {
    let n = LEN.load(Ordering::Acquire); // ORDERING: pairs with add
    let noted = SLOTS[..n].iter().enumerate().map(|(number, Slot(words))| {
        // ORDERING: published by LEN
        let w = |i: usize| words[i].load(Ordering::Relaxed);
        Image {
            bias: w(0),
            text: (w(1), w(2)),
            eh_frame_hdr: w(3),
            eh_frame_end: w(4),
            name: w(5),
            number,
        }
    });
    noted.into_iter().find(|i| (i.text.0..i.text.1).contains(&pc)).or_else(|| find_late(pc))
}

/// glibc's `struct dl_find_object` on x86-64.
#[repr(C)]
struct Found {
    flags: u64,
    start: usize,
    end: usize,
    map: *const LinkMap,
    eh_frame: usize,
    reserved: [u64; 7],
}

/// The public head of glibc's `struct link_map`.
#[repr(C)]
struct LinkMap {
    bias: usize,
    name: *const c_char,
}

fn find_late(pc: usize) -> Option<Image> {
    let f = FIND_OBJECT.load(Ordering::Acquire); // ORDERING: pairs with init
    if f == 0 {
        return None;
    }
    type Function = unsafe extern "C" fn(*mut c_void, *mut Found) -> c_int;
    // SAFETY: glibc's function of that name has this type.
    let f = unsafe { core::mem::transmute::<usize, Function>(f) };
    let mut found =
        Found { flags: 0, start: 0, end: 0, map: core::ptr::null(), eh_frame: 0, reserved: [0; 7] };
    // SAFETY: it writes what it finds; the address is only compared.
    if unsafe { f(pc as *mut c_void, &mut found) } != 0 {
        return None;
    }
    // SAFETY: MD1: the loader's record of an image that has code on the stack.
    let map = unsafe { found.map.as_ref() }?;
    Some(Image {
        bias: map.bias,
        text: (found.start, found.end),
        eh_frame_hdr: found.eh_frame,
        eh_frame_end: found.end,
        name: map.name as usize,
        number: MOST,
    })
}
