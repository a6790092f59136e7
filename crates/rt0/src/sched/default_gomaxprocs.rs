//! How many Ps there are if nobody says so, and how that follows the machine.
//!
//! Go: cgroup_linux.go `defaultGOMAXPROCS`, `adjustCgroupGOMAXPROCS`; proc.go
//! `sysmonUpdateGOMAXPROCS`, `updateMaxProcsGoroutine`; debug.go `SetDefaultGOMAXPROCS`.
//!
//! The default is the number of CPUs that the threads may run on, or the CPU quota of the control
//! group if that is less, rounded up, but not less than 2 for the quota's sake: with one P a
//! goroutine that computes would delay all others although the machine has CPUs to spare.
//!
//! Once a second, while it is awake, sysmon looks at both again; only if the number has changed it
//! wakes a goroutine, for it cannot stop the world itself. An idle process is not woken for that.
//! A positive GOMAXPROCS in the environment and a call of `set_gomaxprocs` end it, a call of
//! `set_default_gomaxprocs` begins it again; `GODEBUG=updatemaxprocs=0` forbids it, and
//! `containermaxprocs=0` leaves the quota out.
//!
//! The CPUs are those of sysmon's thread. Every M inherits its mask from the same thread, and no
//! code of the program runs there that could pin it for reasons of its own.
//!
//! # Invariants
//! * `DG1`: `CUSTOM` is changed last by the owner of the world (SW1), together with the number.
//! * `DG2`: who reads affinity and quota holds `GROUP`, and has seen `CUSTOM` down under it: a
//!   caller that raises `CUSTOM` and then takes the lock once knows that no more is read. A sandbox
//!   may rely on that, as in Go.

use super::{SCHED, stop_the_world};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::debug::vars;
use crate::lock::{mutex::RtMutex, rank::Rank};
use crate::p::MAX_P;
use crate::sys::cgroup::{Cgroup, Quota};
use crate::sys::proc::cpu_count;

const CHECK_EVERY_NS: i64 = 1_000_000_000;
/// A quota lowers the number no further.
const LEAST_BY_QUOTA: usize = 2;

/// The number was given. Go: sched.customGOMAXPROCS.
static CUSTOM: AtomicBool = AtomicBool::new(false);
/// What sysmon found last, for the goroutine that it wakes.
static FOUND: AtomicU32 = AtomicU32::new(0);
/// Whose CPUs count: sysmon's thread; 0, which is the calling one, until there is one.
static SYSMON_TID: AtomicU32 = AtomicU32::new(0);
/// Held over a few system calls, unlike other locks of the runtime (DG2).
static GROUP: RtMutex<Group> = RtMutex::new(Rank::Misc, Group::new());

/// The control group, which is looked for once, as in Go.
struct Group {
    looked: bool,
    found: Option<Cgroup>,
    /// What was read last: a file that cannot be read says nothing new.
    last: Option<Quota>,
}

impl Group {
    const fn new() -> Group {
        Group { looked: false, found: None, last: None }
    }

    fn quota(&mut self, root: &[u8]) -> Option<Quota> {
        if !self.looked {
            self.looked = true;
            self.found = Cgroup::find(root);
        }
        if let Ok(now) = self.found.as_ref()?.quota() {
            self.last = now;
        }
        self.last
    }

    /// The quota is asked for only where it can matter.
    fn default_gomaxprocs(&mut self, ncpu: usize, root: &[u8]) -> usize {
        if ncpu <= LEAST_BY_QUOTA || vars::get().containermaxprocs.get() == 0 {
            return ncpu.clamp(1, MAX_P);
        }
        default_gomaxprocs(ncpu, self.quota(root))
    }
}

/// Go's rule.
fn default_gomaxprocs(ncpu: usize, quota: Option<Quota>) -> usize {
    let by_quota = quota.map_or(usize::MAX, |quota| quota.cpus().max(LEAST_BY_QUOTA));
    ncpu.min(by_quota).clamp(1, MAX_P)
}

/// Boot: the number to start with. `given`: by the environment.
pub(crate) fn at_start(given: Option<usize>, ncpu: usize) -> usize {
    match given {
        Some(n) => {
            give_notice();
            n.min(MAX_P)
        }
        None => GROUP.lock().default_gomaxprocs(ncpu, b""),
    }
}

/// A number is about to be given, or was (DG1).
fn give_notice() {
    CUSTOM.store(true, Ordering::SeqCst); // ORDERING: before GROUP is taken, DG2
}

fn is_given() -> bool {
    CUSTOM.load(Ordering::SeqCst) // ORDERING: DG1, DG2
}

/// Sets the number; see [`crate::set_gomaxprocs`]. On a goroutine. Go: GOMAXPROCS.
pub(crate) fn set_gomaxprocs(n: usize) -> usize {
    if n == 0 {
        return SCHED.gomaxprocs() as usize;
    }
    give_notice();
    stop_the_world::pinned(|| drop(GROUP.lock())); // DG2
    stop_the_world::resize(|| {
        give_notice(); // DG1: the default may have been asked for meanwhile
        Some(n.min(MAX_P))
    })
}

/// The default again, and from now on; see [`crate::set_default_gomaxprocs`]. On a goroutine. Go:
/// SetDefaultGOMAXPROCS.
pub(crate) fn set_default_gomaxprocs() -> usize {
    stop_the_world::resize(|| {
        CUSTOM.store(false, Ordering::SeqCst); // ORDERING: DG1
        Some(GROUP.lock().default_gomaxprocs(ncpu(), b""))
    })
}

fn ncpu() -> usize {
    cpu_count(SYSMON_TID.load(Ordering::Relaxed) as i32) // ORDERING: set once; 0 will do before
}

/// Runs `f`, which may change sysmon's affinity if it restores it: nobody reads it meanwhile.
pub(super) fn with_affinity_unread<T>(f: impl FnOnce() -> T) -> T {
    let _group = GROUP.lock(); // DG2
    f()
}

/// sysmon's thread begins.
pub(super) fn sysmon_starts() {
    SYSMON_TID.store(crate::sys::gettid() as u32, Ordering::Relaxed); // ORDERING: see ncpu
}

/// sysmon: looks, if it is time to; returns when it last did. Go: sysmonUpdateGOMAXPROCS.
pub(super) fn check_if_due(last: i64) -> i64 {
    let now = crate::sys::nanotime();
    if now - last < CHECK_EVERY_NS {
        return last;
    }
    if vars::get().updatemaxprocs.get() != 0
        && let Some(n) = changed()
    {
        FOUND.store(n as u32, Ordering::Release); // ORDERING: pairs with update
        super::background::wake_updater();
    }
    now
}

fn changed() -> Option<usize> {
    let mut group = GROUP.lock();
    if is_given() {
        return None;
    }
    let n = group.default_gomaxprocs(ncpu(), b"");
    (n != SCHED.gomaxprocs() as usize).then_some(n)
}

/// The goroutine that sysmon woke. Go: the loop of updateMaxProcsGoroutine.
pub(super) fn update() {
    stop_the_world::resize(|| {
        // ORDERING: pairs with check_if_due
        (!is_given()).then(|| FOUND.load(Ordering::Acquire) as usize)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_quota_lowers_the_number_but_not_below_two() {
        let root = std::env::temp_dir().join(format!("rt0-procs-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("not the root")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        write("proc/self/cgroup", "0::/pod\n");
        write("proc/self/mountinfo", "28 23 0:25 / /cg rw,relatime shared:4 - cgroup2 none rw\n");
        let prefix = root.to_str().expect("UTF-8").as_bytes();
        let mut group = Group::new();
        for (cpu_max, ncpu, procs) in [
            ("max 100000\n", 8, 8),
            ("max 100000\n", 100_000, MAX_P),
            ("150000 100000\n", 8, 2),
            ("50000 100000\n", 8, 2),
            ("50000 100000\n", 1, 1),
            ("210000 100000\n", 8, 3),
            ("gibberish", 8, 3), // the last that was read
            ("6400000 100000\n", 8, 8),
        ] {
            write("cg/pod/cpu.max", cpu_max);
            assert_eq!(group.default_gomaxprocs(ncpu, prefix), procs, "{cpu_max} {ncpu}");
        }
        fs::remove_dir_all(&root).expect("it is there");
        assert_eq!(group.default_gomaxprocs(8, prefix), 8, "the last that was read");
        assert_eq!(Group::new().default_gomaxprocs(8, prefix), 8, "no group to be found");
    }
}
