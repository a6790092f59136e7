//! What the operating system has.
//!
//! Go: os_linux.go `osinit`, `getCPUCount` (the seed's `getproccount`). The size of huge pages,
//! which Go reads here, is read by the first who asks for it (sys/mem.rs).

pub(crate) fn osinit() {
    crate::sys::set_ncpu(getproccount());
}

/// Counts the affinity mask of the thread that boots.
fn getproccount() -> usize {
    crate::sys::proc::cpu_count(0)
}
