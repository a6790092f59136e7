//! The sections and symbols of an ELF file.

use super::cursor::{Cursor, text_at};
use crate::sys::mem::fresh_slice;

/// The table of headers, and how long each is.
#[derive(Clone, Copy, Default)]
struct Headers(&'static [u8], usize);

impl Headers {
    fn header(self, i: usize) -> Option<Header> {
        Header::read(self.0, i.checked_mul(self.1)?)
    }
}

/// What of a file is of use here. Sections that are compressed or missing are empty.
#[derive(Clone, Copy, Default)]
pub(super) struct Sections {
    pub(super) info: &'static [u8],
    pub(super) abbrev: &'static [u8],
    pub(super) line: &'static [u8],
    pub(super) text: &'static [u8],
    pub(super) line_text: &'static [u8],
    pub(super) ranges: &'static [u8],
    pub(super) rnglists: &'static [u8],
    pub(super) addr: &'static [u8],
    pub(super) text_offsets: &'static [u8],
    headers: Headers,
    symtab: (&'static [u8], &'static [u8]),
    dynsym: (&'static [u8], &'static [u8]),
}

/// A function's first address, relative to the image, and its name's place in the string table.
#[derive(Clone, Copy, Default)]
pub(super) struct Symbol {
    pub(super) at: u64,
    bytes: u64,
    name: u32,
}

struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    bytes: u64,
    link: u32,
}

const SHF_COMPRESSED: u64 = 1 << 11;
const SHT_NOBITS: u32 = 8;

impl Header {
    fn read(file: &[u8], at: usize) -> Option<Header> {
        let mut c = Cursor::new(file, at);
        let (name, kind, flags) = (c.u32()?, c.u32()?, c.u64()?);
        let address = c.u64()?;
        Some(Header {
            name,
            kind,
            flags,
            address,
            offset: c.u64()?,
            bytes: c.u64()?,
            link: c.u32()?,
        })
    }

    fn contents(&self, file: &'static [u8]) -> Option<&'static [u8]> {
        if self.flags & SHF_COMPRESSED != 0 || self.kind == SHT_NOBITS {
            return None;
        }
        let at = usize::try_from(self.offset).ok()?;
        file.get(at..at.checked_add(usize::try_from(self.bytes).ok()?)?)
    }
}

/// `None` if it is no ELF file of this machine's kind.
pub(super) fn sections(file: &'static [u8]) -> Option<Sections> {
    let magic = [0x7f, b'E', b'L', b'F', 2, 1];
    if !file.starts_with(&magic) {
        return None;
    }
    let headers_at = usize::try_from(Cursor::new(file, 0x28).u64()?).ok()?;
    let mut c = Cursor::new(file, 0x3a);
    let (size, count, names_at) = (c.u16()? as usize, c.u16()? as usize, c.u16()? as usize);
    let headers = Headers(file.get(headers_at..)?, size);
    let mut s = Sections { headers, ..Sections::default() };
    let header = |i| headers.header(i);
    let names = header(names_at)?.contents(file)?;
    for h in (0..count).filter_map(header) {
        let Some(contents) = h.contents(file) else { continue };
        let texts = || header(h.link as usize).and_then(|l| l.contents(file)).unwrap_or_default();
        match text_at(names, h.name as usize).unwrap_or_default() {
            b".debug_info" => s.info = contents,
            b".debug_abbrev" => s.abbrev = contents,
            b".debug_line" => s.line = contents,
            b".debug_str" => s.text = contents,
            b".debug_line_str" => s.line_text = contents,
            b".debug_ranges" => s.ranges = contents,
            b".debug_rnglists" => s.rnglists = contents,
            b".debug_addr" => s.addr = contents,
            b".debug_str_offsets" => s.text_offsets = contents,
            b".symtab" => s.symtab = (contents, texts()),
            b".dynsym" => s.dynsym = (contents, texts()),
            _ => {}
        }
    }
    Some(s)
}

impl Sections {
    /// The fuller of the two tables, and its texts.
    fn table(&self) -> (&'static [u8], &'static [u8]) {
        if self.symtab.0.is_empty() { self.dynsym } else { self.symtab }
    }

    /// The functions by address.
    pub(super) fn symbols(&self) -> &'static [Symbol] {
        let (table, _) = self.table();
        let all = || table.chunks_exact(SYMBOL_BYTES).filter_map(|entry| self.read(entry));
        let Some(sorted) = fresh_slice::<Symbol>(all().count()) else { return &[] };
        for (slot, symbol) in sorted.iter_mut().zip(all()) {
            *slot = symbol;
        }
        sorted.sort_unstable_by_key(|s| s.at);
        sorted
    }

    /// The function that `at` lies in: its start and name.
    pub(super) fn function(&self, symbols: &[Symbol], at: u64) -> Option<(u64, &'static [u8])> {
        let behind = symbols.partition_point(|s| s.at <= at);
        let s = symbols.get(behind.checked_sub(1)?)?;
        if at >= s.at.saturating_add(s.bytes) {
            return None;
        }
        Some((s.at, text_at(self.table().1, s.name as usize)?))
    }

    /// The symbol, if it is a function's.
    fn read(&self, entry: &[u8]) -> Option<Symbol> {
        const FUNC: u8 = 2;
        const IFUNC: u8 = 10;
        let mut c = Cursor::new(entry, 0);
        let (name, info, _other, section) = (c.u32()?, c.u8()?, c.u8()?, c.u16()?);
        let (at, mut bytes) = (c.u64()?, c.u64()?);
        if !matches!(info & 15, FUNC | IFUNC) || section == 0 {
            return None;
        }
        if bytes == 0 {
            // Functions in assembly often have no size; they end with their section at the latest.
            let end = self
                .headers
                .header(section.into())
                .map_or(u64::MAX, |h| h.address.saturating_add(h.bytes));
            bytes = end.saturating_sub(at);
        }
        Some(Symbol { at, bytes, name })
    }
}

const SYMBOL_BYTES: usize = 24;
