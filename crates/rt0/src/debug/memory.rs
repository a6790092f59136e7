//! Every word of the process's memory that could be an address of a certain kind.
//!
//! Go asks its collector, which knows where pointers are. Nobody knows that here, so whatever lies
//! in memory that the program may have written counts: heap, data and stacks, whoever made the
//! mapping, and at any byte, for structs may be packed. What was never written, or is as the file
//! has it, is left out with the help of `/proc/self/pagemap`. A page that was swapped out is read
//! back.
//!
//! Read through `/proc/self/mem`: what cannot be read is an error then, and not a fault. Other
//! threads stand still meanwhile (still.rs). What this code itself maps may come and go.
//!
//! Not looked through: devices and rings of the kernel's, in which no value of the program's lies.

use crate::malloc::vec::RtVec;
use crate::sys::mem::PAGE;
use crate::sys::proc::parse_digits;
use core::fmt;
use core::ops::Range;
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// Read at once.
const CHUNK: usize = 64 << 10;
/// Pages that are asked about at once.
const PAGES: usize = 512;
/// Address space that is asked about at most: more would take longer than anybody waits.
const MOST_MAPPED: usize = 1 << 40;

/// Why it was not looked through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unread {
    /// Without it there is nothing to read from.
    Proc,
    /// More than the limit.
    TooMuch,
    /// What is there cannot be read.
    At(usize),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Proc => f.write_str("/proc/self cannot be read"),
            Unread::TooMuch => f.write_str("there is more memory than is looked through"),
            Unread::At(at) => write!(f, "memory at {at:#x} cannot be read"),
        }
    }
}

/// What pages of a mapping are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pages {
    /// Those that were written.
    Own,
    /// Those that are there.
    Present,
    /// All: others may have written them.
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mapping {
    lo: usize,
    hi: usize,
    pages: Pages,
}

/// Addresses that are looked for: a word below the first of these, or beyond, is none.
#[derive(Clone, Copy)]
pub(super) struct Spans(pub(super) [(usize, usize); 2]);

impl Spans {
    #[inline(always)]
    fn has(&self, word: usize) -> bool {
        let [a, b] = self.0;
        word.wrapping_sub(a.0) < a.1 || word.wrapping_sub(b.0) < b.1
    }
}

pub(super) struct Memory {
    mem: OwnedFd,
    pagemap: OwnedFd,
    buffer: RtVec<u8>,
    spans: Spans,
    /// Bytes that may still be read.
    left: usize,
}

fn open(path: &core::ffi::CStr) -> Result<OwnedFd, Unread> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|_| Unread::Proc)
}

impl Memory {
    /// `most`: bytes that are read before it is given up.
    pub(super) fn new(spans: Spans, most: usize) -> Result<Memory, Unread> {
        let mut buffer = RtVec::new();
        buffer.fill_to(CHUNK, 0);
        let (mem, pagemap) = (open(c"/proc/self/mem")?, open(c"/proc/self/pagemap")?);
        Ok(Memory { mem, pagemap, buffer, spans, left: most })
    }

    /// Where what was read last lies.
    pub(super) fn own(&self) -> Range<usize> {
        let at = self.buffer.as_ptr().addr();
        at..at + CHUNK
    }

    /// Calls `f` with each word, and where it lies, that the spans have, in all mappings but in
    /// these ranges, which are sorted.
    pub(super) fn everywhere(
        &mut self,
        but: &[(usize, usize)],
        mut f: impl FnMut(usize, usize),
    ) -> Result<(), Unread> {
        let all = mappings()?;
        if all.iter().map(|m| m.hi - m.lo).sum::<usize>() > MOST_MAPPED {
            return Err(Unread::TooMuch);
        }
        for mapping in all.iter() {
            let mut lo = mapping.lo;
            for (from, to) in but.iter().filter(|r| r.1 > mapping.lo && r.0 < mapping.hi) {
                if lo < *from {
                    self.mapping(Mapping { lo, hi: *from, ..*mapping }, &mut f)?;
                }
                lo = lo.max(*to);
            }
            if lo < mapping.hi {
                self.mapping(Mapping { lo, ..*mapping }, &mut f)?;
            }
        }
        Ok(())
    }

    /// The same of a part of a stack.
    pub(super) fn stack(
        &mut self,
        part: Range<usize>,
        mut f: impl FnMut(usize, usize),
    ) -> Result<(), Unread> {
        let (lo, hi) = (part.start & !7, part.end);
        self.mapping(Mapping { lo, hi, pages: Pages::Own }, &mut f)
    }

    fn mapping(&mut self, m: Mapping, f: &mut impl FnMut(usize, usize)) -> Result<(), Unread> {
        let mut at = m.lo;
        if m.pages == Pages::All {
            return self.read(m.lo..m.hi, m.pages, f);
        }
        let mut run: Range<usize> = 0..0;
        while at < m.hi {
            let mut entries = [0_u64; PAGES];
            let n = self.look_up(at, m.hi, &mut entries)?;
            for entry in &entries[..n] {
                let next = (at & !(PAGE - 1)) + PAGE;
                if is_read(*entry, m.pages) {
                    if run.end != at {
                        self.read(run, m.pages, f)?;
                        run = at..at;
                    }
                    run.end = next.min(m.hi);
                }
                at = next;
            }
        }
        self.read(run, m.pages, f)
    }

    /// What the kernel says of the pages from `at` on.
    fn look_up(&self, at: usize, hi: usize, to: &mut [u64; PAGES]) -> Result<usize, Unread> {
        let first = at / PAGE;
        let n = (hi.div_ceil(PAGE) - first).min(PAGES);
        let mut bytes = [0_u8; PAGES * 8];
        let read = rustix::io::pread(&self.pagemap, &mut bytes[..n * 8], first as u64 * 8);
        let n = read.map_err(|_| Unread::Proc)? / 8;
        for (entry, word) in to.iter_mut().zip(bytes[..n * 8].as_chunks::<8>().0) {
            *entry = u64::from_ne_bytes(*word);
        }
        if n == 0 { Err(Unread::Proc) } else { Ok(n) }
    }

    fn read(
        &mut self,
        run: Range<usize>,
        pages: Pages,
        f: &mut impl FnMut(usize, usize),
    ) -> Result<(), Unread> {
        self.left = self.left.checked_sub(run.len()).ok_or(Unread::TooMuch)?;
        let (mut at, mut last) = (run.start, 0);
        while at < run.end {
            let want = CHUNK.min(run.end - at);
            let read = rustix::io::pread(&self.mem, &mut self.buffer[..want], at as u64);
            let n = read.unwrap_or(0) & !7;
            if n == 0 {
                let next = (at & !(PAGE - 1)) + PAGE;
                self.may_skip(at, pages)?;
                (at, last) = (next, 0);
                continue;
            }
            for (i, bytes) in self.buffer[..n].as_chunks::<8>().0.iter().enumerate() {
                let word = usize::from_ne_bytes(*bytes);
                let here = at + i * 8;
                if self.spans.has(word) {
                    f(here, word);
                }
                if word | last != 0 {
                    unaligned(&self.spans, here, last, word, f);
                }
                last = word;
            }
            at += n;
        }
        Ok(())
    }

    /// A page that cannot be read: swapped out and back there is a guard, and a file may be shorter
    /// than its mapping. This code's own may have gone. Anything else may hold something.
    fn may_skip(&self, at: usize, pages: Pages) -> Result<(), Unread> {
        let mut entries = [0; PAGES];
        self.look_up(at, at + 1, &mut entries)?;
        let is_there = entries[0] & PRESENT != 0;
        if is_there && pages != Pages::All { Err(Unread::At(at)) } else { Ok(()) }
    }
}

/// Words that begin in one and end in the next.
#[inline(always)]
fn unaligned(
    spans: &Spans,
    here: usize,
    last: usize,
    word: usize,
    f: &mut impl FnMut(usize, usize),
) {
    for k in 1..8 {
        let between = last >> (8 * k) | word << (64 - 8 * k);
        if spans.has(between) {
            f(here - 8 + k, between);
        }
    }
}

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// Of a file's, as it has it, or of shared memory.
const OF_FILE: u64 = 1 << 61;

fn is_read(entry: u64, pages: Pages) -> bool {
    entry & (PRESENT | SWAPPED) != 0 && (entry & OF_FILE == 0 || pages != Pages::Own)
}

/// What is to be read of `/proc/self/maps`.
fn mappings() -> Result<RtVec<Mapping>, Unread> {
    let fd = open(c"/proc/self/maps")?;
    let mut all = RtVec::new();
    let (mut buf, mut len) = ([0_u8; 8192], 0);
    loop {
        let n = rustix::io::read(&fd, &mut buf[len..]).map_err(|_| Unread::Proc)?;
        if n == 0 {
            return if all.is_empty() { Err(Unread::Proc) } else { Ok(all) };
        }
        len += n;
        let mut from = 0;
        while let Some(end) = buf[from..len].iter().position(|b| *b == b'\n') {
            if let Some(mapping) = parse(&buf[from..from + end]) {
                all.push(mapping);
            }
            from += end + 1;
        }
        buf.copy_within(from..len, 0);
        len -= from;
        if len == buf.len() {
            return Err(Unread::Proc);
        }
    }
}

fn hex(text: &[u8]) -> Option<usize> {
    usize::from_str_radix(core::str::from_utf8(text).ok()?, 16).ok()
}

/// A line; `None`: nothing is to be read.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let (bounds, access) = (words.next()?, words.next()?);
    let (_offset, _device, inode) = (words.next()?, words.next()?, words.next()?);
    let path = words.next().unwrap_or_default();
    let dash = bounds.iter().position(|b| *b == b'-')?;
    let (lo, hi) = (hex(&bounds[..dash])?, hex(&bounds[dash + 1..])?);
    let starts = |names: &[&[u8]]| names.iter().any(|name| path.starts_with(name));
    let is_memory = starts(&[b"/memfd:", b"/dev/shm/", b"/dev/zero", b"/SYSV"]);
    if starts(&[b"[v", b"[uprobes]", b"anon_inode:", b"/dev/"]) && !is_memory {
        return None;
    }
    let is_shared = access.get(3) == Some(&b's');
    let pages = match (is_shared, is_memory) {
        (true, _) if is_memory || access.get(1) == Some(&b'w') => Pages::All,
        (true, _) => return None,
        (false, true) => Pages::Present,
        (false, false) => Pages::Own,
    };
    debug_assert!(parse_digits(inode).is_some());
    Some(Mapping { lo, hi, pages })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps() {
        let at = |line: &str| parse(line.as_bytes()).map(|m| (m.lo, m.hi, m.pages));
        let heap = "55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0          [heap]";
        assert_eq!(at(heap), Some((0x55d0_c000_0000, 0x55d0_c002_1000, Pages::Own)));
        assert_eq!(at("7f00-7f01 ---p 00000000 00:00 0"), Some((0x7f00, 0x7f01, Pages::Own)));
        assert_eq!(at("7f00-7f01 r-xp 00000000 00:00 0      [vdso]"), None);
        assert_eq!(at("7f00-7f01 r--s 00000000 08:01 12      /etc/x"), None);
        assert_eq!(at("7f00-7f01 rw-s 0 08:01 12 /var/db"), Some((0x7f00, 0x7f01, Pages::All)));
        assert_eq!(at("7f00-7f01 rw-s 0 00:05 1 /dev/dri/card0"), None);
        let memfd = "7f00-7f01 rw-p 0 00:01 1 /memfd:x (deleted)";
        assert_eq!(at(memfd), Some((0x7f00, 0x7f01, Pages::Present)));
    }

    /// How often the value at `at` is found in all memory but this thread's stack.
    fn found(value: usize, at: usize) -> bool {
        let mut memory = Memory::new(Spans([(value, 1), (0, 0)]), usize::MAX).expect("/proc");
        let own = memory.own();
        let mut met = false;
        memory
            .everywhere(&[(own.start, own.end)], |place, word| met |= word == value && place == at)
            .expect("read");
        met
    }

    /// A value that is nowhere but where it is put: made from another, and not kept.
    fn rare() -> usize {
        (crate::sys::rand::bootstrap_rand() as usize) | 1 << 60
    }

    #[test]
    fn words_are_found_wherever_they_lie() {
        static WORD: crate::atomic::AtomicUsize = crate::atomic::AtomicUsize::new(0);
        let value = rare();
        WORD.store(value, crate::atomic::Ordering::Relaxed); // ORDERING: this thread's
        assert!(found(value, (&raw const WORD).addr()), "a static");
        for k in 0..16 {
            let mut heap = vec![0_u8; 3 * CHUNK];
            let value = rare();
            // Also across the end of what is read at once.
            for near in [100, CHUNK - 20, 2 * CHUNK + 8] {
                heap[near + k..near + k + 8].copy_from_slice(&value.to_ne_bytes());
                assert!(found(value, heap.as_ptr().addr() + near + k), "{k} bytes into {near}");
            }
        }
    }

    #[test]
    fn too_much_is_not_read() {
        let mut memory = Memory::new(Spans([(0, 0), (0, 0)]), 100).expect("/proc");
        assert_eq!(memory.everywhere(&[], |_, _| ()), Err(Unread::TooMuch));
    }
}
