//! All threads of the process held still, for who looks through its memory.
//!
//! Go stops the world: goroutines come to a stop where they can. Here nothing may move, wherever it
//! is, and plain threads are threads too. Each is signalled (SIGURG, which has our handler for
//! preemption), and waits in the handler until the look is over: its registers lie in the frame
//! that the kernel has put on its stack. m/still.rs has the protocol.
//!
//! A thread that sleeps in the kernel is woken for that. Calls that the kernel starts again go on;
//! those that it does not (`poll`, `nanosleep`) end with EINTR, as with any other signal.
//!
//! # Invariants
//! * `DS1`: while an [`AllStill`] lives no other thread of the process runs. Threads are listed
//!   until two lists in a row have none that is not held: who could make another is held then.

use super::halted::{self, is_frozen};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::m::still::{Arrival, Still};
use crate::malloc::vec::RtVec;
use crate::sys::proc::{self, ThreadState};
use crate::sys::{futex, nanotime, signal::tgkill, threads};
use crate::tls::pin::{Pin, pin};
use core::ffi::c_void;
use core::fmt;

static STILL: Still = Still::new();
/// ST1 of m/still.rs.
static BUSY: AtomicBool = AtomicBool::new(false);
/// Who looks: its own handler does not wait.
static LOOKER: AtomicU32 = AtomicU32::new(0);

/// How long a thread may take to answer.
const PATIENCE_NS: i64 = 100_000_000;
/// The same for one that would run, were there a CPU for it.
const STARVED_NS: i64 = 1_000_000_000;

/// The thread's handler of SIGURG. False: nobody looks.
pub(crate) fn on_signal(tid: u32, ctx: *mut c_void) -> bool {
    // ORDERING: its own name, or another's
    if LOOKER.load(Ordering::Relaxed) == tid {
        return false;
    }
    let here = 0_usize;
    let frame = (&raw const here).addr();
    let at = Arrival { sp: halted::registers(ctx).sp, frame };
    let Some(round) = STILL.arrive(tid, at) else { return false };
    while STILL.stays(round) {
        futex::wait(STILL.word(), round, None);
    }
    STILL.leave();
    true
}

/// Why not all are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unheld {
    /// Somebody else looks, and goes on doing so.
    Busy,
    /// This thread does not answer.
    Thread(u32),
    /// Threads cannot be listed.
    Unlisted,
}

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheld::Busy => f.write_str("another look is under way"),
            Unheld::Thread(tid) => write!(f, "thread {tid} does not answer"),
            Unheld::Unlisted => f.write_str("/proc/self/task cannot be read"),
        }
    }
}

/// A thread that is held.
#[derive(Clone, Copy)]
pub(super) struct Thread {
    pub(super) tid: u32,
    pub(super) at: Arrival,
}

/// DS1.
pub(super) struct AllStill {
    pub(super) threads: RtVec<Thread>,
    _pin: Pin,
}

impl Drop for AllStill {
    fn drop(&mut self) {
        STILL.end();
        futex::wake(STILL.word(), i32::MAX as u32); // as many as the kernel takes
        LOOKER.store(0, Ordering::Relaxed); // ORDERING: nobody is held any more
        BUSY.store(false, Ordering::Release); // ORDERING: pairs with begin
    }
}

/// Holds every other thread.
pub(super) fn hold_all() -> Result<AllStill, Unheld> {
    let pin = pin();
    let until = nanotime() + PATIENCE_NS;
    begin(until)?;
    let mut all = AllStill { threads: RtVec::new(), _pin: pin };
    let me = crate::sys::gettid() as u32;
    let (mut quiet, mut round) = (0, 0_u32);
    while quiet < 2 {
        all.threads = RtVec::new();
        let mut missing = None;
        let listed = threads::all(|tid| {
            if tid == me {
                return true;
            }
            match arrival(tid) {
                Some(at) => all.threads.push(Thread { tid, at }),
                None => {
                    missing = Some(tid);
                    // Again and again: one that was in a handler already meets it late.
                    if round.is_multiple_of(16) {
                        tgkill(tid as i32, libc::SIGURG);
                    }
                }
            }
            true
        });
        match missing {
            _ if !listed => return Err(Unheld::Unlisted),
            None => quiet += 1,
            Some(tid) if is_late(tid, nanotime() - until) => return Err(Unheld::Thread(tid)),
            Some(_) => {
                quiet = 0;
                halted::pause(if round < 16 { 20_000 } else { 200_000 });
            }
        }
        round += 1;
    }
    Ok(all)
}

/// Whether to wait no longer for a thread, so long after the time for all is over.
fn is_late(tid: u32, late_ns: i64) -> bool {
    let starves = || proc::thread_state(tid as i32) == ThreadState::Running;
    late_ns > 0 && (late_ns > STARVED_NS - PATIENCE_NS || !starves())
}

/// How the thread is held, if it is.
fn arrival(tid: u32) -> Option<Arrival> {
    if let Some(at) = STILL.has(tid) {
        return Some(at);
    }
    // By the last report, whose handler's frame is not known.
    let mp = crate::m::find_by_tid(tid as i32).filter(|_| is_frozen())?;
    halted::frozen_registers(mp).map(|r| Arrival { sp: r.sp, frame: 0 })
}

/// ST1.
fn begin(until: i64) -> Result<(), Unheld> {
    // ORDERING: pairs with AllStill's drop
    while BUSY.swap(true, Ordering::Acquire) {
        if nanotime() > until {
            return Err(Unheld::Busy);
        }
        halted::pause(100_000);
    }
    LOOKER.store(crate::sys::gettid() as u32, Ordering::SeqCst); // ORDERING: before the round
    while !STILL.begin() {
        if nanotime() > until {
            LOOKER.store(0, Ordering::Relaxed); // ORDERING: nobody is held
            BUSY.store(false, Ordering::Release); // ORDERING: as AllStill's drop
            return Err(Unheld::Busy);
        }
        halted::pause(100_000);
    }
    Ok(())
}
