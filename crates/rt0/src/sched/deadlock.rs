//! "all goroutines are asleep": the process can never do anything again.
//!
//! Go: proc.go `checkdead`, which counts Ms that idle. It is blind where libc, signals or foreign
//! threads are in play. Here every thread of the process is looked at, as the kernel sees it, and
//! every goroutine. Nothing can ever happen again if at one moment
//!
//! 1. every thread that runs code of the program (plain threads, and Ms with a goroutine that is in
//!    a call) sleeps on a futex of this process without a deadline: it goes on only if another
//!    thread wakes it;
//! 2. no M without a goroutine has a P, so that none is about to make a goroutine runnable;
//! 3. no goroutine is runnable, and none waits for what comes from outside (IO);
//! 4. no timer is pending that anybody waits for.
//!
//! So it stays silent for live timers, IO, calls that block in the kernel, computing goroutines,
//! and threads that may yet wake somebody; and reports locks of std's, condition variables of C's
//! and threads of anybody's that wait for each other, too.
//!
//! # One moment
//! The look takes a while and holds no lock (a thread that slept on a lock held here would look as
//! if it slept for ever). How it is known all the same that all of it held at one moment is in
//! deadlock/moment.rs.
//!
//! # When
//! sysmon looks when no goroutine has been started for 20 ms, and again in growing intervals while
//! the answer hangs on threads that it gets no word of. Before there is a goroutine beyond main
//! there is no sysmon: M 0 looks while it sleeps, and so does goroutine 1 while it waits in a lock
//! of std's, or for the end of a thread. Another call that it does not come back from is not seen.
//!
//! # What can still wake a sleeping process
//! A handler of the program's that a signal starts may post a semaphore or unpark a thread. If
//! there is one, threads that sleep elsewhere than in rt0 are not taken for stuck: a handler may
//! not call rt0. Other processes cannot wake a private futex. Without `/proc` nothing is reported.

pub(crate) mod moment;

use super::{SCHED, procresize, thread_parker};
use crate::atomic::{AtomicBool, Ordering};
use crate::g::{Status, WaitReason};
use crate::lock::note::Note;
use crate::m::M;
use crate::sys::nanotime;
use crate::sys::{signal, threads};
use moment::{Look, held_at_one_moment};

/// Between two looks, at first and at most.
const MIN_PAUSE_NS: i64 = 20_000_000;
const MAX_PAUSE_NS: i64 = 5_000_000_000;

/// What a look has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Something will happen that sysmon gets word of: a timer, IO.
    Alive,
    /// Nothing will, unless a thread that sysmon knows nothing of does something.
    Unsure,
    Dead,
}

/// When to look next, for a thread that runs no goroutine.
pub(super) struct Watch {
    /// As of the last call.
    ticks: u64,
    /// ns; `i64::MAX`: when a goroutine has been started.
    next: i64,
    pause_ns: i64,
}

impl Watch {
    pub(super) const fn new() -> Watch {
        Watch { ticks: u64::MAX, next: 0, pause_ns: 0 }
    }

    /// Looks if it is time to, without a lock; ends the process if it is dead. Returns when it is
    /// time to look again.
    pub(super) fn look(&mut self, now: i64) -> i64 {
        self.look_if(now, || true)
    }

    /// The same. `lasts`: whether the caller's own wait would go on, if nobody else did anything.
    fn look_if(&mut self, now: i64, lasts: impl Fn() -> bool) -> i64 {
        let ticks = ticks();
        if ticks != self.ticks {
            *self = Watch { ticks, next: now + MIN_PAUSE_NS, pause_ns: MIN_PAUSE_NS };
        } else if now >= self.next {
            match checkdead() {
                Verdict::Dead if lasts() => report(),
                Verdict::Alive => self.next = i64::MAX,
                _ => {
                    self.next = now + self.pause_ns;
                    self.pause_ns = (self.pause_ns * 2).min(MAX_PAUSE_NS);
                }
            }
        }
        self.next
    }
}

/// M 0, while there is no sysmon: sleeps until `note`, and looks now and then.
pub(super) fn sleep_watching(note: &Note) {
    let mut watch = Watch::new();
    loop {
        let now = nanotime();
        let next = watch.look(now);
        if note.sleep_for(next.saturating_sub(now)) {
            return note.clear();
        }
    }
}

/// Whether somebody else looks already.
#[cfg(feature = "interpose")]
pub(crate) fn is_looked_for() -> bool {
    SCHED.threads_started.load(Ordering::Acquire) // ORDERING: pairs with start_threads
}

/// Goroutine 1, while it is alone, in a wait of the program's that another thread ends: looks now
/// and then. `wait` waits for so many ns at most; `None`: they have passed. `lasts` says whether
/// what is waited for has not happened by now; it is asked when all others sleep.
#[cfg(feature = "interpose")]
pub(crate) fn wait_watching<T>(
    mut wait: impl FnMut(i64) -> Option<T>,
    lasts: impl Fn() -> bool,
) -> T {
    let mut watch = Watch::new();
    loop {
        let now = nanotime();
        let next = watch.look_if(now, &lasts);
        if next == i64::MAX {
            watch = Watch::new(); // nobody would tell when that has ended
        }
        if let Some(result) = wait((next - now).min(MAX_PAUSE_NS)) {
            return result;
        }
    }
}

/// Go: checkdead.
fn checkdead() -> Verdict {
    if super::lifecycle::main_returned() {
        return Verdict::Unsure;
    }
    // What ends by itself first: it is cheap, and says that there is no need to look again.
    match goroutines() {
        Verdict::Dead => {}
        other => return other,
    }
    let handled = signal::program_handles_any(super::signal_unix::own_handler());
    held_at_one_moment(|| look(handled), goroutines, Verdict::Dead, Verdict::Unsure)
}

/// Conditions 1 and 2. `handled`: the program handles signals.
fn look(handled: bool) -> Option<Look> {
    let me = crate::sys::gettid() as u32;
    let mut look = Look { threads: 0, switches: 0, ticks: ticks() };
    // ORDERING: as the threads that slept left it
    let busy = |mp: &M| mp.curg.load(Ordering::Acquire).is_none() && mp.p.get().is_some();
    if crate::m::allm().any(busy) || Ps::count() != u64::from(SCHED.gomaxprocs()) {
        return None;
    }
    let listed = threads::all(|tid| {
        if tid == me || idles(tid) {
            return true;
        }
        let Some(sleeper) = threads::sleeper(tid) else { return false };
        look.threads = crate::sys::hash::memhash64(look.threads ^ u64::from(tid));
        look.switches += sleeper.switches;
        !handled || is_ours(tid)
    });
    listed.then_some(look)
}

/// Ps that are on the idle list or whose M has a goroutine.
struct Ps;

impl Ps {
    fn count() -> u64 {
        let held = |mp: &&'static M| {
            let owns = |pp: &'static crate::p::P| pp.owner.holder() == Some(mp.addr());
            // ORDERING: as the threads that slept left it
            mp.curg.load(Ordering::Acquire).is_some() && mp.p.get().is_some_and(owns)
        };
        u64::from(SCHED.spin.npidle()) + crate::m::allm().filter(held).count() as u64
    }
}

/// How many goroutines were started.
pub(super) fn ticks() -> u64 {
    procresize::allp_ever().fold(0_u64, |sum, pp| sum.wrapping_add(pp.schedtick.get()))
}

/// Whether this is the thread of an M without a goroutine: whatever it does, without a P it makes
/// nothing happen.
fn idles(tid: u32) -> bool {
    crate::m::find_by_tid(tid as i32).is_some_and(|mp| {
        // ORDERING: as the threads that slept left it
        mp.is_scheduling() && mp.curg.load(Ordering::Acquire).is_none()
    })
}

/// Whether it sleeps in the runtime, where no handler of the program's may reach it.
fn is_ours(tid: u32) -> bool {
    let waits =
        |tp: &&thread_parker::ThreadParker| tp.tid() == tid && tp.reason() != WaitReason::None;
    thread_parker::all().any(|tp| waits(&tp))
        || super::newm::is_template(tid)
        || crate::debug::slow::is_tracer(tid)
        || super::one_to_one::sleeps_without_m(tid)
}

/// Conditions 3 and 4; `Dead` if they hold.
fn goroutines() -> Verdict {
    if procresize::allp().any(|pp| pp.timers.any_live()) {
        return Verdict::Alive;
    }
    if thread_parker::all().any(|tp| tp.reason().is_external()) || crate::netpoll::is_waited_for() {
        return Verdict::Alive;
    }
    let mut any = false;
    for gp in crate::g::allgs() {
        match gp.status() {
            s if s == Status::Dead as u32 || s == Status::Idle as u32 => {}
            s if gp.is_system() && s == Status::Waiting as u32 => {}
            s if gp.is_system() || s == Status::Runnable as u32 => return Verdict::Unsure,
            s if s == Status::Waiting as u32 && gp.wait_reason().is_external() => {
                return Verdict::Alive;
            }
            // One that runs, or is in a call, has a thread: that is looked at.
            _ => any = true,
        }
    }
    // ORDERING: set by goroutine 1 before it ended
    match any || SCHED.main_goexited.load(Ordering::Acquire) {
        true => Verdict::Dead,
        false => Verdict::Unsure,
    }
}

/// The end.
fn report() -> ! {
    static ONCE: AtomicBool = AtomicBool::new(false);
    // ORDERING: a latch, nothing behind it
    while ONCE.swap(true, Ordering::Relaxed) {
        super::sysmon::usleep(MAX_PAUSE_NS); // M 0 and sysmon have both come to see it
    }
    let live = |status| status != Status::Dead as u32 && status != Status::Idle as u32;
    if !crate::g::allgs().any(|gp| !gp.is_system() && live(gp.status())) {
        crate::throw::fatal_of_all("no goroutines (main called runtime.Goexit) - deadlock!");
    }
    crate::throw::fatal_of_all("all goroutines are asleep - deadlock!");
}
