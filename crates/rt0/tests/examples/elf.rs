//! As much of ELF64 (`man 5 elf`) as it takes to compare a file's entry with its symbol table.

const SECTION_TABLE_OFFSET: usize = 0x28;
const SECTION_COUNT: usize = 0x3c;
const SECTION_HEADER_SIZE: usize = 64;
const SHT_SYMTAB: u64 = 2;
const SYMBOL_SIZE: usize = 24;
const STB_GLOBAL: u8 = 1;
const STT_SECTION: u8 = 3;

pub(crate) struct Symbol {
    pub(crate) value: u64,
    pub(crate) is_global: bool,
}

struct Section<'a> {
    kind: u64,
    /// For a symbol table: the index of the section that holds its names.
    link: u64,
    bytes: &'a [u8],
}

/// `e_entry`, or None where `image` is not a 64-bit little-endian ELF file.
pub(crate) fn entry(image: &[u8]) -> Option<u64> {
    image.starts_with(b"\x7fELF\x02\x01").then(|| uint(image, 0x18, 8)).flatten()
}

/// The symbol `name` of the full symbol table (`.symtab`).
pub(crate) fn symbol(image: &[u8], name: &str) -> Option<Symbol> {
    let count = usize::try_from(uint(image, SECTION_COUNT, 2)?).ok()?;
    let table = (0..count).filter_map(|i| section(image, i)).find(|s| s.kind == SHT_SYMTAB)?;
    let names = section(image, usize::try_from(table.link).ok()?)?.bytes;
    table.bytes.chunks_exact(SYMBOL_SIZE).find_map(|symbol| {
        let name_at = usize::try_from(uint(symbol, 0, 4)?).ok()?;
        let info = symbol[4];
        let same = names.get(name_at..)?.strip_prefix(name.as_bytes())?.starts_with(b"\0");
        (same && info & 0xf != STT_SECTION)
            .then_some(Symbol { value: uint(symbol, 8, 8)?, is_global: info >> 4 == STB_GLOBAL })
    })
}

fn section(image: &[u8], index: usize) -> Option<Section<'_>> {
    let start = usize::try_from(uint(image, SECTION_TABLE_OFFSET, 8)?).ok()?;
    let header = image.get(start + index * SECTION_HEADER_SIZE..)?;
    let kind = uint(header, 4, 4)?;
    let offset = usize::try_from(uint(header, 0x18, 8)?).ok()?;
    let size = usize::try_from(uint(header, 0x20, 8)?).ok()?;
    let bytes = image.get(offset..offset.checked_add(size)?).unwrap_or_default();
    Some(Section { kind, link: uint(header, 0x28, 4)?, bytes })
}

fn uint(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at + len)?;
    Some(field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
