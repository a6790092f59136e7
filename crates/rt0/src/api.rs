//! The crate's root: re-exports, and the functions that are one line over the runtime.

pub use crate::boot::exit::{at_exit, at_exit_on_success, exit};
pub use crate::boot::main::run;
pub use crate::goroutine::{Goroutine, current, park, park_timeout};
pub use crate::itab::assert_itab;
pub use crate::join::{Builder, Goexit, JoinFuture, JoinHandle, go, goexit, gosched};
#[cfg(feature = "bare-switch")]
#[doc(hidden)]
pub use crate::sched::bare::bare_switches;
pub use crate::sched::lock_os_thread::{OsThreadGuard, lock_os_thread};
pub use crate::scope::{Scope, ScopedJoinHandle, TryScope, scope, try_scope};
pub use rt0_macros::{main, test};

use crate::atomic::Ordering;
use crate::sched::{SCHED, procresize};

/// How many goroutines there are: alive, the runtime's own not counted. Go: `runtime.NumGoroutine`.
pub fn num_goroutine() -> usize {
    // ORDERING: counters of different moments; exact when nothing changes
    let mut n = SCHED.created_outside.load(Ordering::Relaxed) as i64;
    for pp in procresize::allp_ever() {
        n += pp.gcreated.get() as i64 - pp.gdead.get() as i64;
    }
    n.max(0) as usize
}

/// How many CPUs the process could run on when it started. Go: `runtime.NumCPU`.
///
/// 0 before the runtime has started.
pub fn num_cpu() -> usize {
    crate::sys::ncpu()
}

/// How many goroutines can run at once. Go: `runtime.GOMAXPROCS(0)`.
///
/// It is the variable GOMAXPROCS if that is a positive number. Else it is the number of CPUs that
/// the process may run on, or what the CPU quota of its control group (cgroup v1 or v2) comes to,
/// rounded up, but at least 2, if that is less. This default follows affinity and quota within
/// about a second while the process is busy, until [`set_gomaxprocs`] is called.
///
/// 0 before the runtime has started.
pub fn gomaxprocs() -> usize {
    SCHED.gomaxprocs() as usize
}

/// Sets how many goroutines can run at once and returns the old number; 0 only asks.
///
/// Stops the world for some microseconds: goroutines outside the runtime go on, those in it wait.
/// No goroutine and no timer is lost. At most 4096. From a plain thread it works while the runtime
/// runs. From then on the number does not follow the machine any more, also if it is the old one.
/// Go: `runtime.GOMAXPROCS`.
pub fn set_gomaxprocs(n: usize) -> usize {
    if n != 0 && current().is_none() {
        return run(move || set_gomaxprocs(n));
    }
    crate::sched::default_gomaxprocs::set_gomaxprocs(n)
}

/// Sets how many goroutines can run at once to the default, which [`gomaxprocs`] describes, as if
/// the variable GOMAXPROCS were not set, and returns the old number.
///
/// Reads affinity and CPU quota again, and lets the number follow them from now on. Stops the world
/// as [`set_gomaxprocs`] does. Go: `runtime.SetDefaultGOMAXPROCS`.
pub fn set_default_gomaxprocs() -> usize {
    if current().is_none() {
        return run(set_default_gomaxprocs);
    }
    crate::sched::default_gomaxprocs::set_default_gomaxprocs()
}

/// Runs `f`, which may block the thread (a C call, a file, a lock of std's), without keeping other
/// goroutines from running: they get another thread.
///
/// The goroutine stays on its thread while `f` runs; `f` may call the runtime, which ends the
/// marked section (what blocks after that is noticed within about a millisecond). On a plain thread
/// it just calls `f`. Costs two atomic operations when `f` is short. Go: a cgo or system call.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    crate::sched::syscall::blocking(f)
}

/// Sets how many threads the runtime may have (10,000 if never called) and returns the old limit.
///
/// A program that needs more ends with `runtime: program exceeds N-thread limit`. Go:
/// `debug.SetMaxThreads`.
pub fn set_max_threads(n: usize) -> usize {
    crate::sched::newm::set_max_threads(n as u64) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::set_gomaxprocs;
    use crate::atomic::{AtomicBool, AtomicU32, Ordering};
    use crate::boot::main::run;
    use crate::join::{go, gosched};
    use crate::sched::{enter, leave};

    /// The stopper claims the P of this goroutine again and again, and finds it inside the runtime.
    #[test]
    fn a_section_within_another_stays_on_its_m() {
        static STOP: AtomicBool = AtomicBool::new(false);
        static RESIZED: AtomicU32 = AtomicU32::new(0);
        run(|| {
            let old = set_gomaxprocs(2);
            let resizer = go(|| {
                for n in [3, 2].into_iter().cycle() {
                    if STOP.load(Ordering::Relaxed) {
                        return; // ORDERING: a flag
                    }
                    set_gomaxprocs(n);
                    RESIZED.fetch_add(1, Ordering::Relaxed); // ORDERING: a number
                }
            });
            let mut moved = 0;
            // ORDERING: a number
            while RESIZED.load(Ordering::Relaxed) < 1_000 {
                let Some((mp, _)) = enter() else { unreachable!("a goroutine") };
                for _ in 0..2_000 {
                    let Some((inner, _)) = enter() else { unreachable!("the same") };
                    moved += u32::from(!core::ptr::eq(inner, mp));
                    leave(inner);
                }
                leave(mp);
                gosched();
            }
            STOP.store(true, Ordering::Relaxed); // ORDERING: a flag
            resizer.join().expect("no panic");
            set_gomaxprocs(old);
            assert_eq!(moved, 0, "sections that ended on another M");
        });
    }
}
