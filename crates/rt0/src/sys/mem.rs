//! Address space.
//!
//! Go: mem_linux.go `sysReserve`, `sysMap`, `sysUnused`; stack guards are ours.
//!
//! # Safety
//! `MM1`: a mapping made here is private and belongs to the runtime, which unmaps it only while
//! nobody else has an address inside. Advice that drops contents is given only for pages that
//! nobody uses.

#![allow(unsafe_code, reason = "MM1: mapping and advising memory")]

use crate::atomic::{AtomicUsize, Ordering};
use core::mem::MaybeUninit;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

/// Linux 6.13: a guard without a mapping of its own.
const MADV_GUARD_INSTALL: usize = 102;

/// Maps `bytes` of zeroed memory that costs nothing until it is touched.
pub(crate) fn reserve(bytes: usize) -> Result<usize, Errno> {
    map(bytes, MapFlags::empty())
}

/// The same for stacks: since Linux 6.7 the kernel makes no huge pages there.
pub(crate) fn reserve_stacks(bytes: usize) -> Result<usize, Errno> {
    map(bytes, MapFlags::STACK)
}

fn map(bytes: usize, more: MapFlags) -> Result<usize, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | more;
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: MM1: a new mapping at an address of the kernel's choice.
    let p = unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), bytes, prot, flags) };
    p.map(|p| p as usize)
}

/// Gives back a mapping that `reserve` has made.
///
/// # Safety
/// MM1: nobody holds an address inside.
pub(crate) unsafe fn release(base: usize, bytes: usize) {
    // SAFETY: MM1, the caller's promise.
    let _ = unsafe { rustix::mm::munmap(base as *mut _, bytes) };
}

/// Makes such a mapping of `old` bytes `new` bytes long, at another address if it has to be. What
/// it contains stays, as far as it fits.
///
/// # Safety
/// MM1: nobody holds an address inside.
pub(crate) unsafe fn resize(base: usize, old: usize, new: usize) -> Result<usize, Errno> {
    // SAFETY: MM1, the caller's promise.
    let p = unsafe { rustix::mm::mremap(base as *mut _, old, new, MremapFlags::MAYMOVE) };
    p.map(|p| p as usize)
}

/// Room for a `T` that lives for the rest of the process, all bytes zero. From the kernel, without
/// a lock: for signal handlers.
pub(crate) fn fresh<T>() -> Option<&'static mut MaybeUninit<T>> {
    let p = reserve(size_of::<T>().max(1)).ok()? as *mut MaybeUninit<T>;
    // SAFETY: MM1: a new mapping, aligned to a page, nobody else's.
    Some(unsafe { &mut *p })
}

/// The same for `n` of them, with their default values.
#[cfg(feature = "backtrace")]
pub(crate) fn fresh_slice<T: Copy + Default>(n: usize) -> Option<&'static mut [T]> {
    if n == 0 {
        return Some(&mut []);
    }
    let p = reserve(n.checked_mul(size_of::<T>())?.max(1)).ok()? as *mut T;
    for i in 0..n {
        let slot = p.wrapping_add(i);
        // SAFETY: MM1: a new mapping with room for n.
        unsafe { slot.write(T::default()) };
    }
    // SAFETY: MM1: a new mapping, aligned to a page, nobody else's; just initialised.
    Some(unsafe { core::slice::from_raw_parts_mut(p, n) })
}

/// The contents of a file, mapped for the rest of the process.
#[cfg(feature = "backtrace")]
pub(crate) fn map_file(path: &core::ffi::CStr) -> Option<&'static [u8]> {
    use rustix::fs::{Mode, OFlags};
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let bytes = usize::try_from(rustix::fs::fstat(&fd).ok()?.st_size).ok().filter(|n| *n > 0)?;
    let (prot, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
    // SAFETY: MM1: a new mapping at an address of the kernel's choice.
    let p = unsafe { rustix::mm::mmap(core::ptr::null_mut(), bytes, prot, flags, &fd, 0) }.ok()?;
    // SAFETY: MM1: mapped for good, and only read. That nobody truncates the file is as much an
    // assumption as for the code that runs from it.
    Some(unsafe { core::slice::from_raw_parts(p as *const u8, bytes) })
}

/// Whether the 8 bytes at an aligned address can be read. For memory of which nothing is known.
#[cfg(feature = "backtrace")]
pub(crate) fn is_readable(at: usize) -> bool {
    let a = [usize::MAX, at, 0, 8, 0, 0];
    // SAFETY: RS1: the kernel reads the new mask at `at`, and then finds that there is no such way
    // to set it.
    unsafe { super::raw::syscall(libc::SYS_rt_sigprocmask, a) == -(libc::EINVAL as isize) }
}

/// No huge pages here: one touched stack would otherwise take 2 MiB.
pub(crate) fn no_huge_pages(base: usize, bytes: usize) {
    if phys_huge_page_size() == 0 {
        return; // there is nothing to avoid
    }
    // SAFETY: MM1: the advice changes no contents.
    let _ = unsafe { rustix::mm::madvise(base as *mut _, bytes, Advice::LinuxNoHugepage) };
}

/// Gives the pages of these ranges, of address and length, back to the kernel, by one system call
/// where it can. They read as zero afterwards.
///
/// # Safety
/// MM1: nobody uses the contents of the ranges any more.
pub(crate) unsafe fn unused(ranges: &[[usize; 2]]) {
    // SAFETY: MM1, the caller's promise.
    if unsafe { advise_all(ranges, AdviseAll::Unused) } {
        return;
    }
    for [base, bytes] in ranges {
        // SAFETY: MM1, the caller's promise.
        let _ = unsafe { rustix::mm::madvise(*base as *mut _, *bytes, Advice::LinuxDontNeed) };
    }
}

/// Which kind of guard the kernel gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guard {
    /// Page-table markers: no mapping is split.
    Marker,
    /// `mprotect`: each guard costs two of the process's mappings.
    Mprotect,
}

/// Makes an access to the range fault. Tries `kind` first, then what is older.
///
/// # Safety
/// MM1: nobody uses the range.
pub(crate) unsafe fn guard(base: usize, bytes: usize, kind: Guard) -> Result<Guard, Errno> {
    if kind == Guard::Marker {
        let a = [base, bytes, MADV_GUARD_INSTALL, 0, 0, 0];
        // SAFETY: MM1, the caller's promise; RS1.
        if unsafe { super::raw::syscall(libc::SYS_madvise, a) } == 0 {
            return Ok(Guard::Marker);
        }
    }
    // SAFETY: MM1, the caller's promise.
    unsafe { rustix::mm::mprotect(base as *mut _, bytes, MprotectFlags::empty()) }?;
    Ok(Guard::Mprotect)
}

/// What [`advise_all`] can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum AdviseAll {
    /// As [`guard`] with [`Guard::Marker`].
    Guard = MADV_GUARD_INSTALL,
    /// The pages are there before they are touched. Linux 5.14.
    Populate = libc::MADV_POPULATE_WRITE as usize,
    /// The pages go back to the kernel.
    Unused = libc::MADV_DONTNEED as usize,
}

/// The same advice for several ranges, of address and length, by one system call. False where the
/// kernel (before Linux 6.15) cannot, or not for all of them.
///
/// # Safety
/// MM1: nobody uses the ranges.
pub(crate) unsafe fn advise_all(ranges: &[[usize; 2]], what: AdviseAll) -> bool {
    const PIDFD_SELF_THREAD_GROUP: isize = -10_001;
    let all: usize = ranges.iter().map(|[_, bytes]| bytes).sum();
    let at = ranges.as_ptr() as usize; // a range is an iovec
    let a = [PIDFD_SELF_THREAD_GROUP as usize, at, ranges.len(), what as usize, 0, 0];
    // SAFETY: MM1, the caller's promise; RS1.
    unsafe { super::raw::syscall(libc::SYS_process_madvise, a) == all as isize }
}

/// The page size of x86-64; `osinit` checks AT_PAGESZ against it.
pub(crate) const PAGE: usize = 4096;

/// What [`phys_huge_page_size`] has found, plus 1.
static PHYS_HUGE_PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// The transparent huge page size, 0 if there is none. Read by the first who asks, unlike in Go:
/// that takes longer than the rest of osinit, and kernels of today let nobody ask (arena.rs). Go:
/// physHugePageSize.
pub(crate) fn phys_huge_page_size() -> usize {
    // ORDERING: one value, whoever stores it
    match PHYS_HUGE_PAGE_SIZE.load(Ordering::Relaxed) {
        0 => {
            let bytes = get_huge_page_size();
            // ORDERING: one value, whoever stores it
            PHYS_HUGE_PAGE_SIZE.store(bytes + 1, Ordering::Relaxed);
            bytes
        }
        known => known - 1,
    }
}

/// Go: getHugePageSize.
fn get_huge_page_size() -> usize {
    let mut buf = [0u8; 24];
    let path = c"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    let text = super::proc::read_small(path, &mut buf);
    let n = super::proc::parse_digits(text).unwrap_or(0) as usize;
    if n.is_power_of_two() { n } else { 0 }
}

/// A word that is 1 in this process, and 0 in the children that it forks. `None` where the kernel
/// (before 4.14) has no such memory.
pub(crate) fn own_of_process() -> Option<&'static crate::atomic::AtomicU32> {
    let base = reserve(PAGE).ok()?;
    // SAFETY: MM1: a page that was just made.
    unsafe { rustix::mm::madvise(base as *mut _, PAGE, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: MM1: zeroed, aligned, never unmapped.
    let word = unsafe { &*(base as *const crate::atomic::AtomicU32) };
    word.store(1, crate::atomic::Ordering::Relaxed); // ORDERING: nobody else knows it yet
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_huge_pages_is_the_kernels() {
        let file = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
        let said = std::fs::read_to_string(file).ok().and_then(|s| s.trim().parse().ok());
        for _ in 0..2 {
            assert_eq!(phys_huge_page_size(), said.unwrap_or(0));
        }
    }
}
