//! The threads of this process, as the kernel sees them: who of them sleeps until another one wakes
//! it.
//!
//! Linux: `/proc/self/task/TID/syscall` and `status`. No allocation, no errno.

use super::proc::{parse_digits, read_small};
use super::stderr::Line;
use core::ffi::CStr;
use core::fmt::Write;
use core::mem::MaybeUninit;
use rustix::fs::{Mode, OFlags, RawDir};

/// Calls `f` for each thread until it says false. False then, and if threads cannot be listed.
pub(crate) fn all(mut f: impl FnMut(u32) -> bool) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::open(c"/proc/self/task", flags, Mode::empty()) else { return false };
    let mut buf = [MaybeUninit::<u8>::uninit(); 4096];
    let mut dir = RawDir::new(fd, &mut buf);
    while let Some(entry) = dir.next() {
        let Ok(entry) = entry else { return false };
        if let Some(tid) = parse_digits(entry.file_name().to_bytes())
            && !f(tid as u32)
        {
            return false;
        }
    }
    true
}

/// A thread that sleeps on a futex without a deadline.
#[derive(Clone, Copy)]
pub(crate) struct Sleeper {
    /// How often the kernel has taken it off a CPU: the same number twice, both times asleep, and
    /// it has slept all the time between.
    pub(crate) switches: u64,
}

/// The thread as a sleeper, if that is what it is: in a futex wait, without a deadline, that only a
/// thread of this process can end. Its word is private to the process, or it is the word by which
/// the end of a thread of this process is waited for (`pthread_join`).
pub(crate) fn sleeper(tid: u32) -> Option<Sleeper> {
    let before = switches(tid)?;
    let mut buf = [0_u8; 256];
    let call = read(tid, "syscall", &mut buf)?;
    let mut words = call.split(|c| c.is_ascii_whitespace());
    let number = parse_digits(words.next()?)?;
    let mut arg = || words.next().and_then(parse_hex);
    let (_word, op, value, timeout) = (arg()?, arg()?, arg()?, arg()?);
    let kind = op & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as u64;
    let waits = kind == libc::FUTEX_WAIT as u64 || kind == libc::FUTEX_WAIT_BITSET as u64;
    let inherits = kind == libc::FUTEX_LOCK_PI as u64 || kind == libc::FUTEX_LOCK_PI2 as u64;
    if number != libc::SYS_futex as u64 || !(waits || inherits) || timeout != 0 {
        return None;
    }
    let is_private = op & libc::FUTEX_PRIVATE_FLAG as u64 != 0;
    if !is_private && (inherits || switches(value as u32).is_none()) {
        return None;
    }
    (switches(tid)? == before).then_some(Sleeper { switches: before })
}

/// A thread that sleeps in the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asleep {
    /// The system call; `None`: none, as in a page fault.
    pub(crate) call: Option<u64>,
    /// Where in the program.
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    /// As [`Sleeper`] has it.
    switches: u64,
}

/// Where the thread sleeps, if it does. Called twice with the same answer: it has slept meanwhile.
pub(crate) fn asleep(tid: u32) -> Option<Asleep> {
    let before = switches(tid)?;
    let mut buf = [0_u8; 256];
    let mut words = read(tid, "syscall", &mut buf)?.split(u8::is_ascii_whitespace);
    let call = match words.next()? {
        b"-1" => None,
        number => Some(parse_digits(number)?),
    };
    let mut last = words.filter(|w| !w.is_empty()).rev().map(parse_hex);
    let (pc, sp) = (last.next()?? as usize, last.next()?? as usize);
    (switches(tid)? == before).then_some(Asleep { call, pc, sp, switches: before })
}

/// The kernel's function in which the thread sleeps; empty where the kernel does not tell.
pub(crate) fn wait_channel(tid: u32) -> Line<32> {
    let mut buf = [0_u8; 32];
    let name = read(tid, "wchan", &mut buf).filter(|name| *name != b"0").unwrap_or_default();
    let mut line = Line::new();
    let _ = line.write_str(core::str::from_utf8(name).unwrap_or_default()); // the same room
    line
}

/// How often the kernel has taken the thread off a CPU. `None`: there is no such thread.
pub(crate) fn switches(tid: u32) -> Option<u64> {
    let mut buf = [0_u8; 4096];
    let status = read(tid, "status", &mut buf)?;
    let count = |name: &[u8]| {
        let line = status.split(|c| *c == b'\n').find(|line| line.starts_with(name))?;
        let at = line.iter().position(u8::is_ascii_digit)?;
        parse_digits(&line[at..])
    };
    Some(count(b"voluntary_ctxt_switches:")? + count(b"nonvoluntary_ctxt_switches:")?)
}

fn read<'a>(tid: u32, file: &str, buf: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut path = Line::<64>::new();
    let _ = write!(path, "/proc/self/task/{tid}/{file}\0");
    let path = CStr::from_bytes_until_nul(path.bytes()).ok()?;
    Some(read_small(path, buf)).filter(|text| !text.is_empty())
}

fn parse_hex(word: &[u8]) -> Option<u64> {
    let digits = word.strip_prefix(b"0x")?;
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_types, reason = "plain threads only")]
mod tests {
    use super::{all, sleeper};
    use std::sync::{Condvar, Mutex, mpsc};
    use std::thread;
    use std::time::Duration;

    fn started(f: impl FnOnce() + Send + 'static) -> u32 {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            tell.send(crate::sys::gettid() as u32).expect("the test listens");
            f();
        });
        told.recv().expect("a number")
    }

    fn sleeps(tid: u32) -> bool {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(2));
            sleeper(tid).is_some()
        })
    }

    #[test]
    fn who_sleeps_for_others_is_told_from_who_does_not() {
        assert!(sleeps(started(|| {
            loop {
                thread::park();
            }
        })));
        assert!(sleeps(started(|| {
            let (mutex, condvar) = (Mutex::new(()), Condvar::new());
            drop(condvar.wait_while(mutex.lock().expect("not poisoned"), |()| true));
        })));
        let long = Duration::from_secs(10_000);
        assert!(!sleeps(started(move || thread::sleep(long))));
        assert!(!sleeps(started(move || thread::park_timeout(long))));
        assert!(sleeper(crate::sys::gettid() as u32).is_none());
    }

    #[test]
    fn who_joins_a_thread_sleeps_for_it() {
        let joined = thread::spawn(|| {
            loop {
                thread::park();
            }
        });
        assert!(sleeps(started(|| drop(joined.join()))));
    }

    #[test]
    fn every_thread_is_listed() {
        let tid = started(|| thread::sleep(Duration::from_secs(10_000)));
        let mut found = false;
        assert!(all(|t| {
            found |= t == tid;
            true
        }));
        assert!(found);
    }
}
