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
use crate::atomic::{AtomicBool, AtomicRef, AtomicU32, Ordering};
use crate::m::still::{Arrival, Still};
use crate::malloc::vec::RtVec;
use crate::sys::proc::{self, ThreadState};
use crate::sys::{futex, nanotime, signal::tgkill, threads};
use crate::tls::pin::{Pin, pin};
use core::ffi::c_void;
use core::fmt;

/// Made by the first look: 96 KiB that few processes need, and that would lie between statics which
/// all of them touch.
static STILL: AtomicRef<Still> = AtomicRef::none();
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
    // ORDERING: pairs with made. One that comes too soon is signalled again.
    let Some(still) = STILL.load(Ordering::Acquire) else { return false };
    let Some(round) = still.arrive(tid, at) else { return false };
    while still.stays(round) {
        futex::wait(still.word(), round, None);
    }
    still.leave();
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
    /// There is no memory to note them in.
    Memory,
}

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheld::Busy => f.write_str("another look is under way"),
            Unheld::Thread(tid) => write!(f, "thread {tid} does not answer"),
            Unheld::Unlisted => f.write_str("/proc/self/task cannot be read"),
            Unheld::Memory => f.write_str("no memory is left"),
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
    still: &'static Still,
    _pin: Pin,
}

impl Drop for AllStill {
    fn drop(&mut self) {
        self.still.end();
        futex::wake(self.still.word(), i32::MAX as u32); // as many as the kernel takes
        give_up();
    }
}

/// Holds every other thread.
pub(super) fn hold_all() -> Result<AllStill, Unheld> {
    let pin = pin();
    let until = nanotime() + PATIENCE_NS;
    let still = begin(until)?;
    let mut all = AllStill { threads: RtVec::new(), still, _pin: pin };
    let me = crate::sys::gettid() as u32;
    let (mut quiet, mut round) = (0, 0_u32);
    while quiet < 2 {
        all.threads = RtVec::new();
        let mut missing = None;
        let listed = threads::all(|tid| {
            if tid == me {
                return true;
            }
            match arrival(still, tid) {
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
fn arrival(still: &Still, tid: u32) -> Option<Arrival> {
    if let Some(at) = still.has(tid) {
        return Some(at);
    }
    // By the last report, whose handler's frame is not known.
    let mp = crate::m::find_by_tid(tid as i32).filter(|_| is_frozen())?;
    halted::frozen_registers(mp).map(|r| Arrival { sp: r.sp, frame: 0 })
}

/// ST1.
fn begin(until: i64) -> Result<&'static Still, Unheld> {
    // ORDERING: pairs with AllStill's drop
    while BUSY.swap(true, Ordering::Acquire) {
        if nanotime() > until {
            return Err(Unheld::Busy);
        }
        halted::pause(100_000);
    }
    LOOKER.store(crate::sys::gettid() as u32, Ordering::SeqCst); // ORDERING: before the round
    let Some(still) = made() else {
        give_up();
        return Err(Unheld::Memory);
    };
    while !still.begin() {
        if nanotime() > until {
            give_up();
            return Err(Unheld::Busy);
        }
        halted::pause(100_000);
    }
    Ok(still)
}

/// Nobody is held, or will be.
fn give_up() {
    LOOKER.store(0, Ordering::Relaxed); // ORDERING: before the next one's
    BUSY.store(false, Ordering::Release); // ORDERING: pairs with begin
}

/// Who looks has it made, if it is the first (ST1).
#[allow(unsafe_code, reason = "memory that is all zeros")]
fn made() -> Option<&'static Still> {
    // ORDERING: ST1: the last one's, who let BUSY go
    if let Some(still) = STILL.load(Ordering::Relaxed) {
        return Some(still);
    }
    let room = crate::sys::mem::fresh::<Still>()?;
    // SAFETY: a Still is atomics only, for which zeroed memory is valid: nobody is held.
    let still: &'static Still = unsafe { room.assume_init_ref() };
    STILL.store(Some(still), Ordering::Release); // ORDERING: pairs with on_signal
    Some(still)
}
