//! Processes, threads and small files.

use rustix::fs::{Mode, OFlags};

/// Ends the process at once: no atexit handler, no destructor. Go: `exit`.
#[allow(unsafe_code, reason = "the exit_group system call")]
pub(crate) fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: RS1: a number; the call does not return.
        unsafe { super::raw::syscall(libc::SYS_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// The kernel's id of this thread.
pub(crate) fn gettid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Names this thread, for those who look at the process from outside: 15 bytes at most.
pub(crate) fn name_thread(name: core::fmt::Arguments<'_>) {
    use core::fmt::Write;
    let mut line = super::stderr::Line::<16>::new();
    let _ = write!(line, "{name}\0");
    if let Ok(name) = core::ffi::CStr::from_bytes_until_nul(line.bytes()) {
        let _ = rustix::thread::set_name(name); // it is decoration
    }
}

/// CPUs that the thread may run on; 0 is the calling one. However wide the kernel's mask is: EINVAL
/// means "longer".
pub(crate) fn cpu_count(tid: i32) -> usize {
    let mut small = [0_u64; 16]; // 1024 CPUs
    let n = super::raw::sched_getaffinity(tid, &mut small);
    if n > 0 { count_bits(&small[..n as usize / 8]) } else { cpu_count_of_many(tid) }
}

/// Apart, for the pages that its frame needs.
#[cold]
#[inline(never)]
fn cpu_count_of_many(tid: i32) -> usize {
    let mut large = [0_u64; 1024]; // 65,536: Go's maxCPUs
    let n = super::raw::sched_getaffinity(tid, &mut large);
    if n > 0 { count_bits(&large[..n as usize / 8]) } else { 1 }
}

fn count_bits(mask: &[u64]) -> usize {
    mask.iter().map(|w| w.count_ones() as usize).sum::<usize>().max(1)
}

/// Reads the head of a small file into `buf` and returns what was read; empty on any error.
pub(crate) fn read_small<'a>(path: &core::ffi::CStr, buf: &'a mut [u8]) -> &'a [u8] {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::open(path, flags, Mode::empty()) else { return &[] };
    let mut n = 0;
    while n < buf.len() {
        match rustix::io::read(&fd, &mut buf[n..]) {
            Ok(0) | Err(_) => break,
            Ok(k) => n += k,
        }
    }
    &buf[..n]
}

/// Parses leading decimal digits.
pub(crate) fn parse_digits(b: &[u8]) -> Option<u64> {
    let digits = b.iter().take_while(|c| c.is_ascii_digit());
    let mut v: Option<u64> = None;
    for c in digits {
        v = Some(v.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(c - b'0'))?);
    }
    v
}

/// What a thread of this process does, as the kernel sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ThreadState {
    /// On a CPU or waiting for one (R).
    Running,
    /// Asleep until something happens (S).
    Asleep,
    /// Asleep in the middle of something (D): a lock of the kernel's, a disk.
    Uninterruptible,
    /// Stopped, dead, or not to be found.
    Other,
}

impl ThreadState {
    /// Whether it waits for something else than a CPU.
    pub(crate) fn is_asleep(self) -> bool {
        matches!(self, ThreadState::Asleep | ThreadState::Uninterruptible)
    }
}

/// `/proc/self/task/TID/stat`, from the third field on, as far as it fits. No allocation: sysmon
/// calls this.
fn thread_stat(tid: i32, buf: &mut [u8]) -> Option<&[u8]> {
    use core::fmt::Write;
    let mut path = super::stderr::Line::<48>::new();
    let _ = write!(path, "/proc/self/task/{tid}/stat\0");
    let path = core::ffi::CStr::from_bytes_until_nul(path.bytes()).ok()?;
    let stat = read_small(path, buf);
    // The name in parentheses may hold anything; the state follows the last one.
    let name_end = stat.iter().rposition(|c| *c == b')')?;
    stat.get(name_end + 2..)
}

/// The CPU on which the thread runs, or last ran.
pub(crate) fn last_cpu(tid: i32) -> Option<usize> {
    const FIELD: usize = 39 - 3;
    let mut buf = [0; 1024];
    let cpu = thread_stat(tid, &mut buf)?.split(|c| *c == b' ').nth(FIELD)?;
    Some(parse_digits(cpu)? as usize)
}

pub(crate) fn thread_state(tid: i32) -> ThreadState {
    let mut buf = [0; 128];
    match thread_stat(tid, &mut buf).and_then(|stat| stat.first()) {
        Some(b'R') => ThreadState::Running,
        Some(b'S') => ThreadState::Asleep,
        Some(b'D') => ThreadState::Uninterruptible,
        _ => ThreadState::Other,
    }
}
