//! How much CPU the control group of this process may use.
//!
//! Go: internal/runtime/cgroup. `/proc/self/cgroup` names the group, `/proc/self/mountinfo` where
//! its hierarchy is mounted; the group's directory has the limit: `cpu.max` (v2), or
//! `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1). A v1 hierarchy with the cpu controller goes
//! before the v2 one. As in Go only the group itself is asked, not those above it: a container sees
//! none of them, and elsewhere the limit is set on the group that the process is in.
//!
//! sysmon runs this: nothing here allocates. Go keeps the limit's file open; here its path is kept,
//! for a program that closes all descriptors would have another file read under ours.

use super::proc::{parse_digits, read_small};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};

const PATH_MAX: usize = 4096;
/// A line of mountinfo of which the head fits: two paths and some words. Only the options of other
/// file systems are longer.
const LINE_MAX: usize = 4 * PATH_MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    V1 = 1, // not 0: that says that there is no group (a static is best all zeros)
    V2 = 2,
}

/// CPU time that a group gets in each period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Quota {
    quota_us: u64,
    period_us: u64,
}

impl Quota {
    /// In CPUs, rounded up.
    pub(crate) fn cpus(self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us)).unwrap_or(usize::MAX)
    }
}

/// A path that grows at its end; `None` from what no longer fits.
struct Path {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Path {
    const fn new() -> Path {
        Path { bytes: [0; PATH_MAX], len: 0 }
    }

    fn push(&mut self, more: &[u8]) -> Option<()> {
        let room = self.bytes.get_mut(self.len..self.len + more.len())?;
        room.copy_from_slice(more);
        self.len += more.len();
        Some(())
    }

    /// Appends a field of mountinfo, in which `\ooo` is a byte.
    fn push_unescaped(&mut self, mut field: &[u8]) -> Option<()> {
        while let [first, rest @ ..] = field {
            let (byte, rest) = match (first, rest) {
                (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                    ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), rest)
                }
                (b'\\', _) => return None,
                _ => (*first, rest),
            };
            self.push(&[byte])?;
            field = rest;
        }
        Some(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Calls `f` with the path `parts`, one after the other.
fn with_path<T>(parts: &[&[u8]], f: impl FnOnce(&CStr) -> T) -> Option<T> {
    let mut path = Path::new();
    for part in parts {
        path.push(part)?;
    }
    path.push(b"\0")?;
    Some(f(CStr::from_bytes_with_nul(path.as_bytes()).ok()?))
}

/// The directory of this process's group.
pub(crate) struct Cgroup {
    version: Version,
    dir: Path,
}

impl Cgroup {
    /// `root` is put before every path; empty but in tests.
    pub(crate) fn find(root: &[u8]) -> Option<Cgroup> {
        let mut group = Path::new();
        let mut version = None;
        lines(&[root, b"/proc/self/cgroup"], |line| {
            let Some((found, path)) = parse_group(line) else { return false };
            group.len = 0;
            version = group.push(path).map(|()| found);
            found == Version::V1
        });
        let version = version?;
        let mut dir = None;
        lines(&[root, b"/proc/self/mountinfo"], |line| {
            let mount = Mount::parse(line).filter(|mount| mount.has_cpu(version));
            dir = mount.and_then(|mount| mount.dir_of(group.as_bytes(), root));
            dir.is_some()
        });
        Some(Cgroup { version, dir: dir? })
    }

    /// The limit now; `Err` if it cannot be read.
    pub(crate) fn quota(&self) -> Result<Option<Quota>, ()> {
        let mut buf = [0; 64];
        match self.version {
            Version::V2 => parse_cpu_max(self.read(b"/cpu.max", &mut buf)),
            Version::V1 => {
                let quota = parse_number(self.read(b"/cpu.cfs_quota_us", &mut buf))?;
                let Some(quota_us) = quota else { return Ok(None) };
                let period = parse_number(self.read(b"/cpu.cfs_period_us", &mut buf))?;
                quota_of(quota_us, period.ok_or(())?)
            }
        }
    }

    fn read<'a>(&self, file: &[u8], buf: &'a mut [u8]) -> &'a [u8] {
        with_path(&[self.dir.as_bytes(), file], |path| read_small(path, buf)).unwrap_or(&[])
    }
}

/// A line of `/proc/self/cgroup`, `ID:controllers:path`, if its hierarchy has the cpu controller or
/// is v2's.
fn parse_group(line: &[u8]) -> Option<(Version, &[u8])> {
    let mut fields = line.splitn(3, |c| *c == b':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    match id {
        _ if !path.starts_with(b"/") => None,
        b"0" => Some((Version::V2, path)),
        _ => lists_cpu(controllers).then_some((Version::V1, path)),
    }
}

fn lists_cpu(list: &[u8]) -> bool {
    list.split(|c| *c == b',').any(|word| word == b"cpu")
}

/// What a line of mountinfo says about a mount; paths are escaped.
struct Mount<'a> {
    /// Which directory of the file system is mounted.
    root: &'a [u8],
    /// Where.
    point: &'a [u8],
    kind: &'a [u8],
    /// Of the file system, not of the mount.
    options: &'a [u8],
}

impl Mount<'_> {
    /// `ID parent device root point options optional… - kind source options`.
    fn parse(line: &[u8]) -> Option<Mount<'_>> {
        let mut fields = line.split(|c| *c == b' ');
        let root = fields.nth(3).filter(|root| root.starts_with(b"/"))?;
        let point = fields.next()?;
        fields.find(|field| *field == b"-")?;
        let kind = fields.next()?;
        let options = fields.nth(1)?;
        Some(Mount { root, point, kind, options })
    }

    fn has_cpu(&self, version: Version) -> bool {
        match version {
            Version::V1 => self.kind == b"cgroup" && lists_cpu(self.options),
            Version::V2 => self.kind == b"cgroup2",
        }
    }

    /// The directory of `group` below this mount, if it is there: the mounted root may be the
    /// group's own directory or one above, and in a nested namespace lie outside of what we see.
    fn dir_of(&self, group: &[u8], prefix: &[u8]) -> Option<Path> {
        let mut root = Path::new();
        root.push_unescaped(self.root)?;
        let below = match root.as_bytes() {
            b"/" if group == b"/" => b"".as_slice(),
            b"/" => group,
            root => below(group, root)?,
        };
        if below_or_is(below, b"/..") {
            return None; // above the mounted root: nothing tells its name there
        }
        let mut dir = Path::new();
        dir.push(prefix)?;
        dir.push_unescaped(self.point)?;
        dir.push(below)?;
        Some(dir)
    }
}

/// What follows `dir` in `path`, if that is in it: empty, or from a slash on.
fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(dir).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn below_or_is(path: &[u8], dir: &[u8]) -> bool {
    below(path, dir).is_some()
}

/// `max 100000` or `150000 100000`.
fn parse_cpu_max(text: &[u8]) -> Result<Option<Quota>, ()> {
    let line = text.strip_suffix(b"\n").ok_or(())?;
    let space = line.iter().position(|c| *c == b' ').ok_or(())?;
    let (quota, period) = (&line[..space], &line[space + 1..]);
    if quota == b"max" {
        return Ok(None);
    }
    quota_of(whole(quota).ok_or(())?, whole(period).ok_or(())?)
}

/// A number on a line; `None` if it is negative, which means "no limit".
fn parse_number(text: &[u8]) -> Result<Option<u64>, ()> {
    let line = text.strip_suffix(b"\n").ok_or(())?;
    match line.strip_prefix(b"-") {
        Some(digits) => whole(digits).map(|_| None).ok_or(()),
        None => whole(line).map(Some).ok_or(()),
    }
}

fn whole(digits: &[u8]) -> Option<u64> {
    digits.iter().all(u8::is_ascii_digit).then(|| parse_digits(digits))?
}

fn quota_of(quota_us: u64, period_us: u64) -> Result<Option<Quota>, ()> {
    if period_us == 0 { Err(()) } else { Ok(Some(Quota { quota_us, period_us })) }
}

/// Calls `f` for each line of the file until it returns true. Of a line longer than the buffer it
/// gets the head; a line that the file breaks off is none.
fn lines(path: &[&[u8]], mut f: impl FnMut(&[u8]) -> bool) {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = with_path(path, |path| rustix::fs::open(path, flags, Mode::empty()));
    let Some(Ok(fd)) = opened else { return };
    let mut buf = [0; LINE_MAX];
    let (mut len, mut skipping) = (0, false);
    loop {
        match rustix::io::read(&fd, &mut buf[len..]) {
            Ok(0) | Err(_) => return,
            Ok(n) => len += n,
        }
        let mut from = 0;
        while let Some(n) = buf[from..len].iter().position(|c| *c == b'\n') {
            if !core::mem::take(&mut skipping) && f(&buf[from..from + n]) {
                return;
            }
            from += n + 1;
        }
        buf.copy_within(from..len, 0);
        len -= from;
        if len == buf.len() {
            if !core::mem::replace(&mut skipping, true) && f(&buf) {
                return;
            }
            len = 0;
        }
    }
}

#[cfg(test)]
mod tests;
