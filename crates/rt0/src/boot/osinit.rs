//! What the operating system has.
//!
//! Go: os_linux.go `osinit`, `getCPUCount` (the seed's `getproccount`), `getHugePageSize`.

pub(crate) fn osinit() {
    crate::sys::set_ncpu(getproccount());
    crate::sys::mem::set_phys_huge_page_size(get_huge_page_size());
}

/// Counts the affinity mask of the thread that boots.
fn getproccount() -> usize {
    crate::sys::proc::cpu_count(0)
}

/// The transparent huge page size, 0 if there is none. Go: getHugePageSize.
fn get_huge_page_size() -> usize {
    let mut buf = [0u8; 24];
    let path = c"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    let text = crate::sys::proc::read_small(path, &mut buf);
    let n = crate::sys::proc::parse_digits(text).unwrap_or(0) as usize;
    if n.is_power_of_two() { n } else { 0 }
}
