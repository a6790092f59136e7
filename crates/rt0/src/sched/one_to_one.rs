//! The fallback where goroutines cannot have TLS blocks of their own: each is a pthread.
//!
//! Blocks of our own (tls/) need symbols of glibc's that it promises to nobody. Where one is
//! missing, or the self-test fails, goroutines are threads that take turns: correct without any
//! knowledge of libc, at the price of a thread each. `GODEBUG=tlsmode=3` asks for it.
//!
//! The scheduler stays as it is, for an M is handed around like a baton. Goroutine code runs on the
//! goroutine's own thread, which *is* the M as long as it has it: its GS base, signal stack and
//! thread id are the M's. To switch from one context to another is to hand the M to the other's
//! thread and to sleep until somebody hands one back:
//!
//! ```text
//!   g0's thread:  ... execute(g) -> hand M to g's thread, sleep ............ wake: finish_switch
//!   g's thread:      sleeping ..................... wake: runs; parks -> hand M to g0's thread
//! ```
//! A switch publishes nothing (PK1): what is left to do for the old context is done by the new
//! one's finish_switch, and if that lets a third M run the old context before its thread sleeps,
//! the note remembers. All switches go through g0.
//!
//! * The runtime's own goroutines have no thread: they run on the thread of whatever g0 executes
//!   them, by the usual switch of stacks. They have no TLS anyway.
//! * Goroutine 1 and M 0's g0 share the boot thread, by switches of stacks too. So no thread of a
//!   goroutine's may have M 0, for g0 would sleep while goroutine 1 wants to run: M 0 passes such
//!   goroutines on to other Ms, and other Ms pass goroutine 1 on to M 0 ([`passed_on`]).
//! * A goroutine's thread-local destructors are its thread's: libc runs them when the thread's
//!   function returns, with the M still in hand, so they may do what a goroutine may. A pthread key
//!   whose destructor puts itself off until libc's last round comes after them, and ends the
//!   goroutine: joiner woken, M handed to g0.
//! * A dead G's stack is in use until its thread is gone: the sweeper leaves it alone, the thread
//!   itself gives back what it used ([`trim`]), and who uses the G again joins the thread first.
//! * A thread that sleeps without an M is as good as not there: it blocks signals, and has no
//!   signal stack, for that is the M's. Signals of libc's that cannot be blocked run on its own.
//! * Preemption by signal is as ever: the signal goes to the thread that has the M, and the
//!   trampoline parks on that thread. One that comes after the M has left waits, blocked, and means
//!   nothing to the next M. A goroutine's block, by which the handler knows it, is its thread's.
//!
//! # Invariants
//! * `OO1`: an M is in the hand of one thread; what MP1 calls the owner is that thread.
//!
//! Rejected: pinning goroutines to the worker they started on, which would be unsound: `Send`
//! values in thread-locals would be shared by goroutines of one worker.

#![allow(unsafe_code, reason = "OO1: pthreads and their keys")]

use super::goexit::{call_fn, goexit1};
use super::lifecycle::is_goroutine_1;
use super::newproc::{self, Ending};
use super::park::finish_switch;
use super::wake::{Spin, hand, releasep, stopm};
use super::{SCHED, enter_system, leave};
use crate::arch::fsgs::fs_base;
use crate::atomic::{AtomicU32, Ordering};
use crate::g::G;
use crate::m::{M, m0, minit, special};
use crate::stack::KEEP_BYTES;
use crate::sys::mem::{PAGE, unused};
use crate::sys::signal::{block_all, set_mask};
use crate::tls::{self, Mode, template::Template};
use core::ffi::c_void;
use std::io;
use std::sync::OnceLock;

/// Bytes at the top of a slot's stack that hold the goroutine's closure; the thread's stack is
/// below.
const TOP_BYTES: usize = 16 << 10;
/// libc calls a key's destructor this often at most.
const ROUNDS: u32 = 4;

/// The key whose destructor ends goroutines, plus 1; 0: not made yet.
static KEY: AtomicU32 = AtomicU32::new(0);

/// What goroutines beyond main get: blocks after a template, or (`None`) threads of their own. In
/// user context; the first call decides.
pub(crate) fn prepare() -> io::Result<Option<&'static Template>> {
    if tls::mode() == Mode::OneToOne {
        return Ok(None);
    }
    let why = match tls::init() {
        Ok(template) => return Ok(Some(template)),
        Err(why) => why,
    };
    let refused = |kind, why| Err(io::Error::new(kind, format!("rt0: no goroutines here: {why}")));
    if why.starts_with("pthread_create") {
        return refused(io::ErrorKind::OutOfMemory, why);
    }
    if crate::debug::vars::get().tlsmode.get() == 2 {
        return refused(io::ErrorKind::Unsupported, why);
    }
    if !*ENTERED.get_or_init(|| enter(why)) {
        return refused(io::ErrorKind::Unsupported, "pthread_key_create: no key left");
    }
    Ok(None)
}

static ENTERED: OnceLock<bool> = OnceLock::new();

/// Enters the mode, before there is a goroutine besides goroutine 1.
fn enter(why: &'static str) -> bool {
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: `end` takes what is stored under the key, a G.
    if unsafe { libc::pthread_key_create(&mut key, Some(end)) } != 0 {
        return false;
    }
    KEY.store(key + 1, Ordering::Release); // ORDERING: before the first thread starts
    m0().set_special(special::VIA_G0);
    tls::set_one_to_one(why);
    true
}

/// Whether `gp`, which `mp` has taken off a queue, was passed on to the kind of M that may run it.
pub(super) fn passed_on(mp: &'static M, gp: &'static G) -> bool {
    let on_m0 = core::ptr::eq(mp, m0());
    if on_m0 && gp.baton.is_thread() {
        super::lock_os_thread::move_off(mp, gp);
        return true;
    }
    if !on_m0 && is_goroutine_1(gp) {
        to_m0(mp, gp);
        return true;
    }
    false
}

/// Gives goroutine 1 and the P to M 0, wherever that is.
fn to_m0(mp: &'static M, gp: &'static G) {
    if mp.is_spinning() {
        super::schedule::resetspinning(mp);
    }
    let Some(pp) = releasep(mp) else { crate::throw::throw("to_m0: no p") };
    let mut sched = SCHED.lock.lock();
    if sched.mget_specific(m0()) {
        drop(sched);
        m0().handover.set(Some(gp));
        hand(m0(), pp, Spin::No);
        m0().park.wakeup();
    } else {
        sched.for_m0 = Some((gp, pp));
        m0().set_special(special::FOR_M0);
        drop(sched);
        crate::netpoll::break_poller();
    }
    stopm(mp);
}

/// M 0, on g0: takes what `to_m0` left for it. With a P afterwards, and goroutine 1 to run.
pub(super) fn take_for_m0(mp: &'static M) {
    let mut sched = SCHED.lock.lock();
    mp.clear_special(special::FOR_M0);
    let Some((gp, pp)) = sched.for_m0.take() else { return };
    drop(sched);
    mp.handover.set(Some(gp));
    if mp.p.get().is_some() {
        super::wake::handoffp(pp);
    } else {
        super::wake::acquirep(mp, pp);
    }
}

/// Makes the thread of a goroutine that is about to start. In user context.
pub(crate) fn start_thread(gp: &'static G) -> io::Result<()> {
    join_last(gp);
    let (lo, hi) = crate::stack::bounds(gp);
    let mut attr = core::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
    let a = attr.as_mut_ptr();
    // SAFETY: `a` is initialised here and destroyed below.
    unsafe { libc::pthread_attr_init(a) };
    // SAFETY: the stack of a dead goroutine, whose last thread is gone.
    unsafe { libc::pthread_attr_setstack(a, lo as *mut c_void, hi - lo - TOP_BYTES) };
    let old = block_all();
    let mut thread: libc::pthread_t = 0;
    let arg = core::ptr::from_ref(gp).cast_mut().cast();
    // SAFETY: `g_thread` takes a G.
    let r = unsafe { libc::pthread_create(&mut thread, a, g_thread, arg) };
    set_mask(old);
    // SAFETY: initialised above.
    unsafe { libc::pthread_attr_destroy(a) };
    if r != 0 {
        let e = io::Error::from_raw_os_error(r);
        let text = format!("rt0: no thread for a goroutine (TLS mode one thread each): {e}");
        return Err(io::Error::new(e.kind(), text));
    }
    gp.baton.set_thread(thread as usize);
    Ok(())
}

/// Waits until the thread of the G's last goroutine is gone: it ends without blocking.
fn join_last(gp: &'static G) {
    let thread = gp.baton.thread();
    if thread != 0 {
        // SAFETY: a joinable thread, joined once: the G has one at a time.
        unsafe { libc::pthread_join(thread as libc::pthread_t, core::ptr::null_mut()) };
        gp.baton.set_thread(0);
    }
}

/// The first function of a goroutine's thread; the counterpart of goexit.rs `goroutine_start`.
extern "C" fn g_thread(arg: *mut c_void) -> *mut c_void {
    // SAFETY: start_thread passed a `&'static G`.
    let gp = unsafe { &*(arg as *const G) };
    gp.baton.tid.set(crate::sys::gettid() as u64);
    gp.baton.begin_rounds();
    gp.fs.store(fs_base(), Ordering::Relaxed); // ORDERING: read by this thread's signal handler
    let mp = gp.baton.wait();
    minit::take_over(mp, gp.baton.tid.get());
    set_mask(crate::m::m0().sigmask.get());
    finish_switch(mp);
    crate::sys::proc::name_thread(format_args!("rt0-g{}", gp.goid.get()));
    arm(gp);
    tls::set_curg(Some(gp));
    leave(mp);
    call_fn(gp);
    core::ptr::null_mut() // the thread's destructors, then `end`
}

/// Asks for another call of `end`.
fn arm(gp: &'static G) {
    let key = KEY.load(Ordering::Acquire) - 1; // ORDERING: pairs with init
    // SAFETY: a key of ours; the value is a G.
    unsafe { libc::pthread_setspecific(key, core::ptr::from_ref(gp).cast()) };
}

/// What newproc.rs `start` leaves for the goroutine's end.
pub(crate) fn set_ending<E: Ending>(ending: E) {
    let Some(gp) = tls::getg() else { return };
    let ending: Box<dyn Ending + '_> = Box::new(ending);
    // SAFETY: what it borrows outlives the goroutine (newproc's promise), and `end` runs on it.
    let ending = unsafe { core::mem::transmute::<Box<dyn Ending + '_>, Box<dyn Ending>>(ending) };
    let word = Box::into_raw(Box::new(ending)) as usize;
    gp.baton.ending.store(word, Ordering::Relaxed); // ORDERING: this thread's own
}

/// The key's destructor: the end of the goroutine, after the thread's other destructors.
unsafe extern "C" fn end(gp: *mut c_void) {
    // SAFETY: `arm` stored a `&'static G`.
    let gp = unsafe { &*(gp as *const G) };
    if gp.baton.next_round() < ROUNDS {
        return arm(gp);
    }
    gp.clear_extras();
    let word = gp.baton.ending.swap(0, Ordering::Relaxed); // ORDERING: this thread's own
    // SAFETY: set_ending stored the box once.
    let mut ending = unsafe { Box::from_raw(word as *mut Box<dyn Ending>) };
    let (mp, _) = enter_system();
    let more = ending.release(mp);
    leave(mp);
    if more {
        newproc::finish(&mut **ending);
    }
    drop(ending);
    trim(gp);
    goexit1();
}

/// Gives back what the goroutine used of its stack, but for a little below this frame: nobody can
/// tell later whether the thread has left it.
fn trim(gp: &'static G) {
    let here = core::hint::black_box(0u8);
    let at = core::ptr::from_ref(&here).addr();
    let (lo, _) = crate::stack::bounds(gp);
    let end = at.saturating_sub(KEEP_BYTES) & !(PAGE - 1);
    if end > lo {
        // SAFETY: ST2: this thread's own stack, below all that it still uses.
        unsafe { unused(&[[lo, end - lo]]) };
    }
}

/// The switch of this mode: true if it was done, false if both contexts are stacks of one thread.
#[cold]
pub(crate) fn switch(mp: &'static M, from: &'static G, to: &'static G) -> bool {
    if !from.baton.is_thread() && !to.baton.is_thread() {
        let own = mp.g0.baton.tid.get();
        if cfg!(debug_assertions) && own != crate::sys::gettid() as u64 {
            crate::throw::throw("switch: a context without a thread, on a goroutine's");
        }
        return false;
    }
    // While this thread has no M it is nobody: a signal handler that called the runtime would find
    // another's M. So it takes no signals; and those that libc does not let it block, by which all
    // threads change their ids, must not find the M's signal stack in use.
    let mask = block_all();
    minit::no_signal_stack();
    let place = crate::arch::here::here();
    if from.baton.is_thread() {
        from.set_place(&place);
    }
    to.baton.hand(mp);
    let mp = from.baton.wait();
    minit::take_over(mp, from.baton.tid.get());
    set_mask(mask);
    true
}

/// The last switch of a goroutine: the M goes to its g0, and this thread ends.
pub(crate) fn leave_for_ever(mp: &'static M) {
    block_all();
    minit::no_signal_stack();
    tls::set_curg(None);
    minit::plain_thread();
    mp.g0.baton.hand(mp);
}

/// Whether this is a thread of a goroutine, or of g0, that has handed its M on.
pub(super) fn sleeps_without_m(tid: u32) -> bool {
    let is = |baton: &crate::g::baton::Baton| baton.tid.get() == u64::from(tid);
    active()
        && crate::m::find_by_tid(tid as i32).is_none()
        && (crate::g::allgs().any(|gp| is(&gp.baton))
            || crate::m::allm().any(|mp| is(&mp.g0.baton)))
}

/// Whether goroutines are threads.
#[inline(always)]
pub(crate) fn active() -> bool {
    tls::mode() == Mode::OneToOne
}
