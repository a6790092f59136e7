//! What an address is called: function, file and line, inlined functions included.
//!
//! Go has tables of its own in every binary (symtab.go `funcline`, `pcdatavalue`); here it is
//! DWARF and the symbol table of the files that the process was made of.
//!
//! A fatal report may have to be written while the thread that died, or one that was stopped, holds
//! malloc's lock, the loader's, or that of a `Mutex` of std's. So nothing here allocates (but from
//! the kernel), locks or touches TLS: the sections are read where the kernel mapped them, and what
//! is looked up by binary search is sorted once into memory of its own.
//!
//! Rejected: `addr2line` and the readers of `gimli`, which keep what they parse in `Vec`s, and so
//! in the program's allocator: a fault in malloc would have no names, or hang. A helper process
//! (fork, or the program itself executed anew): constructors of the program's would run in it, and
//! sandboxes forbid it. A helper thread: it would wait for malloc's lock all the same. gimli is
//! used for what it does without allocation: call frame information (unwind.rs), and its names of
//! constants.
//!
//! Not read: compressed sections, split DWARF, and debug files apart from the image (such images
//! have names from their symbol table, and no lines).
//!
//! # Invariants
//! * `SY1`: a file is mapped once and for good; names and paths are slices of the mapping. A file
//!   that is overwritten in place while it runs may make them nonsense, as any debugger's.
//! * `SY2`: of what is remembered of an address the first `n` frames are written. A new symboliser
//!   is zeros, which are no slices.

#![allow(unsafe_code, reason = "SY1: tables in fresh mappings, published once")]

mod cursor;
mod elf;
mod line;
mod unit;
mod walk;

use super::frame::Symbolised;
use super::images::Image;
use crate::atomic::{AtomicPtr, Ordering};
use crate::sys::mem::{fresh, fresh_slice, map_file};
use core::mem::MaybeUninit;
use elf::{Sections, Symbol};
use unit::{Abbrevs, Unit};
use walk::{DEEPEST, Function, Walk};

/// A file of an image.
struct File {
    sections: Sections,
    symbols: &'static [Symbol],
    units: &'static [Covered],
}

/// Addresses of a unit, relative to the image.
#[derive(Clone, Copy, Default)]
struct Covered {
    lo: u64,
    hi: u64,
    unit: usize,
}

/// The files by image number; what [`super::images`] has no number for has no names.
static FILES: [AtomicPtr<File>; super::images::MOST] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; super::images::MOST];

/// The file of an image, read when first asked for.
fn file_of(image: &Image) -> Option<&'static File> {
    let slot = FILES.get(image.number)?;
    let known = slot.load(Ordering::Acquire); // ORDERING: pairs with the exchange below
    // SAFETY: SY1: null, or a File that lives for good.
    if let Some(file) = unsafe { known.as_ref() } {
        return Some(file);
    }
    let room = fresh::<File>()?;
    // Also what cannot be read is noted, as empty.
    let file = room.write(File::open(image).unwrap_or(File {
        sections: Sections::default(),
        symbols: &[],
        units: &[],
    }));
    let new: *mut File = file;
    // ORDERING: publishes the tables
    match slot.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: SY1: just made, for good.
        Ok(_) => Some(unsafe { &*new }),
        // Another dump was faster; ours stays unused.
        // SAFETY: SY1: the other's.
        Err(other) => unsafe { other.as_ref() },
    }
}

impl File {
    fn open(image: &Image) -> Option<File> {
        let sections = elf::sections(map_file(image.path()?)?)?;
        let (lo, hi) = image.text_in_file();
        let covered = |f: &mut dyn FnMut(Covered)| {
            for u in unit::units(&sections) {
                u.each_range(&sections, |a, b| {
                    // What the linker dropped stays behind at addresses like 0 and 1.
                    if a >= lo && b <= hi && a < b {
                        f(Covered { lo: a, hi: b, unit: u.at });
                    }
                });
            }
        };
        let mut n = 0;
        covered(&mut |_| n += 1);
        let units = fresh_slice::<Covered>(n)?;
        let mut slots = units.iter_mut();
        covered(&mut |c| {
            if let Some(slot) = slots.next() {
                *slot = c;
            }
        });
        units.sort_unstable_by_key(|c| c.lo);
        Some(File { sections, symbols: sections.symbols(), units })
    }

    fn unit_of(&self, at: u64) -> Option<Unit> {
        let behind = self.units.partition_point(|c| c.lo <= at);
        let c = self.units.get(behind.checked_sub(1)?)?;
        if at < c.hi { Unit::at(&self.sections, c.unit) } else { None }
    }
}

/// Functions that one address has at most: itself and what is inlined there.
const MOST: usize = DEEPEST;
/// Addresses whose names are remembered.
const REMEMBERED: usize = 512;

/// What one dump at a time works with. Large: in a mapping of its own; all zero when new.
pub(super) struct Symboliser {
    own: Abbrevs,
    other: Abbrevs,
    known: [Known; REMEMBERED],
}

struct Known {
    pc: usize,
    n: usize,
    /// The innermost first. SY2.
    frames: [MaybeUninit<Symbolised>; MOST],
}

impl Symboliser {
    /// The functions at `pc`, the innermost first; empty if nothing is known.
    pub(super) fn functions(&mut self, pc: usize) -> &[Symbolised] {
        let slot = (pc ^ pc >> 9) % REMEMBERED;
        if self.known[slot].pc != pc {
            let mut frames = [Symbolised::default(); MOST];
            let n = self.look_up(pc, &mut frames).unwrap_or(0);
            let known = &mut self.known[slot];
            (known.pc, known.n) = (pc, n);
            known.frames[..n].write_copy_of_slice(&frames[..n]);
        }
        let known = &self.known[slot];
        // SAFETY: SY2.
        unsafe { known.frames[..known.n].assume_init_ref() }
    }

    fn look_up(&mut self, pc: usize, frames: &mut [Symbolised; MOST]) -> Option<usize> {
        let image = super::images::find(pc)?;
        let file = file_of(&image)?;
        let at = pc.wrapping_sub(image.bias) as u64;
        let symbol = file.sections.function(file.symbols, at);
        let entry = symbol.map_or(0, |(start, _)| image.bias.wrapping_add(start as usize));
        let n = match file.unit_of(at) {
            Some(unit) => self.in_unit(file, &unit, at, frames),
            None => 0,
        };
        let n = n.max(usize::from(symbol.is_some()));
        let outermost = frames[..n].last_mut()?;
        outermost.entry = entry;
        if let Some((_, name)) = symbol {
            outermost.name = name;
        }
        let unit = file.unit_of(at);
        let base = unit.and_then(|u| u.directory(&file.sections)).unwrap_or_default();
        let shown = if is_in(base) { Default::default() } else { base };
        for f in &mut frames[..n] {
            f.base = base;
            f.kind = super::print::kind(f);
            f.base = shown;
        }
        super::print::settle_kinds(&mut frames[..n]);
        Some(n)
    }

    /// The innermost function's line is the address's, another's that of the call inlined there.
    fn in_unit(
        &mut self,
        file: &File,
        unit: &Unit,
        at: u64,
        frames: &mut [Symbolised; MOST],
    ) -> usize {
        let s = &file.sections;
        let mut walk = Walk { sections: s, own: &mut self.own, other: &mut self.other };
        let mut functions = [Function::default(); MOST];
        let n = walk.functions(unit, at, &mut functions).max(1);
        let program = walk.program(unit);
        let mut place = program.and_then(|p| p.line_of(s, at)).unwrap_or((0, 0));
        for (frame, f) in frames.iter_mut().zip(functions[..n].iter().rev()) {
            let (dir, name) = program.and_then(|p| p.file(s, place.0)).unwrap_or_default();
            *frame =
                Symbolised { name: f.name, dir, file: name, line: place.1, ..Default::default() };
            place = f.call;
        }
        n
    }
}

/// Whether this process is in the directory or below it: names of files that are relative to it,
/// as those of the program's own workspace usually are, say enough. std leaves out the directory
/// that the process is in.
fn is_in(dir: &[u8]) -> bool {
    const LONGEST: usize = 1024;
    let mut room = [0_u8; LONGEST];
    let words = [room.as_mut_ptr() as usize, LONGEST, 0, 0, 0, 0];
    // SAFETY: RS1: the kernel writes into the room, at most so much.
    let n = unsafe { crate::sys::raw::syscall(libc::SYS_getcwd, words) };
    // Its length with the zero at the end, or an error.
    let own = usize::try_from(n).ok().and_then(|n| room.get(..n.checked_sub(1)?));
    let rest = own.and_then(|own| own.strip_prefix(dir));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::print::Path;
    use super::*;

    #[test]
    fn a_process_is_in_its_directory_and_those_above() {
        let own = std::env::current_dir().expect("a directory");
        let name = own.to_str().expect("UTF-8").as_bytes();
        let above = own.parent().and_then(std::path::Path::to_str).expect("one above");
        assert!(is_in(name) && is_in(above.as_bytes()));
        assert!(!is_in(&[name, b"/src"].concat()));
        assert!(!is_in(&name[..name.len() - 1]), "a part of a name");
    }

    #[test]
    fn only_relative_names_are_joined() {
        let path = |base, dir, file| {
            let s = Symbolised { base, dir, file, ..Symbolised::default() };
            Path(&s).to_string()
        };
        assert_eq!(path(b"/w", b"src", b"lib.rs"), "/w/src/lib.rs");
        assert_eq!(path(b"/w", b"", b"src/lib.rs"), "/w/src/lib.rs");
        assert_eq!(path(b"/w", b"/rust/src", b"lib.rs"), "/rust/src/lib.rs");
        assert_eq!(path(b"/w", b"src", b"/lib.rs"), "/lib.rs");
        assert_eq!(path(b"", b"src", b"lib.rs"), "src/lib.rs");
    }
}
