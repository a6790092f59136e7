//! Clock reads without a system call: the vDSO's symbols.
//!
//! Go: vdso_linux.go `vdsoauxv`, `vdsoInitFromSysinfoEhdr`, `vdsoFindVersion`, `vdsoParseSymbols`,
//! vdso_linux_amd64.go `vdsoSymbolKeys`; time_linux_amd64.s `nanotime1`.
//!
//! The runtime reads the clock on g0 and in sysmon, where libc's wrapper (errno, PLT, IFUNC) is not
//! wanted. Without a vDSO, or without a symbol in it, the system call is made.
//!
//! # Safety
//! * `VD1`: AT_SYSINFO_EHDR is 0 or the address of the kernel's vDSO: a well-formed ELF image,
//!   mapped and readable for the life of the process.

#![allow(unsafe_code, reason = "VD1: reads an ELF image in memory and calls into it")]

use crate::atomic::{AtomicUsize, Ordering};
use core::ffi::CStr;

#[repr(C)]
struct ElfHeader {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    phoff: u64,
    shoff: u64,
    flags: u32,
    ehsize: u16,
    phentsize: u16,
    phnum: u16,
    shentsize: u16,
    shnum: u16,
    shstrndx: u16,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    shndx: u16,
    value: u64,
    size: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Verdef {
    version: u16,
    flags: u16,
    ndx: u16,
    cnt: u16,
    hash: u32,
    aux: u32,
    next: u32,
}

/// A symbol to find. Go: vdsoSymbolKey.
struct VdsoSymbolKey {
    name: &'static CStr,
    sym_hash: u32,
    gnu_hash: u32,
    ptr: &'static AtomicUsize,
}

static VDSO_GETTIMEOFDAY_SYM: AtomicUsize = AtomicUsize::new(0);
static VDSO_CLOCK_GETTIME_SYM: AtomicUsize = AtomicUsize::new(0);
static VDSO_GETRANDOM_SYM: AtomicUsize = AtomicUsize::new(0);

/// Go: vdsoSymbolKeys. The hashes are those of Go's table; a test computes them.
static VDSO_SYMBOL_KEYS: [VdsoSymbolKey; 3] = [
    VdsoSymbolKey {
        name: c"__vdso_gettimeofday",
        sym_hash: 0x315ca59,
        gnu_hash: 0xb01bca00,
        ptr: &VDSO_GETTIMEOFDAY_SYM,
    },
    VdsoSymbolKey {
        name: c"__vdso_clock_gettime",
        sym_hash: 0xd35ec75,
        gnu_hash: 0x6e43a318,
        ptr: &VDSO_CLOCK_GETTIME_SYM,
    },
    VdsoSymbolKey {
        name: c"__vdso_getrandom",
        sym_hash: 0x25425d,
        gnu_hash: 0x84a559bf,
        ptr: &VDSO_GETRANDOM_SYM,
    },
];

/// Go: vdsoLinuxVersion.
const LINUX_2_6: (&CStr, u32) = (c"LINUX_2.6", 0x3ae75f6);

/// What the image's dynamic section points to. Go: vdsoInfo.
struct VdsoInfo {
    load_offset: usize,
    symtab: usize,
    symstrings: usize,
    hash: usize,
    gnu_hash: usize,
    versym: usize,
    verdef: usize,
    /// Index that symbols of version LINUX_2.6 carry; 0: the image has no versions.
    version: u16,
}

fn at<T: Copy>(addr: usize) -> T {
    // SAFETY: VD1: callers walk the image by its own tables.
    unsafe { (addr as *const T).read_unaligned() }
}

fn name_at(addr: usize) -> &'static CStr {
    // SAFETY: VD1: an entry of the image's string table.
    unsafe { CStr::from_ptr(addr as *const core::ffi::c_char) }
}

/// Finds the symbols of the table, if there is a vDSO. Go: vdsoauxv.
pub(crate) fn vdsoauxv(sysinfo_ehdr: usize) {
    if sysinfo_ehdr == 0 {
        return;
    }
    if let Some(info) = vdso_init_from_sysinfo_ehdr(sysinfo_ehdr) {
        vdso_parse_symbols(&info);
    }
}

/// Go: vdsoInitFromSysinfoEhdr.
fn vdso_init_from_sysinfo_ehdr(ehdr: usize) -> Option<VdsoInfo> {
    if at::<[u8; 4]>(ehdr) != *b"\x7fELF" {
        return None;
    }
    // SAFETY: VD1: an ELF header, 8-aligned as every mapping is.
    let header = unsafe { &*(ehdr as *const ElfHeader) };
    let (mut load, mut dynamic) = (None, 0);
    for i in 0..header.phnum as usize {
        let ph =
            at::<libc::Elf64_Phdr>(ehdr + header.phoff as usize + i * header.phentsize as usize);
        match ph.p_type {
            libc::PT_LOAD if load.is_none() => {
                load =
                    Some(ehdr.wrapping_add(ph.p_offset as usize).wrapping_sub(ph.p_vaddr as usize));
            }
            libc::PT_DYNAMIC => dynamic = ehdr + ph.p_offset as usize,
            _ => {}
        }
    }
    let mut info = VdsoInfo {
        load_offset: load?,
        symtab: 0,
        symstrings: 0,
        hash: 0,
        gnu_hash: 0,
        versym: 0,
        verdef: 0,
        version: 0,
    };
    read_dynamic(&mut info, dynamic)?;
    info.version = vdso_find_version(&info)?;
    Some(info)
}

const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERDEF: u64 = 0x6fff_fffc;

fn read_dynamic(info: &mut VdsoInfo, dynamic: usize) -> Option<()> {
    if dynamic == 0 {
        return None;
    }
    let mut d = dynamic;
    loop {
        let [tag, val] = at::<[u64; 2]>(d);
        let p = info.load_offset.wrapping_add(val as usize);
        match tag {
            0 => break,
            DT_STRTAB => info.symstrings = p,
            DT_SYMTAB => info.symtab = p,
            DT_HASH => info.hash = p,
            DT_GNU_HASH => info.gnu_hash = p,
            DT_VERSYM => info.versym = p,
            DT_VERDEF => info.verdef = p,
            _ => {}
        }
        d += 16;
    }
    let complete = info.symtab != 0 && info.symstrings != 0 && info.hash | info.gnu_hash != 0;
    complete.then_some(())
}

/// The index of LINUX_2.6 in the version table; `None`: there is a table without it. Go:
/// vdsoFindVersion.
fn vdso_find_version(info: &VdsoInfo) -> Option<u16> {
    const VER_FLG_BASE: u16 = 1;
    if info.verdef == 0 || info.versym == 0 {
        return Some(0);
    }
    let mut p = info.verdef;
    loop {
        let def = at::<Verdef>(p);
        if def.flags & VER_FLG_BASE == 0 && def.hash == LINUX_2_6.1 {
            let name = at::<u32>(p + def.aux as usize);
            if name_at(info.symstrings + name as usize) == LINUX_2_6.0 {
                return Some(def.ndx & 0x7fff);
            }
        }
        if def.next == 0 {
            return None;
        }
        p += def.next as usize;
    }
}

/// Go: vdsoParseSymbols: by the GNU hash table if there is one, else by the SysV one.
fn vdso_parse_symbols(info: &VdsoInfo) {
    for key in &VDSO_SYMBOL_KEYS {
        let found = if info.gnu_hash != 0 { by_gnu_hash(info, key) } else { by_sysv(info, key) };
        key.ptr.store(found.unwrap_or(0), Ordering::Relaxed); // ORDERING: boot, one thread
    }
    // ORDERING: boot, one thread
    let clock = VDSO_CLOCK_GETTIME_SYM.load(Ordering::Relaxed);
    crate::sys::clock::CLOCK_GETTIME.store(clock, Ordering::Relaxed); // ORDERING: boot, one thread
}

/// The address of symbol `i` if it is the one wanted.
fn accept(info: &VdsoInfo, key: &VdsoSymbolKey, i: u32) -> Option<usize> {
    const STT_NOTYPE: u8 = 0;
    const STT_FUNC: u8 = 2;
    let sym = at::<Symbol>(info.symtab + i as usize * size_of::<Symbol>());
    let (kind, bind) = (sym.info & 15, sym.info >> 4);
    if !matches!(kind, STT_NOTYPE | STT_FUNC) || !matches!(bind, 1 | 2) || sym.shndx == 0 {
        return None;
    }
    if name_at(info.symstrings + sym.name as usize) != key.name {
        return None;
    }
    if info.version != 0 && at::<u16>(info.versym + i as usize * 2) & 0x7fff != info.version {
        return None;
    }
    Some(info.load_offset.wrapping_add(sym.value as usize))
}

fn by_gnu_hash(info: &VdsoInfo, key: &VdsoSymbolKey) -> Option<usize> {
    let [buckets, first, bloom, _shift] = at::<[u32; 4]>(info.gnu_hash);
    if buckets == 0 {
        return None;
    }
    let bucket = info.gnu_hash + 16 + bloom as usize * 8;
    let chain = bucket + buckets as usize * 4;
    let mut i = at::<u32>(bucket + (key.gnu_hash % buckets) as usize * 4);
    if i < first {
        return None;
    }
    loop {
        let h = at::<u32>(chain + (i - first) as usize * 4);
        if h | 1 == key.gnu_hash | 1
            && let Some(p) = accept(info, key, i)
        {
            return Some(p);
        }
        if h & 1 != 0 {
            return None;
        }
        i += 1;
    }
}

fn by_sysv(info: &VdsoInfo, key: &VdsoSymbolKey) -> Option<usize> {
    let [buckets, _chains] = at::<[u32; 2]>(info.hash);
    if buckets == 0 {
        return None;
    }
    let chain = info.hash + 8 + buckets as usize * 4;
    let mut i = at::<u32>(info.hash + 8 + (key.sym_hash % buckets) as usize * 4);
    while i != 0 {
        if let Some(p) = accept(info, key, i) {
            return Some(p);
        }
        i = at::<u32>(chain + i as usize * 4);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysv(name: &[u8]) -> u32 {
        name.iter().fold(0u32, |h, c| {
            let h = (h << 4).wrapping_add(u32::from(*c));
            let g = h & 0xf000_0000;
            (h ^ (g >> 24)) & !g
        })
    }

    fn gnu(name: &[u8]) -> u32 {
        name.iter().fold(5381u32, |h, c| h.wrapping_mul(33).wrapping_add(u32::from(*c)))
    }

    #[test]
    fn the_table_has_the_hashes_of_its_names() {
        for key in &VDSO_SYMBOL_KEYS {
            assert_eq!(sysv(key.name.to_bytes()), key.sym_hash, "{:?}", key.name);
            assert_eq!(gnu(key.name.to_bytes()), key.gnu_hash, "{:?}", key.name);
        }
        assert_eq!(sysv(LINUX_2_6.0.to_bytes()), LINUX_2_6.1);
    }

    #[test]
    fn both_hash_tables_find_the_same_symbols() {
        // SAFETY: asks libc for an auxv entry.
        let ehdr = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
        let Some(info) = vdso_init_from_sysinfo_ehdr(ehdr) else {
            assert_eq!(ehdr, 0, "the kernel maps a vDSO that could not be read");
            return;
        };
        let clock = &VDSO_SYMBOL_KEYS[1];
        let found = [
            (info.gnu_hash != 0).then(|| by_gnu_hash(&info, clock)),
            (info.hash != 0).then(|| by_sysv(&info, clock)),
        ];
        let found: Vec<_> = found.into_iter().flatten().collect();
        assert!(found.iter().all(|f| f.is_some() && *f == found[0]), "{found:x?}");
    }

    #[test]
    fn no_symbol_no_vdso_still_tells_the_time() {
        vdsoauxv(0);
        let (a, b) = (crate::sys::nanotime(), crate::sys::nanotime());
        assert!(a > 0 && b >= a);
    }
}
